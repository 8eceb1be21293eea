"""A reliability measurement on its way into the database: its recorder, and a worker's job.

Everything that must survive is stored before the next event is asked for. A run that was cut short goes on with the
rows that are missing; what an earlier attempt has stored of a row is measured again, which gives the same, and not
recorded again, which would look like progress.
"""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from app import pictures
from app.environment import note_origin
from app.orders import Orders, Position, read_orders
from app.toolbox import Resident
from core.events import MeasureStarted, SiblingsMeasured
from storage import jobs, reliability
from storage.artifacts import Artifacts
from storage.engine import Database
from storage.reliability import Sheet

T = TypeVar("T")


class MeasureRecorder:
    """Records one measurement's events, for a job (with its claim) or without one."""

    def __init__(self, database: Database, artifacts: Artifacts, record_id: str, claim: jobs.Claim | None = None):
        """With a claim every transaction is refused (StaleClaim) as soon as another worker has taken the job."""
        self.database = database
        self.artifacts = artifacts
        self.record_id = record_id
        self.claim = claim
        with database.read() as tx:
            self.config = reliability.get_config(tx, record_id)
            self.done_rows = reliability.done_rows(tx, record_id)
            self._stored = reliability.places(tx, record_id)

    @property
    def stored(self) -> int:
        """How many steps of rows an earlier attempt has recorded."""
        return len(self._stored)

    def begin(self, event: MeasureStarted) -> None:
        """Keep the schedule."""
        with self.database.write() as tx:
            self._check(tx)
            reliability.save_started(tx, self.record_id, event)

    def has(self, event: SiblingsMeasured) -> bool:
        """Whether an earlier attempt has recorded this step of this row."""
        return (event.row, event.step) in self._stored

    def record(self, event: SiblingsMeasured, then: Callable[[Session], T] | None = None) -> T | None:
        """Keep one step of one row: its sheets, then one transaction with what `then` decides in it."""
        guesses, finals = self._sheet(event.guesses), self._sheet(event.finals)
        with self.database.write() as tx:
            self._check(tx)
            reliability.save_siblings(tx, self.record_id, event, guesses, finals)
            if self.claim is not None:
                jobs.append_event(tx, self.claim, "siblings", step=event.step, iteration=event.row)
            return None if then is None else then(tx)

    def finish(self, headline: dict[str, Any]) -> None:
        """Keep what it cost in all and what lists say of it; its job, if it has one, has succeeded."""
        with self.database.write() as tx:
            self._check(tx)
            reliability.save_finished(tx, self.record_id, headline)
            if self.claim is not None:
                jobs.finish(tx, self.claim, "succeeded")

    def _check(self, tx: Session) -> None:
        if self.claim is not None:
            jobs.check_fence(tx, self.claim)

    def _sheet(self, images: np.ndarray) -> Sheet:
        """(K, H, W, 3) uint8 pictures as one file."""
        content = pictures.encode_sheet(images)
        columns, _ = pictures.sheet_grid(len(images))
        cell = Image.fromarray(images[0])
        cell.thumbnail((pictures.CELL, pictures.CELL))  # as the sheet's cells are
        return Sheet(self.artifacts.put(content, "webp"), columns, cell.width)


def perform(
    database: Database, artifacts: Artifacts, resident: Resident, claim: jobs.Claim, stop: threading.Event
) -> None:
    """A worker's job: measure what is missing, obeying commands between two events. Raises LabError."""
    from app.reliability_science import headline_of  # numpy and scipy: only where something is measured

    recorder, toolbox = MeasureRecorder(database, artifacts, claim.record_id, claim), resident.toolbox
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        orders = _follow(tx, claim, moved=False)
    if orders.action != "run":
        return
    config = recorder.config
    toolbox.set_threads(config.base.threads)
    model, rewards = resident.model(config.base.model), resident.rewards(config.base.rewards)
    note_origin(database, claim.record_id, toolbox.device, config.base.threads)
    recorder.begin(toolbox.schedule(config, model))
    left = len(config.pairs) * len(config.measured_steps) - recorder.stored
    for event in toolbox.measure(config, model, rewards, done=recorder.done_rows):
        if recorder.has(event):
            continue
        left -= 1
        # After the last event there is nothing left to stop.
        obey = partial(_obey, claim=claim, stop=stop) if left else None
        if recorder.record(event, obey) not in ("run", None):
            return
    recorder.finish(headline_of(database, claim.record_id))


def _obey(tx: Session, claim: jobs.Claim, stop: threading.Event) -> str:
    """What is done after an event; a worker that is to stop gives the job back."""
    action = _follow(tx, claim, moved=True).action
    if action == "run" and stop.is_set():
        jobs.release(tx, claim)
        return "stop"
    return action


def _follow(tx: Session, claim: jobs.Claim, *, moved: bool) -> Orders:
    """Read the commands that wait and do what they ask."""
    orders = read_orders(jobs.pending_commands(tx, claim.job_id), Position(), 0, moved=moved)
    for command_id, refusal in orders.consumed.items():
        jobs.consume(tx, command_id, refusal)
    if orders.action == "cancel":
        jobs.finish(tx, claim, "cancelled")
    elif orders.action == "pause":
        jobs.release(tx, claim, "paused")
    return orders
