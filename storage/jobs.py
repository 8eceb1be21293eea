"""The queue: jobs with leases and fencing, commands to them, and thin events from them.

Every function works in the transaction `tx` it is given; those that change something need `Database.write()`. `now` is
in seconds since 1970. Whatever a page shows of a job changes together with an event, so a cursor over events misses
nothing.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.errors import StorageError
from core.events import INITIAL
from storage.counter import advance, advance_waiting
from storage.progress import epochs_done, spent_by, unfinished
from storage.tables import job_commands, job_events, jobs, records
from storage.under_way import leave_runs
from storage.values import checked_id, clean, dumps, missing, this

STATUSES = ("pending", "running", "paused", "succeeded", "failed", "cancelled")
FINAL = ("succeeded", "failed", "cancelled")
COMMANDS = ("pause", "step", "continue", "cancel", "elites", "save", "sample")
# A record's own job decides its state and hears its commands; jobs of any other kind run beside it.
MEASURE, TRAIN, SWEEP = "measure", "train", "sweep"
OWN = ("explore", MEASURE, TRAIN, SWEEP)
FINISH, EVALUATE, REPLAY = "finish", "evaluate", "replay"
LEASE_SECONDS = 30.0
RENEW_SECONDS = 5.0
MAX_LOST = 10


class StaleClaim(StorageError):
    """The job is no longer this worker's: another has it since the lease ran out, or it has ended. Write nothing."""


@dataclass(frozen=True)
class Claim:
    """A job in a worker's hands. `attempt` is the fencing token: a later claim of the job has a higher one."""

    job_id: int
    record_id: str
    kind: str
    attempt: int
    owner: str
    payload: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Command:
    """What a person asked of a job. The expectation, where given, is the iteration that person was looking at."""

    id: int
    seq: int
    kind: str
    payload: dict[str, Any]
    expected_step: int | None
    expected_iteration: int | None


# What a worker asks with every event, made once: to build a statement costs more than to run it.
_PENDING = (
    sa.select(*(job_commands.c[name] for name in Command.__dataclass_fields__))
    .where(job_commands.c.job_id == sa.bindparam("job"), job_commands.c.consumed_at.is_(None))
    .order_by(sa.case((job_commands.c.kind == "cancel", 0), else_=1), job_commands.c.seq)
)
_NUMBERED = (
    sa.update(jobs)
    .where(jobs.c.id == sa.bindparam("job"))
    .values(last_event=jobs.c.last_event + 1)
    .returning(jobs.c.id, jobs.c.last_event, jobs.c.record_id)
)
_NUMBERED_AS_HELD = _NUMBERED.where(
    jobs.c.attempt == sa.bindparam("try"), jobs.c.lease_owner == sa.bindparam("by"), jobs.c.status == "running"
).values(lost=0)


@dataclass(frozen=True)
class JobEvent:
    """Something became true of a job; the data is in the session's own tables."""

    seq: int
    kind: str
    step: int | None
    iteration: int | None


def enqueue(
    tx: Session, *, kind: str, record_id: str, lane: str = "interactive", payload: Mapping[str, Any] | None = None
) -> int:
    """Put a job at the end of a lane's queue and return its id.

    A record has at most one job of its own that has not ended; roll-outs of its candidates, and trials of what it
    trained, may wait beside it.
    """
    # Locked until the end of the transaction, so that two callers cannot both find no job.
    if (
        tx.execute(sa.select(records.c.id).where(records.c.id == checked_id(record_id)).with_for_update()).first()
        is None
    ):
        raise missing(record_id)
    live = (jobs.c.record_id == record_id, jobs.c.kind == kind, jobs.c.status.not_in(FINAL))
    under_way = [] if kind == FINISH else list(tx.scalars(sa.select(jobs.c.payload).where(*live)))
    if under_way and (kind != EVALUATE or dict(payload or {}) in under_way):
        raise StorageError(f"{this(kind)} waits or runs already: wait for it to end, or stop it first")
    row = {"kind": kind, "record_id": record_id, "lane": lane, "status": "pending", "payload": dict(payload or {})}
    result = tx.execute(sa.insert(jobs).values(row | {"created_at": time.time()}))
    job_id = int(result.inserted_primary_key[0])  # type: ignore[attr-defined]
    in_line = (jobs.c.lane == lane, jobs.c.status.not_in(FINAL), jobs.c.id != job_id)
    last = tx.scalar(sa.select(sa.func.max(jobs.c.rank)).where(*in_line))
    tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values(rank=max(float(job_id), (last or 0.0) + 1)))
    _show_status(tx, _job(tx, job_id), "pending", None)
    return job_id


def waiting(tx: Session, *, lane: str, now: float | None = None, beside: str | None = None) -> bool:
    """Whether `claim` would find a job. It only reads, so an idle worker may ask often."""
    asked = {"now": time.time() if now is None else now, "lane": lane} | ({} if beside is None else {"model": beside})
    return tx.execute(_waiting(beside is not None), asked).first() is not None


def claim(
    tx: Session,
    *,
    lane: str,
    owner: str,
    now: float | None = None,
    lease_seconds: float = LEASE_SECONDS,
    beside: str | None = None,
) -> Claim | None:
    """Take the lane's next job: roll-outs first, then by rank, among those that wait or whose worker's lease has run
    out. None when there is none.

    `beside` is the model of a session that the worker has under way: then only what can be done between two of its
    events is taken, a roll-out on the same model.

    A job that lost `MAX_LOST` workers without one event between is failed instead: it kills whoever touches it.
    """
    now = time.time() if now is None else now
    free = _free(now)
    queue = sa.select(jobs.c.id, jobs.c.attempt, jobs.c.status, jobs.c.lost)
    queue = queue.where(jobs.c.lane == lane, free, *(() if beside is None else _beside(beside)))
    while (found := tx.execute(queue.order_by(*line()).limit(1)).first()) is not None:
        lost = found.lost + (found.status == "running")
        taking = {"status": "running", "attempt": found.attempt + 1, "lost": lost, "lease_owner": owner, "error": None}
        as_seen = (jobs.c.id == found.id, jobs.c.attempt == found.attempt, free)
        taken = tx.execute(sa.update(jobs).where(*as_seen).values(taking | {"lease_expires_at": now + lease_seconds}))
        if taken.rowcount != 1:  # type: ignore[attr-defined]
            continue  # another worker was quicker; look again
        job = _job(tx, found.id)
        held = Claim(job.id, job.record_id, job.kind, job.attempt, owner, job.payload)
        if lost < MAX_LOST:
            begun = {"claimed_at": now, "claimed_units": units_done(tx, job)}
            tx.execute(sa.update(jobs).where(jobs.c.id == job.id).values(begun))
            _show_status(tx, job, "running", None)
            return held
        finish(tx, held, "failed", f"the worker died {lost} times in a row on this job without getting any further")
    return None


def renew(tx: Session, held: Claim, now: float | None = None, lease_seconds: float = LEASE_SECONDS) -> None:
    """Keep the lease for another `lease_seconds`. Raises StaleClaim when it is lost."""
    now = time.time() if now is None else now
    kept = tx.execute(sa.update(jobs).where(*_held(held)).values(lease_expires_at=now + lease_seconds))
    if kept.rowcount != 1:  # type: ignore[attr-defined]
        raise _stale(held)


def expire(tx: Session, owner: str) -> int:
    """End the leases of a worker known to be dead, so that nobody waits for them; returns how many it held."""
    held = sa.update(jobs).where(jobs.c.lease_owner == owner, jobs.c.status == "running")
    return int(tx.execute(held.values(lease_expires_at=0.0)).rowcount)  # type: ignore[attr-defined]


def check_fence(tx: Session, held: Claim) -> None:
    """Raise StaleClaim unless the job is still this claim's; call it first in every transaction that records for it.

    The row stays locked until the transaction ends, so no other worker can take the job in between.
    """
    if tx.execute(sa.select(jobs.c.id).where(*_held(held)).with_for_update()).first() is None:
        raise _stale(held)


def release(tx: Session, held: Claim, status: str = "pending") -> None:
    """Give the job back unfinished: "pending" for the next free worker, or "paused" until a command wakes it."""
    if status not in ("pending", "paused"):
        raise StorageError(f"a released job is expected to be pending or paused, got {status!r}")
    check_fence(tx, held)
    _leave(tx, held.job_id, status, None)


def finish(tx: Session, held: Claim, status: str, error: str | None = None) -> None:
    """End the job for good: succeeded, failed or cancelled. Commands nobody has read are refused."""
    if status not in FINAL:
        raise StorageError(f"a finished job is expected to be {', '.join(FINAL)}, got {status!r}")
    check_fence(tx, held)
    _end(tx, held.job_id, status, error)


def send_command(
    tx: Session,
    job_id: int,
    kind: str,
    payload: Mapping[str, Any] | None = None,
    expected_step: int | None = None,
    expected_iteration: int | None = None,
    now: float | None = None,
) -> int:
    """Append a command and return its id. The worker reads it between two events.

    Where no worker has the job, what can be done at once is done: a job waiting, paused or left by a dead worker is
    cancelled, a waiting one paused, a paused one queued again for step and continue (which its worker then reads). To a
    job that has ended every command is refused.
    """
    if kind not in COMMANDS:
        raise StorageError(f"a command is expected to be one of {', '.join(COMMANDS)}, got {kind!r:.60}")
    for expected, lowest in ((expected_step, INITIAL), (expected_iteration, 0)):
        if expected is not None and (type(expected) is not int or not lowest <= expected < 2**31):
            raise StorageError(f"a step or iteration is expected to be a whole number from 0, got {expected!r:.60}")
    given = dict(payload or {})
    try:
        dumps(given)
    except (TypeError, ValueError) as error:
        raise StorageError(f"what goes with a command is expected to be plain JSON: {error}") from None
    seq = _next(tx, job_id, jobs.c.last_command)
    row = {"job_id": job_id, "seq": seq, "kind": kind, "payload": given, "created_at": time.time()}
    row |= {"expected_step": expected_step, "expected_iteration": expected_iteration}
    command_id = int(tx.execute(sa.insert(job_commands).values(row)).inserted_primary_key[0])  # type: ignore[attr-defined]
    _without_worker(tx, _job(tx, job_id), kind, command_id, time.time() if now is None else now)
    append_event(tx, job_id, "command")
    return command_id


def _without_worker(tx: Session, job: sa.Row, kind: str, command_id: int, now: float) -> None:
    """What can be done about a new command at once because no worker holds the job."""
    if job.status in FINAL:
        consume(tx, command_id, f"the job has already ended ({job.status})")
    elif kind == "cancel" and (job.status != "running" or job.lease_expires_at < now):
        consume(tx, command_id)
        _end(tx, job.id, "cancelled", None)
    elif kind == "pause" and job.status != "running":
        for unread in pending_commands(tx, job.id):
            if unread.kind in ("step", "continue"):
                consume(tx, unread.id, "paused again before a worker had read this")
        consume(tx, command_id)
        _leave(tx, job.id, "paused", None)
    elif kind in ("step", "continue") and job.status == "paused":
        _leave(tx, job.id, "pending", None)
    elif kind in ("save", "sample") and job.status != "running":
        consume(tx, command_id, "this can be asked of a fine-tune that runs")


def pending_commands(tx: Session, job_id: int) -> list[Command]:
    """Commands nobody has read yet: cancel first, then in the order they were sent."""
    return [Command(**row._mapping) for row in tx.execute(_PENDING, {"job": job_id})]


def consume(tx: Session, command_id: int, refusal: str | None = None) -> None:
    """Mark a command as done, or as refused with the reason. A command is consumed once; again changes nothing."""
    done = {"consumed_at": time.time(), "refusal": None if refusal is None else clean(refusal)}
    unread = sa.and_(job_commands.c.id == command_id, job_commands.c.consumed_at.is_(None))
    job_id = tx.scalar(sa.select(job_commands.c.job_id).where(unread))
    if job_id is not None:
        tx.execute(sa.update(job_commands).where(unread).values(done))
        append_event(tx, job_id, "command")


def append_event(
    tx: Session, job: Claim | int, kind: str, step: int | None = None, iteration: int | None = None
) -> int:
    """Say that something became true; returns the event's number in its job. With a claim the fence is checked."""
    # One statement instead of five: a search records an event every few dozen milliseconds.
    if isinstance(job, Claim):
        numbered = tx.execute(_NUMBERED_AS_HELD, {"job": job.job_id, "try": job.attempt, "by": job.owner}).first()
    else:
        numbered = tx.execute(_NUMBERED, {"job": job}).first()
    if numbered is None:
        raise _stale(job) if isinstance(job, Claim) else StorageError(f"there is no job {job}")
    job_id, seq, record_id = numbered
    row = {"job_id": job_id, "seq": seq, "kind": kind, "step": step, "iteration": iteration, "created_at": time.time()}
    tx.execute(sa.insert(job_events), row)
    advance(tx, record_id)
    return int(seq)


def events_after(tx: Session, job_id: int, seq: int) -> list[JobEvent]:
    """A job's events with a number above `seq`, oldest first."""
    rows = tx.execute(
        sa.select(*(job_events.c[name] for name in JobEvent.__dataclass_fields__))
        .where(job_events.c.job_id == job_id, job_events.c.seq > seq)
        .order_by(job_events.c.seq)
    )
    return [JobEvent(**row._mapping) for row in rows]


def history(tx: Session, record_id: str) -> list[JobEvent]:
    """The events of every job of a record's own, oldest first: a later try goes on where the earlier ones came to."""
    columns = (job_events.c[name] for name in JobEvent.__dataclass_fields__)
    own = (jobs.c.record_id == checked_id(record_id), jobs.c.kind.in_(OWN))
    rows = tx.execute(sa.select(*columns).join(jobs).where(*own).order_by(job_events.c.job_id, job_events.c.seq))
    return [JobEvent(**row._mapping) for row in rows]


def units_done(tx: Session, job: sa.Row) -> float:
    """How much of a job is stored already: candidates of a roll-out, epochs of a fine-tune, else velocity evaluations
    of the record."""
    if job.kind == FINISH:
        return float(len(job.payload["candidates"]) - len(unfinished(tx, job.record_id, job.payload)))
    if job.kind == TRAIN:
        return float(epochs_done(tx, [job.record_id]).get(job.record_id, 0))
    spent = spent_by(tx, [job.record_id])
    return float(spent[job.record_id].nfe) if spent else 0.0


def latest_job(tx: Session, record_id: str) -> int | None:
    """The id of the newest job of a record's own; roll-outs beside it do not count."""
    own = (jobs.c.record_id == checked_id(record_id), jobs.c.kind.in_(OWN))
    return tx.scalar(sa.select(sa.func.max(jobs.c.id)).where(*own))


def line() -> tuple[sa.ColumnElement[Any], ...]:
    """The order in which jobs are taken."""
    return (sa.case((jobs.c.kind == FINISH, 0), else_=1), jobs.c.rank, jobs.c.id)


@cache
def _waiting(beside: bool) -> sa.Select:
    """One job that nobody works on, of the parameters `lane`, `now` and, only roll-outs `beside`, `model`."""
    free = _free(sa.bindparam("now", type_=sa.Double()))
    only = _beside(sa.bindparam("model", type_=sa.String())) if beside else ()
    return sa.select(jobs.c.id).where(jobs.c.lane == sa.bindparam("lane"), free, *only).limit(1)


def _beside(model: str | sa.BindParameter[str]) -> tuple[sa.ColumnElement[bool], ...]:
    """Roll-outs on that model."""
    return (jobs.c.kind == FINISH, jobs.c.record_id.in_(sa.select(records.c.id).where(records.c.model == model)))


def _free(now: float | sa.BindParameter[float]) -> sa.ColumnElement[bool]:
    """Nobody works on it, or whoever did has been silent for a whole lease."""
    lost = sa.and_(jobs.c.status == "running", jobs.c.lease_expires_at < now)
    return sa.or_(jobs.c.status == "pending", lost)


def _held(held: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        jobs.c.id == held.job_id,
        jobs.c.attempt == held.attempt,
        jobs.c.lease_owner == held.owner,
        jobs.c.status == "running",
    )


def _stale(held: Claim) -> StaleClaim:
    return StaleClaim(f"attempt {held.attempt} at job {held.job_id} is no longer the one that counts")


def _job(tx: Session, job_id: int) -> sa.Row:
    found = tx.execute(sa.select(jobs).where(jobs.c.id == job_id)).first()
    if found is None:
        raise StorageError(f"there is no job {job_id}")
    return found


def _next(tx: Session, job_id: int, counter: sa.Column) -> int:
    """Raise one of a job's counters; its row is locked until the transaction ends, so numbers appear in order."""
    raised = tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values({counter: counter + 1}))
    if raised.rowcount != 1:  # type: ignore[attr-defined]
        raise StorageError(f"there is no job {job_id}")
    return int(tx.scalar(sa.select(counter).where(jobs.c.id == job_id)) or 0)


def _leave(tx: Session, job_id: int, status: str, error: str | None) -> None:
    """Take the job out of any worker's hands."""
    error = None if error is None else clean(error)
    free = {"status": status, "error": error, "lease_owner": None, "lease_expires_at": None}
    tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values(free))
    _show_status(tx, _job(tx, job_id), status, error)


def _end(tx: Session, job_id: int, status: str, error: str | None) -> None:
    for unread in pending_commands(tx, job_id):
        followed = unread.kind == "cancel" and status == "cancelled"
        consume(tx, unread.id, None if followed else f"the job ended ({status}) before this was read")
    tx.execute(sa.update(jobs).where(jobs.c.id == job_id).values(ended_at=time.time()))
    _leave(tx, job_id, status, error)


def _show_status(tx: Session, job: sa.Row, status: str, error: str | None) -> None:
    """A record's state is the status of the newest job of its own: change them together."""
    if job.kind in OWN:
        tx.execute(sa.update(records).where(records.c.id == job.record_id).values(state=status, error=error))
    if job.kind == SWEEP:
        leave_runs(tx, job.record_id, status)
    append_event(tx, job.id, "status")
    advance_waiting(tx, job.lane)
