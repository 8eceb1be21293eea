"""What an epoch of a fine-tune takes: by phase, beyond bare calls, by source of noise; its memory. Embedded model."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch

from core.grpo.trainer import train
from core.models.registry import load_model
from core.rewards.registry import load_reward
from core.train_config import TrainConfig, preset
from core.train_events import EpochFinished

EPOCHS = 3  # measured, after one to warm up
SOURCES = ("flow-grpo", "flow-grpo-all-steps", "smart-grpo", "smart-grpo-half", "best-of-k")
MEMORY = """
import json, sys
from tests.benchmarks.training import peak_memory
print(json.dumps(peak_memory(sys.argv[1] == "on")))
"""


class Stopwatch:
    """Seconds spent inside the calls it was wound around."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


class Timed:
    """A model whose velocities and decodes are timed."""

    def __init__(self, model: Any, watch: Stopwatch):
        self._model = model
        self.velocity, self.decode = watch.around(model.velocity), watch.around(model.decode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class TimedReward:
    """The same for a reward."""

    def __init__(self, reward: Any, watch: Stopwatch):
        self.name, self._call = reward.name, watch.around(reward)
        if hasattr(reward, "embed_images"):
            self.embed_images = watch.around(reward.embed_images)

    def __call__(self, images: Any, prompts: Sequence[str]) -> Any:
        return self._call(images, prompts)


def training() -> dict[str, Any]:
    """A default epoch's seconds by phase and its share in bare calls (velocity, backward, decode, reward; target .90),
    an epoch's seconds and NFE by source of noise, and peak memory with and without gradient checkpointing.
    """
    model = load_model(TrainConfig().model)
    rewards = {name: load_reward(name) for name in TrainConfig().rewards}
    watch = Stopwatch()
    timed = {name: TimedReward(reward, watch) for name, reward in rewards.items()}
    with patch.object(torch.Tensor, "backward", watch.around(torch.Tensor.backward)):
        epochs, shares = _epochs(preset("flow-grpo"), Timed(model, watch), timed, EPOCHS, watch)
    phases = sorted({name for one in epochs for name in one.seconds})
    found: dict[str, Any] = {
        "seconds": {name: statistics.median(one.seconds.get(name, 0.0) for one in epochs) for name in phases},
        "share_in_bare_calls": statistics.median(shares),
        "target_share": 0.90,
    }
    for name in SOURCES:
        one = _epochs(preset(name), model, rewards, 1, watch)[0][0]
        found[name] = {"epoch_seconds": one.seconds["total"], "nfe": one.metrics["nfe"]}
    return found | {f"memory_checkpointing_{way}": _memory(way) for way in ("off", "on")}


def _epochs(
    config: TrainConfig, model: Any, rewards: Any, count: int, watch: Stopwatch
) -> tuple[list[EpochFinished], list[float]]:
    """Epochs without looks after one to warm up, and the share of each that `watch` ran."""
    config = replace(config, epochs=count + 2, eval_every=0, eval_prompts=1, eval_steps=1)
    torch.set_num_threads(config.threads)
    epochs, shares = [], []
    with closing(train(config, model, rewards)) as events:
        for event in events:
            if isinstance(event, EpochFinished):
                if event.epoch > 1:
                    epochs.append(event)
                    shares.append(watch.seconds / event.seconds["total"])
                if len(epochs) == count:
                    break
            watch.seconds = 0.0
    return epochs, shares


def peak_memory(checkpointing: bool) -> dict[str, float]:
    """MB of this process, which should be a fresh one: with everything loaded, and at most in one epoch."""
    config = replace(preset("flow-grpo"), gradient_checkpointing=checkpointing, micro_batch=48, eval_prompts=1)
    model, rewards = load_model(config.model), {name: load_reward(name) for name in config.rewards}
    with closing(train(config, model, rewards)) as events:
        told = [next(event for event in events if isinstance(event, EpochFinished)) for _ in range(2)]
    return {"loaded_mb": told[0].metrics["peak_memory_mb"], "peak_mb": told[1].metrics["peak_memory_mb"]}


def _memory(way: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-c", MEMORY, way], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)
