"""Takes in the rows of a file that updates customers, a batch at a time.

A batch is one transaction of the vault and then one of the site, which has the changed
customers, the result of each row and how many rows are done.  The cards that were
replaced are deleted after both.  If the update is killed in between, the next run takes
the batch in again or deletes what is left, and ``reconciling`` knows the cards that no
customer refers to.

Lock order: the job, the customers, the vault's rows, the trail.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import bindparam, or_, select, update

from app.db import Work
from vault import Actor, Token
from vault.store.database import add_rows
from vault.store.sqlite import checkpoint
from vault.web.held_cards import Change, HeldCards, delete_many, ends_of

from .. import texts, unsaved
from ..models import Customer, UpdateJob, UpdateRow
from ..search import index
from . import deciding
from .deciding import Decision, Known, decide
from .rows import Asked

# An operator who saves meanwhile waits for one batch at most, some 60 ms on SQLite.
BATCH = 150

_CHANGED = (
    "name",
    "name_folded",
    "phone",
    "phone_digits",
    "brand",
    "prefix",
    "last4",
    "length",
    "stopped_at",
    "token",
    "expiry",
    "rev",
    "updated_at",
)
# The columns of a row that its result has.
_RESULT = (
    "line",
    "status",
    "public_id",
    "token",
    "replaced",
    "brand",
    "last4",
    "rev",
    "error",
)
_RESULT_VALUES = itemgetter(*_RESULT)
_OVERWRITE = (
    update(Customer)
    .where(Customer.id == bindparam("customer_id"))
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)


class Overtaken(Exception):
    """Another process is taking in the same file."""


@dataclass(frozen=True)
class Job:
    """The update by one file: its number, how many rows were ``done`` before this run,
    when its first run began (seconds UTC), the column that names the customer, and the
    number of the newest finished job for the same file, or 0."""

    id: int
    done: int
    since: int
    key: str
    earlier: int


def revs(unit: Work, key: str, batch: Sequence[Asked]) -> dict[str, int]:
    """The rev of each customer whom a row of ``batch`` names, by the row's key."""
    column = _key_column(key)
    query = select(column, Customer.rev)
    named = {asked.key for asked in batch if asked.key}
    found = unit.site.execute(query.where(column.in_(named))).all()
    unit.release()
    return {row[0]: row[1] for row in found}


def take_in(
    unit: Work,
    job: Job,
    done: int,
    batch: Sequence[tuple[Asked, int]],
    by: Actor,
    now: int,
) -> list[dict[str, object]]:
    """Take in the rows after the first ``done``, all or none, each with the rev that
    its customer had when the run began; returns the result of each row.  Raises
    Overtaken when another process has taken them in meanwhile."""
    unit.write()
    mine = (UpdateJob.id == job.id) & (UpdateJob.done == done)
    moved = update(UpdateJob).where(mine).values(done=done + len(batch))
    if unit.site.connection().execute(moved).rowcount != 1:
        raise Overtaken
    decisions, held = _decisions(unit, job, done, batch, now, lock=True)
    changed = [one for one in decisions if one.entered is not None]
    unsaved.tell(unit, [one.customer for one in changed if one.customer], by)
    tokens = held.change([_change(one) for one in changed], by)
    after = _write(unit, changed, tokens, now)
    results = [_result(one, after) for one in decisions]
    numbered = enumerate(map(_RESULT_VALUES, results), done + 1)
    add_rows(
        unit.site.connection(),
        UpdateRow.__tablename__,
        ("job_id", "number", *_RESULT),
        [(job.id, number, *values) for number, values in numbered],
    )
    _tell_unless_saved(unit, job.id, done, changed, tokens, by)
    _delete_replaced(unit, [str(result["replaced"]) for result in results], by)
    unit.commit()
    return results


def dry_run(
    unit: Work, job: Job, done: int, batch: Sequence[tuple[Asked, int]], now: int
) -> list[dict[str, object]]:
    """The result that each row would have; nothing is written.  It has no token, so
    that the results of a real run may take the place of these."""
    decisions, _ = _decisions(unit, job, done, batch, now, lock=False)
    results = [_result(one, {}) for one in decisions]
    unit.release()
    for one, result in zip(decisions, results, strict=True):
        result["token"] = ""
        if one.entered is not None:
            stopped = result["status"] == deciding.STOPPED
            result["status"] = deciding.WOULD_STOP if stopped else deciding.WOULD_UPDATE
    return results


def _decisions(
    unit: Work,
    job: Job,
    done: int,
    batch: Sequence[tuple[Asked, int]],
    now: int,
    *,
    lock: bool,
) -> tuple[list[Decision], HeldCards]:
    """What becomes of each row, and the cards of its customers."""
    asked = [row for row, _ in batch]
    earlier = _earlier(unit, job, done, asked)
    by_key, by_id = _customers(unit, job.key, asked, earlier, lock=lock)
    found = [
        by_key.get(row.key) or (by_id.get(was.public_id) if was else None)
        for row, was in zip(asked, earlier, strict=True)
    ]
    tokens = {customer.token for customer in found if customer is not None}
    held = HeldCards(unit.vault, unit.vault_db, tokens, lock=lock)
    left = _left(unit, job.key, batch, found)
    decisions = []
    for (row, seen), was, customer in zip(batch, earlier, found, strict=True):
        why = left.get(row.key, (deciding.UNKNOWN, texts.CUSTOMER_UNKNOWN))
        known = Known(customer, seen, job.since, was, held.problem, why)
        decisions.append(decide(row, known, now))
    return decisions, held


def _earlier(
    unit: Work, job: Job, done: int, asked: Sequence[Asked]
) -> list[UpdateRow | None]:
    """What an earlier update made of each row: of the same row, when the same file was
    taken in, or else of one that named the same token, when that names no card any
    more."""
    numbers = range(done + 1, done + len(asked) + 1)
    of_file: dict[int, UpdateRow] = {}
    if job.earlier:
        rows = select(UpdateRow).where(UpdateRow.job_id == job.earlier)
        rows = rows.where(UpdateRow.number.between(numbers[0], numbers[-1]))
        of_file = {row.number: row for row in unit.site.scalars(rows)}
    keys = {row.key for row in asked if row.key} if job.key == "token" else set()
    rows = select(UpdateRow).where(UpdateRow.replaced.in_(keys))
    of_token = {row.replaced: row for row in unit.site.scalars(rows)} if keys else {}
    return [
        of_file.get(number) or of_token.get(row.key)
        for number, row in zip(numbers, asked, strict=True)
    ]


def _customers(
    unit: Work,
    key: str,
    asked: Iterable[Asked],
    earlier: Iterable[UpdateRow | None],
    *,
    lock: bool,
) -> tuple[dict[str, Customer], dict[str, Customer]]:
    """The customers whom the rows name, by the key, and those and the ones of earlier
    rows by their public id; locked, the lower number first."""
    column = _key_column(key)
    keys = {row.key for row in asked if row.key}
    public_ids = {row.public_id for row in earlier if row is not None and row.public_id}
    query = select(Customer).order_by(Customer.id)
    query = query.where(or_(column.in_(keys), Customer.public_id.in_(public_ids)))
    found = unit.site.scalars(query.with_for_update() if lock else query).all()
    by_key = {str(getattr(customer, key)): customer for customer in found}
    return by_key, {customer.public_id: customer for customer in found}


def _key_column(key: str) -> Any:
    return Customer.token if key == "token" else Customer.public_id


def _left(
    unit: Work,
    key: str,
    batch: Iterable[tuple[Asked, int]],
    found: Iterable[Customer | None],
) -> dict[str, tuple[str, str]]:
    """The status and the reason of the rows whose customer is not there, by their key,
    as far as more is known than that."""
    missing = {
        row.key: seen
        for (row, seen), customer in zip(batch, found, strict=True)
        if customer is None and row.key
    }
    left = {
        name: (deciding.CONFLICT, texts.CHANGED_MEANWHILE)
        for name, seen in missing.items()
        if seen
    }
    if key == "token" and missing:
        for token, events in ends_of(unit.vault_db, missing).items():
            if events & {"customer.deleting", "customer.deleted"}:
                left.setdefault(token, (deciding.UNKNOWN, texts.CUSTOMER_DELETED))
            elif "card.deleted" in events:
                left.setdefault(token, (deciding.CONFLICT, texts.NUMBER_CHANGED))
    return left


def _change(one: Decision) -> Change:
    """What the vault is to do for a customer who is changed."""
    if one.customer is None or one.entered is None or one.expiry is None:
        raise ValueError("nothing is changed")
    token, pan = Token(one.customer.token), one.entered.pan
    if pan:
        return Change(token, new=(pan, one.expiry), further=one.told)
    moved = one.expiry if one.expiry != one.customer.expires else None
    return Change(token, expiry=moved, further=one.told)


def _write(
    unit: Work, changed: Sequence[Decision], tokens: Sequence[Token], now: int
) -> dict[int, Mapping[str, Any]]:
    """Write the changed customers and index them; returns their columns by number."""
    after = {
        one.customer.id: one.columns(one.customer, token, now)
        for one, token in zip(changed, tokens, strict=True)
        if one.customer is not None
    }
    if after:
        rows = [
            {"customer_id": number}
            | {f"new_{name}": columns[name] for name in _CHANGED}
            for number, columns in after.items()
        ]
        # Through the connection: the session would look for each row it has loaded.
        unit.site.connection().execute(_OVERWRITE, rows)
        indexed = [index.row_of(number, columns) for number, columns in after.items()]
        index.add(unit.site, indexed)
    return dict(after)


def _result(one: Decision, after: Mapping[int, Mapping[str, Any]]) -> dict[str, object]:
    """A row's result: the customer as they are after it, and none of the row's cells
    but the name of a customer who is not there."""
    customer, named = one.customer, one.asked.key
    result: dict[str, object] = {
        "line": one.asked.line,
        "status": one.status,
        "public_id": "" if named.startswith("card_") else named,
        "token": named if named.startswith("card_") else "",
        "replaced": "",
        "brand": "",
        "last4": "",
        "rev": 0,
        "error": one.error,
    }
    if customer is not None:
        now = after.get(customer.id, {})
        shown = ("token", "brand", "last4", "rev")
        result |= {name: now.get(name, getattr(customer, name)) for name in shown}
        result["public_id"] = customer.public_id
        if result["token"] != customer.token:
            result["replaced"] = customer.token
    return result


def _tell_unless_saved(
    unit: Work,
    job_id: int,
    done: int,
    changed: Sequence[Decision],
    tokens: Sequence[Token],
    by: Actor,
) -> None:
    """Record the events about customers once more as failed if the site's commit
    fails."""
    lost = [
        (event, token)
        for one, token in zip(changed, tokens, strict=True)
        for event, _ in one.told
    ]

    def tell(db: Any) -> None:
        for event, token in lost:
            unit.vault.record(db, event, by, outcome="failure", subject=token)

    unit.unless_saved(lambda site: site.get_one(UpdateJob, job_id).done > done, tell)


def _delete_replaced(unit: Work, replaced: Collection[str], by: Actor) -> None:
    """Let the cards of ``replaced``, tokens or "", be deleted after both commits, and
    SQLite's log be emptied, so that no envelope is left in a file."""
    tokens = [token for token in replaced if token]
    if tokens:
        unit.then_in_vault(lambda db: delete_many(unit.vault, db, tokens, by))
        unit.after_commit(lambda: checkpoint(unit.vault.engine))
