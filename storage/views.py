"""Reading a stored session: the page's JSON, and the state from which it goes on."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from core.config import ExploreConfig, from_dict, to_dict
from core.errors import NotFound
from core.events import INITIAL, Cost, IterationState
from storage.progress import COSTS, arms_cost, search_cost, unfinished
from storage.queue import finishing, job_view
from storage.rows import arm_rows, finish_rows, iteration_rows, rewards_by, rows_of, step_rows
from storage.tables import arms, candidates, iterations, records, sessions, step_rewards, steps
from storage.values import arm_order, checked_id, iso, missing, nan_for_none, weighted

DETAILED = 4_000


@dataclass(frozen=True)
class StoredState:
    """Where a session stands, with names of files for arrays: see `core.events.ExploreState`.

    `latents` names x_1 before any search of it, None before the session has started; `initial` the one that a search
    of it chose.
    """

    committed: tuple[str, ...] = ()
    iterations: tuple[IterationState, ...] = ()
    arms: tuple[str, ...] = ()
    cost: Cost = Cost()
    trail: tuple[float, ...] = ()
    arms_cost: Cost = Cost()
    latents: str | None = None
    finished: bool = False
    initial: str | None = None


def stored_state(tx: Session, record_id: str) -> StoredState:
    """Read where a session stands."""
    config = from_dict(session_row(tx, record_id).config)
    session = tx.execute(sa.select(sessions).where(sessions.c.record_id == record_id)).one()
    rows = rows_of(tx, steps, record_id)
    initial = next((row.latents for row in rows if row.step == INITIAL), None)
    taken = [row for index, row in enumerate(row for row in rows if row.step != INITIAL) if row.step == index]
    searching = config.searches_initial and initial is None
    rewards = rewards_by(tx, step_rewards, record_id, config)
    trail = nan_for_none(weighted(config.rewards, rewards.get((row.step,), {})) for row in taken)
    done = tx.scalars(sa.select(arms.c.arm).where(arms.c.record_id == record_id))
    return StoredState(
        committed=tuple(row.latents for row in taken),
        iterations=iteration_states(tx, record_id, INITIAL if searching else len(taken)),
        arms=tuple(arm_order(config, done)),
        cost=search_cost(tx, record_id),
        trail=trail,
        arms_cost=arms_cost(tx, record_id),
        latents=session.latents,
        finished=session.finished_at is not None,
        initial=initial,
    )


def view(tx: Session, record_id: str, after: int | None = None, only: Collection[int] | None = None) -> dict[str, Any]:
    """A session as its page shows it: plain JSON values, None for numbers that are not finite, names for pictures.

    With `after`, a value of `seq` that the page has, `partial` is True and the lists of steps, iterations, arms and
    finishes hold only what was written since; a number that the record never had gives the whole view. A session of
    more than `DETAILED` planned candidates has their numbers only at its newest searched step, see `detail`; with
    `only` they are there at these steps and no others.
    """
    record = session_row(tx, record_id)
    config = from_dict(record.config)
    session = tx.execute(sa.select(sessions).where(sessions.c.record_id == record_id)).one()
    partial = after is not None and 0 <= after <= record.seq
    since = after if partial else None
    listed = ("id", "name", "kind", "prompt", "preset", "model", "state", "error", "star", "note", "locked", "parent")
    shown = {name: getattr(record, name) for name in listed}
    shown |= {"deleted": record.deleted_at is not None, "created": iso(record.created_at)}
    shown |= {"config": to_dict(config)}  # with what a session of an older version did not know
    shown |= {name: getattr(session, name) or [] for name in ("sigmas", "searched", "step_std", "excess_std")}
    detail = detailed_steps(tx, record_id, config, session.searched or []) if only is None else sorted(only)
    spent = session if session.finished_at is not None else search_cost(tx, record_id) + arms_cost(tx, record_id)
    return shown | {
        "partial": partial,
        "detail": detail,
        "steps": step_rows(tx, record_id, config, since),
        "iterations": iteration_rows(tx, record_id, config, detail, after=since),
        "arms": arm_rows(tx, record_id, config, since),
        "finishes": finish_rows(tx, record_id, config, since),
        **_finishing(tx, record_id),
        "cost": {name: getattr(spent, name) for name in COSTS},
        "job": job_view(tx, record_id),
        "seq": record.seq,
    }


def detailed_steps(tx: Session, record_id: str, config: ExploreConfig, searched: Sequence[bool]) -> list[int]:
    """The steps whose candidates a view shows one by one: decided by what is planned, so that it never turns round."""
    search = config.search
    places = sum(searched) + config.searches_initial
    of_it = iterations.c.record_id == record_id
    if places * search.num_candidates * search.num_iterations <= DETAILED:
        return list(tx.scalars(sa.select(iterations.c.step).where(of_it).distinct().order_by(iterations.c.step)))
    newest = tx.scalar(sa.select(sa.func.max(iterations.c.step)).where(of_it))
    return [] if newest is None else [newest]


def step_view(tx: Session, record_id: str, step: int) -> list[dict[str, Any]]:
    """All iterations of one step with all their candidates' numbers. NotFound where the step was not searched."""
    config = from_dict(session_row(tx, record_id).config)
    rows = iteration_rows(tx, record_id, config, (step,), iterations.c.step == step)
    if not rows:
        where = "the starting noise" if step == INITIAL else f"step {step + 1}"
        raise NotFound(f"session {record_id} has no candidates at {where}")
    return rows


def first_means(tx: Session, record_id: str, searched: Iterable[int]) -> dict[int, float | None]:
    """The mean total of each of these steps' first iteration, which the later ones are compared with."""
    first = (iterations.c.record_id == record_id, iterations.c.iteration == 0, iterations.c.step.in_(set(searched)))
    return dict(tx.execute(sa.select(iterations.c.step, iterations.c.total_mean).where(*first)).tuples().all())


def rounds(tx: Session, record_id: str, searched: Iterable[int]) -> dict[int, list[dict[str, Any]]]:
    """Every iteration of these steps, by step, without their candidates' numbers."""
    config = from_dict(session_row(tx, record_id).config)
    found: dict[int, list[dict[str, Any]]] = {}
    for row in iteration_rows(tx, record_id, config, (), iterations.c.step.in_(set(searched))):
        found.setdefault(row["step"], []).append(row)
    return found


def _finishing(tx: Session, record_id: str) -> dict[str, Any]:
    """What is still being rolled out, and why the latest roll-out failed where it did."""
    payloads, error = finishing(tx, record_id)
    waiting = [(payload, unfinished(tx, record_id, payload)) for payload in payloads]
    return {
        "finishing": [
            {"step": payload["step"], "iteration": payload["iteration"], "candidates": left}
            for payload, left in waiting
            if left
        ],
        "finish_error": error,
    }


def record_row(tx: Session, record_id: str) -> sa.Row:
    """A record's row; StorageError when there is none. The id may come from anywhere."""
    found = tx.execute(sa.select(records).where(records.c.id == checked_id(record_id), ~records.c.erased)).first()
    if found is None:
        raise missing(record_id)
    return found


def session_row(tx: Session, record_id: str) -> sa.Row:
    """The row of a record that is a session; NotFound for any other."""
    row = record_row(tx, record_id)
    if row.kind != "session":
        raise missing(record_id)
    return row


def iteration_states(tx: Session, record_id: str, step: int) -> tuple[IterationState, ...]:
    """The scored iterations of a step, without those behind one that is missing."""
    query = sa.select(candidates.c.iteration, candidates.c.total).where(
        candidates.c.record_id == record_id, candidates.c.step == step
    )
    rows = tx.execute(query.order_by(candidates.c.iteration, candidates.c.candidate))
    totals = {key: [row.total for row in group] for key, group in groupby(rows, key=lambda row: row.iteration)}
    scored = rows_of(tx, iterations, record_id, iterations.c.step == step)
    return tuple(
        IterationState(elites=tuple(row.elites), total=nan_for_none(totals[row.iteration]))
        for index, row in enumerate(scored)
        if row.iteration == index
    )
