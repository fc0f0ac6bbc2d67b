"""Files that were imported, and what became of each row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "import_job",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("newest_before", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(254), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_import_job"),
    )
    op.create_index("ix_import_job_size", "import_job", ["size"])
    op.create_table(
        "import_row",
        sa.Column("job_id", ROW_ID, nullable=False),
        sa.Column("number", ROW_ID, nullable=False),
        sa.Column("line", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("public_id", sa.String(32), nullable=False),
        sa.Column("token", sa.String(64), nullable=False),
        sa.Column("brand", sa.String(16), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_import_row"),
        sa.ForeignKeyConstraint(
            ["job_id"], ["import_job.id"], name="fk_import_row_job_id_import_job"
        ),
    )
    op.create_index("ix_import_row_token", "import_row", ["token"])


def downgrade() -> None:
    """Drop both tables; the customers stay."""
    op.drop_table("import_row")
    op.drop_table("import_job")
