"""Campaigns: a bulk message is a row that sums up its chunks.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "campaigns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("total_users", sa.BigInteger(), nullable=False),
        sa.Column("total_tokens", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_campaigns")),
    )
    op.add_column("notifications", sa.Column("campaign_id", sa.Uuid(), nullable=True))
    # Of a column that never changes, so a claim and a record stay HOT.
    op.create_index(
        op.f("ix_notifications_campaign_id"),
        "notifications",
        ["campaign_id"],
        unique=False,
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        op.f("ix_notifications_campaign_id"),
        table_name="notifications",
        postgresql_where=sa.text("campaign_id IS NOT NULL"),
    )
    op.drop_column("notifications", "campaign_id")
    op.drop_table("campaigns")
