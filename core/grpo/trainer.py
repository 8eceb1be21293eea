"""The trainer: Flow-GRPO and Smart-GRPO as a generator of events.

Every random number is drawn from a stream named by seed, epoch, group and member, so the whole random state of a run is
the number of its epoch: a run that goes on from a checkpoint ends with the same weights, bit for bit, as one that was
never stopped (same machine, same threads).
"""

import math
import resource
import sys
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, replace
from typing import Any, TypeVar

import torch

from core.errors import ConfigError, LabError, TrainError
from core.events import Cost
from core.explore import explore
from core.grpo.diagnosis import diagnose
from core.grpo.judging import Each, HeldOut, gains
from core.grpo.learning import Learner
from core.grpo.policy import Policy
from core.grpo.scoring import Scorer
from core.microbatch import is_out_of_memory
from core.models.protocol import FlowModel
from core.prompts import trained_prompts
from core.rewards.protocol import Reward
from core.train_config import TrainConfig, config_hash, from_dict, to_dict, validate
from core.train_events import (
    CheckpointMade,
    Command,
    Diagnosed,
    EpochFinished,
    SamplesDrawn,
    SearchWatched,
    TrainEvent,
    TrainFinished,
    TrainStarted,
)
from core.train_plan import SAMPLES, forwards

Training = Generator[TrainEvent, Command | None, None]
T = TypeVar("T")


def train(
    config: TrainConfig, model: FlowModel, rewards: Mapping[str, Reward], *, state: Mapping[str, Any] | None = None
) -> Training:
    """Train an adapter for `model`, yielding events; sending "sample" or "save" after one asks for a sheet or a state.

    `rewards` holds at least the config's, by name. With the `state` of a CheckpointMade only what comes after it is
    yielded (behind TrainStarted, which always comes first). The model is left as it was found when the generator ends
    or is closed. Raises ConfigError, and TrainError for everything that stops a run on its way.
    """
    validate(config)
    if missing := [name for name in config.rewards if name not in rewards]:
        raise ConfigError({"rewards": f"expected loaded rewards, got none named {', '.join(missing)}"})
    policy = Policy(config, model)
    try:
        run = _Run(config, model, rewards, policy)
        if state is not None:
            run.restore(state)
        for event in run.events():
            command = yield event
            while command is not None:
                command = yield run.sheet() if command == "sample" else run.checkpoint()
    finally:
        policy.remove()


class _Run:
    """Where a fine-tune stands: `epoch` is the last done, `elapsed` all its seconds, `cost` the training's alone."""

    def __init__(self, config: TrainConfig, model: FlowModel, rewards: Mapping[str, Reward], policy: Policy):
        self.config, self.model, self.rewards, self.policy = config, model, rewards, policy
        self.scorer = Scorer(config, model, rewards)
        prompts, eval_prompts = trained_prompts(config)
        embedding = [one for name in config.rewards if hasattr(one := rewards[name], "embed_images")]
        features: Any = torch.no_grad()(embedding[0].embed_images) if embedding else None
        self.learner = Learner(self.scorer, policy, prompts, features)
        self.held_out = HeldOut(self.scorer, eval_prompts, features)
        self.epoch = 0
        self.stored_epoch: int | None = None
        self.cost, self.elapsed = Cost(), 0.0
        self.history: list[dict[str, float]] = []
        self.first: Each = {}  # what every prompt was worth before training
        self.told: tuple[str, ...] = ()

    def events(self) -> Generator[TrainEvent, None, None]:
        """TrainStarted, epoch 0 unless a state was restored, and the epochs that are left."""
        yield self._guarded(self._started)
        if not self.history:
            yield self._guarded(self._first_look)
            yield self.sheet()
        over = self.epoch >= self.config.epochs
        while not over:
            event = self._guarded(self._epoch)
            over = self._is_last(self.epoch, self.elapsed)
            yield event
            if over or _due(self.epoch, self.config.sample_every):
                yield self.sheet()
            if self.learner.searches and _due(self.epoch, self.config.watch_every):
                yield self._guarded(self._watch)
            sentences = diagnose(self.history, self.config)
            if sentences != self.told:
                self.told = sentences
                yield Diagnosed(self.epoch, sentences)
            if over or _due(self.epoch, self.config.checkpoint_every):
                yield self.checkpoint()
        yield TrainFinished(self.epoch, self.cost)

    def _is_last(self, number: int, elapsed: float) -> bool:
        limit = self.config.max_seconds
        return number >= self.config.epochs or (limit is not None and elapsed >= limit)

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do the work; whatever stops it says where the run stands."""
        try:
            return work()
        except ConfigError:
            raise
        except (LabError, MemoryError, RuntimeError) as error:
            raise TrainError(f"{_told(error)} {self._standing()}") from error

    def _standing(self) -> str:
        stored = self.stored_epoch
        kept = "Nothing had been stored." if stored is None else f"The state after epoch {stored} is stored, unharmed."
        return f"This was in epoch {self.epoch + 1}. {kept}"

    def _started(self) -> TrainStarted:
        learner, sigmas = self.learner, self.scorer.sigmas
        plan = forwards(self.config, sigmas, self.model.nfe(self.scorer.encode(learner.prompts[0])))
        return TrainStarted(
            sigmas=sigmas,
            num_parameters=self.policy.num_parameters,
            trainable_parameters=self.policy.num_trainable,
            clip_range=learner.clip_range,
            latent_dim=learner.dimension,
            prompts=tuple(learner.prompts),
            eval_prompts=self.held_out.prompts,
            sample_prompts=tuple(self.held_out.prompts[place] for place in self.held_out.shown),
            nfe_per_epoch=plan.epoch,
            micro_seconds=learner.micro_seconds(),
        )

    def _first_look(self) -> EpochFinished:
        """Epoch 0: the model as it was found."""
        self.scorer.clock.seconds.clear()
        began = time.perf_counter()
        return self._told_epoch(began, self._judged(), {})

    def _epoch(self) -> EpochFinished:
        """The next epoch, judged where that is due."""
        scorer, number = self.scorer, self.epoch + 1
        scorer.clock.seconds.clear()
        began, before = time.perf_counter(), scorer.meter.cost
        looking = number >= self.config.epochs or _due(number, self.config.eval_every)
        metrics, per_step = self.learner.epoch(number, self.history, with_reference=looking or self.config.kl_beta > 0)
        spent, seconds = scorer.meter.cost, time.perf_counter() - began
        nfe, decodes = spent.nfe - before.nfe, spent.decodes - before.decodes
        self.cost += Cost(nfe, decodes, spent.reward_calls - before.reward_calls, seconds)
        self.epoch = number
        metrics["nfe"] = float(nfe)
        if looking or self._is_last(number, self.elapsed + seconds):
            metrics |= self._judged()
        return self._told_epoch(began, metrics, per_step)

    def _told_epoch(
        self, began: float, metrics: dict[str, float], per_step: dict[str, tuple[float | None, ...]]
    ) -> EpochFinished:
        """Close an epoch's books."""
        metrics["peak_memory_mb"] = _peak_memory(self.model)
        total = time.perf_counter() - began
        self.elapsed += total
        seconds = dict(self.scorer.clock.seconds)
        seconds["other"] = max(0.0, total - sum(seconds.values()))
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self.history.append({"epoch": float(self.epoch)} | finite)
        return EpochFinished(self.epoch, finite, per_step, self.cost, seconds | {"total": total})

    def _judged(self) -> dict[str, float]:
        """The held-out figures of the trained weights and of their average."""
        with self.scorer.clock.phase("evaluate"):
            now, prompts = self.held_out.judge(), self.held_out.prompts
            found, nfe = now.metrics, now.nfe
            if not self.history:
                self.first = now.each
            else:
                found = found | gains(self.first, now.each, prompts)
            if self.policy.average and self.policy.updates:
                with self.policy.averaged():
                    averaged = self.held_out.judge("_ema")
                found, nfe = found | averaged.metrics, nfe + averaged.nfe
                found = found | gains(self.first, averaged.each, prompts, "_ema")
            elif self.policy.average:  # nothing was learned yet: both are the model as it was
                found = found | {_averaged(name): value for name, value in found.items()}
        return found | {"nfe_eval": float(nfe)}

    def sheet(self) -> SamplesDrawn:
        """The sample sheet of the present weights, averaged where there is an average."""
        began = time.perf_counter()
        with self.scorer.clock.phase("sample"):
            if self.policy.average and self.policy.updates:
                with self.policy.averaged():
                    images, rewards = self._guarded(self.held_out.sheet)
            else:
                images, rewards = self._guarded(self.held_out.sheet)
        self.elapsed += time.perf_counter() - began
        return SamplesDrawn(self.epoch, images, rewards, bool(self.policy.average))

    def _watch(self) -> SearchWatched:
        """The first member's search of this epoch, run again as a session with the weights of now."""
        began = time.perf_counter()
        config = self.learner.watched(self.epoch)
        with self.scorer.clock.phase("watch"):
            events = tuple(explore(config, self.model, self.rewards))
        self.elapsed += time.perf_counter() - began
        return SearchWatched(self.epoch, config.prompt, config.seed, config, events)

    def checkpoint(self) -> CheckpointMade:
        """Everything to go on from the end of this epoch."""
        self.stored_epoch = self.epoch
        state = {
            "epoch": self.epoch,
            "config": to_dict(self.config),
            "adapter": self.policy.description(),
            "lora": self.policy.weights(),
            "ema": {name: value.clone() for name, value in self.policy.average.items()},
            "moments": self.learner.moments(),
            "updates": self.policy.updates,
            "cost": asdict(self.cost),
            "elapsed": self.elapsed,
            "history": [dict(one) for one in self.history],
            "first": {name: list(values) for name, values in self.first.items()},
            "shown": list(self.held_out.shown),
        }
        return CheckpointMade(self.epoch, state)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint's state. Raises TrainError for one of another config (but for its length)."""
        stored = replace(from_dict(state["config"]), epochs=self.config.epochs)
        if config_hash(stored) != config_hash(self.config):
            raise TrainError("The stored state belongs to a run with other settings.")
        self.policy.set_weights(state["lora"])
        self.policy.average = {name: value.clone() for name, value in state["ema"].items()}
        self.policy.updates = state["updates"]
        self.learner.set_moments(state["moments"])
        self.epoch = self.stored_epoch = state["epoch"]
        self.cost, self.elapsed = Cost(**state["cost"]), state["elapsed"]
        self.history = [dict(one) for one in state["history"]]
        # States of before these were kept: no gains can be told, and the sheets are those of the first prompts.
        self.first = state.get("first", {})
        self.held_out.shown = tuple(state.get("shown", range(min(SAMPLES, len(self.held_out.prompts)))))
        self.told = ()  # what was found may have been cut off before it was told: it is told again


def _due(number: int, every: int) -> bool:
    return every > 0 and number % every == 0


def _averaged(name: str) -> str:
    """A held-out figure's name for the averaged weights: heldout/x is heldout_ema/x."""
    head, slash, tail = name.partition("/")
    return f"{head}_ema{slash}{tail}"


def _told(error: BaseException) -> str:
    """An error in words, with what to do where memory ran out."""
    text = str(error) or type(error).__name__
    if is_out_of_memory(error):
        return f"Memory ran out ({text.splitlines()[0][:200]}). Lower micro_batch, or turn on gradient_checkpointing."
    end = "" if text.endswith((".", "?", "!")) else "."
    return f"{text[:1].upper()}{text[1:]}{end}"


def _peak_memory(model: FlowModel) -> float:
    """MB at most since the process began: of the GPU's memory, or without one of this process."""
    if model.device.type == "cuda":
        return torch.cuda.max_memory_allocated(model.device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
