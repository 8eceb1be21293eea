"""What a worker works with: the engine, and loaders that keep one model and its rewards resident."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from app.recorder import from_numpy
from core.config import ExploreConfig, SearchConfig
from core.events import CandidateFinished, ExploreEvent, MeasureStarted, SiblingsMeasured
from core.rewards.degrade import DegradedReward, read_degraded
from core.train_events import TrainEvent

log = logging.getLogger(__name__)

Explore = Callable[..., Generator[ExploreEvent, tuple[int, ...] | None, None]]
Finish = Callable[..., Iterator[CandidateFinished]]
Measure = Callable[..., Iterator[SiblingsMeasured]]
Schedule = Callable[..., MeasureStarted]
Train = Callable[..., Generator[TrainEvent, str | None, None]]


@dataclass(frozen=True)
class Toolbox:
    """Everything of a worker that touches tensors, as functions; tests give their own."""

    explore: Explore
    finish: Finish
    load_model: Callable[[str], Any]
    load_reward: Callable[[str], Any]
    measure: Measure
    schedule: Schedule
    train: Train
    save_state: Callable[[Any, Path], Any]  # a checkpoint's state into an empty folder
    load_state: Callable[[Path], Any]
    load_adapter: Callable[[Any, Path], None]  # a LoRA onto a model
    to_tensor: Callable[[Any], Any] = from_numpy
    set_threads: Callable[[int], None] = lambda count: None
    device: str = "auto"


def place_of_device(device: str) -> str:
    """`auto` is the first CUDA device where there is one, else Apple's GPU, else the CPU. Imports torch."""
    import torch

    if device != "auto":
        return device
    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def torch_toolbox(device: str = "auto") -> Toolbox:
    """The real ones. Imports torch, and peft when it is first needed; `device` is auto, cpu, cuda or mps."""
    import torch

    from core.explore import explore
    from core.finish import finish
    from core.measure import measure, schedule
    from core.models.registry import load_model
    from core.rewards.registry import load_reward

    place = place_of_device(device)
    return Toolbox(
        explore=explore,
        finish=finish,
        measure=measure,
        schedule=schedule,
        train=lambda *asked, **more: import_module("core.grpo.trainer").train(*asked, **more),
        save_state=lambda state, folder: import_module("core.grpo.checkpoint").save(state, folder),
        load_state=lambda folder: import_module("core.grpo.checkpoint").load(folder),
        load_adapter=lambda model, file: import_module("core.models.adapters").load_adapter(model, file),
        load_model=lambda model_id: load_model(model_id, device=place),
        load_reward=lambda name: load_reward(name, device=place),
        set_threads=torch.set_num_threads,
        device=device,
    )


class Resident:
    """Keeps the last model and every reward asked for in memory: loading costs more than most searches."""

    def __init__(self, toolbox: Toolbox):
        """Loads nothing yet."""
        self.toolbox = toolbox
        self._model: tuple[str, Any] | None = None
        self._rewards: dict[str, Any] = {}

    def model(self, model_id: str) -> Any:
        """The model; another one that was resident is let go first. Raises ModelError."""
        if self._model is None or self._model[0] != model_id:
            self._model = None
            self._model = (model_id, self.toolbox.load_model(model_id))
        return self._model[1]

    def rewards(self, names: Iterable[str]) -> Mapping[str, Any]:
        """The rewards by name. Raises RewardError."""
        return {name: self._reward(name) for name in names}

    def _reward(self, name: str) -> Any:
        degraded = read_degraded(name)
        if degraded:  # however many there are of one, its weights are here once
            return DegradedReward(self._reward(degraded.reward), degraded, name)
        if name not in self._rewards:
            self._rewards[name] = self.toolbox.load_reward(name)
        return self._rewards[name]

    def warm_up(self) -> None:
        """Load what a default session needs and take it once through, so that the first click does not wait for it.

        What goes wrong here goes wrong again, with its message, in the session that needs it.
        """
        search = SearchConfig("best-of-k", 2, 1, 0.5)
        config = ExploreConfig("a photo of a red circle", num_steps=2, search=search, arms=())
        try:
            for _ in self.toolbox.explore(config, self.model(config.model), self.rewards(config.rewards)):
                pass
        except Exception as error:
            log.warning("the default model is not ready: %s", error)
