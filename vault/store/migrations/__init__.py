"""Runs the migrations of the vault's database, and of any other database of ours.

Alembic is driven from code, with no ini file.  On SQLite a whole step, tables
included, is one transaction, which ``database.connect`` begins itself; a step that
fails leaves nothing behind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine

from ...errors import SchemaError
from ..database import reading, unlimited


@dataclass(frozen=True)
class History:
    """The revisions under ``place`` (a folder with env.py and versions/), their
    state kept in the database's ``version_table``."""

    place: Path
    version_table: str

    def _config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(self.place).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["version_table"] = self.version_table
        return config

    def upgrade(self, engine: Engine, revision: str = "head") -> None:
        """Bring the database up to ``revision``; nothing happens at head.

        Raises SchemaError when it stands at a revision this code doesn't know.
        """
        self._require_known(self.current(engine))
        config = self._config()
        with engine.begin() as connection:
            unlimited(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, revision)

    def downgrade(self, engine: Engine, revision: str) -> None:
        """Take the database back to ``revision`` (``base`` for empty)."""
        config = self._config()
        with engine.begin() as connection:
            unlimited(connection)
            config.attributes["connection"] = connection
            command.downgrade(config, revision)

    def current(self, engine: Engine) -> str | None:
        """The revision the database stands at, or None when it has no tables."""
        # A reading transaction does not wait for a writer.
        with reading(engine) as connection:
            context = MigrationContext.configure(
                connection, opts={"version_table": self.version_table}
            )
            return context.get_current_revision()

    @cache  # noqa: B019 - frozen, and there are two of them
    def head(self) -> str | None:
        """The newest revision this code knows."""
        return ScriptDirectory.from_config(self._config()).get_current_head()

    def _require_known(self, current: str | None) -> None:
        scripts = ScriptDirectory.from_config(self._config())
        known = {script.revision for script in scripts.walk_revisions()}
        if current is None or current in known:
            return
        if current < (self.head() or ""):
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
            self._require_known(current)
            raise SchemaError(
                f"the {what} database is at revision {current or 'none'}, "
                f"this code needs {head}",
                hint="flask --app wsgi migrate",
            )


HISTORY = History(Path(__file__).parent, "alembic_version_vault")
