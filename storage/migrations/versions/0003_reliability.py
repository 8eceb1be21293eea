"""Reliability measurements: their schedules, and the siblings of every row and step."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two new tables; nothing that is there changes."""
    op.create_table(
        "reliability",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("sigmas", sa.JSON(), nullable=True),
        sa.Column("step_std", sa.JSON(), nullable=True),
        sa.Column("excess_std", sa.JSON(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        *_cost(),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_reliability_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", name="pk_reliability"),
    )
    op.create_table(
        "siblings",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("row", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("sigma", sa.Double(), nullable=False),
        sa.Column("sigma_next", sa.Double(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("guesses", sa.String(length=80), nullable=False),
        sa.Column("finals", sa.String(length=80), nullable=False),
        *_cost(),
        sa.Column("seq", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["reliability.record_id"], name="fk_siblings_record_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("record_id", "row", "step", name="pk_siblings"),
    )


def _cost() -> list[sa.Column]:
    return [
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
    ]
