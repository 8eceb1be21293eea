"""What the tables share: their metadata, and columns that several of them have."""

from sqlalchemy import Column, Double, Integer, MetaData, String

# Names for every constraint: a migration can only change what it can name.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

ARTIFACT = String(80)
RECORD_ID = String(24)


def costs() -> list[Column]:
    """What was spent: sample-forwards, decodes, reward calls, seconds."""
    return [
        Column("nfe", Integer, nullable=False, default=0),
        Column("decodes", Integer, nullable=False, default=0),
        Column("reward_calls", Integer, nullable=False, default=0),
        Column("seconds", Double, nullable=False, default=0.0),
    ]


def counter() -> Column:
    """The record's counter when the row was last written: what is newer than a page's cursor has a higher one."""
    return Column("seq", Integer, nullable=False, default=0, server_default="0")
