"""The same number under two tokens is found, in memory alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import text

from tests.places.vault import VISA, VaultPlace
from vault import Expiry, Token
from vault.ops import duplicates
from vault.ops.duplicates import Duplicates, Search
from vault.ops.progress import Step
from vault.store.database import reading

Register = Callable[..., Token]
# Alike in all that is shown: brand, first two and last four digits, length.
LOOKALIKE = "4810000000100000"


def search(place: VaultPlace) -> tuple[Duplicates, list[str], list[Step]]:
    """Look; also which cards could not be opened, and the steps."""
    told: list[str] = []
    steps: list[Step] = []
    with reading(place.engine) as db:
        found = Search(
            place.open_vault(), db, steps.append, lambda token, _: told.append(token)
        ).run()
    return found, told, steps


def files(place: VaultPlace) -> dict[str, bytes]:
    """What every file holds, but SQLite's shared memory."""
    kept = (p for p in place.folder.iterdir() if not p.name.endswith("-shm"))
    return {p.name: p.read_bytes() for p in kept}


def test_the_same_number_is_found_whatever_its_expiry(
    place: VaultPlace, register: Register
) -> None:
    """Groups of cards in the order of registration; others are in none."""
    first, second = register(), register("5555555555554444")
    again, alone = register(expiry=Expiry(2031, 5)), register("378282246310005")
    twin = register("5555555555554444")
    found, _, _ = search(place)
    groups = [[card.token for card in group] for group in found.groups]
    assert groups == [[first, again], [second, twin]]
    assert all(alone not in group for group in groups)
    assert found.groups[0][1].masked == "48**-****-****-0000"


def test_what_only_looks_the_same_is_none(
    place: VaultPlace, register: Register
) -> None:
    """Brand, prefix, last four and expiry agree, the number does not."""
    register()
    register(LOOKALIKE)
    assert search(place)[0] == Duplicates((), 0)


def test_a_lookalike_is_not_drawn_into_a_group(
    place: VaultPlace, register: Register
) -> None:
    """The second pass compares the whole number again."""
    tokens = [register(), register(LOOKALIKE), register()]
    ((one, two),) = search(place)[0].groups
    assert [one.token, two.token] == [tokens[0], tokens[2]]


def test_a_card_that_cannot_be_opened_is_named_once(
    place: VaultPlace, register: Register
) -> None:
    """It may be a duplicate, and nobody can say."""
    bad, one, two = register(), register(), register()
    with place.engine.begin() as db:
        db.execute(text(f"UPDATE card SET mac = x'00' WHERE token = '{bad}'"))
    found, told, _ = search(place)
    assert (told, found.left_out) == ([bad], 1)
    assert [card.token for card in found.groups[0]] == [one, two]


def test_nothing_is_written_and_each_run_has_its_own_key(
    place: VaultPlace, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file is as it was; a digest of one run says nothing in another."""
    monkeypatch.setattr(duplicates, "STEP", 1)
    register()
    before = files(place)
    digests = []
    digest_of = Search._digest

    def note(run: Search, row: object) -> bytes:
        digests.append(digest_of(run, row))  # type: ignore[arg-type]
        return digests[-1]

    monkeypatch.setattr(Search, "_digest", note)
    _, _, steps = search(place)
    search(place)
    assert files(place) == before
    assert digests[0] != digests[1]
    assert VISA.encode() not in digests[0]
    assert steps == [Step("compare", 1, 1)]
