"""Which one-time codes went to which number, by a keyed hash: there may be only so many.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "otp_sends",
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("notification_id", name=op.f("pk_otp_sends")),
    )
    op.create_index(op.f("ix_otp_sends_number_created_at"), "otp_sends", ["number", "created_at"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_otp_sends_number_created_at"), table_name="otp_sends")
    op.drop_table("otp_sends")
