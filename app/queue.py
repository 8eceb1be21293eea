"""The queue's use cases: what runs and waits, how long it may take, and what a person may do about it."""

import time
from typing import Any

from sqlalchemy.orm import Session

from app.progress import fraction, seconds_left
from app.records import planned_of
from core.errors import LabError
from storage import jobs, queue, records, sweeps
from storage.engine import Database
from storage.progress import epochs_done, spent_by, unfinished

FINISHED = 5
_INTERNAL = ("payload", "config", "claimed_at", "claimed_units")


def listed(database: Database, now: float | None = None) -> dict[str, Any]:
    """`jobs` that have not ended (running, then waiting in their order, then paused) and the newest `finished` ones."""
    now = time.time() if now is None else now
    with database.read() as tx:
        live = [_told(tx, job, now) for job in queue.live_jobs(tx)]
        ended = [_told(tx, job, now) for job in queue.ended_jobs(tx, FINISHED)]
    return {"jobs": live, "finished": ended}


def job(database: Database, job_id: Any) -> dict[str, Any]:
    """One job as the list shows it. Raises NotFound."""
    found = listed(database)
    with database.read() as tx:
        wanted = str(queue.find_job(tx, job_id).id)
    return next((one for one in [*found["jobs"], *found["finished"]] if one["job_id"] == wanted), {"job_id": wanted})


def _told(tx: Session, shown: dict[str, Any], now: float) -> dict[str, Any]:
    """The job without what only the estimate needs, with the estimate."""
    done, planned = _units(tx, shown)
    left = None
    if shown["kind"] == jobs.SWEEP and shown["state"] == "running":
        left = sweeps.seconds_left(tx, shown["record_id"])
    elif planned is not None and shown["state"] == "running":
        left = seconds_left(
            done=done,
            planned=planned,
            done_before=shown["claimed_units"],
            began=shown["claimed_at"],
            latest=queue.last_result(tx, int(shown["job_id"])),
            now=now,
        )
    succeeded = shown["state"] == "succeeded"
    progress = 1.0 if succeeded else None if planned is None else fraction(done, planned)
    plain = {name: value for name, value in shown.items() if name not in _INTERNAL}
    return plain | {"progress": progress, "seconds_left": left}


def _units(tx: Session, shown: dict[str, Any]) -> tuple[float, float | None]:
    """How much of a job is done and how much there is: candidates of a roll-out, epochs of a fine-tune, runs of a
    sweep, else velocity evaluations. How long the trial of a trained model or a replay takes is not known."""
    record_id = shown["record_id"]
    if shown["kind"] == jobs.FINISH:
        many = len(shown["payload"]["candidates"])
        return many - len(unfinished(tx, record_id, shown["payload"])), many
    if shown["kind"] in (jobs.EVALUATE, jobs.REPLAY):
        return 0, None
    if shown["kind"] == jobs.SWEEP:
        return sweeps.done_of(tx, record_id)
    if shown["kind"] == jobs.TRAIN:
        return epochs_done(tx, [record_id]).get(record_id, 0), shown["config"].get("epochs")
    spent = spent_by(tx, [record_id]).get(record_id)
    config, sigmas = records.schedules(tx, [record_id]).get(record_id, (shown["config"], None))
    return 0 if spent is None else spent.nfe, planned_of(config, sigmas)


def cancel(database: Database, job_id: Any) -> dict[str, Any]:
    """Ask a job to end; one that no worker holds ends at once. Raises LabError."""
    with database.write() as tx:
        row = queue.find_job(tx, job_id)
        if row.status in jobs.FINAL:
            raise LabError("this has ended already: there is nothing to cancel")
        jobs.send_command(tx, row.id, "cancel")
    return job(database, job_id)


def retry(database: Database, job_id: Any) -> dict[str, Any]:
    """Queue a failed or cancelled job again; it goes on from what is stored. Raises LabError."""
    with database.write() as tx:
        again = queue.retry(tx, queue.find_job(tx, job_id).id)
    return job(database, again)


def move(database: Database, job_id: Any, to: Any) -> dict[str, Any]:
    """Give a waiting job another place, 1 being the next. Raises LabError."""
    if type(to) is not int or not 1 <= to < 2**31:
        raise LabError(f"to: expected a place in the queue, 1 for the next, got {to!r:.60}")
    with database.write() as tx:
        queue.move(tx, queue.find_job(tx, job_id).id, to)
    return job(database, job_id)
