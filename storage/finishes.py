"""Rolling candidates out: where they leave their session, which of them are done, and which may still be asked for.

Every function works in the transaction `tx` it is given.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.events import INITIAL, IterationState
from storage.jobs import FINAL, FINISH
from storage.tables import finishes, jobs, records, sessions, steps
from storage.views import iteration_states, session_row


@dataclass(frozen=True)
class StoredBranch:
    """A scored round, with the name of a file for the latents before its step: see `core.events.Branch`."""

    latents: str | None
    earlier: tuple[IterationState, ...]
    num_candidates: int


def lock_record(tx: Session, record_id: str) -> sa.Row:
    """A record's row, locked until the transaction ends: two callers cannot both find a candidate that nobody wants."""
    session_row(tx, record_id)
    return tx.execute(sa.select(records).where(records.c.id == record_id).with_for_update()).one()


def stored_branch(tx: Session, record_id: str, step: int, iteration: int) -> StoredBranch | None:
    """What is stored of a round; None where the session has not scored it."""
    rounds = iteration_states(tx, record_id, step)
    if not 0 <= iteration < len(rounds):
        return None
    count = len(rounds[iteration].total)
    return StoredBranch(_latents_before(tx, record_id, step), rounds[:iteration], count)


def _latents_before(tx: Session, record_id: str, step: int) -> str | None:
    """The committed latents that a step starts from: x_1 (the searched one where it was) at step 0, None at INITIAL."""
    if step == INITIAL:
        return None
    name = tx.scalar(sa.select(steps.c.latents).where(steps.c.record_id == record_id, steps.c.step == step - 1))
    if name is None and step == 0:
        return tx.scalar(sa.select(sessions.c.latents).where(sessions.c.record_id == record_id))
    return name


def finished_candidates(tx: Session, record_id: str, step: int, iteration: int) -> set[int]:
    """The candidates of a round whose final pictures are stored."""
    of_it = (finishes.c.record_id == record_id, finishes.c.step == step, finishes.c.iteration == iteration)
    return set(tx.scalars(sa.select(finishes.c.candidate).where(*of_it)))


def queued_candidates(tx: Session, record_id: str, step: int, iteration: int) -> set[int]:
    """The candidates of a round that a job which has not ended will roll out."""
    live = (jobs.c.record_id == record_id, jobs.c.kind == FINISH, jobs.c.status.not_in(FINAL))
    payloads: Iterable[dict] = tx.scalars(sa.select(jobs.c.payload).where(*live))
    same = [one for one in payloads if (one["step"], one["iteration"]) == (step, iteration)]
    return {candidate for one in same for candidate in one["candidates"]}
