"""Operators, their addresses and passwords, logins and codes."""

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
        "operator",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("login_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("password_epoch", sa.Integer, nullable=False),
        sa.Column("must_change", sa.Boolean, nullable=False),
        sa.Column("first_password_until", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.BigInteger, nullable=False),
        sa.Column("locks", sa.Integer, nullable=False),
        sa.Column("first_lock_at", sa.BigInteger, nullable=False),
        sa.Column("disabled_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator"),
        sa.UniqueConstraint("login_id", name="uq_operator_login_id"),
    )
    op.create_table(
        "operator_address",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_operator_address"),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.id"],
            name="fk_operator_address_operator_id_operator",
        ),
    )
    op.create_index(
        "ix_operator_address_operator_id", "operator_address", ["operator_id"]
    )
    op.create_table(
        "past_password",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_past_password"),
        sa.ForeignKeyConstraint(
            ["operator_id"],
            ["operator.id"],
            name="fk_past_password_operator_id_operator",
        ),
    )
    op.create_index("ix_past_password_operator_id", "past_password", ["operator_id"])
    op.create_table(
        "login",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("password_epoch", sa.Integer, nullable=False),
        sa.Column("step", sa.String(8), nullable=False),
        sa.Column("address", sa.String(254), nullable=False),
        sa.Column("sends", sa.Integer, nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_login"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name="fk_login_operator_id_operator"
        ),
    )
    op.create_index("ix_login_operator_id", "login", ["operator_id"])
    op.create_table(
        "code",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("login_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_code"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name="fk_code_operator_id_operator"
        ),
    )
    op.create_index("ix_code_operator_id", "code", ["operator_id"])
    op.create_index("ix_code_login_id", "code", ["login_id"])
    op.create_table(
        "origin_failure",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("origin", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_origin_failure"),
    )
    op.create_index("ix_origin_failure_origin", "origin_failure", ["origin"])


def downgrade() -> None:
    """Drop them, and every operator with them."""
    tables = ("origin_failure", "code", "login", "past_password")
    for table in (*tables, "operator_address", "operator"):
        op.drop_table(table)
