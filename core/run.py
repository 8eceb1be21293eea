"""A search in a few lines of Python.

    from core.run import search

    result = search("a photo of a red circle", rewards={"shapes-clip": 1.0})
    result.image.save("found.png")
    print(result.rewards, result.cost.nfe)
    best = max(result.candidates, key=lambda one: one.total)
    best.image.show()

It runs in this process and stores nothing; `core.explore.explore` is the same as a generator of events. torch is
imported by the first search.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.config import PRESETS, ExploreConfig, SearchConfig, preset_session, validate
from core.errors import ConfigError
from core.events import ArmFinished, Cost, ExploreEvent, IterationScored

if TYPE_CHECKING:
    from PIL.Image import Image

    from core.models.protocol import FlowModel
    from core.rewards.protocol import Reward


@dataclass(frozen=True)
class Candidate:
    """A noise that was tried: the guess of the picture it leads to, that guess's rewards, and whether it was kept.

    Steps count from 0 (-1 is the search for x_1); `total` is the weighted sum, -inf where it is not finite;
    `noise_norm` is ||m||/sqrt(d), 1 for a real noise.
    """

    step: int
    iteration: int
    candidate: int
    image: "Image"
    rewards: dict[str, float]
    total: float
    elite: bool
    noise_norm: float


@dataclass(frozen=True)
class SearchResult:
    """The picture the search came to, its rewards by name and their weighted sum, and everything it tried on the way.

    `arms` holds what it was compared with by name, `cost` what the search alone spent.
    """

    config: ExploreConfig
    image: "Image"
    rewards: dict[str, float]
    total: float
    cost: Cost
    candidates: tuple[Candidate, ...]
    arms: dict[str, ArmFinished]


def search(
    prompt: str,
    *,
    model: str = ExploreConfig.model,
    preset: str = SearchConfig.preset,
    rewards: Mapping[str, float] | None = None,
    device: str = "cpu",
    on_event: Callable[[ExploreEvent], None] = lambda event: None,
    **settings: Any,
) -> SearchResult:
    """Search one prompt to its final picture.

    `rewards` maps names to weights, 0 only watches. `settings` are those of `ExploreConfig` and `SearchConfig` by name
    (seed, num_steps, num_candidates, reading, search_initial, ...) over the preset's; `arms=("no_search", ...)` also
    runs what to compare with. `on_event` hears every event of the engine. Model and rewards stay loaded for the next
    call. Raises ConfigError, ModelError, RewardError and SearchError.
    """
    config = config_of(prompt, preset, {"model": model, **settings}, rewards)
    with _threads(config.threads):
        from core.explore import explore

        loaded = {name: _reward(name, device) for name in config.rewards}
        events = []
        for event in explore(config, _model(config.model, device), loaded):
            on_event(event)
            events.append(event)
    ended = {event.arm: event for event in events if isinstance(event, ArmFinished)}
    final = ended.pop("search")
    return SearchResult(
        config=config,
        image=_picture(final.image),
        rewards=final.rewards,
        total=sum(weight * final.rewards[name] for name, weight in config.rewards.items() if weight),
        cost=final.cost,
        candidates=tuple(one for event in events if isinstance(event, IterationScored) for one in _candidates(event)),
        arms=ended,
    )


def config_of(
    prompt: str, preset: str, settings: Mapping[str, Any], rewards: Mapping[str, float] | None
) -> ExploreConfig:
    """The config that a preset and flat settings describe; no arms unless asked for. Raises ConfigError."""
    if preset not in PRESETS:
        raise ConfigError({"preset": f"expected one of {', '.join(PRESETS)}, got {preset!r:.60}"})
    of_search = {one.name for one in fields(SearchConfig)} - {"preset"}
    of_session = {one.name for one in fields(ExploreConfig)} - {"prompt", "search", "rewards"}
    unknown = {name: "is not a setting" for name in settings if name not in of_search | of_session}
    if unknown:
        raise ConfigError(unknown)
    found = replace(PRESETS[preset], **{name: value for name, value in settings.items() if name in of_search})
    session = preset_session(preset) | {name: value for name, value in settings.items() if name in of_session}
    if "arms" in session and isinstance(session["arms"], list):
        session["arms"] = tuple(session["arms"])
    config = ExploreConfig(prompt, search=found, **{"arms": (), **session})
    return validate(config if rewards is None else replace(config, rewards=dict(rewards)))


def _candidates(event: IterationScored) -> Iterator[Candidate]:
    for index, total in enumerate(event.total):
        yield Candidate(
            step=event.step,
            iteration=event.iteration,
            candidate=index,
            image=_picture(event.images[index]),
            rewards={name: values[index] for name, values in event.rewards.items()},
            total=total if math.isfinite(total) else -math.inf,
            elite=index in event.elites,
            noise_norm=event.norms[index],
        )


def _picture(pixels: Any) -> "Image":
    from PIL import Image

    return Image.fromarray(pixels)


@lru_cache(maxsize=1)
def _model(name: str, device: str) -> "FlowModel":
    from core.models.registry import load_model

    return load_model(name, device=device)


@lru_cache(maxsize=8)
def _reward(name: str, device: str) -> "Reward":
    from core.rewards.registry import load_reward

    return load_reward(name, device=device)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """The config's number of threads while the block runs: another one would round differently."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
