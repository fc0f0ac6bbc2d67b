"""Makes and loads the databases of a released version.

``python -m tests.upgrades.released`` makes those of the version that setup.cfg names, in
a folder of that name here: once for each release, just before its tag, and never again.
Their keys and numbers are published test data.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import make_url

from deploy.release import version_of
from tests.places.customers import newcomers, take_in
from tests.places.postgres_cluster import PROGRAMS, ROLE, Cluster
from tests.places.site import ROOT, Place

HERE = Path(__file__).resolve().parent
ENGINES = ("sqlite", "postgres")
DATABASES = {"site": "DATABASE_URL", "vault": "VAULT_DATABASE_URL"}
KEYS = ("web.key", "root.key")
OPERATOR = "taro"
CUSTOMERS = list(newcomers(8))
"""Whom every released version has, the first five from before its key rotation."""
# What one release of pg_dump writes and an older server doesn't know.
_NEWER = re.compile(r"^(\\|SET transaction_timeout|--).*\n", re.M)


def versions() -> list[str]:
    """Every version whose databases are kept, oldest first."""
    names = [path.parent.name for path in HERE.glob("*/sqlite")]
    return sorted(names, key=lambda name: [int(part) for part in name.split(".")])


def urls(server: Cluster, name: str) -> dict[str, str]:
    """The settings that name a server's databases ``NAME_site`` and ``NAME_vault``."""
    return {key: server.url(f"{name}_{kind}") for kind, key in DATABASES.items()}


@contextmanager
def loaded(
    version: str, engine: str, folder: Path, server: Cluster | None
) -> Iterator[Place]:
    """A place with the databases of a released version, on the server or, with none, in
    the folder."""
    kept = HERE / version / engine
    for name in KEYS:
        shutil.copyfile(kept / name, folder / name)
        (folder / name).chmod(0o600)
    if server is None:
        for kind in DATABASES:
            with closing(sqlite3.connect(folder / f"{kind}.db")) as db:
                db.executescript((kept / f"{kind}.sql").read_text(encoding="utf-8"))
                db.execute("PRAGMA journal_mode = WAL")
        yield Place(folder)
        return
    with server.database("old_site"), server.database("old_vault"):
        for kind in DATABASES:
            _psql(server, f"old_{kind}", kept / f"{kind}.sql")
        yield Place(folder, more=urls(server, "old"))


def make(place: Place) -> None:
    """Fill a place as a company does: customers, a key rotation, customers after it."""
    place.make()
    place.add_operator(OPERATOR)
    take_in(place, CUSTOMERS[:5])
    rotated = place.ops("rotate")
    assert rotated.returncode == 0, rotated.stderr
    take_in(place, CUSTOMERS[5:])


def keep(place: Place, folder: Path) -> None:
    """Write a place's keys and databases down as text."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEYS:
        shutil.copyfile(place.folder / name, folder / name)
    for kind, key in DATABASES.items():
        url = make_url(place.environ()[key])
        if url.database and url.get_backend_name() == "sqlite":
            with closing(sqlite3.connect(url.database)) as db:
                text = "".join(f"{line}\n" for line in _sqlite_dump(db))
        else:
            text = _pg_dump(url.port or 0, url.database or "")
        (folder / f"{kind}.sql").write_text(text, encoding="utf-8")


def _sqlite_dump(db: sqlite3.Connection) -> Iterator[str]:
    """The statements that make a database.  Python's own leave a search index half
    made, so each is made by its own statement and filled by its rows."""
    indexes = db.execute(
        "SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE VIRTUAL TABLE%'"
    ).fetchall()
    names = "|".join(re.escape(name) for name, _ in indexes) or "(?!)"
    theirs = re.compile(
        rf"PRAGMA writable_schema|INSERT INTO sqlite_master"
        rf"|(?:INSERT INTO|CREATE TABLE) [\"']?(?:{names})(?:_\w+)?[\"']?[ (]"
    )
    lines = (line for line in db.iterdump() if not theirs.match(line))
    yield next(lines)
    for name, sql in indexes:
        yield f"{sql};"
        columns = [column[1] for column in db.execute(f"PRAGMA table_info({name})")]
        chosen = ", ".join(["rowid", *columns])
        values = " || ', ' || ".join(f"quote({c})" for c in ["rowid", *columns])
        for (row,) in db.execute(f"SELECT {values} FROM {name}"):
            yield f"INSERT INTO {name} ({chosen}) VALUES ({row});"
    yield from lines


def _pg_dump(port: int, database: str) -> str:
    words = ["--no-owner", "--no-privileges", "--inserts", "--host=127.0.0.1"]
    done = subprocess.run(
        [str(PROGRAMS[-1] / "pg_dump"), *words, f"-p{port}", f"-U{ROLE}", database],
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"\n{3,}", "\n\n", _NEWER.sub("", done.stdout)).lstrip()


def _psql(server: Cluster, database: str, script: Path) -> None:
    words = ["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--host=127.0.0.1"]
    subprocess.run(
        [
            str(PROGRAMS[-1] / "psql"),
            *words,
            f"-p{server.port}",
            f"-U{ROLE}",
            f"--file={script}",
            database,
        ],
        stdout=subprocess.DEVNULL,
        check=True,
    )


def main() -> None:
    """Make both engines' databases of this version."""
    kept = HERE / version_of(ROOT)
    shutil.rmtree(kept, ignore_errors=True)
    server = Cluster().make()
    try:
        for engine in ENGINES:
            with tempfile.TemporaryDirectory() as folder:
                place = Place(Path(folder))
                if engine == "postgres":
                    for kind in DATABASES:
                        server.say(f"CREATE DATABASE new_{kind}")
                    place.more.update(urls(server, "new"))
                make(place)
                keep(place, kept / engine)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
