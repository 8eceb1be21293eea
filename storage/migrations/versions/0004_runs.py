"""Fine-tunes: their epochs, samples, checkpoints, watched searches, and trials of what came out."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New tables; nothing that is there changes."""
    op.create_table(
        "runs",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("num_epochs", sa.Integer(), nullable=False),
        sa.Column("started", sa.JSON(), nullable=False),
        sa.Column("environment", sa.JSON(), nullable=False),
        sa.Column("diagnosis", sa.JSON(), nullable=False),
        sa.Column("output", sa.Text(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        *_cost(),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_runs_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", name="pk_runs"),
    )
    _of_run(
        "epochs",
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("per_step", sa.JSON(), nullable=False),
        sa.Column("phases", sa.JSON(), nullable=False),
        *_cost(),
        key=("epoch",),
    )
    _of_run(
        "samples",
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("ema", sa.Boolean(), nullable=False),
        sa.Column("sheet", sa.String(length=80), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("cell", sa.Integer(), nullable=False),
        sa.Column("rewards", sa.JSON(), nullable=False),
        key=("epoch", "ema"),
    )
    _of_run(
        "checkpoints",
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("folder", sa.String(length=80), nullable=False),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("kept", sa.Boolean(), nullable=False),
        key=("epoch",),
    )
    _of_run(
        "watched",
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("session_id", sa.String(length=24), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["records.id"], name="fk_watched_session_id", ondelete="CASCADE"),
        key=("epoch",),
    )
    op.create_index("ix_watched_session_id", "watched", ["session_id"])
    _of_run(
        "trials",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("asked", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_trials_job_id", ondelete="SET NULL"),
        key=("number",),
    )
    op.create_index("ix_trials_job_id", "trials", ["job_id"])


def _of_run(table: str, *columns: sa.schema.SchemaItem, key: tuple[str, ...]) -> None:
    """A table under `runs`, with the record's counter in each row."""
    op.create_table(
        table,
        sa.Column("record_id", sa.String(length=24), nullable=False),
        *columns,
        sa.Column("seq", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["runs.record_id"], name=f"fk_{table}_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", *key, name=f"pk_{table}"),
    )


def _cost() -> list[sa.Column]:
    return [
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
    ]
