"""Rotations and the cards they had to leave."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the two tables."""
    op.create_table(
        "rotation",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("data_key_id", ROW_ID, sa.ForeignKey("data_key.id"), nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger),
        sa.Column("card_cursor", sa.BigInteger, nullable=False),
        sa.Column("reencrypted", sa.BigInteger, nullable=False),
        sa.Column("newer", sa.BigInteger, nullable=False),
        sa.Column("quarantined", sa.BigInteger, nullable=False),
        sa.Column("read_back", sa.BigInteger, nullable=False),
        sa.Column("keys_destroyed", sa.BigInteger, nullable=False),
        sa.Column("census_before", sa.Text, nullable=False),
        sa.Column("census_after", sa.Text),
        sa.Column("audit_seq", sa.BigInteger),
        sa.Column("lease", sa.Text, nullable=False),
        sa.Column("lease_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished')", name="state"),
    )
    op.create_table(
        "quarantine",
        sa.Column("card_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("rotation_id", ROW_ID, sa.ForeignKey("rotation.id"), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Drop them; the cards and their keys stay as they are."""
    for table in ("quarantine", "rotation"):
        op.drop_table(table)
