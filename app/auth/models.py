"""The tables of operators, their factors, their logins and the codes sent to them.

Times are seconds since 1970 UTC; 0 means never where a column can't be NULL.
"""

from __future__ import annotations

from flask_login import UserMixin
from sqlalchemy import BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.db import Base

ROW_ID = BigInteger().with_variant(Integer(), "sqlite")


class Operator(UserMixin, Base):  # type: ignore[misc]  # untyped library
    """A person who registers cards, or until ``shared_until`` (0: never) the
    persons who share an ID, told apart by the addresses they confirm.

    ``password_epoch`` grows with every change of the password; what is bound to an
    older one no longer counts.  ``first_lock_at`` and ``second_lock_at`` are the last
    two locks, ``failures_since`` counts from the last login on.
    """

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
    first_lock_at: Mapped[int] = mapped_column(BigInteger, default=0)
    second_lock_at: Mapped[int] = mapped_column(BigInteger, default=0)
    code_sent_at: Mapped[int] = mapped_column(BigInteger, default=0)
    last_login_at: Mapped[int] = mapped_column(BigInteger, default=0)
    last_login_origin: Mapped[str] = mapped_column(String(64), default="")
    failures_since: Mapped[int] = mapped_column(Integer, default=0)
    last_failure_at: Mapped[int] = mapped_column(BigInteger, default=0)
    last_failure_origin: Mapped[str] = mapped_column(String(64), default="")
    shared_until: Mapped[int] = mapped_column(BigInteger, default=0)
    shared_reason: Mapped[str] = mapped_column(String(200), default="")
    shared_approver: Mapped[str] = mapped_column(String(100), default="")
    disabled_at: Mapped[int] = mapped_column(BigInteger, default=0)
    used_at: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    addresses: Mapped[list[Address]] = relationship(
        cascade="all, delete-orphan", order_by="Address.address"
    )
    totp: Mapped[Totp | None] = relationship(cascade="all, delete-orphan")
    passkeys: Mapped[list[Passkey]] = relationship(
        cascade="all, delete-orphan", order_by="Passkey.id"
    )


class Address(Base):
    """A mail address an administrator bound to an operator."""

    __tablename__ = "operator_address"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    address: Mapped[str] = mapped_column(String(254))


class Totp(Base):
    """An operator's authenticator app (RFC 6238).  ``sealed`` is the seed under the
    site's seal, ``last_step`` the newest step whose code was accepted."""

    __tablename__ = "totp"

    operator_id: Mapped[int] = mapped_column(
        ForeignKey("operator.id"), primary_key=True
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    last_step: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)


class Passkey(Base):
    """A passkey of an operator (WebAuthn).  ``credential_id`` is base64url,
    ``public_key`` COSE; with these alone nobody can log in.  ``name`` is what the
    operator calls it, "" for one that was enrolled before passkeys had names."""

    __tablename__ = "passkey"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    name: Mapped[str] = mapped_column(String(30), default="")
    credential_id: Mapped[str] = mapped_column(String(1364), unique=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int] = mapped_column(BigInteger, default=0)


class PastPassword(Base):
    """A hash an operator's password had before."""

    __tablename__ = "past_password"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    password_hash: Mapped[str] = mapped_column(Text)


class Login(Base):
    """One login, from the right password to its end.

    ``id`` is SHA-256 of what the cookie holds; ``step`` is how far it has come:
    "password", "code" (one was sent) or "in".  ``challenge`` is what a passkey
    is asked to sign next, ``offer`` a seed shown and not confirmed yet, under the
    site's seal.  ``proved_at`` is when the password was last given.  The last
    columns tell of the operator's login before this one and of the failures since.
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
    challenge: Mapped[str] = mapped_column(String(43), default="")
    offer: Mapped[bytes | None] = mapped_column(LargeBinary, default=None)
    proved_at: Mapped[int] = mapped_column(BigInteger, default=0)
    previous_at: Mapped[int] = mapped_column(BigInteger, default=0)
    previous_origin: Mapped[str] = mapped_column(String(64), default="")
    failures_before: Mapped[int] = mapped_column(Integer, default=0)
    failure_at: Mapped[int] = mapped_column(BigInteger, default=0)
    failure_origin: Mapped[str] = mapped_column(String(64), default="")
    operator: Mapped[Operator] = relationship()

    @property
    def person(self) -> str:
        """Who acts, for the trail: the login ID, or for a shared ID the address that
        was confirmed (PCI DSS 8.2.2)."""
        confirmed = self.operator.shared_until and self.step == "in"
        return self.address if confirmed else self.operator.login_id


class EndedLogin(Base):
    """Why a login ended whose browser has not been told yet.  ``id`` is what the login's
    was, ``reason`` a value of ``logins.Ended``, ``operator_id`` whose it was."""

    __tablename__ = "ended_login"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(String(16))
    at: Mapped[int] = mapped_column(BigInteger, index=True)
    operator_id: Mapped[int] = mapped_column(BigInteger, default=0)


class Code(Base):
    """A code that was asked for.  ``digest`` is its HMAC, or empty when the
    address was not bound and no code was sent.

    ``address`` is where a person behind a shared ID asked for it, folded, and empty for
    one person's ID; ``counts`` says whether it counts for the limit of a day.
    """

    __tablename__ = "code"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"), index=True)
    login_id: Mapped[str] = mapped_column(String(64), index=True)
    address: Mapped[str] = mapped_column(String(254), default="")
    counts: Mapped[bool] = mapped_column(default=True)
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
