"""Phones: only kinds and platforms that there are.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_check_constraint(op.f("ck_device_tokens_kind"), "device_tokens", "kind IN ('token', 'fid')")
    op.create_check_constraint(
        op.f("ck_device_tokens_platform"), "device_tokens", "platform IN ('android', 'ios', 'web')"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("ck_device_tokens_platform"), "device_tokens")
    op.drop_constraint(op.f("ck_device_tokens_kind"), "device_tokens")
