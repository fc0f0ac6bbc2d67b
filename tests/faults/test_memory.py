"""The promise, held against a running site: its memory opens no older card."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.forms import CARD
from tests.actors.mail import Mails
from tests.actors.operator_http import Desk
from tests.places.site import Place, processes
from vault import WebKey
from vault.card.envelope import envelope_aad
from vault.crypto import KEY_BYTES, Cipher
from vault.errors import IntegrityFault

pytestmark = pytest.mark.faults

# Where an allocator may begin an object.
ALIGNMENT = 16
# Of 32 random bytes about 30 differ; text, pointers and code stay far below.
LEAST_DISTINCT = 20


def secrets_in(process: int) -> set[bytes]:
    """Every 32 bytes in a process's writable memory that could be a key."""
    found: set[bytes] = set()
    maps = Path(f"/proc/{process}/maps").read_text()
    with Path(f"/proc/{process}/mem").open("rb", buffering=0) as memory:
        for begin, end in re.findall(r"^(\w+)-(\w+) rw.. \w+ 00:00 ", maps, re.M):
            memory.seek(int(begin, 16))
            held = memory.read(int(end, 16) - int(begin, 16))
            found |= {
                held[at : at + KEY_BYTES] for at in range(0, len(held), ALIGNMENT)
            }
    return {window for window in found if len(set(window)) > LEAST_DISTINCT}


def opened_by(secrets: set[bytes], place: Place) -> set[str]:
    """The customers whose cards one of ``secrets`` opens."""
    vault_id = WebKey.read(place.folder / "web.key").vault_id
    with sqlite3.connect(place.folder / "site.db") as site:
        names = dict(site.execute("SELECT token, name FROM customer"))
    with sqlite3.connect(place.folder / "vault.db") as vault:
        cards = vault.execute(
            "SELECT token, data_key_id, envelope FROM card"
        ).fetchall()
    return {
        names[token]
        for token, key_id, envelope in cards
        if any(
            opens(secret, envelope, envelope_aad(vault_id, token, key_id))
            for secret in secrets
        )
    }


def opens(secret: bytes, envelope: bytes, aad: bytes) -> bool:
    """Say whether ``secret`` is an envelope's key."""
    try:
        return bool(Cipher(secret).open(envelope, aad, "card"))
    except IntegrityFault:
        return False


def everything(place: Place, master: int) -> set[bytes]:
    """What an intruder may try: the memory and the environment of every process."""
    secrets: set[bytes] = set()
    for process in processes(master):
        secrets |= secrets_in(process)
        environ = Path(f"/proc/{process}/environ").read_bytes()
        secrets |= {environ[at : at + KEY_BYTES] for at in range(len(environ))}
    for name in ("web.key", "vault.db", "site.db"):
        held = (place.folder / name).read_bytes()
        secrets |= {held[at : at + KEY_BYTES] for at in range(0, len(held), 4)}
    return {secret for secret in secrets if len(secret) == KEY_BYTES}


def test_a_restarted_site_holds_nothing_that_opens_an_older_card(
    tmp_path: Path, mails: tuple[Mails, int], open_at: Callable[[Path], Place]
) -> None:
    """Memory, environment, key file and databases open what this process sealed and
    nothing that was sealed before the restart (PAN-07)."""
    place = open_at(tmp_path)
    desk = Desk(place)
    with place.serving("--workers", "1"):
        desk.login("taro", mails[0])
        desk.post("/cards", "/cards", customer_name="昨日の客", **CARD)
    with place.serving("--workers", "1", anew=True) as site:
        assert "昨日の客" in desk.get("/cards")
        desk.post("/cards", "/cards", customer_name="今日の客", **CARD)
        assert opened_by(everything(place, site.pid), place) == {"今日の客"}


def test_no_process_of_the_site_leaves_a_core(
    tmp_path: Path, open_at: Callable[[Path], Place]
) -> None:
    """A core file would hold what an operator just typed (PAN-05)."""
    place = open_at(tmp_path)
    with place.serving("--workers", "1", anew=True) as site:
        for process in processes(site.pid):
            limits = Path(f"/proc/{process}/limits").read_text()
            assert re.search(r"^Max core file size +0 +0 ", limits, re.M)
