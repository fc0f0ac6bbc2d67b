"""The tables of customers, answered forms, imports and updates."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db import Base
from vault import Expiry
from vault.card.brands import mask

# SQLite numbers a primary key itself only when it is INTEGER.
_Id = BigInteger().with_variant(Integer, "sqlite")
# Compared by code points on both engines, so that names that begin alike stand together.
_Folded = Text().with_variant(Text(collation="C"), "postgresql")


class Customer(Base):
    """A customer and what may be shown of the card.

    ``public_id`` is random and names the customer in addresses; ``token`` names
    the card in the vault.  ``expiry`` is YYYYMM, times are seconds since 1970
    UTC.  ``rev`` grows with every change, for optimistic locking.  ``stopped_at`` is
    when a file said that the card is stopped, or None; a new number ends that.
    """

    __tablename__ = "customer"
    # The orders of the list.  Without the id, rows that are equal in an order would
    # change places from page to page.
    __table_args__ = (
        Index("ix_customer_updated_at_id", "updated_at", "id"),
        Index("ix_customer_name_folded_id", "name_folded", "id"),
        Index("ix_customer_expiry_id", "expiry", "id"),
        # Of the few who are marked, so that others' rows cost nothing.
        Index(
            "ix_customer_stopped_at",
            "stopped_at",
            sqlite_where=text("stopped_at IS NOT NULL"),
            postgresql_where=text("stopped_at IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    name_folded: Mapped[str] = mapped_column(_Folded)
    phone: Mapped[str] = mapped_column(String(32))
    phone_digits: Mapped[str] = mapped_column(String(11), index=True)
    token: Mapped[str] = mapped_column(String(64), unique=True)
    brand: Mapped[str] = mapped_column(String(16))
    prefix: Mapped[str] = mapped_column(String(2))
    last4: Mapped[str] = mapped_column(String(4), index=True)
    length: Mapped[int] = mapped_column(Integer)
    expiry: Mapped[int] = mapped_column(Integer)
    rev: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(254))
    stopped_at: Mapped[int | None] = mapped_column(BigInteger)

    @property
    def masked(self) -> str:
        """The card number as it may be shown."""
        return mask(self.prefix, self.last4, self.length)

    @property
    def expires(self) -> Expiry:
        """The card's expiry as a value."""
        return Expiry.from_key(self.expiry)


class Ticket(Base):
    """A form that was answered and can't be answered again.

    ``digest`` is SHA-256 of the ticket in the form, ``public_id`` the customer it was
    about, ``summary`` what the page after a deletion shows.
    """

    __tablename__ = "form_ticket"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    login_id: Mapped[str] = mapped_column(String(64), index=True)
    public_id: Mapped[str] = mapped_column(String(32))
    summary: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[int] = mapped_column(BigInteger, index=True)


class ImportJob(Base):
    """The import of a file, running or finished.

    No digest of the file is kept, because that of a file of one row could be used to
    find its card number.  ``done`` of ``rows`` rows are imported; customers up to the
    number ``newest_before`` existed before.
    """

    __tablename__ = "import_job"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger, index=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    newest_before: Mapped[int] = mapped_column(BigInteger)
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[int] = mapped_column(BigInteger)


class ImportRow(Base):
    """The result of one row: ``number`` counts the file's rows from 1, ``line`` is
    where it begins.  A refused row has only an ``error``; any other has what a mask
    shows of its card, and the expiry (0 in rows of an older version of the site)."""

    __tablename__ = "import_row"

    job_id: Mapped[int] = mapped_column(
        _Id, ForeignKey("import_job.id"), primary_key=True
    )
    number: Mapped[int] = mapped_column(_Id, primary_key=True)
    line: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(32))
    public_id: Mapped[str] = mapped_column(String(32), default="")
    token: Mapped[str] = mapped_column(String(64), default="", index=True)
    brand: Mapped[str] = mapped_column(String(16), default="")
    last4: Mapped[str] = mapped_column(String(4), default="")
    prefix: Mapped[str] = mapped_column(String(2), default="")
    length: Mapped[int] = mapped_column(Integer, default=0)
    expiry: Mapped[int] = mapped_column(Integer, default=0)
    error: Mapped[str] = mapped_column(Text, default="")


class UpdateJob(Base):
    """The update of customers by a file, running or finished.

    ``digest`` is SHA-256 of what the file's rows say, with a mask in the place of each
    card number and without any text that was refused.  ``done`` of ``rows`` rows are
    taken in; ``ended_at`` is when all were and the results were written, or None.
    """

    __tablename__ = "update_job"

    id: Mapped[int] = mapped_column(_Id, primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), index=True)
    rows: Mapped[int] = mapped_column(BigInteger)
    done: Mapped[int] = mapped_column(BigInteger, default=0)
    created_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)


class UpdateRow(Base):
    """What became of one row: ``number`` counts the file's rows from 1, ``line`` is
    where it begins.

    ``public_id``, ``token``, ``brand``, ``last4`` and ``rev`` are the customer's after
    it, ``replaced`` is the token of the card that it replaced, or "".  Of a customer
    that was not found, ``public_id`` or ``token`` is what the row names.
    """

    __tablename__ = "update_row"

    job_id: Mapped[int] = mapped_column(
        _Id, ForeignKey("update_job.id"), primary_key=True
    )
    number: Mapped[int] = mapped_column(_Id, primary_key=True)
    line: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[str] = mapped_column(String(32))
    public_id: Mapped[str] = mapped_column(String(32))
    token: Mapped[str] = mapped_column(String(64), index=True)
    replaced: Mapped[str] = mapped_column(String(64), index=True)
    brand: Mapped[str] = mapped_column(String(16))
    last4: Mapped[str] = mapped_column(String(4))
    rev: Mapped[int] = mapped_column(Integer)
    error: Mapped[str] = mapped_column(Text)
