"""A code says for whom it counts, so that a limit can be a person's and be lifted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns.  The codes of the last day count on for one person's IDs; those
    of shared IDs count for nobody, because it is not known who asked for them."""
    address = sa.Column("address", sa.String(254), nullable=False, server_default="")
    op.add_column("code", address)
    counts = sa.Column("counts", sa.Boolean, nullable=False, server_default=sa.true())
    op.add_column("code", counts)


def downgrade() -> None:
    """Drop them: every code of the last day counts again."""
    op.drop_column("code", "counts")
    op.drop_column("code", "address")
