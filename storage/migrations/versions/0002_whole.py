"""Summaries of iterations, a counter a record, an order of the queue, finished candidates, and facts about the lab."""

import math
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RECORDED = "Recorded with the lab"  # the name under which the recorded session has always been imported


def upgrade() -> None:
    """Add the columns and tables, then fill in what can be told of what is there."""
    for column in (
        sa.Column("reward", sa.Double(), nullable=True),
        sa.Column("erased", sa.Boolean(), server_default=sa.false(), nullable=False),
        _seq(),
    ):
        op.add_column("records", column)
    for column in (
        sa.Column("rank", sa.Double(), server_default="0", nullable=False),
        sa.Column("claimed_at", sa.Double(), nullable=True),
        sa.Column("claimed_units", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
    ):
        op.add_column("jobs", column)
    for column in (
        sa.Column("num_candidates", sa.Integer(), server_default="0", nullable=False),
        sa.Column("num_finite", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total_best", sa.Double(), nullable=True),
        sa.Column("total_mean", sa.Double(), nullable=True),
        sa.Column("total_threshold", sa.Double(), nullable=True),
        _seq(),
    ):
        op.add_column("iterations", column)
    op.create_index("ix_iterations_record_id_seq", "iterations", ["record_id", "seq"], unique=False)
    op.add_column("steps", _seq())
    op.add_column("arms", _seq())
    _new_tables()
    connection = op.get_bind()
    connection.execute(sa.update(_jobs).values(rank=_jobs.c.id))
    _fill_ends(connection)
    _fill_counters(connection)
    _fill_rewards(connection)
    _fill_summaries(connection)
    _mark_recorded(connection)


def _seq() -> sa.Column:
    return sa.Column("seq", sa.Integer(), server_default="0", nullable=False)


def _new_tables() -> None:
    op.create_table(
        "marks",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_marks"),
    )
    op.create_table(
        "finishes",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iteration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("candidate", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image", sa.String(length=80), nullable=False),
        sa.Column("total", sa.Double(), nullable=True),
        sa.Column("finite", sa.Boolean(), nullable=False),
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        _seq(),
        sa.ForeignKeyConstraint(
            ["record_id"], ["sessions.record_id"], name="fk_finishes_record_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("record_id", "step", "iteration", "candidate", name="pk_finishes"),
    )
    op.create_index("ix_finishes_record_id_seq", "finishes", ["record_id", "seq"], unique=False)
    op.create_table(
        "finish_rewards",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iteration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("candidate", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("finite", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id", "step", "iteration", "candidate"],
            ["finishes.record_id", "finishes.step", "finishes.iteration", "finishes.candidate"],
            name="fk_finish_rewards_record_id_step_iteration_candidate",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "step", "iteration", "candidate", "name", name="pk_finish_rewards"),
    )


_records = sa.table(
    "records",
    *(sa.column(name) for name in ("id", "name", "created_at", "seq", "reward")),
    sa.column("headline", sa.JSON),
)
_jobs = sa.table("jobs", *(sa.column(name) for name in ("id", "record_id", "status", "last_event", "rank", "ended_at")))
_events = sa.table("job_events", sa.column("job_id"), sa.column("created_at"))
_candidates = sa.table(
    "candidates", *(sa.column(name) for name in ("record_id", "step", "iteration", "candidate", "total"))
)
_iterations = sa.table(
    "iterations",
    *(sa.column(name) for name in ("record_id", "step", "iteration", "num_candidates", "num_finite", "seq")),
    *(sa.column(name) for name in ("total_best", "total_mean", "total_threshold")),
    sa.column("elites", sa.JSON),
)


def _fill_ends(connection: sa.Connection) -> None:
    """A job's last event is the one that said it has ended."""
    last = sa.select(sa.func.max(_events.c.created_at)).where(_events.c.job_id == _jobs.c.id).scalar_subquery()
    ended = _jobs.c.status.in_(("succeeded", "failed", "cancelled"))
    connection.execute(sa.update(_jobs).where(ended).values(ended_at=last))


def _fill_counters(connection: sa.Connection) -> None:
    """A page that was open before the upgrade knows an event of one job; no record's counter may be below it."""
    events = sa.select(_jobs.c.record_id, sa.func.sum(_jobs.c.last_event).label("events")).group_by(_jobs.c.record_id)
    for record_id, number in connection.execute(events).all():
        connection.execute(sa.update(_records).where(_records.c.id == record_id).values(seq=int(number)))
        for name in ("iterations", "steps", "arms"):
            table = sa.table(name, sa.column("record_id"), sa.column("seq"))
            connection.execute(sa.update(table).where(table.c.record_id == record_id).values(seq=int(number)))


def _fill_rewards(connection: sa.Connection) -> None:
    for record_id, headline in connection.execute(sa.select(_records.c.id, _records.c.headline)).all():
        reward = (headline or {}).get("search")
        if reward is not None:
            connection.execute(sa.update(_records).where(_records.c.id == record_id).values(reward=reward))


def _fill_summaries(connection: sa.Connection) -> None:
    """An iteration at a time: all candidates of all sessions need not fit into memory."""
    columns = (_iterations.c.record_id, _iterations.c.step, _iterations.c.iteration, _iterations.c.elites)
    for record_id, step, iteration, elites in connection.execute(sa.select(*columns)).all():
        place = {"record_id": record_id, "step": step, "iteration": iteration}
        of_it = [_candidates.c[name] == value for name, value in place.items()]
        found = sa.select(_candidates.c.candidate, _candidates.c.total).where(*of_it)
        row = _summary(dict(connection.execute(found).tuples().all()), elites)
        here = [_iterations.c[name] == value for name, value in place.items()]
        connection.execute(sa.update(_iterations).where(*here).values(row))


def _summary(totals: dict[int, float | None], elites: list[int]) -> dict[str, Any]:
    finite = [value for value in totals.values() if value is not None]
    kept = [value for index in elites if (value := totals.get(index)) is not None]
    return {
        "num_candidates": len(totals),
        "num_finite": len(finite),
        "total_best": max(finite, default=None),
        "total_mean": _mean(finite),
        "total_threshold": min(kept, default=None),
    }


def _mean(values: list[float]) -> float | None:
    if not values or min(values) == max(values):
        return values[0] if values else None
    return math.fsum(values) / len(values)


def _mark_recorded(connection: sa.Connection) -> None:
    """So far the recorded session was known by its name; it can be renamed now."""
    alone = _records.c.id.not_in(sa.select(_jobs.c.record_id))
    named = sa.select(_records.c.id).where(_records.c.name == RECORDED, alone).order_by(_records.c.created_at)
    found = connection.scalar(named.limit(1))
    if found is not None:
        marks = sa.table("marks", sa.column("name"), sa.column("value"))
        connection.execute(sa.insert(marks).values(name="recorded", value=found))
