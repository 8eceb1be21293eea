"""Tags; the names of each record's rewards, to filter and count by; records found by the hash of their config."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table, a column and indexes, then read the rewards off the configs that are there."""
    op.create_table(
        "tags",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("tag", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_tags_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "tag", name="pk_tags"),
    )
    op.create_index("ix_tags_tag", "tags", ["tag"], unique=False)
    op.add_column("records", sa.Column("rewards", sa.Text(), server_default="[]", nullable=False))
    op.create_index("ix_records_config_hash", "records", ["config_hash"], unique=False)
    connection = op.get_bind()
    for record_id in connection.scalars(sa.select(_records.c.id)).all():  # one at a time: configs may be long
        config = connection.scalar(sa.select(_records.c.config).where(_records.c.id == record_id))
        values = {"rewards": _names(config or {})}
        connection.execute(sa.update(_records).where(_records.c.id == record_id).values(values))


def _names(config: dict[str, Any]) -> str:
    rewards = config.get("rewards") or (config.get("base") or {}).get("rewards") or {}
    return json.dumps(sorted(rewards), separators=(",", ":"))


_records = sa.table("records", sa.column("id"), sa.column("config", sa.JSON), sa.column("rewards"))
