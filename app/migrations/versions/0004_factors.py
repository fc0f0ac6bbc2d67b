"""Second factors of an operator's own, shared IDs, the login before this one.

The count of sends, and the two locks before a third, become columns that one
conditional UPDATE can decide by.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Columns by table: name, type, what rows already there get.
ADDED: dict[str, list[tuple[str, sa.types.TypeEngine[object], str | None]]] = {
    "operator": [
        ("second_lock_at", sa.BigInteger(), "0"),
        ("code_sent_at", sa.BigInteger(), "0"),
        ("last_login_at", sa.BigInteger(), "0"),
        ("last_login_origin", sa.String(64), ""),
        ("failures_since", sa.Integer(), "0"),
        ("shared_until", sa.BigInteger(), "0"),
        ("shared_reason", sa.String(200), ""),
        ("shared_approver", sa.String(100), ""),
    ],
    "login": [
        ("challenge", sa.String(43), ""),
        ("offer", sa.LargeBinary(), None),
        ("proved_at", sa.BigInteger(), "0"),
        ("previous_at", sa.BigInteger(), "0"),
        ("previous_origin", sa.String(64), ""),
        ("failures_before", sa.Integer(), "0"),
    ],
}


def upgrade() -> None:
    """Make the tables and columns; locks and logins stay as they are."""
    op.create_table(
        "totp",
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("operator_id", name="pk_totp"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name="fk_totp_operator_id_operator"
        ),
    )
    op.create_table(
        "passkey",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=False),
        sa.Column("credential_id", sa.String(1364), nullable=False),
        sa.Column("public_key", sa.LargeBinary, nullable=False),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_passkey"),
        sa.UniqueConstraint("credential_id", name="uq_passkey_credential_id"),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operator.id"], name="fk_passkey_operator_id_operator"
        ),
    )
    op.create_index("ix_passkey_operator_id", "passkey", ["operator_id"])
    # Plain ADD and DROP COLUMN: SQLite would make ``operator`` anew otherwise,
    # and other tables refer to it.
    for table, columns in ADDED.items():
        for name, kind, default in columns:
            empty = default is None
            column = sa.Column(name, kind, nullable=empty, server_default=default)
            op.add_column(table, column)
    # One lock is the newer of the last two; of two, the older's time is all
    # that was kept.
    op.execute("UPDATE operator SET second_lock_at = first_lock_at")
    op.execute("UPDATE operator SET first_lock_at = 0 WHERE locks < 2")
    op.drop_column("operator", "locks")


def downgrade() -> None:
    """Drop what was added: every operator logs in with mailed codes again, and
    shared IDs are disabled, since nothing would end them any more."""
    op.execute(
        "UPDATE operator SET disabled_at = shared_until "
        "WHERE shared_until > 0 AND disabled_at = 0"
    )
    locks = sa.Column("locks", sa.Integer, nullable=False, server_default="0")
    op.add_column("operator", locks)
    op.execute("UPDATE operator SET locks = 1 WHERE second_lock_at > 0")
    op.execute("UPDATE operator SET locks = 2 WHERE first_lock_at > 0")
    op.execute("UPDATE operator SET first_lock_at = second_lock_at WHERE locks = 1")
    for table, columns in ADDED.items():
        for name, _, _ in columns:
            op.drop_column(table, name)
    op.drop_table("passkey")
    op.drop_table("totp")
