"""Says at which revision a database of ours stands, and which this code needs.

Every command and every start of the site asks that, so it is done without Alembic,
whose import takes longer than all others together.  Going from one revision to another
is migrations/.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, Select, column, inspect, select, table

from ..errors import SchemaError
from .database import reading


@dataclass(frozen=True)
class Revisions:
    """The revisions under ``place`` (a folder with env.py and versions/), their
    state kept in the database's ``version_table``."""

    place: Path
    version_table: str

    def known(self) -> list[str]:
        """The revisions this code knows, oldest first.  Each is what its file's name
        begins with.  Raises SchemaError when there is none: such an installation would
        take a database without tables for one that needs nothing."""
        files = (self.place / "versions").glob("[0-9]*_*.py")
        known = sorted(file.name.partition("_")[0] for file in files)
        if not known:
            raise SchemaError(
                f"there is no migration in {self.place / 'versions'}",
                hint="the installation is not whole; install it again",
            )
        return known

    def head(self) -> str:
        """The newest revision this code knows."""
        return max(self.known())

    def current(self, engine: Engine) -> str | None:
        """The revision the database stands at, or None when it has no tables."""
        # A reading transaction does not wait for a writer.
        with reading(engine) as connection:
            return self._stored(connection)

    def _stored(self, connection: Connection) -> str | None:
        if not inspect(connection).has_table(self.version_table):
            return None
        query: Select[tuple[str]] = select(column("version_num")).select_from(
            table(self.version_table)
        )
        # There is one, unless somebody wrote into the table.
        stored = sorted(map(str, connection.execute(query).scalars()))
        return " and ".join(stored) or None

    def require_known(self, current: str | None) -> None:
        """Raise SchemaError when ``current`` is a revision that this code doesn't
        know, or when this code knows none."""
        known = self.known()
        if current is None or current in known:
            return
        if current < self.head():
            # No release ever made tables that could be converted.
            raise SchemaError(
                f"this database was made by an earlier version (revision {current}), "
                "whose vaults are not taken over",
                hint="move it and its key files away and make a new one with: "
                "cardvault init",
            )
        raise SchemaError(
            f"this database was made by a newer version (revision {current})",
            hint="run the code of that version",
        )

    def require_head(self, engine: Engine, what: str) -> None:
        """Raise SchemaError unless the database stands at this code's head."""
        current, head = self.current(engine), self.head()
        if current != head:
            self.require_known(current)
            raise SchemaError(
                f"the {what} database is at revision {current or 'none'}, "
                f"this code needs {head}",
                hint="flask --app wsgi migrate",
            )


REVISIONS = Revisions(Path(__file__).parent / "migrations", "alembic_version_vault")
"""The revisions of the vault's database."""
