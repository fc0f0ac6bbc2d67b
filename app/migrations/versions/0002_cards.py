"""Customers with their masked cards, and the forms already answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
CUSTOMER_INDEXES = ("phone_digits", "last4", "expiry", "updated_at")
TICKET_INDEXES = ("login_id", "created_at")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "customer",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("name_folded", sa.Text, nullable=False),
        sa.Column("phone", sa.String(32), nullable=False),
        sa.Column("phone_digits", sa.String(11), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("brand", sa.String(16), nullable=False),
        sa.Column("prefix", sa.String(2), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("length", sa.Integer, nullable=False),
        sa.Column("expiry", sa.Integer, nullable=False),
        sa.Column("rev", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_customer"),
        sa.UniqueConstraint("public_id", name="uq_customer_public_id"),
        sa.UniqueConstraint("token", name="uq_customer_token"),
    )
    for column in CUSTOMER_INDEXES:
        op.create_index(f"ix_customer_{column}", "customer", [column])
    op.create_table(
        "form_ticket",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("login_id", sa.String(64), nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_form_ticket"),
    )
    for column in TICKET_INDEXES:
        op.create_index(f"ix_form_ticket_{column}", "form_ticket", [column])


def downgrade() -> None:
    """Drop both tables with all they hold."""
    op.drop_table("form_ticket")
    op.drop_table("customer")
