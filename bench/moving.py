"""Cards in and out: an import beside a raw insert of the same rows, an export beside a
raw select and open, one with a file of amounts beside the same with a look-up, and an
update that replaces every number beside a raw update of the same rows."""

from __future__ import annotations

import csv
import os
import random
import secrets
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.cards.importing.batches import BATCH
from vault import Actor, WebKey
from vault.clock import system_clock
from vault.ops import OpenVault, RootKey
from vault.ops.export import Order, export
from vault.store.database import connect

from .cards import numbers
from .growing import most_memory

BIN = Path(sys.executable).parent
ROOT = Path(__file__).resolve().parent.parent
HEADING = ["customer_name", "phone", "card_number", "exp_month", "exp_year"]


def environ(folder: Path) -> dict[str, str]:
    """A place in ``folder``, as both commands read it."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SECRET_KEY": secrets.token_hex(32),
        "ALLOW_INSECURE_LOOPBACK": "1",
        "DATABASE_URL": f"sqlite:///{folder}/site.db",
        "VAULT_DATABASE_URL": f"sqlite:///{folder}/vault.db",
        "VAULT_WEB_KEY": f"{folder}/web.key",
        "VAULT_ROOT_KEY": f"{folder}/root.key",
    }


def write_sheet(path: Path, count: int) -> None:
    """``count`` customers as a spreadsheet saves them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADING)
        for place, digits in enumerate(numbers(count)):
            phone = f"090-{place // 10_000:04}-{place % 10_000:04}"
            writer.writerow(["山田 太郎", phone, digits, "12", "2030"])


def run(folder: Path, *words: str) -> tuple[float, float]:
    """Run one of the project's commands; its seconds and its MiB at most."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(BIN / words[0]), *words[1:]],
        env=environ(folder),
        stdout=subprocess.DEVNULL,
    )
    memory = most_memory(process)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return time.perf_counter() - began, memory


def imported(folder: Path, sheet: Path) -> tuple[float, float]:
    """The whole ``cards import`` of a sheet into a new place."""
    folder.mkdir()
    run(folder, "cardvault", "init", "--no-passphrase")
    flask = ("flask", "--app", "wsgi")
    run(folder, *flask, "migrate")
    return run(folder, *flask, "cards", "import", str(sheet))


def exported(folder: Path) -> tuple[float, float]:
    """The whole ``cardvault export`` of a place to a fresh age identity."""
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    to = ("--recipient", recipient, "--reason", "bench", "--out", f"{folder}/out.age")
    return run(folder, "cardvault", "export", *to)


def exported_within(folder: Path) -> tuple[float, float]:
    """The export alone, in this process, which has started already; no memory."""
    web_key = WebKey.read(folder / "web.key")
    root_key = RootKey.parse((folder / "root.key").read_text(), "root.key", None)
    engine = connect(f"sqlite:///{folder}/vault.db")
    vault = OpenVault(web_key, root_key, engine, system_clock)
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    order = Order(folder / "within.age", (recipient,), "bench", Actor("bench", "here"))
    began = time.perf_counter()
    export(vault, order, lambda _: None, lambda *_: None)
    spent = time.perf_counter() - began
    engine.dispose()
    return spent, 0.0


def write_amounts(database: Path, path: Path) -> None:
    """A file with an amount for each card, in no order."""
    with closing(sqlite3.connect(database)) as db:
        tokens = [row[0] for row in db.execute("SELECT token FROM card")]
    random.Random(len(tokens)).shuffle(tokens)  # nosec B311
    lines = (f"{token},A-{place},{place}\n" for place, token in enumerate(tokens))
    path.write_text("token,order_no,amount\n" + "".join(lines))


def billed(folder: Path) -> tuple[float, float]:
    """The whole ``cardvault export --with`` of an amount for each card."""
    write_amounts(folder / "vault.db", folder / "amounts.csv")
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    to = ("--recipient", recipient, "--reason", "bench", "--out", f"{folder}/bill.age")
    return run(folder, "cardvault", "export", *to, "--with", f"{folder}/amounts.csv")


def raw_billing(folder: Path) -> float:
    """Seconds of looking up each token of a file of amounts in what ``raw`` wrote, and
    opening and writing as ``raw_export`` does."""
    write_amounts(folder / "raw.db", folder / "amounts.csv")
    opening = AESGCM(bytes(32))
    began = time.perf_counter()
    query = "SELECT envelope, exp_month, exp_year FROM card WHERE token = ?"
    with (
        closing(sqlite3.connect(folder / "raw.db")) as db,
        (folder / "amounts.csv").open(newline="") as sheet,
        (folder / "bill.csv").open("w") as out,
    ):
        rows = csv.reader(sheet)
        next(rows)
        for token, order_no, amount in rows:
            envelope, month, year = db.execute(query, (token,)).fetchone()
            plain = opening.decrypt(envelope[:12], envelope[12:], token.encode())
            number = plain.rstrip(b"\0").decode()
            out.write(f"{token},{number},{month},{year},{order_no},{amount}\r\n")
    return time.perf_counter() - began


def raw_export(folder: Path) -> float:
    """Seconds of reading what ``raw`` wrote, opening each envelope and writing plain
    CSV; no check, no MAC, no encryption."""
    opening = AESGCM(bytes(32))
    began = time.perf_counter()
    db = sqlite3.connect(folder / "raw.db")
    rows = db.execute("SELECT token, envelope, exp_month, exp_year FROM card")
    with (folder / "out.csv").open("w") as out:
        for token, envelope, month, year in rows:
            plain = opening.decrypt(envelope[:12], envelope[12:], token.encode())
            number = plain.rstrip(b"\0").decode()
            out.write(f"{token},{number},{month},{year}\r\n")
    db.close()
    return time.perf_counter() - began


def raw(folder: Path, sheet: Path) -> float:
    """Seconds of reading the sheet, sealing each number and inserting it with its
    customer into one table, a commit a batch; no check, no MAC, no trail."""
    folder.mkdir()
    db = sqlite3.connect(folder / "raw.db", isolation_level=None)
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
        db.execute(f"PRAGMA {pragma}")
    db.execute(
        "CREATE TABLE card (id INTEGER PRIMARY KEY, token TEXT UNIQUE, name TEXT, "
        "phone TEXT, envelope BLOB, last4 TEXT, exp_month TEXT, exp_year TEXT)"
    )
    sealing = AESGCM(bytes(32))
    began = time.perf_counter()
    with sheet.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        next(rows)
        while batch := list(islice(rows, BATCH)):
            sealed = []
            for name, phone, digits, month, year in batch:
                token, nonce = secrets.token_urlsafe(16), os.urandom(12)
                plain = digits.encode().ljust(20, b"\0")
                envelope = nonce + sealing.encrypt(nonce, plain, token.encode())
                sealed.append((token, name, phone, envelope, digits[-4:], month, year))
            db.execute("BEGIN IMMEDIATE")
            db.executemany(
                "INSERT INTO card (token, name, phone, envelope, last4, exp_month, "
                "exp_year) VALUES (?, ?, ?, ?, ?, ?, ?)",
                sealed,
            )
            db.execute("COMMIT")
    spent = time.perf_counter() - began
    db.close()
    return spent


def write_answer(database: Path, table: str, path: Path) -> None:
    """A file with a new number and expiry for each row of ``table``."""
    with closing(sqlite3.connect(database)) as db:
        tokens = [row[0] for row in db.execute(f"SELECT token FROM {table}")]
    lines = (
        f"{token},{digits},11,2031\n"
        for token, digits in zip(tokens, numbers(len(tokens)), strict=True)
    )
    path.write_text("token,card_number,exp_month,exp_year\n" + "".join(lines))


def updated(folder: Path) -> tuple[float, float]:
    """The whole ``cards update`` of a place, every number replaced."""
    answer = folder / "answer.csv"
    write_answer(folder / "site.db", "customer", answer)
    return run(folder, "flask", "--app", "wsgi", "cards", "update", str(answer))


def raw_update(folder: Path) -> float:
    """Seconds of reading such a file, sealing each number and writing it over the old
    one in what ``raw`` wrote, a commit a batch; no check, no MAC, no trail."""
    answer, sealing = folder / "answer.csv", AESGCM(bytes(32))
    write_answer(folder / "raw.db", "card", answer)
    began = time.perf_counter()
    query = "UPDATE card SET envelope = ?, last4 = ?, exp_month = ?, exp_year = ? WHERE token = ?"
    with (
        closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as db,
        answer.open(newline="") as file,
    ):
        rows = csv.reader(file)
        next(rows)
        while batch := list(islice(rows, BATCH)):
            sealed = []
            for token, digits, month, year in batch:
                nonce, plain = os.urandom(12), digits.encode().ljust(20, b"\0")
                envelope = nonce + sealing.encrypt(nonce, plain, token.encode())
                sealed.append((envelope, digits[-4:], month, year, token))
            db.execute("BEGIN IMMEDIATE")
            db.executemany(query, sealed)
            db.execute("COMMIT")
    return time.perf_counter() - began
