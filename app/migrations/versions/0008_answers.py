"""Customers whose card was stopped are marked, and files that updated customers kept.

The mark is the moment (seconds since 1970 UTC) at which a file said so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MARKED = sa.text("stopped_at IS NOT NULL")


def upgrade() -> None:
    """Add the mark, which no customer has yet, and make both tables."""
    op.add_column("customer", sa.Column("stopped_at", sa.BigInteger, nullable=True))
    op.create_index(
        "ix_customer_stopped_at",
        "customer",
        ["stopped_at"],
        sqlite_where=MARKED,
        postgresql_where=MARKED,
    )
    op.create_table(
        "update_job",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_update_job"),
    )
    op.create_index("ix_update_job_digest", "update_job", ["digest"])
    op.create_table(
        "update_row",
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("number", ROW_ID, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("replaced", sa.String(64), nullable=False),
        sa.Column("brand", sa.String(16), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("rev", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_update_row"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["update_job.id"], name="fk_update_row_job_id_update_job"
        ),
    )
    op.create_index("ix_update_row_token", "update_row", ["token"])
    op.create_index("ix_update_row_replaced", "update_row", ["replaced"])


def downgrade() -> None:
    """Drop them: the marks are lost, and a file given again is a new one.  The
    customers stay as they are."""
    op.drop_table("update_row")
    op.drop_table("update_job")
    op.drop_index("ix_customer_stopped_at", "customer")
    op.drop_column("customer", "stopped_at")
