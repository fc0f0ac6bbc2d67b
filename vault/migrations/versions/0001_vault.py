"""The vault's first tables: vault, data keys, cards, trail."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "vault",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("vault_id", sa.Text, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("root_id", sa.Text, nullable=False),
        sa.Column("suite", sa.Text, nullable=False),
        sa.Column("sealed_genesis", sa.LargeBinary, nullable=False),
        sa.Column("next_root_id", sa.Text),
        sa.Column("next_genesis", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.create_table(
        "data_key",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("opens", ROW_ID, unique=True),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("suite", sa.Text, nullable=False),
        sa.Column("root_id", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("next_root_id", sa.Text),
        sa.Column("next_wrapped", sa.LargeBinary),
        sa.Column("seals", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger),
        sa.Column("destroyed_at", sa.BigInteger),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("opens IS NULL OR opens = id", name="opens_itself"),
        sa.CheckConstraint(
            "(state = 'destroyed') = (opens IS NULL)", name="destroyed_opens_nothing"
        ),
        sa.CheckConstraint("state IN ('live', 'retired', 'destroyed')", name="state"),
    )
    op.create_table(
        "card",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False, unique=True),
        sa.Column(
            "data_key_id", ROW_ID, sa.ForeignKey("data_key.opens"), nullable=False
        ),
        sa.Column("rev", sa.Integer, nullable=False),
        sa.Column("envelope", sa.LargeBinary, nullable=False),
        sa.Column("brand", sa.Text, nullable=False),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("last4", sa.Text, nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("expiry", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_card_data_key_id", "card", ["data_key_id"])
    op.create_table(
        "audit_entry",
        sa.Column("seq", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_audit_entry_subject", "audit_entry", ["subject"])
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("sealed_chain_key", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("id = 1", name="one_row"),
    )


def downgrade() -> None:
    """Drop them, and every card with them."""
    for table in ("audit_head", "audit_entry", "card", "data_key", "vault"):
        op.drop_table(table)
