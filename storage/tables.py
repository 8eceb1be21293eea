"""The tables, for SQLite and PostgreSQL alike.

Times are seconds since 1970 (UTC) as doubles: both databases keep them exactly and compare them alike. A reward that is
NaN or infinite is kept as NULL beside `finite = false`, so that "scored, but not a number" is told from "not scored".
Files are named by their content (see `storage.artifacts`); the columns hold those names.
"""

from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

import storage.run_tables  # noqa: F401 - with these the schema is whole
from storage.columns import ARTIFACT, RECORD_ID, costs, counter, metadata
from storage.values import dumps


def _session_key() -> Column:
    return Column("record_id", RECORD_ID, ForeignKey("sessions.record_id", ondelete="CASCADE"), primary_key=True)


def _reward() -> list[Column]:
    return [
        Column("name", String(200), primary_key=True),
        Column("value", Double),
        Column("finite", Boolean, nullable=False),
    ]


def _reward_names(context: Any) -> str:
    """The names of the rewards in the config that is being inserted, sorted, as a JSON list."""
    config = context.get_current_parameters()["config"]
    return dumps(sorted(config.get("rewards") or config.get("base", {}).get("rewards") or {}))


# Everything a person can open, whatever its kind.
records = Table(
    "records",
    metadata,
    Column("id", RECORD_ID, primary_key=True),
    Column("kind", String(20), nullable=False),
    Column("name", Text),
    Column("prompt", Text, nullable=False),
    Column("preset", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("error", Text),
    Column("headline", JSON, nullable=False),
    Column("parent", RECORD_ID, ForeignKey("records.id", ondelete="SET NULL")),
    Column("star", Boolean, nullable=False, default=False),
    Column("note", Text, nullable=False, default=""),
    Column("locked", Boolean, nullable=False, default=False),
    Column("deleted_at", Double),
    Column("created_at", Double, nullable=False),
    Column("config", JSON, nullable=False),
    Column("config_hash", String(64), nullable=False),
    Column("picture", ARTIFACT),
    Column("reward", Double),  # the headline of the search's own arm, to sort by
    Column("erased", Boolean, nullable=False, default=False, server_default=false()),  # gone for good; rows go in turns
    counter(),  # raised by whatever a page would show: see storage.counter
    # Of the config; as text, for every database can compare, group and search that.
    Column("rewards", Text, nullable=False, default=_reward_names, server_default="[]"),
    Index(None, "created_at", "id"),
    Index(None, "parent"),
    Index(None, "config_hash"),
)

tags = Table(
    "tags",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", String(40), primary_key=True, index=True),
)

# The machine and the versions that worked on a record, one after another where they changed.
origins = Table(
    "origins",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("environments", JSON, nullable=False),
)

# Checks that compute a record once more; `result` is NULL until one has ended well.
replays = Table(
    "replays",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("result", JSON),
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="SET NULL")),
    counter(),
    Index(None, "job_id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("sigmas", JSON),
    Column("searched", JSON),
    Column("step_std", JSON),
    Column("excess_std", JSON),
    Column("latent_shape", JSON),
    Column("latents", ARTIFACT),  # x_1; NULL until the session has started
    Column("finished_at", Double),
    *costs(),  # of the whole session, once it has finished
)

steps = Table(
    "steps",
    metadata,
    _session_key(),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("latents", ARTIFACT, nullable=False),
    Column("image", ARTIFACT, nullable=False),
    Column("noise_norm", Double),
    Column("log_prob", Double),
    *costs(),  # since the session began
    counter(),
)

step_rewards = Table(
    "step_rewards",
    metadata,
    Column("record_id", RECORD_ID, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    *_reward(),
    ForeignKeyConstraint(["record_id", "step"], ["steps.record_id", "steps.step"], ondelete="CASCADE"),
)

iterations = Table(
    "iterations",
    metadata,
    _session_key(),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("sheet", ARTIFACT),  # only older rows have one: the board shows the candidates themselves
    Column("elites", JSON, nullable=False),
    Column("mean_norm", Double),
    Column("std_quantiles", JSON, nullable=False),
    Column("cosine", Double),
    Column("over_noise", Double),
    Column("batch_size", Integer, nullable=False),
    *costs(),  # since the session began
    # What its candidates came to, so that nobody has to read them all to say it.
    Column("num_candidates", Integer, nullable=False, default=0, server_default="0"),
    Column("num_finite", Integer, nullable=False, default=0, server_default="0"),
    Column("total_best", Double),
    Column("total_mean", Double),  # of the finite totals
    Column("total_threshold", Double),  # the lowest total among its elites
    counter(),
    Index(None, "record_id", "seq"),
)

candidates = Table(
    "candidates",
    metadata,
    Column("record_id", RECORD_ID, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("candidate", Integer, primary_key=True, autoincrement=False),
    Column("image", ARTIFACT, nullable=False),
    Column("total", Double),
    Column("finite", Boolean, nullable=False),
    Column("norm", Double),
    Column("kurtosis", Double),
    ForeignKeyConstraint(
        ["record_id", "step", "iteration"],
        ["iterations.record_id", "iterations.step", "iterations.iteration"],
        ondelete="CASCADE",
    ),
)

candidate_rewards = Table(
    "candidate_rewards",
    metadata,
    Column("record_id", RECORD_ID, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("candidate", Integer, primary_key=True, autoincrement=False),
    *_reward(),
    ForeignKeyConstraint(
        ["record_id", "step", "iteration", "candidate"],
        ["candidates.record_id", "candidates.step", "candidates.iteration", "candidates.candidate"],
        ondelete="CASCADE",
    ),
)

arms = Table(
    "arms",
    metadata,
    _session_key(),
    Column("arm", String(40), primary_key=True),
    Column("image", ARTIFACT, nullable=False),
    Column("latents", ARTIFACT, nullable=False),
    Column("trajectories", Integer, nullable=False),
    Column("trail", JSON, nullable=False),
    *costs(),  # the arm's own
    counter(),
)

arm_rewards = Table(
    "arm_rewards",
    metadata,
    Column("record_id", RECORD_ID, primary_key=True),
    Column("arm", String(40), primary_key=True),
    *_reward(),
    ForeignKeyConstraint(["record_id", "arm"], ["arms.record_id", "arms.arm"], ondelete="CASCADE"),
)

# A candidate rolled out to its true final picture. It hangs from the session, not from the candidate: an iteration that
# a resumed run records again is the same iteration.
finishes = Table(
    "finishes",
    metadata,
    _session_key(),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("candidate", Integer, primary_key=True, autoincrement=False),
    Column("image", ARTIFACT, nullable=False),
    Column("total", Double),
    Column("finite", Boolean, nullable=False),
    *costs(),  # of this roll-out alone
    counter(),
    Index(None, "record_id", "seq"),
)

finish_rewards = Table(
    "finish_rewards",
    metadata,
    Column("record_id", RECORD_ID, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("iteration", Integer, primary_key=True, autoincrement=False),
    Column("candidate", Integer, primary_key=True, autoincrement=False),
    *_reward(),
    ForeignKeyConstraint(
        ["record_id", "step", "iteration", "candidate"],
        ["finishes.record_id", "finishes.step", "finishes.iteration", "finishes.candidate"],
        ondelete="CASCADE",
    ),
)

# A measurement's schedule, and what it cost once it has ended; its settings are the record's.
reliability = Table(
    "reliability",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), primary_key=True),
    Column("sigmas", JSON),
    Column("step_std", JSON),
    Column("excess_std", JSON),
    Column("finished_at", Double),
    *costs(),  # of the whole measurement, once it has finished
)

# One step of one row (a prompt and a seed). `data` holds the numbers of all siblings: they are only ever read together.
siblings = Table(
    "siblings",
    metadata,
    Column("record_id", RECORD_ID, ForeignKey("reliability.record_id", ondelete="CASCADE"), primary_key=True),
    Column("row", Integer, primary_key=True, autoincrement=False),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("prompt", Text, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("sigma", Double, nullable=False),
    Column("sigma_next", Double, nullable=False),
    Column("data", JSON, nullable=False),
    Column("guesses", ARTIFACT, nullable=False),
    Column("finals", ARTIFACT, nullable=False),
    *costs(),  # its own
    counter(),
)

# Facts about the whole lab, such as which record is the recorded session that a fresh lab opens with.
marks = Table(
    "marks",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("record_id", RECORD_ID, ForeignKey("records.id", ondelete="CASCADE"), nullable=False),
    Column("lane", String(20), nullable=False),
    Column("status", String(20), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("lease_owner", String(200)),
    Column("lease_expires_at", Double),
    Column("attempt", Integer, nullable=False, default=0),  # the fencing token
    Column("lost", Integer, nullable=False, default=0),  # leases that ran out since the last event
    Column("checkpoint", Text),
    Column("error", Text),
    Column("created_at", Double, nullable=False),
    Column("last_event", Integer, nullable=False, default=0),
    Column("last_command", Integer, nullable=False, default=0),
    Column("rank", Double, nullable=False, default=0.0, server_default="0"),  # the queue's order
    Column("claimed_at", Double),  # when the present or latest attempt began
    Column("claimed_units", Double),  # what was done of it then: see storage.progress
    Column("ended_at", Double),
    Index(None, "lane", "status", "id"),
    Index(None, "record_id"),
    sqlite_autoincrement=True,  # a job's number is never given to another
)

job_commands = Table(
    "job_commands",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("expected_step", Integer),
    Column("expected_iteration", Integer),
    Column("created_at", Double, nullable=False),
    Column("consumed_at", Double),
    Column("refusal", Text),
    UniqueConstraint("job_id", "seq"),
    sqlite_autoincrement=True,
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Integer, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(40), nullable=False),
    Column("step", Integer),
    Column("iteration", Integer),
    Column("created_at", Double, nullable=False),
)
