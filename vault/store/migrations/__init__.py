"""Runs the migrations of the vault's database, and of any other database of ours.

Alembic is driven from code, with no ini file.  On SQLite a whole step, tables
included, is one transaction, which ``database.connect`` begins itself; a step that
fails leaves nothing behind.  It is imported when a database is moved, because it takes
an eighth of the time in which a command starts.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine

from ..postgresql import unlimited
from ..revisions import REVISIONS, Revisions

if TYPE_CHECKING:
    from alembic.config import Config


class History(Revisions):
    """The revisions of one database, and the ways up and down between them."""

    def _config(self) -> Config:
        config: Config = import_module("alembic.config").Config()
        config.set_main_option("script_location", str(self.place).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        config.attributes["version_table"] = self.version_table
        return config

    def upgrade(self, engine: Engine, revision: str = "head") -> None:
        """Bring the database up to ``revision``; nothing happens at head.

        Raises SchemaError when it stands at a revision this code doesn't know, or when
        this code knows none.
        """
        self.require_known(self.current(engine))
        config = self._config()
        with engine.begin() as connection:
            unlimited(connection)
            config.attributes["connection"] = connection
            _alembic().upgrade(config, revision)

    def downgrade(self, engine: Engine, revision: str) -> None:
        """Take the database back to ``revision`` (``base`` for empty)."""
        config = self._config()
        with engine.begin() as connection:
            unlimited(connection)
            config.attributes["connection"] = connection
            _alembic().downgrade(config, revision)


def _alembic() -> Any:
    return import_module("alembic.command")


HISTORY = History(REVISIONS.place, REVISIONS.version_table)
