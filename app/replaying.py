"""A stored record computed once more beside what is stored of it: see `core.replay`.

The computation follows what was stored where a person may have steered it: it goes on with the stored elites, so that
one difference is not told as many. Nothing is recorded but what came of the comparison.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from app.environment import origin
from app.finishing import check_usable
from app.recorder import to_numpy
from app.toolbox import Resident
from core.config import ExploreConfig
from core.errors import LabError
from core.events import ArmFinished, ExploreEvent, IterationScored, SessionStarted, SiblingsMeasured, StepCommitted
from core.replay import TOLERANCE, Comparison, Piece, numbers
from core.train_events import EpochFinished
from storage import jobs, reliability, runs, sessions
from storage.artifacts import Artifacts
from storage.engine import Database
from storage.replays import new_replay, origin_of, save_replay
from storage.rows import rewards_by, rows_of
from storage.tables import arm_rewards, arms, step_rewards, steps
from storage.tables import sessions as session_rows
from storage.values import this
from storage.views import record_row, step_view

TRAINED_EPOCHS = 1  # of a fine-tune, where nobody says how many: each takes as long as it took
# Gains follow from the rest, and older records have none.
_NOT_SCIENCE = re.compile(r"peak_memory_mb|(heldout|verifier)(_ema)?_gain(_low|_high)?")


class StoredSession:
    """What is stored of a session, as pieces beside the events that it came from."""

    def __init__(self, database: Database, artifacts: Artifacts, record_id: str):
        """Reads a part when it is first asked for."""
        self.database = database
        self.artifacts = artifacts
        self.record_id = record_id
        self._scored: tuple[int, dict[int, dict[str, Any]]] | None = None

    def piece(self, event: ExploreEvent) -> Piece | None:
        """What is stored of an event; None where the session never came to it."""
        match event:
            case SessionStarted():
                return self._started
            case IterationScored():
                return self._iteration(event.step, event.iteration)
            case StepCommitted():
                return self._step(event.step)
            case ArmFinished():
                return self._arm(event.arm)
        return None

    @cached_property
    def config(self) -> ExploreConfig:
        """What the session was asked."""
        with self.database.read() as tx:
            return sessions.get_config(tx, self.record_id)

    @cached_property
    def _started(self) -> Piece | None:
        with self.database.read() as tx:
            row = rows_of(tx, session_rows, self.record_id)[0]
        if row.latents is None:
            return None
        return Piece({"what": "start"}, {"latents": self._latents(row.latents), "sigmas": numbers(row.sigmas)})

    def _iteration(self, step: int, iteration: int) -> Piece | None:
        if self._scored is None or self._scored[0] != step:
            with self.database.read() as tx:
                found = step_view(tx, self.record_id, step) if step in self._searched else []
            self._scored = (step, {row["iteration"]: row for row in found})
        row = self._scored[1].get(iteration)
        if row is None:
            return None
        values = {"noise sizes": numbers(row["norms"]), "kurtosis": numbers(row["kurtosis"])}
        values |= {f"reward {name}": numbers(each) for name, each in row["rewards"].items()}
        return Piece(_at(step, iteration), values, {"elites": tuple(row["elites"])})

    @cached_property
    def _searched(self) -> set[int]:
        with self.database.read() as tx:
            return {row["step"] for row in sessions.view(tx, self.record_id, only=())["iterations"]}

    @cached_property
    def _taken(self) -> dict[int, Piece]:
        with self.database.read() as tx:
            rows, rewards = (
                rows_of(tx, steps, self.record_id),
                rewards_by(tx, step_rewards, self.record_id, self.config),
            )
        return {
            row.step: Piece(
                _at(row.step),
                {"latents": self._latents(row.latents), "noise size": numbers(row.noise_norm)}
                | {"log_prob": numbers(row.log_prob)}
                | {f"reward {name}": numbers(value) for name, value in rewards.get((row.step,), {}).items()},
            )
            for row in rows
        }

    def _step(self, step: int) -> Piece | None:
        return self._taken.get(step)

    @cached_property
    def _outcomes(self) -> dict[str, Piece]:
        with self.database.read() as tx:
            rows, rewards = rows_of(tx, arms, self.record_id), rewards_by(tx, arm_rewards, self.record_id, self.config)
        return {
            row.arm: Piece(
                {"what": "arm", "arm": row.arm},
                {"latents": self._latents(row.latents)}
                | {f"reward {name}": numbers(value) for name, value in rewards.get((row.arm,), {}).items()},
            )
            for row in rows
        }

    def _arm(self, arm: str) -> Piece | None:
        return self._outcomes.get(arm)

    def _latents(self, name: str) -> np.ndarray:
        return self.artifacts.get_tensor(name)


def _at(step: int, iteration: int | None = None) -> dict[str, Any]:
    told = {"what": "step" if iteration is None else "iteration", "step": step}
    return told if iteration is None else told | {"iteration": iteration}


def piece_of(event: ExploreEvent) -> Piece | None:
    """An event of a session as it comes, None for one without numbers of its own."""
    match event:
        case SessionStarted():
            return Piece({"what": "start"}, {"latents": to_numpy(event.latents), "sigmas": numbers(list(event.sigmas))})
        case IterationScored():
            values = {"noise sizes": numbers(event.norms), "kurtosis": numbers(event.kurtosis)}
            scored = _rewards(event.rewards)
            return Piece(_at(event.step, event.iteration), values | scored, {"elites": tuple(event.elites)})
        case StepCommitted():
            values = {"latents": to_numpy(event.latents), "noise size": numbers(event.noise_norm)}
            return Piece(_at(event.step), values | {"log_prob": numbers(event.log_prob)} | _rewards(event.rewards))
        case ArmFinished():
            return Piece(
                {"what": "arm", "arm": event.arm}, {"latents": to_numpy(event.latents)} | _rewards(event.rewards)
            )
    return None


def _rewards(found: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {f"reward {name}": _finite(numbers(values)) for name, values in found.items()}


def _finite(values: np.ndarray) -> np.ndarray:
    """As it is stored: nothing where there is no finite number."""
    return np.where(np.isfinite(values), values, np.nan)


class Replay:
    """One record's computation beside what is stored; `steps` does it, an event at a time."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        resident: Resident,
        record_id: str,
        *,
        limit: int | None = None,
        tolerance: float = TOLERANCE,
        batch_size: int | None = None,
        threads: int | None = None,
    ):
        """`limit`: so many timesteps of a search, rows of a measurement, epochs of a fine-tune, and no more.

        `batch_size` and `threads` take the place of the stored ones, to see what they change. Raises LabError.
        """
        self.database = database
        self.artifacts = artifacts
        self.resident = resident
        self.record_id = record_id
        self.limit = limit
        self.comparison = Comparison(tolerance)
        self.other: dict[str, Any] = {
            name: value for name, value in (("batch_size", batch_size), ("threads", threads)) if value
        }
        self.threads = 1
        self._began = time.monotonic()
        with database.read() as tx:
            self.kind = record_row(tx, record_id).kind
            self.then = origin_of(tx, record_id)
        if self.kind not in ("session", reliability.KIND, runs.KIND):
            raise LabError(f"a {self.kind} has nothing to compute of its own: choose one of its records")

    def steps(self) -> Iterator[Comparison]:
        """Compute, and compare after every event."""
        if self.kind == "session":
            return self._session()
        return self._measurement() if self.kind == reliability.KIND else self._run()

    def result(self) -> dict[str, Any]:
        """What it came to, with what was computed and on what, then and now."""
        now = origin(self.resident.toolbox.device, self.threads)
        told = {"kind": self.kind, "limit": self.limit, "changed_here": self.other}
        told |= {"then": self.then, "now": now, "seconds": time.monotonic() - self._began}
        return self.comparison.result() | told | {"differs": differing(self.then[-1], now) if self.then else None}

    def _session(self) -> Iterator[Comparison]:
        stored = StoredSession(self.database, self.artifacts, self.record_id)
        config = replace(stored.config, **self.other)
        self._use_threads(config.threads)
        model, rewards = self.resident.model(config.model), self.resident.rewards(config.rewards)
        with closing(self.resident.toolbox.explore(config, model, rewards)) as events:
            event: ExploreEvent | None = next(events, None)
            while event is not None:
                before, again = stored.piece(event), piece_of(event)
                if before is None or again is None:
                    return
                self.comparison.add(before, again)
                yield self.comparison
                if isinstance(event, StepCommitted) and event.step + 1 == self.limit:
                    return
                event = events.send(before.choices.get("elites"))

    def _measurement(self) -> Iterator[Comparison]:
        with self.database.read() as tx:
            config, places = reliability.get_config(tx, self.record_id), reliability.places(tx, self.record_id)
        config = replace(config, base=replace(config.base, **self.other))
        self._use_threads(config.base.threads)
        model, rewards = self.resident.model(config.base.model), self.resident.rewards(config.base.rewards)
        for event in self.resident.toolbox.measure(config, model, rewards):
            if (self.limit is not None and event.row >= self.limit) or (event.row, event.step) not in places:
                return
            with self.database.read() as tx:
                row = next(
                    one for one in reliability.measured(tx, self.record_id, [event.row]) if one.step == event.step
                )
            self.comparison.add(*siblings_pieces(row.data, event))
            yield self.comparison

    def _run(self) -> Iterator[Comparison]:
        if "batch_size" in self.other:
            raise LabError("a fine-tune's batches are part of what is trained: expected no other batch size")
        with self.database.read() as tx:
            config = runs.get_config(tx, self.record_id)
            known = {row.epoch: row for row in runs.epochs_of(tx, self.record_id)}
        self.limit = TRAINED_EPOCHS if self.limit is None else self.limit
        self._use_threads(self.other.get("threads", config.threads))
        toolbox = self.resident.toolbox
        model = toolbox.load_model(config.model)  # its own: training changes it
        rewards = {name: toolbox.load_reward(name) for name in config.rewards}
        with closing(toolbox.train(config, model, rewards)) as events:
            for event in events:
                if isinstance(event, EpochFinished):
                    if event.epoch > self.limit or event.epoch not in known:
                        return
                    self.comparison.add(*epoch_pieces(known[event.epoch], event))
                    if event.epoch == self.limit:
                        yield self.comparison
                        return
                yield self.comparison

    def _use_threads(self, count: int) -> None:
        self.threads = count
        self.resident.toolbox.set_threads(count)


def siblings_pieces(stored: Mapping[str, Any], event: SiblingsMeasured) -> tuple[Piece, Piece]:
    """One step of one row of a measurement, as it is stored and as it comes."""
    place = {"what": "siblings", "row": event.row, "step": event.step}
    one = {f"truth, {name}": numbers(values) for name, values in stored["truth"].items()}
    other = {f"truth, {name}": _finite(numbers(values)) for name, values in event.truth.items()}
    for estimate, rewards in stored["proxy"].items():
        one |= {f"guess {estimate}, {name}": numbers(values) for name, values in rewards.items()}
    for guess, scored in event.proxy.items():
        other |= {f"guess {guess}, {name}": _finite(numbers(values)) for name, values in scored.items()}
    for name, values in (("walked", event.walked), ("ended", event.ended)):
        one |= {f"{name}, {reward}": numbers(value) for reward, value in stored[name].items()}
        other |= {f"{name}, {reward}": _finite(numbers(value)) for reward, value in values.items()}
    return Piece(place, one), Piece(place, other)


def epoch_pieces(stored: Any, event: EpochFinished) -> tuple[Piece, Piece]:
    """One epoch of a fine-tune, as it is stored and as it comes; what it took is no part of it."""
    place = {"what": "epoch", "epoch": event.epoch}
    one = {name: numbers(value) for name, value in stored.metrics.items() if _is_science(name)}
    other = {name: _finite(numbers(value)) for name, value in event.metrics.items() if _is_science(name)}
    one |= {f"{name} by step": numbers(list(values)) for name, values in stored.per_step.items()}
    other |= {f"{name} by step": _finite(numbers(list(values))) for name, values in event.per_step.items()}
    return Piece(place, one), Piece(place, other)


def _is_science(name: str) -> bool:
    return _NOT_SCIENCE.fullmatch(name) is None


def differing(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What a record was made on and what it is computed on again, where the two differ: {name: [then, now]}."""
    plain = [{**one, **{name: version for name, version in one.get("packages", {}).items()}} for one in (then, now)]
    names = [name for name in dict.fromkeys([*plain[0], *plain[1]]) if name not in ("packages", "usage")]
    pairs = {name: [plain[0].get(name), plain[1].get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def queue_replay(tx: Session, record_id: str) -> int:
    """Queue a check of a session; returns its number. Raises LabError where it cannot be computed now."""
    row = record_row(tx, record_id)
    if row.kind != "session":
        raise LabError(f"{this(row.kind)} is checked on the command line: `python -m app replay {row.id}`")
    if row.deleted_at is not None:
        raise LabError("this session lies in the trash: restore it first")
    if row.state not in (*jobs.FINAL, "paused"):
        raise LabError("this session has not ended: wait for it, pause it or stop it first")
    check_usable(tx, record_id)
    number = new_replay(tx, record_id)
    job_id = jobs.enqueue(tx, kind=jobs.REPLAY, record_id=record_id, payload={"replay": number})
    save_replay(tx, record_id, number, job_id=job_id)
    return number


def perform(
    database: Database, artifacts: Artifacts, resident: Resident, claim: jobs.Claim, stop: threading.Event
) -> None:
    """A worker's job: compute and compare, obeying commands between two events. Raises LabError.

    Nothing is kept on the way: a check that is cut off begins again.
    """
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        save_replay(tx, claim.record_id, claim.payload["replay"], job_id=claim.job_id)  # of one that is tried again
    replay = Replay(database, artifacts, resident, claim.record_id)
    for _ in replay.steps():
        with database.write() as tx:
            jobs.check_fence(tx, claim)
            if not _may_go_on(tx, claim, stop):
                return
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        save_replay(tx, claim.record_id, claim.payload["replay"], result=replay.result())
        jobs.finish(tx, claim, "succeeded")


def _may_go_on(tx: Session, claim: jobs.Claim, stop: threading.Event) -> bool:
    for command in jobs.pending_commands(tx, claim.job_id):
        if command.kind == "cancel":
            jobs.finish(tx, claim, "cancelled")
            return False
        jobs.consume(tx, command.id, "a replay check can only be cancelled")
    if stop.is_set():
        jobs.release(tx, claim)
    return not stop.is_set()
