"""Why logins ended, and for whom a code counts.

A login's row is deleted when it ends; what its browser is told is kept beside it.  A
limit of codes can be a person's and be lifted.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table and the columns.  The codes of the last day count on for one person's IDs; those
    of shared IDs count for nobody, because it is not known who asked for them."""
    address = sa.Column("address", sa.String(254), nullable=False, server_default="")
    op.add_column("code", address)
    counts = sa.Column("counts", sa.Boolean, nullable=False, server_default=sa.true())
    op.add_column("code", counts)
    op.create_table(
        "ended_login",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(16), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ended_login"),
    )
    op.create_index("ix_ended_login_at", "ended_login", ["at"])


def downgrade() -> None:
    """Drop them: every code of the last day counts again."""
    op.drop_table("ended_login")
    op.drop_column("code", "counts")
    op.drop_column("code", "address")
