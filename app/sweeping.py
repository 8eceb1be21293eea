"""A sweep on its way: run after run through the same engine or trainer, and recorder, as any other.

It is one job. Its runs are ordinary records whose parent is the sweep; one whose settings were run before is not run
again, so a sweep that was cut short, cancelled or asked for once more goes on with what is missing.
"""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app import training
from app.orders import Position, read_orders
from app.recorder import Recorder
from app.sweep_config import Run, SweepConfig, from_plain
from app.sweep_kinds import SEARCHES
from app.toolbox import Resident
from app.training import TrainRecorder
from core.errors import LabError
from core.events import SessionFinished
from core.train_events import TrainEvent
from storage import jobs, runs, sessions, sweeps
from storage.artifacts import Artifacts
from storage.checkpoints import Checkpoints
from storage.engine import Database
from storage.under_way import has_job, leave_runs

log = logging.getLogger(__name__)

FAILED_FIRST = 3  # so many failures before anything has succeeded, and the rest is not tried
Told = Callable[[int, Run, sweeps.Outcome | None], None]


@dataclass(frozen=True)
class Sweep:
    """What a sweep works with.

    With a worker's `claim` its commands are obeyed, and `stop` gives the job back; without one it runs to its end.
    `told` hears how many runs have ended, of which one, and what came of it; `heard` each event of a fine-tune.
    """

    database: Database
    artifacts: Artifacts
    checkpoints: Checkpoints
    resident: Resident
    record_id: str
    claim: jobs.Claim | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    told: Told = lambda done, run, outcome: None
    heard: Callable[[TrainEvent], None] = lambda event: None

    def obey(self, tx: Session) -> str:
        """Do what was asked meanwhile; "run" to go on. Raises StaleClaim."""
        if self.claim is None:
            return "run"
        jobs.check_fence(tx, self.claim)
        action = _follow(tx, self.claim, moved=True)
        if action == "run" and self.stop.is_set():
            jobs.release(tx, self.claim)
            return "stop"
        return action


def run_sweep(sweep: Sweep, config: SweepConfig) -> str:
    """Run what is missing; returns "run" at the end, or something else where it was to be left.

    A run that fails leaves its cell empty and the others go on. Raises LabError where nothing works at all.
    """
    listed = config.runs()
    with sweep.database.read() as tx:
        known = _known(tx, sweep, listed)
    failed, worked = 0, any(one.state == "succeeded" for one in known.values())
    for done, run in enumerate(listed):
        before = known.get(run.key)
        if before is None or before.state != "succeeded":
            try:
                action = (_search if config.kind is SEARCHES else _train)(sweep, run, before)
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
        action, outcome = _count(sweep, done + 1, len(listed), run)
        if outcome is not None:  # of fine-tunes two cells may be the same, as one that searches nothing with any search
            known[run.key] = outcome
        sweep.told(done + 1, run, outcome)
        if action != "run":
            return action
    if not worked:
        raise LabError("none of the runs succeeded: each says why")
    return "run"


def _known(tx: Session, sweep: Sweep, listed: list[Run]) -> dict[str, sweeps.Outcome]:
    return sweeps.outcomes(tx, sweep.record_id, {run.key for run in listed}, listed[0].kind.name)


def _search(sweep: Sweep, run: Run, before: sweeps.Outcome | None) -> str:
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


def _train(sweep: Sweep, run: Run, before: sweeps.Outcome | None) -> str:
    """One fine-tune, or the rest of one that was left, however it ended: from its newest checkpoint."""
    with sweep.database.write() as tx:
        if (action := sweep.obey(tx)) != "run":
            return action
        if before is not None and before.own:
            record_id = before.record_id
            if has_job(tx, record_id):
                raise LabError(
                    f"the fine-tune {record_id} is in the queue by itself: run what is missing once it has ended"
                )
        else:
            name = sweeps.sweep_row(tx, sweep.record_id).name
            record_id = runs.create(tx, run.config, name=f"{name}: {run.words}", parent=sweep.record_id)
        sessions.set_state(tx, record_id, "running")
    toolbox = sweep.resident.toolbox
    recorder = TrainRecorder(sweep.database, sweep.artifacts, sweep.checkpoints, record_id, toolbox, sweep.claim)

    def obey(tx: Session, event: TrainEvent) -> list[str] | None:
        sweep.heard(event)
        if sweep.claim is None:
            return []
        return training.obey(tx, claim=sweep.claim, event=event, stop=sweep.stop, config=run.config)

    return "run" if training.train_on(recorder, toolbox, obey) else "left"


def _fail(sweep: Sweep, error: Exception) -> None:
    if not isinstance(error, LabError):
        log.exception("a run of sweep %s failed", sweep.record_id)
    told = str(error) if isinstance(error, LabError) else f"something unexpected ({type(error).__name__}): {error}"
    with sweep.database.write() as tx:
        leave_runs(tx, sweep.record_id, "failed", told)


def _count(sweep: Sweep, done: int, many: int, run: Run) -> tuple[str, sweeps.Outcome | None]:
    """Say how far the sweep is; what was asked of it meanwhile is done. Also what came of the run."""
    with sweep.database.write() as tx:
        outcome = _known(tx, sweep, [run]).get(run.key)
        headline = {"done": done, "runs": many}
        sweeps.save_headline(tx, sweep.record_id, headline, outcome.picture if outcome else None)
        if sweep.claim is not None:
            jobs.append_event(tx, sweep.claim, "run")
        action = sweep.obey(tx) if done < many else "run"  # after the last there is nothing left to stop
    return action, outcome


def perform(
    database: Database,
    artifacts: Artifacts,
    checkpoints: Checkpoints,
    resident: Resident,
    claim: jobs.Claim,
    stop: threading.Event,
) -> None:
    """A worker's job: run what is missing, obeying commands between two events. Raises LabError."""
    with database.write() as tx:
        jobs.check_fence(tx, claim)
        if _follow(tx, claim, moved=False) != "run":
            return
        config = from_plain(sweeps.sweep_row(tx, claim.record_id).config)
    sweep = Sweep(database, artifacts, checkpoints, resident, claim.record_id, claim, stop)
    if run_sweep(sweep, config) == "run":
        with database.write() as tx:
            jobs.finish(tx, claim, "succeeded")


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
