"""The ranges of cards that several workers of one rotation divide among them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table.  A rotation that is under way has no ranges and goes on
    from its own cursor."""
    op.create_table(
        "rotation_range",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("rotation_id", ROW_ID, sa.ForeignKey("rotation.id"), nullable=False),
        sa.Column("last_card", sa.BigInteger, nullable=False),
        sa.Column("card_cursor", sa.BigInteger, nullable=False),
        sa.Column("reencrypted", sa.BigInteger, nullable=False),
        sa.Column("newer", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.Text, nullable=False),
        sa.Column("lease_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop it.  What an unfinished rotation's ranges had left is then found as
    cards of an older generation: no key is destroyed, and rotate is to run again."""
    op.drop_table("rotation_range")
