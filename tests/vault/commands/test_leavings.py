"""What an old root or web key opens leaves SQLite's files with it."""

from __future__ import annotations

from contextlib import closing

import pytest
from sqlalchemy import Column, select

from vault.store.database import reading
from vault.store.schema import AUDIT_HEAD, DATA_KEY, VAULT

from .shell import Shell


@pytest.mark.parametrize(
    ("words", "column"),
    [
        (("rotate",), DATA_KEY.c.wrapped),
        (("root", "rotate", "--finalize"), DATA_KEY.c.wrapped),
        (("root", "rotate", "--finalize"), VAULT.c.sealed_genesis),
        (("web-key", "rotate"), AUDIT_HEAD.c.sealed_chain_key),
    ],
)
def test_what_was_replaced_is_in_no_file(
    shell: Shell, words: tuple[str, ...], column: Column[bytes]
) -> None:
    """Though the site is running, whose connection keeps the log from ending."""
    shell.seal(1)
    if "--finalize" in words:
        shell("root", "rotate")
    site = shell.vault().engine
    with closing(site.raw_connection()) as running:
        running.cursor().execute("SELECT * FROM vault").fetchall()
        with reading(site) as db:
            old = db.execute(select(column)).scalar_one()
        assert _files_with(shell, old)
        assert shell(*words).code == 0
        assert _files_with(shell, old) == []
    site.dispose()


def test_a_reader_in_the_way_is_a_warning(shell: Shell) -> None:
    """The rotation is done, exit 0."""
    shell.seal(1)
    with reading(shell.vault().engine) as db:
        db.execute(select(VAULT)).all()
        ran = shell("rotate")
    assert (ran.code, "a reader or a full disk was in the way" in ran.err) == (0, True)


def _files_with(shell: Shell, secret: bytes) -> list[str]:
    files = (shell.folder / "instance").glob("vault.db*")
    return [path.name for path in files if secret in path.read_bytes()]
