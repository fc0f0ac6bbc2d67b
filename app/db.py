"""Commits one request's work across the site's database and the vault's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from flask import Flask, current_app, g
from sqlalchemy import Connection, Engine, MetaData, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Session

from vault import Vault
from vault.store.database import reading

Act = Callable[[], object]


class Base(DeclarativeBase):
    """The base of the site's models; names constraints so migrations can."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Work:
    """What one request does: a session on the site's database and, once asked
    for, a transaction on the vault's.  Committed once, at the edge.

    The order is DESIGN's: the vault commits first (a sealed card nobody refers
    to does no harm), unless ``site_first`` was said, as for a deletion.
    ``afterwards`` acts run in a second vault transaction after both commits;
    ``once_committed`` acts run last and write nothing.
    """

    def __init__(self, site_engine: Engine, vault: Vault) -> None:
        self.site = Session(site_engine)
        self._vault = vault
        self._vault_db: Connection | None = None
        self._vault_last = False
        self._afterwards: list[Callable[[Connection], None]] = []
        self._once_committed: list[Act] = []

    @property
    def vault_db(self) -> Connection:
        """The request's transaction on the vault's database, begun when first
        asked for (always after the site's, so that two requests can't cross)."""
        if self._vault_db is None:
            self.site.connection()
            self._vault_db = self._vault.engine.connect()
            self._vault_db.begin()
        return self._vault_db

    def site_first(self) -> None:
        """Commit the site before the vault: for a deletion."""
        self._vault_last = True

    def afterwards(self, act: Callable[[Connection], None]) -> None:
        """Run ``act`` in a vault transaction of its own after both commits."""
        self._afterwards.append(act)

    def once_committed(self, act: Act) -> None:
        """Run ``act`` when everything is committed, for example to send a mail."""
        self._once_committed.append(act)

    def release(self) -> None:
        """Let go of every lock with nothing written, before slow work such as
        a password hash."""
        self.site.rollback()
        self._let_go_of_vault()

    def _let_go_of_vault(self) -> None:
        if self._vault_db is not None:
            begun, self._vault_db = self._vault_db, None
            begun.close()

    def commit(self) -> None:
        """Commit both databases in the request's order, then what follows."""
        for step in self._commits():
            step()
        if self._afterwards:
            with self._vault.engine.begin() as db:
                for act in self._afterwards:
                    act(db)
        for done in self._once_committed:
            done()
        self._afterwards, self._once_committed = [], []

    def _commits(self) -> list[Act]:
        steps: list[Act] = [self._commit_vault, self.site.commit]
        return steps[::-1] if self._vault_last else steps

    def _commit_vault(self) -> None:
        if self._vault_db is not None:
            self._vault_db.commit()
            self._vault_db.close()
            self._vault_db = None

    def close(self) -> None:
        """Roll back whatever was not committed.  On a broken connection there is
        nothing to roll back, and the answer with the error is made already."""
        for step in (self._let_go_of_vault, self.site.rollback, self.site.close):
            with suppress(SQLAlchemyError):
                step()


def work() -> Work:
    """This request's Work; begun when first asked for."""
    if "work" not in g:
        g.work = Work(
            current_app.extensions["site_engine"], current_app.extensions["vault"]
        )
    made: Work = g.work
    return made


def commit_work() -> None:
    """Commit this request's Work, if it has one."""
    if "work" in g:
        work().commit()


def site_answers() -> bool:
    """Say whether the site's own database answers."""
    try:
        with reading(current_app.extensions["site_engine"]) as db:
            db.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def init_app(app: Flask) -> None:
    """Roll back, at the end of every request or command, what was not committed."""

    @app.teardown_appcontext
    def _close(_error: BaseException | None) -> None:
        begun = g.pop("work", None)
        if begun is not None:
            begun.close()
