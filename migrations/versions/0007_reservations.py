"""Expired holds and late payments: what is to be refunded is found at once, and hot rows have room.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_payments_needs_refund",
        "payments",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("status = 'needs_refund'"),
    )
    # Every hold and every release changes its trip's count: room on the page keeps that beside the row (HOT).
    op.execute("ALTER TABLE trips SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)")
    # A hold's end leaves dead entries in the indexes on what is pending and live: swept before they pile up.
    op.execute("ALTER TABLE bookings SET (autovacuum_vacuum_scale_factor = 0.02)")
    op.execute("ALTER TABLE booking_seats SET (autovacuum_vacuum_scale_factor = 0.02)")


def downgrade() -> None:
    op.execute("ALTER TABLE booking_seats RESET (autovacuum_vacuum_scale_factor)")
    op.execute("ALTER TABLE bookings RESET (autovacuum_vacuum_scale_factor)")
    op.execute("ALTER TABLE trips RESET (fillfactor, autovacuum_vacuum_scale_factor)")
    op.drop_index(
        "ix_payments_needs_refund", table_name="payments", postgresql_where=sa.text("status = 'needs_refund'")
    )
