"""How long a fine-tune will take and what memory, from what earlier ones of its model took here. No torch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from app.trained import spec_of
from core.prompts import judged_on
from core.schedule import shifted
from core.train_config import TrainConfig
from core.train_plan import Forwards, forwards, looks

# What each phase's seconds are counted by; those that go with neither are by the epoch's pictures.
_BY = {"rollout": "rollout", "search": "search", "update": "update", "evaluate": "evaluate", "sample": "sample"}


def estimated(config: TrainConfig, earlier: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`nfe` of the training, `seconds` of everything and `memory_mb` (None before a run of the model was measured),
    `per_epoch` the same of one epoch by phase, and on what it is `judged`. `earlier` are runs of `storage.runs.begun`,
    the newest first.
    """
    planned = planned_forwards(config)
    rates = _rates(config, earlier)
    evaluated, sampled = looks(config.epochs, config.eval_every), looks(config.epochs, config.sample_every)
    per_epoch: dict[str, Any] = {"nfe": planned.epoch, "rollout": planned.rollout, "search": planned.search}
    per_epoch |= {"update": planned.update, "evaluate": planned.evaluate, "seconds": None}
    found: dict[str, Any] = {"nfe": planned.epoch * config.epochs, "epochs": config.epochs}
    found |= {"seconds": None, "memory_mb": _memory(config, earlier), "evaluations": evaluated}
    seconds = {name: rates.get(name, 0.0) * getattr(planned, name) for name in ("rollout", "search", "update")}
    if rates and not (planned.search and "search" not in rates):
        pictures = config.prompts_per_epoch * config.group_size
        per_epoch["seconds"] = sum(seconds.values()) + rates["other"] * pictures
        looking = evaluated * rates.get("evaluate", 0.0) * planned.evaluate
        looking += sampled * rates.get("sample", 0.0) * planned.sample
        found["seconds"] = per_epoch["seconds"] * config.epochs + looking
        if config.max_seconds is not None:
            found["seconds"] = min(found["seconds"], config.max_seconds)
    return found | {"per_epoch": per_epoch, "judged": asdict(judged_on(config))}


def planned_forwards(config: TrainConfig, sigmas: Sequence[float] | None = None) -> Forwards:
    """The run's sample-forwards; `sigmas` are its own once it has begun."""
    spec = spec_of(config.model)
    pair = 2 if config.guidance_scale > 1 and (spec is None or spec.guidance_pair) else 1
    return forwards(config, sigmas or shifted(config.num_steps), pair)


def _rates(config: TrainConfig, earlier: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Seconds a sample-forward by phase, each from the run nearest in size that has it; `other` is by the picture."""
    rates: dict[str, float] = {}
    size = config.prompts_per_epoch * config.group_size

    def apart(run: Mapping[str, Any]) -> float:  # pictures drawn few at a time take longer each
        return abs(math.log(run["config"].prompts_per_epoch * run["config"].group_size / size))

    for run in sorted(earlier, key=apart):
        before: TrainConfig = run["config"]
        if before.threads != config.threads or before.gradient_checkpointing != config.gradient_checkpointing:
            continue
        planned, phases = planned_forwards(before, run["started"].get("sigmas")), run["phases"]
        epochs = [one for one in phases if one.get("rollout")]
        for name, by in _BY.items():
            spent = [one[name] for one in phases if one.get(name)]
            if name not in rates and spent and getattr(planned, by):
                rates[name] = sum(spent) / len(spent) / getattr(planned, by)
        if "other" not in rates and epochs:
            rest = sum(one.get("reward", 0.0) + one.get("other", 0.0) for one in epochs) / len(epochs)
            rates["other"] = rest / (before.prompts_per_epoch * before.group_size)
    return rates if "rollout" in rates else {}


def _memory(config: TrainConfig, earlier: Sequence[Mapping[str, Any]]) -> float | None:
    """The most memory of the newest run whose batches were as large."""
    for run in earlier:
        same = ("micro_batch", "gradient_checkpointing", "lora_rank")
        if run["memory_mb"] and all(getattr(run["config"], name) == getattr(config, name) for name in same):
            return float(run["memory_mb"])
    return None
