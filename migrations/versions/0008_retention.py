"""What cleaning leaves behind: its runs, and the counts of messages that went.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cleanup_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("task", sa.String(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "started_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleaned", sa.BigInteger(), nullable=True),
        sa.Column("batches", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("next_due_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cleanup_runs")),
    )
    op.create_index(op.f("ix_cleanup_runs_task_started_at"), "cleanup_runs", ["task", "started_at"], unique=False)
    op.create_table(
        "notification_summaries",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "status", name=op.f("pk_notification_summaries")),
    )
    # Updated with every message about a booking: vacuum before a fifth of it is dead.
    op.execute("ALTER TABLE subjects SET (autovacuum_vacuum_scale_factor = 0.05)")


def downgrade() -> None:
    op.execute("ALTER TABLE subjects RESET (autovacuum_vacuum_scale_factor)")
    op.drop_table("notification_summaries")
    op.drop_index(op.f("ix_cleanup_runs_task_started_at"), table_name="cleanup_runs")
    op.drop_table("cleanup_runs")
