"""What the site keeps of operators, their logins and the codes sent to them.

Times are seconds since 1970 UTC; 0 means never where a column can't be NULL.
"""

from __future__ import annotations

from flask_login import UserMixin
from sqlalchemy import BigInteger, ForeignKey, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base

ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


class Operator(UserMixin, Base):  # type: ignore[misc]  # untyped library
    """A person who registers cards.  ``password_epoch`` grows with every change
    of the password; what was bound to an older one is dead."""

    __tablename__ = "operator"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    login_id: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(100))
    password_hash: Mapped[str] = mapped_column(Text)
    password_epoch: Mapped[int] = mapped_column(Integer, default=1)
    must_change: Mapped[bool] = mapped_column(default=False)
    first_password_until: Mapped[int] = mapped_column(BigInteger, default=0)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    locked_until: Mapped[int] = mapped_column(BigInteger, default=0)
    locks: Mapped[int] = mapped_column(Integer, default=0)
    first_lock_at: Mapped[int] = mapped_column(BigInteger, default=0)
    disabled_at: Mapped[int] = mapped_column(BigInteger, default=0)
    used_at: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    addresses: Mapped[list[Address]] = relationship(
        cascade="all, delete-orphan", order_by="Address.address"
    )


class Address(Base):
    """A mail address an administrator bound to an operator."""

    __tablename__ = "operator_address"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    address: Mapped[str] = mapped_column(String(254))


class PastPassword(Base):
    """A hash an operator's password had before."""

    __tablename__ = "past_password"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    password_hash: Mapped[str] = mapped_column(Text)


class Login(Base):
    """One login, from the right password to its end.

    ``id`` is SHA-256 of what the cookie holds; ``step`` is how far it has come:
    "password", "code" (one was sent) or "in".
    """

    __tablename__ = "login"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    password_epoch: Mapped[int] = mapped_column(Integer)
    step: Mapped[str] = mapped_column(String(8))
    address: Mapped[str] = mapped_column(String(254), default="")
    sends: Mapped[int] = mapped_column(Integer, default=0)
    origin: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger)
    operator: Mapped[Operator] = relationship()


class Code(Base):
    """A code that was asked for.  ``digest`` is its HMAC, or empty when the
    address was not bound and no code was sent."""

    __tablename__ = "code"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    login_id: Mapped[str] = mapped_column(String(64), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    tries: Mapped[int] = mapped_column(Integer, default=0)
    sent_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int] = mapped_column(BigInteger, default=0)


class OriginFailure(Base):
    """A failed login from an address of origin, for a quarter of an hour."""

    __tablename__ = "origin_failure"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    origin: Mapped[str] = mapped_column(String(64), index=True)
    at: Mapped[int] = mapped_column(BigInteger)
