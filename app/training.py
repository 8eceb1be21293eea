"""A fine-tune on its way into the database: its recorder, and a worker's job.

A run goes on from its newest whole checkpoint. What was recorded after it is trained again, which gives the same, and
not recorded again, which would look like progress. Whoever stops a run has a checkpoint made first.
"""

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from app import pictures
from app.environment import Output, environment, usage
from app.orders import Position, read_orders
from app.recorder import keep_files, save_event
from app.toolbox import Toolbox
from app.trained import trained_id
from core.errors import LabError
from core.train_config import TrainConfig
from core.train_events import (
    CheckpointMade,
    Diagnosed,
    EpochFinished,
    SamplesDrawn,
    SearchWatched,
    TrainEvent,
    TrainFinished,
    TrainStarted,
)
from storage import jobs, runs, sessions
from storage.artifacts import Artifacts
from storage.checkpoints import Checkpoints
from storage.engine import Database
from storage.reliability import Sheet

T = TypeVar("T")
Obey = Callable[..., list[str] | None]  # of a transaction and an `event`: see `obey`

KINDS: dict[type, str] = {
    TrainStarted: "started",
    EpochFinished: "epoch",
    SamplesDrawn: "samples",
    SearchWatched: "watched",
    CheckpointMade: "checkpoint",
    Diagnosed: "diagnosis",
    TrainFinished: "finished",
}
WHOLE = 2  # how many of the newest checkpoints always stay
ROOM = 512 * 2**20  # older ones stay as long as all together need no more bytes
_ANSWERS: dict[type, str] = {CheckpointMade: "save", SamplesDrawn: "sample"}
PLOTTED = ("reward_mean", "heldout", "heldout_ema", "verifier", "verifier_ema")


class TrainRecorder:
    """Records one run's events, for a job (with its claim) or without one."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        checkpoints: Checkpoints,
        record_id: str,
        toolbox: Toolbox,
        claim: jobs.Claim | None = None,
    ):
        """With a claim every transaction is refused (StaleClaim) as soon as another worker has taken the job.

        A claim of another record is that of a sweep: its job does not end with the run.
        """
        self.database = database
        self.artifacts = artifacts
        self.checkpoints = checkpoints
        self.record_id = record_id
        self.toolbox = toolbox
        self.claim = claim
        with database.read() as tx:
            self.config = runs.get_config(tx, record_id)
            known = runs.told(tx, record_id)
            self._epochs = {row.epoch: dict(row.metrics) for row in runs.epochs_of(tx, record_id)}
            self._samples = {(row.epoch, row.ema) for row in runs.samples_of(tx, record_id)}
            self._watched = {row.epoch for row in runs.watched_of(tx, record_id)}
        self.output = Output(known.output)
        self._environment = dict(known.environment)
        self._usage_before = dict(self._environment.get("usage") or {})

    def state(self) -> Any:
        """The newest checkpoint's, None where there is none. A damaged one is passed over for the one before."""
        with self.database.read() as tx:
            stored = runs.checkpoints_of(tx, self.record_id)
        for row in reversed(stored):
            try:
                return self.toolbox.load_state(self.checkpoints.checked(self.record_id, row.folder, row.files))
            except LabError as error:
                self.output.say(f"{error}; going on from the checkpoint before")
        return None

    def record(self, event: TrainEvent, then: Callable[[Session], T] | None = None) -> T | None:
        """Keep one event, files first; `then` decides in the same transaction."""
        save = self._saving(event)
        with self.database.write() as tx:
            if self.claim is not None:
                jobs.check_fence(tx, self.claim)
            if save is not None:
                if self.claim is not None:
                    jobs.append_event(tx, self.claim, KINDS[type(event)], step=getattr(event, "epoch", None))
                save(tx)
            told = None if then is None else then(tx)
        if isinstance(event, CheckpointMade):
            self._make_room()
        return told

    def _saving(self, event: TrainEvent) -> Callable[[Session], None] | None:
        """What writes an event's rows, its files being kept by now; None for what an earlier attempt has recorded."""
        record_id = self.record_id
        match event:
            case TrainStarted():
                return self._started(event)
            case EpochFinished() if event.epoch not in self._epochs:
                return self._epoch(event)
            case SamplesDrawn() if (event.epoch, event.ema) not in self._samples:
                sheet = self._sheet(event.images)
                self._samples.add((event.epoch, event.ema))
                return lambda tx: runs.save_samples(tx, record_id, event.epoch, event.ema, sheet, event.rewards)
            case SearchWatched() if event.epoch not in self._watched:
                self._watched.add(event.epoch)
                return self._search(event)
            case CheckpointMade():
                return self._checkpoint(event)
            case Diagnosed():
                return lambda tx: runs.save_told(tx, record_id, diagnosis=list(event.sentences))
            case TrainFinished():
                self.output.say(f"finished after epoch {event.epoch}")
                return lambda tx: self._finish(tx, event)
        return None

    def _started(self, event: TrainStarted) -> Callable[[Session], None] | None:
        again = bool(self._environment)
        self._environment |= environment(self.toolbox.device, self.config.threads)
        self.output.say("goes on" if again else f"{self.config.preset} on {self.config.model} begins")
        return lambda tx: runs.save_started(tx, self.record_id, event, self._environment)

    def _epoch(self, event: EpochFinished) -> Callable[[Session], None]:
        self._epochs[event.epoch] = dict(event.metrics)
        shown = [f"{name} {event.metrics[name]:.4g}" for name in PLOTTED if event.metrics.get(name) is not None]
        self.output.say(f"epoch {event.epoch}: {', '.join(shown)}; {event.seconds.get('total', 0.0):.1f} s")
        headline = headline_of(self._epochs)

        def save(tx: Session) -> None:
            runs.save_epoch(tx, self.record_id, event)
            runs.save_headline(tx, self.record_id, headline)
            runs.save_told(tx, self.record_id, **self.told())

        return save

    def told(self) -> dict[str, Any]:
        """The run's output so far and what it used, earlier attempts included."""
        now, before = usage(), self._usage_before
        used = {"cpu_seconds": now["cpu_seconds"] + before.get("cpu_seconds", 0.0)}
        used["peak_memory_mb"] = max(now["peak_memory_mb"], before.get("peak_memory_mb", 0.0))
        return {"output": self.output.text, "environment": self._environment | {"usage": used}}

    def _search(self, event: SearchWatched) -> Callable[[Session], None]:
        """A session of its own, of the model as it is after that epoch, and whole at once."""
        config = replace(event.config, model=trained_id(self.config.model, self.record_id, event.epoch, raw=True))
        files = [keep_files(self.artifacts, one, config) for one in event.events]

        def save(tx: Session) -> None:
            name = f"Watched in epoch {event.epoch}"
            session_id = sessions.create(tx, config, name=name, parent=self.record_id)
            for one, kept in zip(event.events, files, strict=True):
                save_event(tx, session_id, one, kept)
            sessions.set_state(tx, session_id, "succeeded")
            runs.save_watched(tx, self.record_id, event.epoch, session_id)

        return save

    def _checkpoint(self, event: CheckpointMade) -> Callable[[Session], None]:
        """It is kept for good where a person waits for it."""
        name = f"{0 if self.claim is None else self.claim.attempt}-{event.epoch}"
        files = self.checkpoints.write(self.record_id, name, lambda into: self.toolbox.save_state(event.state, into))

        def save(tx: Session) -> None:
            waiting = [] if self.claim is None else jobs.pending_commands(tx, self.claim.job_id)
            kept = any(one.kind == "save" for one in waiting)
            runs.save_checkpoint(tx, self.record_id, event.epoch, name, files, kept=kept)

        return save

    def _finish(self, tx: Session, event: TrainFinished) -> None:
        runs.save_finished(tx, self.record_id, event.cost, headline_of(self._epochs))
        runs.save_told(tx, self.record_id, **self.told())
        if self.claim is not None and self.claim.record_id == self.record_id:
            jobs.finish(tx, self.claim, "succeeded")

    def _sheet(self, images: np.ndarray) -> Sheet:
        """(P, H, W, 3) uint8 pictures as one file."""
        columns, _ = pictures.sheet_grid(len(images))
        cell = Image.fromarray(images[0])
        cell.thumbnail((pictures.CELL, pictures.CELL))  # as the sheet's cells are
        return Sheet(self.artifacts.put(pictures.encode_sheet(images), "webp"), columns, cell.width)

    def _make_room(self) -> None:
        """Remove the oldest checkpoints that nobody asked to keep, row first: a row always has its folder."""
        with self.database.read() as tx:
            stored = runs.checkpoints_of(tx, self.record_id)
        for row in too_many(stored):
            with self.database.write() as tx:
                if self.claim is not None:
                    jobs.check_fence(tx, self.claim)
                runs.drop_checkpoint(tx, self.record_id, row.epoch)
            self.checkpoints.remove(self.record_id, row.folder)


def too_many(stored: Sequence[Any], whole: int = WHOLE, room: int = ROOM) -> list[Any]:
    """Of checkpoints in order those that are to go, the oldest first."""
    sizes = {row.epoch: sum(file["bytes"] for file in row.files.values()) for row in stored}
    left, gone = sum(sizes.values()), []
    for row in stored[:-whole]:
        if left > room and not row.kept:
            gone.append(row)
            left -= sizes[row.epoch]
    return gone


def headline_of(epochs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """What lists say of a run: how far it is, and of each curve the first and the last value."""
    said: dict[str, Any] = {"epochs": max(epochs, default=0)}
    for name in PLOTTED:
        values = [epochs[epoch][name] for epoch in sorted(epochs) if epochs[epoch].get(name) is not None]
        if values:
            said[name] = [values[0], values[-1]]
    return said


def perform(
    database: Database,
    artifacts: Artifacts,
    checkpoints: Checkpoints,
    toolbox: Toolbox,
    claim: jobs.Claim,
    stop: threading.Event,
) -> None:
    """A worker's job: train what is left, obeying commands at the ends of epochs. Raises LabError."""
    recorder = TrainRecorder(database, artifacts, checkpoints, claim.record_id, toolbox, claim)
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        if not _may_begin(tx, claim):
            return
    train_on(recorder, toolbox, partial(obey, claim=claim, stop=stop, config=recorder.config))


def train_on(recorder: TrainRecorder, toolbox: Toolbox, obey: Obey) -> bool:
    """Train a record on from its newest checkpoint; whether it came to its end. What goes wrong is raised, and kept."""
    config = recorder.config
    toolbox.set_threads(config.threads)
    with recorder.output.heard():
        try:
            model = toolbox.load_model(config.model)  # its own: training changes it
            rewards = {name: toolbox.load_reward(name) for name in config.rewards}
            with closing(toolbox.train(config, model, rewards, state=recorder.state())) as events:
                return _follow(recorder, events, obey)
        except jobs.StaleClaim:
            raise
        except Exception as error:
            recorder.output.say(f"stopped: {error}")
            with recorder.database.write() as tx:
                if recorder.claim is not None:
                    jobs.check_fence(tx, recorder.claim)
                runs.save_told(tx, recorder.record_id, **recorder.told())
            raise


def _follow(recorder: TrainRecorder, events: Generator[TrainEvent, str | None, None], obey: Obey) -> bool:
    """Record event after event until the run ends or has to stop."""
    event: TrainEvent | None = next(events, None)
    asked: set[str] = set()  # of the trainer, not answered yet
    while event is not None:
        if isinstance(event, TrainFinished):
            recorder.record(event)
            return True
        wanted = recorder.record(event, partial(obey, event=event))
        if wanted is None:
            return False
        asked.discard(_ANSWERS.get(type(event), ""))
        order = next((one for one in wanted if one not in asked), None)
        asked |= {order} if order else set()
        try:
            event = events.send(order)
        except StopIteration:
            event = None
    raise LabError("the trainer stopped before the run was finished")


def obey(
    tx: Session, *, claim: jobs.Claim, event: TrainEvent, stop: threading.Event, config: TrainConfig
) -> list[str] | None:
    """What the trainer is to be asked after an event: "sample", "save", both or nothing. None: the run is left.

    It is left at a checkpoint only, and that at an epoch's end, so that nothing is lost. Before the first epoch there
    is nothing to be lost by cancelling.
    """
    commands, answered = jobs.pending_commands(tx, claim.job_id), _ANSWERS.get(type(event))
    for command in commands:
        if command.kind == answered:
            jobs.consume(tx, command.id)
    kinds = {command.kind for command in commands} - {answered}
    if "cancel" in kinds and (answered == "save" or not getattr(event, "epoch", 0)):
        jobs.finish(tx, claim, "cancelled")
        return None
    leaving = (stop.is_set() or bool(kinds & {"pause", "cancel"})) and ends_epoch(event, config)
    if answered == "save":
        steering = [command for command in commands if command.kind not in ("save", "sample")]
        orders = read_orders(steering, Position(), 0, moved=True)
        for command_id, refusal in orders.consumed.items():
            jobs.consume(tx, command_id, refusal)
        if orders.action == "pause" or stop.is_set():
            jobs.release(tx, claim, "paused" if orders.action == "pause" else "pending")
            return None
        leaving = False  # a pause that was taken back
    asked = set() if "cancel" in kinds else kinds
    return [name for name in ("sample", "save") if name in asked or (name == "save" and leaving)]


def ends_epoch(event: TrainEvent, config: TrainConfig) -> bool:
    """Whether no sheet and no watched search of the event's epoch is still to come."""
    if not isinstance(event, EpochFinished | SamplesDrawn):
        return True
    epoch, last = event.epoch, event.epoch in (0, config.epochs)
    watches = config.noise_source == "search" and config.searched_members > 0 and config.watch_every > 0
    if epoch and watches and epoch % config.watch_every == 0:
        return False
    drawn = isinstance(event, SamplesDrawn)
    return drawn or not (last or (config.sample_every > 0 and epoch % config.sample_every == 0))


def _may_begin(tx: Session, claim: jobs.Claim) -> bool:
    """Read what was asked while no worker had the run."""
    commands = jobs.pending_commands(tx, claim.job_id)
    steering = [command for command in commands if command.kind not in ("save", "sample")]
    orders = read_orders(steering, Position(), 0, moved=False)
    for command_id, refusal in orders.consumed.items():
        jobs.consume(tx, command_id, refusal)
    if orders.action == "cancel":
        jobs.finish(tx, claim, "cancelled")
    elif orders.action == "pause":
        jobs.release(tx, claim, "paused")
    return orders.action == "run"
