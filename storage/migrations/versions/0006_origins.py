"""What records were made on, and checks that repeat them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """New tables; nothing that is there changes."""
    op.create_table(
        "origins",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("environments", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_origins_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", name="pk_origins"),
    )
    op.create_table(
        "replays",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("seq", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_replays_record_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_replays_job_id", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("record_id", "number", name="pk_replays"),
    )
    op.create_index("ix_replays_job_id", "replays", ["job_id"], unique=False)
