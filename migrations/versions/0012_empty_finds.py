"""A search of operators that found nothing is recorded too, with no target.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column("operator_actions", "target", existing_type=sa.Uuid(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM operator_actions WHERE target IS NULL")
    op.alter_column("operator_actions", "target", existing_type=sa.Uuid(), nullable=False)
