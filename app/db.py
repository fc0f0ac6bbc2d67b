"""Commits one request's work across the site's database and the vault's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from flask import Flask, g
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
from vault.kill_points import kill_point
from vault.store.database import readers, reading

from . import current
from .happenings import Kind, entered, happened

Act = Callable[[], object]
InVault = Callable[[Connection], object]
IsSaved = Callable[[Session], bool]
Answer = TypeVar("Answer")


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
    """A session that refuses to write until ``writes`` is set, so that a request that
    only reads never holds a lock."""

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
class _Entry:
    """The content of an entry to be added to the trail."""

    event: str
    by: Actor
    outcome: str
    subject: str
    detail: Mapping[str, Any] | None


class Work:
    """What one request or command does in both databases.  It reads without a lock
    until ``write`` is called; ``commit``, after the view has returned, commits what it
    wrote.

    Lock order: rows of the site, rows of the vault, the trail last, so that two
    requests can't deadlock.  ``record`` collects entries, and the commit appends them.
    The vault commits first, because a sealed card that no customer refers to does no
    harm, and then the site.  ``then_in_vault`` functions run in a second vault transaction
    after both commits; ``after_commit`` functions run last and write nothing.
    """

    def __init__(self, site_engine: Engine, vault: Vault) -> None:
        self._site_engine = site_engine
        self.vault = vault
        self.site = SiteSession(readers(site_engine))
        self._vault_db: Connection | None = None
        self._entries: list[_Entry] = []
        self._then_in_vault: list[InVault] = []
        self._after_commit: list[Act] = []
        self._unless_saved: list[tuple[IsSaved, InVault]] = []

    @property
    def writes(self) -> bool:
        """Say whether ``write`` was called, and no commit or release since."""
        return self.site.writes

    @property
    def vault_db(self) -> Connection:
        """The transaction on the vault's database, begun when first used.  Before
        ``write`` it only reads.  After it, lock order: the site's transaction begins
        first, then this one, so that two requests can't deadlock."""
        if self._vault_db is None:
            if self.writes:
                self.site.connection()
            self._vault_db = self._begin_vault()
        return self._vault_db

    def _begin_vault(self) -> Connection:
        engine = self.vault.engine if self.writes else readers(self.vault.engine)
        begun = engine.connect()
        begun.begin()
        return begun

    def write(self) -> None:
        """Begin to write.  What was read so far is expired and read again when used,
        because only now is it kept from changing."""
        if not self.writes:
            entries = self._entries
            self.release()
            self._entries = entries
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
        """Make the commit append an entry to the trail.  If that fails, nothing is
        committed."""
        self._entries.append(_Entry(event, by, outcome, subject, detail))

    def then_in_vault(self, act: InVault) -> None:
        """Run ``act`` in a vault transaction of its own after both commits.  If it
        fails, the commits stay, and ``cards reconcile`` finds what is left."""
        self._then_in_vault.append(act)

    def unless_saved(self, is_saved: IsSaved, act: InVault) -> None:
        """If the site's commit fails, after the vault's, run ``act`` in a vault
        transaction of its own, to record that an entry told of what was not saved.
        ``is_saved`` is asked first, because a commit whose answer was lost may be done.
        A killed process runs neither."""
        self._unless_saved.append((is_saved, act))

    def after_commit(self, act: Act) -> None:
        """Run ``act`` when everything is committed, for example to send a mail."""
        self._after_commit.append(act)

    def release(self) -> None:
        """Roll back and drop what was recorded, to release every lock before slow work
        such as a password hash.  After this the Work only reads again."""
        self._entries, self._then_in_vault, self._after_commit = [], [], []
        self._unless_saved = []
        self.site.rollback()
        self._let_go_of_vault()
        self._read()

    def _read(self) -> None:
        self.site.bind, self.site.writes = readers(self._site_engine), False

    def _let_go_of_vault(self) -> None:
        if self._vault_db is not None:
            begun, self._vault_db = self._vault_db, None
            # After a failed commit the connection counts its transaction as ended, and
            # would go back to the pool with its locks.
            begun.rollback()
            begun.close()

    def commit(self) -> None:
        """Commit the vault, then the site, then run what was to follow.  After this the
        Work only reads again."""
        # Lock order: write every row of the site before the trail is locked.
        self.site.flush()
        told = self._tell()
        if self.writes:
            if self._vault_db is not None:
                self._vault_db.commit()
            kill_point("site-vault-committed")
            try:
                self.site.commit()
            except SQLAlchemyError as error:
                self._tell_not_saved(told, error)
                raise
            kill_point("site-committed")
        self._unless_saved = []
        self._let_go_of_vault()
        self._read()
        for one in told:
            entered(one.event, one.outcome, one.by.origin)
        self._follow()

    def _tell_not_saved(self, told: Iterable[_Entry], error: SQLAlchemyError) -> None:
        """Run what ``unless_saved`` was given, and record what was ``told`` once more as
        failed, unless the commit's answer was lost: then it may be saved.  The request
        fails in any case, so an error here is only logged."""
        lost, self._unless_saved = self._unless_saved, []
        unheard = getattr(error, "connection_invalidated", False)
        done = () if unheard else [one for one in told if one.outcome == "success"]
        if not lost and not done:
            return
        try:
            self.site.rollback()
            self._let_go_of_vault()
            with looking(self._site_engine) as site:
                acts = [act for is_saved, act in lost if not is_saved(site)]
            with self.vault.engine.begin() as db:
                for act in acts:
                    act(db)
                self._append(db, (replace(one, outcome="failure") for one in done))
        except (SQLAlchemyError, VaultError) as untold:
            happened(Kind.NOT_SAVED, cause=_cause(untold))

    def _tell(self) -> list[_Entry]:
        """Make the vault's commit append what was recorded, and return that.  A Work
        that only read ends its reading first, and writes nothing else."""
        entries, self._entries = self._entries, []
        if entries and not self.writes:
            self.site.rollback()
            self._let_go_of_vault()
            with self.vault.engine.begin() as db:
                self._append(db, entries)
        elif entries:
            self._append(self.vault_db, entries)
        return entries

    def _append(self, db: Connection, entries: Iterable[_Entry]) -> None:
        for one in entries:
            self.vault.record(
                db,
                one.event,
                one.by,
                outcome=one.outcome,
                subject=one.subject,
                detail=one.detail,
            )

    def _follow(self) -> None:
        then_in_vault, self._then_in_vault = self._then_in_vault, []
        after_commit, self._after_commit = self._after_commit, []
        if then_in_vault:
            try:
                with self.vault.engine.begin() as db:
                    for act in then_in_vault:
                        act(db)
            except (SQLAlchemyError, VaultError) as error:
                # The request's own change is committed, so its page must say so.
                happened(Kind.LEFT_OVER, cause=_cause(error))
            kill_point("site-followed")
        for done in after_commit:
            done()

    def close(self) -> None:
        """Roll back whatever was not committed.  On a broken connection there is
        nothing to roll back, and the answer with the error is made already."""
        for step in (self._let_go_of_vault, self.site.rollback, self.site.close):
            with suppress(SQLAlchemyError):
                step()


def _cause(error: Exception) -> str:
    # PostgreSQL's further lines quote the row.
    return str(getattr(error, "orig", None) or error).partition("\n")[0]


def work() -> Work:
    """This request's Work, begun when first used."""
    if "work" not in g:
        g.work = _new_work()
    made: Work = g.work
    return made


def _new_work() -> Work:
    return Work(current.site_engine(), current.vault())


def at_once(act: Callable[[Work], Answer]) -> Answer:
    """Call ``act`` with a Work of its own and commit that before this request goes on;
    what the request has read is read again when used."""
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
    """Delete the ``old`` rows of ``model``, except those another request is deleting
    just now, so as not to wait for them."""
    (key,) = inspect(model).primary_key
    free = select(key).where(*old).order_by(key).with_for_update(skip_locked=True)
    gone = delete(model).where(key.in_(free))
    site.execute(gone.execution_options(synchronize_session=False))


@contextmanager
def looking(site_engine: Engine) -> Iterator[Session]:
    """A session that reads the site's database as of one moment; what it has loaded can
    still be used after it ends."""
    with reading(site_engine) as db, Session(db, expire_on_commit=False) as site:
        yield site
        site.expunge_all()


def commit_work() -> None:
    """Commit this request's Work, if it has one."""
    if "work" in g:
        work().commit()


def answers(site_engine: Engine) -> bool:
    """Say whether the site's own database answers, and has its tables."""
    try:
        with reading(site_engine) as db:
            db.execute(text("SELECT 1 FROM operator LIMIT 1"))
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
