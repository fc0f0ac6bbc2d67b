"""Each order of the list has an index of its own, in which the id decides between
equals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SORTS = ("updated_at", "name_folded", "expiry")
REPLACED = ("updated_at", "expiry")


def upgrade() -> None:
    """Make the indexes; on PostgreSQL the folded names are compared by their code
    points, as on SQLite, whatever the database's own order is."""
    _compare_folded_names("C")
    for name in REPLACED:
        op.drop_index(f"ix_customer_{name}", "customer")
    for name in SORTS:
        op.create_index(f"ix_customer_{name}_id", "customer", [name, "id"])


def downgrade() -> None:
    """Make the older indexes again."""
    for name in SORTS:
        op.drop_index(f"ix_customer_{name}_id", "customer")
    for name in REPLACED:
        op.create_index(f"ix_customer_{name}", "customer", [name])
    _compare_folded_names("default")


def _compare_folded_names(collation: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        kind = sa.Text(collation=collation)
        op.alter_column("customer", "name_folded", type_=kind)
