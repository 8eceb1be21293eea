"""The first schema: records, sessions and what they are made of, jobs with their commands and events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make every table."""
    op.create_table(
        "records",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("preset", sa.String(length=200), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("headline", sa.JSON(), nullable=False),
        sa.Column("parent", sa.String(length=24), nullable=True),
        sa.Column("star", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.Column("deleted_at", sa.Double(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("config_hash", sa.String(length=64), nullable=False),
        sa.Column("picture", sa.String(length=80), nullable=True),
        sa.ForeignKeyConstraint(["parent"], ["records.id"], name="fk_records_parent", ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name="pk_records"),
    )
    op.create_index("ix_records_created_at_id", "records", ["created_at", "id"], unique=False)
    op.create_index("ix_records_parent", "records", ["parent"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("lane", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("lease_owner", sa.String(length=200), nullable=True),
        sa.Column("lease_expires_at", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("last_command", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_jobs_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_lane_status_id", "jobs", ["lane", "status", "id"], unique=False)
    op.create_index("ix_jobs_record_id", "jobs", ["record_id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("sigmas", sa.JSON(), nullable=True),
        sa.Column("searched", sa.JSON(), nullable=True),
        sa.Column("step_std", sa.JSON(), nullable=True),
        sa.Column("excess_std", sa.JSON(), nullable=True),
        sa.Column("latent_shape", sa.JSON(), nullable=True),
        sa.Column("latents", sa.String(length=80), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["records.id"], name="fk_sessions_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", name="pk_sessions"),
    )
    op.create_table(
        "arms",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("arm", sa.String(length=40), nullable=False),
        sa.Column("image", sa.String(length=80), nullable=False),
        sa.Column("latents", sa.String(length=80), nullable=False),
        sa.Column("trajectories", sa.Integer(), nullable=False),
        sa.Column("trail", sa.JSON(), nullable=False),
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["sessions.record_id"], name="fk_arms_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "arm", name="pk_arms"),
    )
    op.create_table(
        "iterations",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iteration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sheet", sa.String(length=80), nullable=True),
        sa.Column("elites", sa.JSON(), nullable=False),
        sa.Column("mean_norm", sa.Double(), nullable=True),
        sa.Column("std_quantiles", sa.JSON(), nullable=False),
        sa.Column("cosine", sa.Double(), nullable=True),
        sa.Column("over_noise", sa.Double(), nullable=True),
        sa.Column("batch_size", sa.Integer(), nullable=False),
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id"], ["sessions.record_id"], name="fk_iterations_record_id", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("record_id", "step", "iteration", name="pk_iterations"),
    )
    op.create_table(
        "job_commands",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("expected_step", sa.Integer(), nullable=True),
        sa.Column("expected_iteration", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("consumed_at", sa.Double(), nullable=True),
        sa.Column("refusal", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_commands_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_job_commands"),
        sa.UniqueConstraint("job_id", "seq", name="uq_job_commands_job_id_seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("step", sa.Integer(), nullable=True),
        sa.Column("iteration", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_events_job_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", "seq", name="pk_job_events"),
    )
    op.create_table(
        "steps",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("latents", sa.String(length=80), nullable=False),
        sa.Column("image", sa.String(length=80), nullable=False),
        sa.Column("noise_norm", sa.Double(), nullable=True),
        sa.Column("log_prob", sa.Double(), nullable=True),
        sa.Column("nfe", sa.Integer(), nullable=False),
        sa.Column("decodes", sa.Integer(), nullable=False),
        sa.Column("reward_calls", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["record_id"], ["sessions.record_id"], name="fk_steps_record_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("record_id", "step", name="pk_steps"),
    )
    op.create_table(
        "arm_rewards",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("arm", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("finite", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id", "arm"],
            ["arms.record_id", "arms.arm"],
            name="fk_arm_rewards_record_id_arm",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "arm", "name", name="pk_arm_rewards"),
    )
    op.create_table(
        "candidates",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iteration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("candidate", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("image", sa.String(length=80), nullable=False),
        sa.Column("total", sa.Double(), nullable=True),
        sa.Column("finite", sa.Boolean(), nullable=False),
        sa.Column("norm", sa.Double(), nullable=True),
        sa.Column("kurtosis", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["record_id", "step", "iteration"],
            ["iterations.record_id", "iterations.step", "iterations.iteration"],
            name="fk_candidates_record_id_step_iteration",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "step", "iteration", "candidate", name="pk_candidates"),
    )
    op.create_table(
        "step_rewards",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("finite", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id", "step"],
            ["steps.record_id", "steps.step"],
            name="fk_step_rewards_record_id_step",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "step", "name", name="pk_step_rewards"),
    )
    op.create_table(
        "candidate_rewards",
        sa.Column("record_id", sa.String(length=24), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("iteration", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("candidate", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("finite", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["record_id", "step", "iteration", "candidate"],
            ["candidates.record_id", "candidates.step", "candidates.iteration", "candidates.candidate"],
            name="fk_candidate_rewards_record_id_step_iteration_candidate",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("record_id", "step", "iteration", "candidate", "name", name="pk_candidate_rewards"),
    )
