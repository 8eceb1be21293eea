"""Writes what an engine yields: files first, then one transaction an event, fenced by the job's claim.

Imports no torch: tensors are asked for their numpy form and made again by the function that `state` is given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import numpy as np
from sqlalchemy.orm import Session

from app import pictures
from core.config import ExploreConfig, to_dict
from core.errors import LabError, StorageError
from core.events import (
    ArmFinished,
    Branch,
    CandidateFinished,
    ExploreEvent,
    ExploreState,
    IterationScored,
    SessionFinished,
    SessionStarted,
    StepCommitted,
)
from storage import jobs, sessions
from storage.artifacts import Artifacts
from storage.engine import Database
from storage.finishes import stored_branch

T = TypeVar("T")
Recorded: TypeAlias = ExploreEvent | CandidateFinished


@dataclass(frozen=True)
class Files:
    """Names of the files that hold an event's arrays; empty where it has none of that kind."""

    latents: str = ""
    image: str = ""
    images: tuple[str, ...] = ()


def to_numpy(values: Any) -> np.ndarray:
    """A torch tensor or an array as float32 numpy."""
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    return np.ascontiguousarray(values, dtype=np.float32)


def from_numpy(values: np.ndarray) -> Any:
    """A torch tensor of the same numbers; imports torch when it is called."""
    import torch

    return torch.from_numpy(np.array(values, dtype=np.float32))


def keep_files(artifacts: Artifacts, event: Recorded, config: ExploreConfig) -> Files:
    """Encode and keep an event's arrays. Nothing refers to them until the event's transaction is committed."""
    match event:
        case SessionStarted():
            return Files(latents=artifacts.put_tensor(to_numpy(event.latents)))
        case IterationScored():
            names = tuple(artifacts.put(pictures.encode_lossy(image), "webp") for image in event.images)
            return Files(images=names)
        case StepCommitted():
            latents = artifacts.put_tensor(to_numpy(event.latents))
            return Files(latents, artifacts.put(pictures.encode_lossy(event.image), "webp"))
        case ArmFinished():
            final = pictures.encode_final(event.image, {"arm": event.arm, "config": to_dict(config)})
            return Files(artifacts.put_tensor(to_numpy(event.latents)), artifacts.put(final, "png"))
        case CandidateFinished():
            place = {name: getattr(event, name) for name in ("step", "iteration", "candidate")}
            final = pictures.encode_final(event.image, place | {"config": to_dict(config)})
            return Files(image=artifacts.put(final, "png"))
        case SessionFinished():
            return Files()
    raise LabError(f"an engine yielded something that cannot be recorded: {type(event).__name__}")


def save_event(tx: Session, record_id: str, event: Recorded, files: Files) -> None:
    """Write an event's rows; writing the same event again changes nothing."""
    match event:
        case SessionStarted():
            sessions.save_started(tx, record_id, event, files.latents)
        case IterationScored():
            sessions.save_iteration(tx, record_id, event, list(files.images))
        case StepCommitted():
            sessions.save_step(tx, record_id, event, files.latents, files.image)
        case ArmFinished():
            sessions.save_arm(tx, record_id, event, files.latents, files.image)
        case CandidateFinished():
            sessions.save_finish(tx, record_id, event, files.image)
        case SessionFinished():
            sessions.save_finished(tx, record_id, event)


KINDS: dict[str, type[Recorded]] = {
    "session": SessionStarted,
    "iteration": IterationScored,
    "step": StepCommitted,
    "arm": ArmFinished,
    "finish": CandidateFinished,
    "finished": SessionFinished,
}


def place_of(event: Recorded) -> tuple[str, int | None, int | None]:
    """How an event is announced: the short name of its kind, its step and its iteration."""
    kind = next(name for name, kind in KINDS.items() if type(event) is kind)
    return kind, getattr(event, "step", None), getattr(event, "iteration", None)


class Recorder:
    """Records one session's events, for a job (with its claim) or without one."""

    def __init__(self, database: Database, artifacts: Artifacts, record_id: str, claim: jobs.Claim | None = None):
        """With a claim every transaction is refused (StaleClaim) as soon as another worker has taken the job."""
        self.database = database
        self.artifacts = artifacts
        self.record_id = record_id
        self.claim = claim
        with database.read() as tx:
            self.config = sessions.get_config(tx, record_id)

    def record(self, event: Recorded, then: Callable[[Session], T] | None = None) -> T | None:
        """Keep one event. `then` runs in the same transaction, so what it decides cannot be torn from the event."""
        return self.save(event, self.keep(event), then)

    def keep(self, event: Recorded) -> Files:
        """The first half of `record`: the files."""
        return keep_files(self.artifacts, event, self.config)

    def save(self, event: Recorded, files: Files, then: Callable[[Session], T] | None = None) -> T | None:
        """The second half of `record`: the rows."""
        with self.database.write() as tx:
            if self.claim is not None:  # first, for it is the fence as well
                kind, step, iteration = place_of(event)
                jobs.append_event(tx, self.claim, kind, step=step, iteration=iteration)
            save_event(tx, self.record_id, event, files)
            return None if then is None else then(tx)

    def state(self, to_tensor: Callable[[np.ndarray], Any] = from_numpy) -> ExploreState:
        """Where the stored session stands, to be handed to the engine."""
        with self.database.read() as tx:
            stored = sessions.stored_state(tx, self.record_id)
        return ExploreState(
            committed=tuple(to_tensor(self.artifacts.get_tensor(name)) for name in stored.committed),
            iterations=tuple(stored.iterations),
            arms=tuple(stored.arms),
            cost=stored.cost,
            trail=tuple(stored.trail),
            arms_cost=stored.arms_cost,
            initial=None if stored.initial is None else to_tensor(self.artifacts.get_tensor(stored.initial)),
        )

    def branch(self, step: int, iteration: int, to_tensor: Callable[[np.ndarray], Any] = from_numpy) -> Branch:
        """A scored round, from which candidates can be rolled out. Raises StorageError where there is none."""
        with self.database.read() as tx:
            stored = stored_branch(tx, self.record_id, step, iteration)
        if stored is None:
            raise StorageError(f"session {self.record_id} has no iteration {iteration} at step {step}")
        latents = None if stored.latents is None else to_tensor(self.artifacts.get_tensor(stored.latents))
        return Branch(step, iteration, latents, stored.earlier)
