"""Does what a transaction has put off until it commits: the trail's entries above all."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Transaction

Act = Callable[[], object]

# What each transaction has to do before it commits.
_last_acts: WeakKeyDictionary[Transaction, list[Act]] = WeakKeyDictionary()


def before_commit(db: Connection, act: Act) -> None:
    """Call ``act`` as the last thing before ``db``'s transaction commits, after those
    that were given earlier.  It is not called before a rollback; if it fails, the
    transaction is not committed."""
    _last_acts.setdefault(transaction_of(db), []).append(act)


def transaction_of(db: Connection) -> Transaction:
    """``db``'s transaction, which is begun if there is none yet."""
    return db.get_transaction() or db.begin()


def do_last_acts(connection: Connection) -> None:
    """Do what ``connection``'s transaction has put off; called before it commits."""
    transaction = connection.get_transaction()
    while transaction is not None and transaction in _last_acts:
        for act in _last_acts.pop(transaction):
            act()
