"""The tables of fine-tunes: see `storage.tables`, which has them too."""

from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, String, Table, Text

from storage.columns import ARTIFACT, RECORD_ID, costs, counter, metadata

# A fine-tune: what its trainer said at the start, what it ran on, and what it cost once it has ended.
runs = Table(
    "runs",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("num_epochs", Integer, nullable=False),
    Column("started", JSON, nullable=False),  # empty before it has
    Column("environment", JSON, nullable=False),
    Column("diagnosis", JSON, nullable=False),  # sentences
    Column("output", Text, nullable=False, default=""),  # its end
    Column("finished_at", Double),
    *costs(),  # of the whole run, once it has finished
)


def _run_key() -> list[Column]:
    return [
        Column("record_id", RECORD_ID, ForeignKey("runs.record_id", ondelete="CASCADE"), primary_key=True),
        Column("epoch", Integer, primary_key=True, autoincrement=False),
    ]


epochs = Table(
    "epochs",
    metadata,
    *_run_key(),
    Column("metrics", JSON, nullable=False),
    Column("per_step", JSON, nullable=False),
    Column("phases", JSON, nullable=False),  # seconds by phase
    *costs(),  # since the run began
    counter(),
)

# The same prompts from the same noise, again and again.
samples = Table(
    "samples",
    metadata,
    *_run_key(),
    Column("ema", Boolean, primary_key=True),
    Column("sheet", ARTIFACT, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("cell", Integer, nullable=False),
    Column("rewards", JSON, nullable=False),
    counter(),
)

# A checkpoint is a folder (see `storage.checkpoints`); its row is written last.
checkpoints = Table(
    "checkpoints",
    metadata,
    *_run_key(),
    Column("folder", String(80), nullable=False),
    Column("files", JSON, nullable=False),  # by name: sha256 and bytes
    Column("kept", Boolean, nullable=False, default=False),  # asked for by a person: never removed for a later one
    counter(),
)

# A search that the run made for itself, kept as a session of its own.
watched = Table(
    "watched",
    metadata,
    *_run_key(),
    Column("session_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    counter(),
    Index(None, "session_id"),
)

# The trained model against its base, with and without a search; `result` is NULL until its job has ended well.
trials = Table(
    "trials",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("runs.record_id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("asked", JSON, nullable=False),
    Column("result", JSON),
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="SET NULL")),
    counter(),
    Index(None, "job_id"),
)
