"""Commands that add operators at the same time wait for each other (REL-03)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.forked import Piped, typist
from tests.places.site import PASSWORD, Place

IDS = ("hanako", "jiro", "saburo", "saburo")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place on each kind of database."""
    more = {}
    if request.param == "postgres":
        site, vault = request.getfixturevalue("databases")
        more = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
    return Place(tmp_path, more=more).make()


def adding(place: Place, login_id: str) -> Piped:
    """A process that adds an operator, once it is given the password."""
    address = f"{login_id}@example.co.jp"
    words = ("operators", "add", login_id, "--name", "山田", "--email", address)
    return typist().pipe(
        *("flask", "--app", "wsgi", *words, "--password-stdin"),
        folder=place.folder,
        environ=place.environ(),
    )


def test_operators_added_at_once_are_all_added(place: Place) -> None:
    """Every process waits for its turn.  Of two with the same ID one is told that the
    ID is taken."""
    runs = [adding(place, login_id) for login_id in IDS]
    for run in runs:
        run.stdin.write(f"{PASSWORD}\n".encode())
    said = [(run.communicate()[1], run.returncode) for run in runs]
    assert said[:2] == [("", 0), ("", 0)]
    refused = (
        "error: the login ID saburo is taken\nhint: choose another, one ID a person\n"
    )
    assert sorted(said[2:]) == [("", 0), (refused, 2)]
    listed = place.run("flask", "--app", "wsgi", "operators", "list").stdout
    names = [line.split("\t")[0] for line in listed.splitlines()]
    assert names == sorted(set(IDS))
