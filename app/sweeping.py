"""A sweep on its way: session after session through the same engine and recorder as any other.

It is one job. Its sessions are ordinary records whose parent is the sweep; one whose settings were run before is not
run again, so a sweep that was cut short, cancelled or asked for once more goes on with what is missing.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.orders import Position, read_orders
from app.recorder import Recorder
from app.sweep_config import Run, SweepConfig, from_plain
from app.toolbox import Resident
from core.errors import LabError
from core.events import SessionFinished
from storage import jobs, sessions, sweeps
from storage.artifacts import Artifacts
from storage.engine import Database
from storage.under_way import leave_runs

log = logging.getLogger(__name__)

FAILED_FIRST = 3  # so many failures before anything has succeeded, and the rest is not tried
Obey = Callable[[Session], str]
Count = Callable[[Session], None]
Told = Callable[[int, Run, sweeps.Outcome | None], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep works with.

    `obey` runs in every transaction that keeps something and says "run" to go on, `count` where a session has ended;
    `told` then hears how many have, of which run, and what came of it.
    """

    database: Database
    artifacts: Artifacts
    resident: Resident
    record_id: str
    obey: Obey
    count: Count = lambda tx: None
    told: Told = lambda done, run, outcome: None


def run_sweep(sweep: Sweep, config: SweepConfig) -> str:
    """Run what is missing; returns "run" at the end, or what `obey` said when it was to be left.

    A run that fails leaves its cell empty and the others go on. Raises LabError where nothing works at all.
    """
    runs = config.runs()
    with sweep.database.read() as tx:
        known = sweeps.outcomes(tx, sweep.record_id, [run.hash for run in runs])
    failed, worked = 0, any(one.state == "succeeded" for one in known.values())
    for done, run in enumerate(runs):
        before = known.get(run.hash)
        if before is None or before.state != "succeeded":
            try:
                action = _run(sweep, run, before)
                worked = True
                if action != "run":
                    return action
            except (jobs.StaleClaim, SQLAlchemyError):
                raise
            except Exception as error:
                failed += 1
                _fail(sweep, error)
                if failed >= FAILED_FIRST and not worked:
                    raise LabError(f"the first {failed} runs failed, the last one so: {error}") from error
        action = _count(sweep, done + 1, len(runs), run)
        if action != "run":
            return action
    if not worked:
        raise LabError("none of the runs succeeded: each says why")
    return "run"


def _run(sweep: Sweep, run: Run, before: sweeps.Outcome | None) -> str:
    """One session, or the rest of one that was left; returns what `obey` said last."""
    toolbox, config = sweep.resident.toolbox, run.config
    with sweep.database.write() as tx:
        if (action := sweep.obey(tx)) != "run":
            return action
        if before is not None and before.own and before.state not in jobs.FINAL:
            record_id = before.record_id
        else:
            record_id = sessions.create(tx, config, parent=sweep.record_id)
        sessions.set_state(tx, record_id, "running")
    toolbox.set_threads(config.threads)
    model, rewards = sweep.resident.model(config.model), sweep.resident.rewards(config.rewards)
    recorder = Recorder(sweep.database, sweep.artifacts, record_id)
    with closing(toolbox.explore(config, model, rewards, state=recorder.state(toolbox.to_tensor))) as events:
        for event in events:
            if isinstance(event, SessionFinished):
                recorder.record(event)
                return "run"
            if (action := recorder.record(event, sweep.obey) or "run") != "run":
                return action
    raise LabError("the engine stopped before the session was finished")


def _fail(sweep: Sweep, error: Exception) -> None:
    if not isinstance(error, LabError):
        log.exception("a run of sweep %s failed", sweep.record_id)
    told = str(error) if isinstance(error, LabError) else f"something unexpected ({type(error).__name__}): {error}"
    with sweep.database.write() as tx:
        leave_runs(tx, sweep.record_id, "failed", told)


def _count(sweep: Sweep, done: int, many: int, run: Run) -> str:
    """Say how far the sweep is; what was asked of it meanwhile is done."""
    with sweep.database.write() as tx:
        outcome = sweeps.outcomes(tx, sweep.record_id, [run.hash]).get(run.hash)
        headline = {"done": done, "runs": many}
        sweeps.save_headline(tx, sweep.record_id, headline, outcome.picture if outcome else None)
        sweep.count(tx)
        action = sweep.obey(tx) if done < many else "run"  # after the last there is nothing left to stop
    sweep.told(done, run, outcome)
    return action


def perform(
    database: Database, artifacts: Artifacts, resident: Resident, claim: jobs.Claim, stop: threading.Event
) -> None:
    """A worker's job: run what is missing, obeying commands between two events. Raises LabError."""
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        if _follow(tx, claim, moved=False) != "run":
            return
        config = from_plain(sweeps.sweep_row(tx, claim.record_id).config)

    def count(tx: Session) -> None:
        jobs.append_event(tx, claim, "run")

    obey = partial(_obey, claim=claim, stop=stop)
    if run_sweep(Sweep(database, artifacts, resident, claim.record_id, obey, count), config) == "run":
        with database.write() as tx:
            jobs.finish(tx, claim, "succeeded")


def _obey(tx: Session, claim: jobs.Claim, stop: threading.Event) -> str:
    """What is done after an event; a worker that is to stop gives the job back."""
    jobs.check_fence(tx, claim)
    action = _follow(tx, claim, moved=True)
    if action == "run" and stop.is_set():
        jobs.release(tx, claim)
        return "stop"
    return action


def _follow(tx: Session, claim: jobs.Claim, *, moved: bool) -> str:
    """Read the commands that wait and do what they ask."""
    orders = read_orders(jobs.pending_commands(tx, claim.job_id), Position(), 0, moved=moved)
    for command_id, refusal in orders.consumed.items():
        jobs.consume(tx, command_id, refusal)
    if orders.action == "cancel":
        jobs.finish(tx, claim, "cancelled")
    elif orders.action == "pause":
        jobs.release(tx, claim, "paused")
    return orders.action
