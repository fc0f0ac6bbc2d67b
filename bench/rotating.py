"""Re-encrypting cards: ours beside a raw loop and what a shop would use instead.

Every contender has the same cards in a SQLite file with the same pragmas, reads
batches of the same size by id, and commits each batch.
"""

from __future__ import annotations

import base64
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Engine, Text, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.orm.attributes import flag_modified
from sqlalchemy_utils import StringEncryptedType
from sqlalchemy_utils.types.encrypted.encrypted_type import AesGcmEngine

from vault import Token
from vault.commands.rotate import BATCH
from vault.ops import OpenVault
from vault.ops.rotation.start import take_up
from vault.store.database import connect
from vault.store.schema import CARD, DATA_KEY

from .cards import BY, filled, numbers

OLD, NEW = bytes(32), b"\x01" * 32
FERNETS = [Fernet(base64.urlsafe_b64encode(key)) for key in (NEW, OLD)]
ROW_BY_ROW = 2_000


def ours(vault: OpenVault) -> float:
    """Seconds to re-encrypt every card, all checks, cursor and trail included."""
    rotation = take_up(vault, BY, "bench")
    began = time.perf_counter()
    for _ in rotation.reencrypt(BATCH):
        pass
    spent = time.perf_counter() - began
    for _ in rotation.read_back():
        pass
    rotation.finish(BY)
    return spent


Seal = Callable[[bytes, bytes], bytes]


def copied(source: Path, target: Path, seal: Seal) -> Engine:
    """A copy of our own vault, its envelopes made by ``seal(number, token)``."""
    shutil.copy(source, target)
    engine = connect(f"sqlite:///{target}")
    with engine.begin() as db:
        used = db.execute(select(DATA_KEY).where(DATA_KEY.c.opens.is_not(None))).one()
        another = {**used._mapping, "id": used.id + 1, "opens": used.id + 1}
        db.execute(DATA_KEY.insert(), another)
        rows = db.execute(select(CARD.c.id, CARD.c.token)).all()
        drawn = numbers(len(rows))
        sealed = [
            {"number": row.id, "sealed": seal(next(drawn).encode(), row.token.encode())}
            for row in rows
        ]
        change = "UPDATE card SET envelope = :sealed WHERE id = :number"
        db.exec_driver_sql(change, sealed)
    return engine


def plainly(number: bytes, token: bytes) -> bytes:
    """AES-256-GCM under ``OLD``, as the raw loop opens it."""
    nonce = os.urandom(12)
    return nonce + AESGCM(OLD).encrypt(nonce, number.ljust(20, b"\0"), token)


def as_fernet(number: bytes, _token: bytes) -> bytes:
    """A Fernet token under ``OLD``."""
    return FERNETS[1].encrypt(number)


def raw(engine: Engine) -> float:
    """Seconds of read, open, seal, executemany, commit, and nothing else."""
    pooled = engine.raw_connection()
    db = pooled.driver_connection
    assert isinstance(db, sqlite3.Connection)
    new_id = db.execute("SELECT max(id) FROM data_key").fetchone()[0]
    opening, sealing, last = AESGCM(OLD), AESGCM(NEW), 0
    began = time.perf_counter()
    while True:
        db.execute("BEGIN IMMEDIATE")
        rows = db.execute(
            "SELECT id, token, rev, envelope FROM card WHERE id > ? ORDER BY id LIMIT ?",
            (last, BATCH),
        ).fetchall()
        changes = []
        for card_id, token, rev, envelope in rows:
            aad = token.encode()
            plain = opening.decrypt(envelope[:12], envelope[12:], aad)
            nonce = os.urandom(12)
            fresh = nonce + sealing.encrypt(nonce, plain, aad)
            changes.append((fresh, new_id, card_id, rev))
        db.executemany(
            "UPDATE card SET envelope = ?, data_key_id = ?, rev = rev + 1 "
            "WHERE id = ? AND rev = ?",
            changes,
        )
        db.execute("COMMIT")
        if not rows:
            break
        last = rows[-1][0]
    spent = time.perf_counter() - began
    pooled.close()
    return spent


def multi_fernet(engine: Engine) -> float:
    """Seconds of MultiFernet.rotate over the same table, with executemany."""
    both, last = MultiFernet(FERNETS), 0
    pooled = engine.raw_connection()
    db = pooled.driver_connection
    assert isinstance(db, sqlite3.Connection)
    began = time.perf_counter()
    while True:
        db.execute("BEGIN IMMEDIATE")
        rows = db.execute(
            "SELECT id, rev, envelope FROM card WHERE id > ? ORDER BY id LIMIT ?",
            (last, BATCH),
        ).fetchall()
        changes = [(both.rotate(sealed), card_id, rev) for card_id, rev, sealed in rows]
        db.executemany(
            "UPDATE card SET envelope = ?, rev = rev + 1 WHERE id = ? AND rev = ?",
            changes,
        )
        db.execute("COMMIT")
        if not rows:
            break
        last = rows[-1][0]
    spent = time.perf_counter() - began
    pooled.close()
    return spent


class _Base(DeclarativeBase):
    pass


_KEY = {"now": OLD}


class _ShopCard(_Base):
    """Our card table as SQLAlchemy-Utils' documentation would have it."""

    __tablename__ = "shop_card"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(Text, unique=True)
    number: Mapped[str] = mapped_column(
        StringEncryptedType(Text, lambda: _KEY["now"], AesGcmEngine)
    )
    brand: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    last4: Mapped[str] = mapped_column(Text)
    length: Mapped[int] = mapped_column()
    expiry: Mapped[int] = mapped_column()
    created_at: Mapped[int] = mapped_column()
    updated_at: Mapped[int] = mapped_column()


def shop_place(path: Path, count: int) -> Engine:
    """``count`` cards as a shop would keep them."""
    engine = connect(f"sqlite:///{path}")
    _Base.metadata.create_all(engine)
    _KEY["now"] = OLD
    alike = {
        "brand": "visa",
        "length": 16,
        "expiry": 203001,
        "created_at": 1795402800,
        "updated_at": 1795402800,
    }
    rows = [
        {
            **alike,
            "token": str(Token.new()),
            "number": digits,
            "prefix": digits[:2],
            "last4": digits[-4:],
        }
        for digits in numbers(count)
    ]
    with Session(engine) as session:
        session.execute(insert(_ShopCard), rows)
        session.commit()
    return engine


def encrypted_type(engine: Engine, batch: int, count: int) -> float:
    """Seconds a card of SQLAlchemy-Utils' type, read under one key and saved
    under the other, ``batch`` to a commit, over the first ``count``."""
    last, done = 0, 0
    began = time.perf_counter()
    with Session(engine) as session:
        while done < count:
            _KEY["now"] = OLD
            page = (
                select(_ShopCard)
                .where(_ShopCard.id > last)
                .order_by(_ShopCard.id)
                .limit(batch)
            )
            cards = session.scalars(page).all()
            last, done = cards[-1].id, done + len(cards)
            for card in cards:
                flag_modified(card, "number")
            _KEY["now"] = NEW
            session.commit()
            session.expunge_all()
    return (time.perf_counter() - began) / done


def measure(folder: Path, count: int, rounds: int) -> dict[str, list[float]]:
    """Cards a second of each contender, ``rounds`` times in turn."""
    vault = filled(folder / "ours", count)
    rates: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        rates.setdefault(name, []).append(count / seconds)

    for number in range(rounds):
        place = folder / str(number)
        place.mkdir()
        source = folder / "ours" / "vault.db"
        bare = copied(source, place / "bare.db", plainly)
        fernets = copied(source, place / "fernets.db", as_fernet)
        shop = shop_place(place / "shop.db", count)
        few = shop_place(place / "few.db", ROW_BY_ROW)
        note("raw sqlite3 + AESGCM", raw(bare))
        note("cardvault rotate", ours(vault))
        note("MultiFernet, executemany", multi_fernet(fernets))
        note("SQLAlchemy-Utils, batches", count * encrypted_type(shop, BATCH, count))
        note("SQLAlchemy-Utils, row by row", count * encrypted_type(few, 1, ROW_BY_ROW))
        for used in (bare, fernets, shop, few):
            used.dispose()
        shutil.rmtree(place)
    return rates
