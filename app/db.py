"""Commits one request's work across the site's database and the vault's."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Flask, current_app, g
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    MetaData,
    delete,
    event,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session

from vault import Actor, Vault
from vault.errors import VaultError
from vault.kill_points import instant
from vault.store.database import readers, reading

Act = Callable[[], object]
Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


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


class SiteSession(Session):
    """A session that reads, and refuses to write until ``writes`` is set: what only
    reads has let nobody else wait."""

    writes = False


@event.listens_for(SiteSession, "before_flush")
def _refuse_flush(site: SiteSession, _context: object, _instances: object) -> None:
    changed = any(site.is_modified(row) for row in site.dirty)
    if not site.writes and (changed or site.new or site.deleted):
        raise RuntimeError("nothing is written before Work.write()")


@event.listens_for(SiteSession, "do_orm_execute")
def _refuse_statement(state: ORMExecuteState) -> None:
    site, locks = state.session, getattr(state.statement, "_for_update_arg", None)
    if isinstance(site, SiteSession) and not site.writes:
        if state.is_select and locks is None:
            return
        raise RuntimeError("nothing is written before Work.write()")


@dataclass(frozen=True)
class _Told:
    """What an entry of the trail is to tell."""

    event: str
    by: Actor
    outcome: str
    subject: str
    detail: Mapping[str, Any] | None


class Work:
    """What one request or command does: it reads, holding no lock, until ``write``
    is called; what it writes then is committed once, at the edge, by ``commit``.

    The order is DESIGN's, for everybody: rows of the site, rows of the vault, the
    trail last, so that nobody waits for one who waits for them.  Entries are
    collected by ``record`` and appended by the commit.  The vault commits first (a
    sealed card nobody refers to does no harm) and then the site; ``afterwards`` acts
    run in a second vault transaction after both, ``once_committed`` acts run last
    and write nothing.
    """

    def __init__(self, site_engine: Engine, vault: Vault) -> None:
        self._site_engine = site_engine
        self._vault = vault
        self.site = SiteSession(readers(site_engine))
        self._vault_db: Connection | None = None
        self._told: list[_Told] = []
        self._afterwards: list[Callable[[Connection], object]] = []
        self._once_committed: list[Act] = []

    @property
    def writes(self) -> bool:
        """Say whether ``write`` was called and nothing has ended that since."""
        return self.site.writes

    @property
    def vault_db(self) -> Connection:
        """The transaction on the vault's database, begun when first asked for: a
        reading one before ``write``, after it one that writes and that begins after
        the site's, so that two requests can't cross."""
        if self._vault_db is None:
            if self.writes:
                self.site.connection()
            self._vault_db = self._begin_vault()
        return self._vault_db

    def _begin_vault(self) -> Connection:
        engine = self._vault.engine if self.writes else readers(self._vault.engine)
        begun = engine.connect()
        begun.begin()
        return begun

    def write(self) -> None:
        """Begin to write.  What was read so far is let go of and read again when it
        is looked at: only from here on does it stay as it is."""
        if not self.writes:
            told = self._told
            self.release()
            self._told = told
            self.site.bind, self.site.writes = self._site_engine, True

    def record(
        self,
        event: str,
        by: Actor,
        *,
        outcome: str = "success",
        subject: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Have the commit append an entry to the trail; without it nothing is
        committed."""
        self._told.append(_Told(event, by, outcome, subject, detail))

    def afterwards(self, act: Callable[[Connection], object]) -> None:
        """Run ``act`` in a vault transaction of its own after both commits.  Should it
        fail, what was done stays done, and ``cards reconcile`` finds what is left."""
        self._afterwards.append(act)

    def once_committed(self, act: Act) -> None:
        """Run ``act`` when everything is committed, for example to send a mail."""
        self._once_committed.append(act)

    def release(self) -> None:
        """Let go of every lock with nothing written and nothing recorded, before slow
        work such as a password hash; from here on it reads again."""
        self._told, self._afterwards, self._once_committed = [], [], []
        self.site.rollback()
        self._let_go_of_vault()
        self._read()

    def _read(self) -> None:
        self.site.bind, self.site.writes = readers(self._site_engine), False

    def _let_go_of_vault(self) -> None:
        if self._vault_db is not None:
            begun, self._vault_db = self._vault_db, None
            # A connection whose commit failed takes its transaction for ended, and
            # would go back to the pool with its locks.
            begun.rollback()
            begun.close()

    def commit(self) -> None:
        """Commit both databases in DESIGN's order, then do what follows; from here on
        it reads again."""
        # Every row of the site is written before the trail is held.
        self.site.flush()
        self._tell()
        if self.writes:
            if self._vault_db is not None:
                self._vault_db.commit()
            instant("site-vault-committed")
            self.site.commit()
            instant("site-committed")
        self._let_go_of_vault()
        self._read()
        self._follow()

    def _tell(self) -> None:
        """Have the vault's commit append what was recorded; one who only read lets go
        of it all and writes nothing else."""
        told, self._told = self._told, []
        if told and not self.writes:
            self.site.rollback()
            self._let_go_of_vault()
            with self._vault.engine.begin() as db:
                self._append(db, told)
        elif told:
            self._append(self.vault_db, told)

    def _append(self, db: Connection, told: Iterable[_Told]) -> None:
        for one in told:
            self._vault.record(
                db,
                one.event,
                one.by,
                outcome=one.outcome,
                subject=one.subject,
                detail=one.detail,
            )

    def _follow(self) -> None:
        afterwards, self._afterwards = self._afterwards, []
        once_committed, self._once_committed = self._once_committed, []
        if afterwards:
            try:
                with self._vault.engine.begin() as db:
                    for act in afterwards:
                        act(db)
            except (SQLAlchemyError, VaultError) as error:
                # The act is done, and its page has to say so.
                log.error("left for flask cards reconcile: %s", _cause(error))
            instant("site-followed")
        for done in once_committed:
            done()

    def close(self) -> None:
        """Roll back whatever was not committed.  On a broken connection there is
        nothing to roll back, and the answer with the error is made already."""
        for step in (self._let_go_of_vault, self.site.rollback, self.site.close):
            with suppress(SQLAlchemyError):
                step()


def _cause(error: Exception) -> object:
    return getattr(error, "orig", None) or error


def work() -> Work:
    """This request's Work; begun when first asked for."""
    if "work" not in g:
        g.work = _new_work()
    made: Work = g.work
    return made


def _new_work() -> Work:
    return Work(current_app.extensions["site_engine"], current_app.extensions["vault"])


def at_once(act: Callable[[Work], Answer]) -> Answer:
    """Do ``act`` as a write of its own, committed before this request goes on; what
    the request has read is read again when it is looked at."""
    work().release()
    own = _new_work()
    try:
        own.write()
        answer = act(own)
        own.commit()
        return answer
    finally:
        own.close()


def forget(site: Session, model: type[Base], *old: ColumnElement[bool]) -> None:
    """Delete the ``old`` rows of ``model``, but those that another request is
    deleting just now: nobody waits for them."""
    (key,) = inspect(model).primary_key
    free = select(key).where(*old).order_by(key).with_for_update(skip_locked=True)
    gone = delete(model).where(key.in_(free))
    site.execute(gone.execution_options(synchronize_session=False))


@contextmanager
def looking(site_engine: Engine) -> Iterator[Session]:
    """A session that reads one moment's state of the site's database and holds
    nothing once it is over; what it has loaded stays as it is."""
    with reading(site_engine) as db, Session(db, expire_on_commit=False) as site:
        yield site
        site.expunge_all()


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
