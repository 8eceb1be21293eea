"""The worker: takes jobs of a lane, runs the engine, records every event, and obeys commands between two of them.

Everything that must survive is in the database, in the engine's order, so a worker may die at any moment. A search is
one event ahead of what is recorded: writing takes a tenth of computing, and the two need not wait for each other.
"""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app import evaluating, measuring, replaying, sweeping, training
from app.environment import note_origin
from app.orders import Orders, Position, position_of, read_orders
from app.presence import announce
from app.recorder import Recorder, place_of
from app.settings import Settings
from app.supervisor import Supervisor, worker_command
from app.toolbox import Resident, Toolbox, torch_toolbox
from app.trained import with_trained
from core.config import ExploreConfig
from core.errors import LabError
from core.events import ArmFinished, ExploreEvent, IterationScored, SessionFinished, StepCommitted
from storage import jobs, sessions
from storage.artifacts import Artifacts
from storage.checkpoints import Checkpoints
from storage.engine import Database, open_database
from storage.finishes import finished_candidates

log = logging.getLogger(__name__)

DRAIN_SECONDS = 20.0
INTERACTIVE, BATCH = "interactive", "batch"
NICENESS = 10  # of a batch job: whoever waits at a page comes first
RESULTS = (IterationScored, StepCommitted, ArmFinished)


class Worker:
    """One process's loop over one lane. `clock` gives the seconds since 1970 that leases are counted in."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        toolbox: Toolbox,
        *,
        owner: str | None = None,
        lane: str = "interactive",
        poll_seconds: float = 0.05,
        renew_seconds: float = jobs.RENEW_SECONDS,
        clock: Callable[[], float] = time.time,
        checkpoints: Checkpoints | None = None,
    ):
        """`owner` names this process in its leases; it must differ from every other worker's.

        `checkpoints` lie beside the artifacts unless they are given.
        """
        self.database = database
        self.artifacts = artifacts
        self.checkpoints = checkpoints or Checkpoints(artifacts.folder.parent / "checkpoints")
        self.toolbox = with_trained(toolbox, database, self.checkpoints)
        self.resident = Resident(self.toolbox)
        self.owner = owner or f"worker-{os.getpid()}-{os.urandom(4).hex()}"
        self.lane = lane
        self.poll_seconds = poll_seconds
        self.renew_seconds = renew_seconds
        self.clock = clock

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set: the event under way is still recorded, then its job goes back to the queue."""
        while not stop.is_set():
            if not self.run_one(stop):
                stop.wait(self.poll_seconds)

    def run_one(self, stop: threading.Event | None = None) -> bool:
        """Take one job and work on it until it ends, pauses or `stop` is set; False when there is none to take."""
        claim = self._claim()
        if claim is None:
            return False
        self._perform(claim, stop or threading.Event())
        return True

    def _perform(self, claim: jobs.Claim, stop: threading.Event) -> None:
        """Work on a job until it ends, pauses or `stop` is set; what goes wrong with it ends it and not the worker."""
        special = {jobs.MEASURE: self._measure, jobs.TRAIN: self._train, jobs.EVALUATE: self._evaluate}
        special |= {jobs.SWEEP: self._sweep, jobs.REPLAY: self._replay}
        work = ({jobs.FINISH: self._finish} | special).get(claim.kind, self._explore)
        try:
            with self._renewing(claim):
                work(claim, stop)
        except jobs.StaleClaim as error:
            log.warning("%s: leaving it", error)
        except SQLAlchemyError:
            raise  # the database is not to be had: die, and let the lease run out
        except LabError as error:
            self._fail(claim, str(error))
        except Exception as error:
            log.exception("job %s failed", claim.job_id)
            self._fail(claim, f"something unexpected went wrong ({type(error).__name__}): {error}")

    def _claim(self, beside: str | None = None) -> jobs.Claim | None:
        """Looks before it takes: an idle worker asks often, and only a write locks the database.

        `beside` is the model of the session under way, None where there is none.
        """
        now = self.clock()
        with self.database.read() as tx:
            if not jobs.waiting(tx, lane=self.lane, now=now, beside=beside):
                return None
        with self.database.write() as tx:
            return jobs.claim(tx, lane=self.lane, owner=self.owner, now=now, beside=beside)

    def _explore(self, claim: jobs.Claim, stop: threading.Event) -> None:
        recorder = Recorder(self.database, self.artifacts, claim.record_id, claim)
        config = recorder.config
        with self.database.write() as tx:
            jobs.check_fence(tx, claim)
            history = jobs.history(tx, claim.record_id)
            position = position_of(history)
            orders = self._follow(tx, claim, position, config.search.num_candidates, moved=False)
        if orders.action != "run":
            return
        self.toolbox.set_threads(config.threads)
        model, rewards = self.resident.model(config.model), self.resident.rewards(config.rewards)
        note_origin(self.database, claim.record_id, self.toolbox.device, config.threads)
        known = any(past.kind == "session" for past in history)  # its start: told again it would look like progress
        events = self._engine(recorder, model, rewards, known=known)
        with ThreadPoolExecutor(1, "recording") as aside:
            event = next(events, None)
            while event is not None:
                position = position.after(*place_of(event))
                recording = aside.submit(self._record, recorder, claim, event, position)
                alone = stop.is_set() or orders.stepping or isinstance(event, SessionFinished)
                ahead = None if alone else next(events, None)
                orders, asked = recording.result()
                if orders.action != "run" or isinstance(event, SessionFinished):
                    return
                if ahead is None and stop.is_set():
                    with self.database.write() as tx:
                        jobs.release(tx, claim)
                    return
                if asked:
                    self._finish_beside(config, stop)
                if orders.elites is not None:  # chosen by hand: what was computed ahead came from others
                    events.close()
                    events, ahead = self._engine(recorder, model, rewards, known=True), None
                event = next(events, None) if ahead is None else ahead
        raise LabError("the engine stopped before the session was finished")

    def _engine(
        self, recorder: Recorder, model: Any, rewards: Mapping[str, Any], *, known: bool
    ) -> Generator[ExploreEvent, Any, None]:
        """The engine from where the stored session stands; without its start where that is `known`."""
        events = self.toolbox.explore(recorder.config, model, rewards, state=recorder.state(self.toolbox.to_tensor))
        if known:
            next(events)
        return events

    def _finish_beside(self, config: ExploreConfig, stop: threading.Event) -> None:
        """Between two events of a session: the roll-outs on its model that somebody waits for.

        The session keeps its claim and its lease; it draws all its noise by name and so goes on as if nothing had been.
        """
        done = False
        while not stop.is_set() and (claim := self._claim(beside=config.model)) is not None:
            self._perform(claim, stop)
            done = True
        if done:
            self.toolbox.set_threads(config.threads)  # another number of threads would round differently

    def _finish(self, claim: jobs.Claim, stop: threading.Event) -> None:
        """Roll out the job's candidates, without those that an earlier attempt has recorded."""
        recorder = Recorder(self.database, self.artifacts, claim.record_id, claim)
        config, step, iteration = recorder.config, claim.payload["step"], claim.payload["iteration"]
        with self.database.read() as tx:
            known = finished_candidates(tx, claim.record_id, step, iteration)
        missing = [candidate for candidate in claim.payload["candidates"] if candidate not in known]
        if missing and self._may_go_on(claim, stop):
            self.toolbox.set_threads(config.threads)
            model, rewards = self.resident.model(config.model), self.resident.rewards(config.rewards)
            branch = recorder.branch(step, iteration, self.toolbox.to_tensor)
            for event in self.toolbox.finish(config, model, rewards, branch, tuple(missing)):
                recorder.record(event)
                missing.remove(event.candidate)
                if missing and not self._may_go_on(claim, stop):
                    return
        if not missing:
            with self.database.write() as tx:
                jobs.finish(tx, claim, "succeeded")

    def _measure(self, claim: jobs.Claim, stop: threading.Event) -> None:
        measuring.perform(self.database, self.artifacts, self.resident, claim, stop)

    def _train(self, claim: jobs.Claim, stop: threading.Event) -> None:
        training.perform(self.database, self.artifacts, self.checkpoints, self.toolbox, claim, stop)

    def _evaluate(self, claim: jobs.Claim, stop: threading.Event) -> None:
        evaluating.perform(self.database, self.resident, claim, stop)

    def _replay(self, claim: jobs.Claim, stop: threading.Event) -> None:
        replaying.perform(self.database, self.artifacts, self.resident, claim, stop)

    def _sweep(self, claim: jobs.Claim, stop: threading.Event) -> None:
        sweeping.perform(self.database, self.artifacts, self.checkpoints, self.resident, claim, stop)

    def _may_go_on(self, claim: jobs.Claim, stop: threading.Event) -> bool:
        """Whether a roll-out may go on: it can be cancelled, and goes back to the queue when the worker stops."""
        with self.database.write() as tx:
            jobs.check_fence(tx, claim)
            for command in jobs.pending_commands(tx, claim.job_id):
                if command.kind == "cancel":
                    jobs.finish(tx, claim, "cancelled")
                    return False
                jobs.consume(tx, command.id, "a roll-out can only be cancelled")
            if stop.is_set():
                jobs.release(tx, claim)
            return not stop.is_set()

    def _record(
        self, recorder: Recorder, claim: jobs.Claim, event: ExploreEvent, position: Position
    ) -> tuple[Orders, bool]:
        """The event, what is done about pending commands, and the job's new status: one transaction.

        Also says whether somebody waits for a roll-out on this session's model.
        """
        config = recorder.config

        def then(tx: Session) -> tuple[Orders, bool]:
            if isinstance(event, SessionFinished):
                jobs.finish(tx, claim, "succeeded")
                return Orders("run", {}), False
            moved = isinstance(event, RESULTS)
            orders = self._follow(tx, claim, position, config.search.num_candidates, moved=moved)
            return orders, jobs.waiting(tx, lane=self.lane, now=self.clock(), beside=config.model)

        return recorder.record(event, then) or (Orders("run", {}), False)

    def _follow(self, tx: Session, claim: jobs.Claim, position: Position, candidates: int, *, moved: bool) -> Orders:
        orders = read_orders(jobs.pending_commands(tx, claim.job_id), position, candidates, moved=moved)
        for command_id, refusal in orders.consumed.items():
            jobs.consume(tx, command_id, refusal)
        if orders.elites is not None and position.scored is not None:
            sessions.save_elites(tx, claim.record_id, *position.scored, orders.elites)
        if orders.action == "cancel":
            jobs.finish(tx, claim, "cancelled")
        elif orders.action == "pause":
            jobs.release(tx, claim, "paused")
        return orders

    def _fail(self, claim: jobs.Claim, error: str) -> None:
        try:
            with self.database.write() as tx:
                jobs.finish(tx, claim, "failed", error)
        except jobs.StaleClaim as stale:
            log.warning("%s: leaving it", stale)

    @contextmanager
    def _renewing(self, claim: jobs.Claim) -> Iterator[None]:
        """Renew the lease from a thread while the block runs: one iteration of a large model outlasts a lease."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(self.renew_seconds):
                try:
                    with self.database.write() as tx:
                        jobs.renew(tx, claim, self.clock())
                except jobs.StaleClaim:
                    return  # the next recording says so
                except SQLAlchemyError as error:
                    log.warning("could not renew the lease of job %s: %s", claim.job_id, error)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def work(
    settings: Settings,
    toolbox: Callable[[str], Toolbox] = torch_toolbox,
    *,
    owner: str | None = None,
    supervised: bool = False,
    lane: str = INTERACTIVE,
    command: Sequence[str] = (),
) -> int:
    """Run a worker in this process until SIGTERM, Ctrl-C or, supervised, until the parent closes standard input.

    In the lane "batch" it takes one job and ends. An interactive worker starts such a process whenever a batch job
    waits; `command` is how a worker over the same folder is started where that is not this program.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s worker %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop_or_leave(stop))
    if supervised:
        threading.Thread(target=_watch_parent, args=(stop,), name="parent", daemon=True).start()
    database = open_database(settings.database)
    try:
        artifacts, tools, poll = Artifacts(settings.artifacts_dir), toolbox(settings.device), settings.poll_seconds
        worker = Worker(database, artifacts, tools, owner=owner, lane=lane, poll_seconds=poll)
        if lane == INTERACTIVE:
            _work_interactively(worker, settings, stop, command or worker_command(settings))
        else:
            os.nice(NICENESS)
            worker.run_one(stop)
    finally:
        database.dispose()
    return 0


def _work_interactively(worker: Worker, settings: Settings, stop: threading.Event, command: Sequence[str]) -> None:
    """Keep the usual model loaded; long jobs run beside, in a process whose memory is gone when it ends."""

    def batch_waits() -> bool:
        with worker.database.read() as tx:
            return jobs.waiting(tx, lane=BATCH)

    def free(owner: str) -> None:
        with worker.database.write() as tx:
            jobs.expire(tx, owner)

    tell_ready = announce(settings.data_dir, settings.device)
    beside = Supervisor([*command, "--lane", BATCH], free, wanted=batch_waits)
    worker.resident.warm_up()
    tell_ready()
    log.info("ready")
    beside.start()
    try:
        worker.run(stop)
    finally:
        beside.stop(DRAIN_SECONDS)


def _stop_or_leave(stop: threading.Event) -> None:
    """The first signal drains the iteration; a second one does not wait."""
    if stop.is_set():
        os._exit(130)
    stop.set()


def _watch_parent(stop: threading.Event) -> None:
    """The pipe closes when the parent ends, however it ended."""
    while os.read(sys.stdin.fileno(), 1024):  # not through the buffer, whose lock would abort an interpreter that ends
        pass
    stop.set()
    time.sleep(DRAIN_SECONDS)
    os._exit(1)
