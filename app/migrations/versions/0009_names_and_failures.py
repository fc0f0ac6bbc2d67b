"""What a passkey is called, whose login ended, and the last failure before a login."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Columns by table: name, type, what rows already there get.
ADDED: dict[str, list[tuple[str, sa.types.TypeEngine[object], str]]] = {
    "passkey": [("name", sa.String(30), "")],
    "ended_login": [("operator_id", sa.BigInteger(), "0")],
    "operator": [
        ("last_failure_at", sa.BigInteger(), "0"),
        ("last_failure_origin", sa.String(64), ""),
    ],
    "login": [
        ("failure_at", sa.BigInteger(), "0"),
        ("failure_origin", sa.String(64), ""),
    ],
}


def upgrade() -> None:
    """Add the columns.  Passkeys from before have no name, and it isn't known whose
    logins ended and when a failure was."""
    for table, columns in ADDED.items():
        for name, kind, default in columns:
            column = sa.Column(name, kind, nullable=False, server_default=default)
            op.add_column(table, column)


def downgrade() -> None:
    """Drop them: passkeys are told apart by their days again."""
    for table, columns in ADDED.items():
        for name, _, _ in columns:
            op.drop_column(table, name)
