"""The vault's tables: vault, data keys, cards, rotations, trail.

The first revision there is.  The four before it had no rows that only the root can
have made; nothing was released with them, and a vault made then is refused, since to
convert it would be the way round what this revision is for.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _vault()
    _cards()
    _rotations()
    _trail()


def _vault() -> None:
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
        sa.Column("ops_mac", sa.LargeBinary, nullable=False),
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
        sa.Column("ops_mac", sa.LargeBinary),
        sa.CheckConstraint("opens IS NULL OR opens = id", name="opens_itself"),
        sa.CheckConstraint(
            "(state = 'destroyed') = (opens IS NULL)", name="destroyed_opens_nothing"
        ),
        sa.CheckConstraint("state IN ('live', 'retired', 'destroyed')", name="state"),
    )


def _cards() -> None:
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
        "purged",
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("ops_mac", sa.LargeBinary),
        sa.PrimaryKeyConstraint("token"),
    )


def _rotations() -> None:
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
        sa.Column("ops_mac", sa.LargeBinary, nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished')", name="state"),
    )
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
        sa.Column("ops_mac", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("card_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("rotation_id", ROW_ID, sa.ForeignKey("rotation.id"), nullable=False),
        sa.Column("problem", sa.Text, nullable=False),
        sa.Column("found_at", sa.BigInteger, nullable=False),
        sa.Column("mac", sa.LargeBinary, nullable=False),
        sa.Column("ops_mac", sa.LargeBinary, nullable=False),
    )


def _trail() -> None:
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
    for table in (
        "audit_head",
        "audit_entry",
        "quarantine",
        "rotation_range",
        "rotation",
        "purged",
        "card",
        "data_key",
        "vault",
    ):
        op.drop_table(table)
