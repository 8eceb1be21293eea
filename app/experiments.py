"""Experiments: arms of fine-tunes over seeds, run one after another, each config once, and resumed where they stopped.

Several processes may work on one experiment at a time: each takes a run that no other has. A run that an earlier
experiment, the page or the command line has trained with the same settings is not trained again.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from app.running import running
from app.services import Lab
from app.settings import EXPERIMENTS
from app.toolbox import Toolbox
from app.train_command import take_up, trained
from app.train_estimate import planned_forwards
from app.training import TrainRecorder
from core.errors import ConfigError, LabError
from core.train_config import TrainConfig, config_hash, from_dict
from core.train_events import TrainEvent
from storage import jobs, runs, sessions

MAX_SEEDS = 20
# What decides what can be read of a run, and is no part of its config's hash.
_LOOKS = ("eval_every", "eval_steps")


@dataclass(frozen=True)
class Experiment:
    """What is compared. `arms` maps a name to its config at seed 0; `contrasts` are pairs of arms (one, against other);
    `measures` maps a metric to its words, the first being what the experiment is about.
    """

    name: str
    title: str
    question: str
    arms: Mapping[str, TrainConfig]
    contrasts: tuple[tuple[str, str], ...]
    measures: Mapping[str, str]
    seeds: int
    small: bool

    def config(self, arm: str, seed: int) -> TrainConfig:
        """An arm's settings for a seed."""
        return replace(self.arms[arm], seed=seed)

    def queue(self, seeds: int) -> list[tuple[str, int]]:
        """Every run in the order in which they are trained: a whole seed before the next."""
        return [(arm, seed) for seed in range(seeds) for arm in self.arms]


@dataclass(frozen=True)
class Found:
    """A stored run of an experiment: its record, its state, and its epochs as `app.train_runs` tells them."""

    record_id: str
    state: str
    epochs: tuple[Mapping[str, Any], ...]
    environment: Mapping[str, Any]


def names() -> list[str]:
    """The experiments that came with the lab."""
    return sorted(path.stem for path in EXPERIMENTS.glob("*.json"))


def load(name: str, *, small: bool = False, **changes: Any) -> Experiment:
    """An experiment by name; `small` at a size that shows that it runs, `changes` to every arm. Raises ConfigError."""
    if name not in names():
        raise ConfigError({"name": f"expected one of {', '.join(names())}, got {name!r:.60}"})
    plain = json.loads((EXPERIMENTS / f"{name}.json").read_text(encoding="utf-8"))
    common = plain["common"] | (plain["small"] if small else {}) | changes
    arms = {arm["name"]: from_dict(_merged(common, arm["changes"])) for arm in plain["arms"]}
    for arm in plain["arms"]:
        if "match_nfe" in arm:
            arms[arm["name"]] = _as_long_as(arms[arm["name"]], arms[arm["match_nfe"]])
    return Experiment(
        name=name,
        title=plain["title"],
        question=plain["question"],
        arms=arms,
        contrasts=tuple((one, other) for one, other in plain["contrasts"]),
        measures=plain["measures"],
        seeds=min(2, plain["seeds"]) if small else plain["seeds"],
        small=small,
    )


def _merged(common: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    search = {**common.get("search", {}), **changes.get("search", {})}
    return {**common, **changes} | ({"search": search} if search else {})


def _as_long_as(config: TrainConfig, other: TrainConfig) -> TrainConfig:
    """With as many epochs as the other's velocity evaluations buy, not fewer than its own, and judged at the end."""
    bought = other.epochs * planned_forwards(other).epoch / planned_forwards(config).epoch
    every = max(1, config.eval_every)
    return replace(config, epochs=max(config.epochs, every * math.ceil(bought / every)))


def find(lab: Lab, config: TrainConfig) -> Found | None:
    """The run of a config that has come furthest, finished ones first; None where there is none."""
    with lab.database.read() as tx:
        same = [row for row in runs.with_config(tx, config_hash(config)) if _readable(tx, row.id, config)]
        if not same:
            return None
        best = max(same, key=lambda row: (row.state == "succeeded", len(runs.epochs_of(tx, row.id))))
        epochs = tuple(
            {"epoch": row.epoch, "metrics": row.metrics, "nfe": row.nfe, "seconds": row.seconds}
            for row in runs.epochs_of(tx, best.id)
        )
        return Found(best.id, best.state, epochs, dict(runs.told(tx, best.id).environment))


def _readable(tx: Any, record_id: str, config: TrainConfig) -> bool:
    """Whether a run of the same training was looked at when and as this one would be."""
    try:
        stored = runs.get_config(tx, record_id)
    except LabError:
        return False
    return all(getattr(stored, name) == getattr(config, name) for name in _LOOKS)


def train_missing(
    lab: Lab, experiment: Experiment, seeds: int, toolbox: Toolbox, listen: Callable[[str, int, TrainEvent], None]
) -> dict[tuple[str, int], str]:
    """Train every run that is missing, from its newest checkpoint where it has one.

    Returns the runs that could not be finished, with why. Runs that another process has under way are left to it.
    """
    problems: dict[tuple[str, int], str] = {}
    for arm, seed in experiment.queue(seeds):
        config = experiment.config(arm, seed)
        with ExitStack() as held:
            record_id = _taken(lab, config, f"{experiment.title}: {arm}, seed {seed}", held)
            if record_id is None:
                continue
            recorder = TrainRecorder(lab.database, lab.artifacts, lab.checkpoints, record_id, toolbox)
            try:
                for event in trained(lab, recorder, toolbox):
                    listen(arm, seed, event)
            except LabError as error:
                problems[arm, seed] = str(error)
    return problems


def _taken(lab: Lab, config: TrainConfig, name: str, held: ExitStack) -> str | None:
    """The record to train for a config, locked for this process; None where it is done, or another has it."""
    found = find(lab, config)
    if found is not None and (found.state == "succeeded" or found.state not in jobs.FINAL):
        return None
    if found is not None:
        try:
            return take_up(lab, found.record_id, held)
        except LabError:
            return None  # another process was quicker
    with lab.database.write() as tx:  # looked for again: nobody can make one between the look and this
        if any(_readable(tx, row.id, config) for row in runs.with_config(tx, config_hash(config))):
            return None
        record_id = runs.create(tx, config, name=name)
        sessions.set_state(tx, record_id, "running")
        held.enter_context(running(lab.settings.data_dir, record_id))
    return record_id


def collect(lab: Lab, experiment: Experiment, seeds: int) -> dict[str, dict[int, Found]]:
    """The stored runs by arm and seed, those that have not ended too."""
    found: dict[str, dict[int, Found]] = {arm: {} for arm in experiment.arms}
    for arm, seed in experiment.queue(seeds):
        one = find(lab, experiment.config(arm, seed))
        if one is not None:
            found[arm][seed] = one
    return found


def finished(found: Mapping[int, Found]) -> Iterator[tuple[int, Sequence[Mapping[str, Any]]]]:
    """The epochs of the runs of an arm that have ended well, by seed."""
    for seed, one in sorted(found.items()):
        if one.state == "succeeded":
            yield seed, one.epochs
