"""A file is known again by its customers, not by a digest.

Whatever is made of a file of one row's bytes can be tried on every number that fits
the mask beside it.  So no digest is kept, and a row keeps what its mask shows.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ADDED: dict[str, tuple[sa.types.TypeEngine[object], str]] = {
    "prefix": (sa.String(2), ""),
    "length": (sa.Integer(), "0"),
    "expiry": (sa.Integer(), "0"),
}
# A card that was replaced since is another customer's token; its row keeps nothing.
FILL = """
    UPDATE import_row SET
        prefix = (SELECT prefix FROM customer WHERE customer.token = import_row.token),
        length = (SELECT length FROM customer WHERE customer.token = import_row.token)
    WHERE EXISTS (SELECT 1 FROM customer WHERE customer.token = import_row.token)
"""
FILL_EXPIRY = """
    UPDATE import_row SET expiry =
        (SELECT expiry FROM customer WHERE customer.token = import_row.token)
    WHERE EXISTS (SELECT 1 FROM customer
        WHERE customer.token = import_row.token AND customer.rev = 1)
"""


def upgrade() -> None:
    """Forget the digests; keep of each row what its customer still tells."""
    for name, (kind, default) in ADDED.items():
        column = sa.Column(name, kind, nullable=False, server_default=default)
        op.add_column("import_row", column)
    op.execute(FILL)
    op.execute(FILL_EXPIRY)
    op.drop_column("import_job", "digest")
    # Those a downgrade had set aside.
    op.execute("UPDATE import_job SET size = -size WHERE size < 0")


def downgrade() -> None:
    """Drop what was added.  The older site finds none of these files again: it would
    try to read the digest of one of the same size, and there is none."""
    digest = sa.Column("digest", sa.Text, nullable=False, server_default="")
    op.add_column("import_job", digest)
    op.execute("UPDATE import_job SET size = -size")
    for name in ADDED:
        op.drop_column("import_row", name)
