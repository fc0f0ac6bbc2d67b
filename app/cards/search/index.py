"""Keeps the words of customers in the index of each engine, and asks it.

The table ``customer_words`` has a customer's words under the customer's number.  On
SQLite it is an FTS5 table, on PostgreSQL a table with a GIN index.  No trigger feeds
it: SQLite allows none on it while ``trusted_schema`` is off.  So whoever writes a
customer writes the words in the same transaction, and ``cards reconcile`` compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    any_,
    cast,
    column,
    delete,
    func,
    literal,
    literal_column,
    select,
    table,
    true,
)
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR
from sqlalchemy.orm import Session

from ..models import Customer
from .words import Language, Word, search_words

Row = tuple[int, str]
"""A customer's number and words."""

WORDS = table(
    "customer_words", column("rowid"), column("words"), column("customer_words")
)
# The expression that PostgreSQL indexes; a question must have the same.
VECTOR = "array_to_tsvector(string_to_array(customer_words.words, ' '))"

# Written for the driver, because SQLAlchemy's own statements take as long to fill as
# SQLite to index.
_ADD_SQLITE = "INSERT OR REPLACE INTO customer_words (rowid, words) VALUES (?, ?)"
_ADD_POSTGRESQL = (
    "INSERT INTO customer_words (rowid, words) VALUES (%s, %s)"
    " ON CONFLICT (rowid) DO UPDATE SET words = excluded.words"
)

FTS5 = Language(" AND ", " OR ", "*")
TSEARCH = Language(" & ", " | ", ":*")


def language(site: Session) -> Language:
    """The language of the engine that ``site`` is on."""
    return FTS5 if site.get_bind().dialect.name == "sqlite" else TSEARCH


def hits(question: str, of: Language) -> Select[Any]:
    """The numbers of the customers whose words answer ``question``."""
    return select(WORDS.c.rowid).where(answers(question, of))


def hits_first(question: str, of: Language) -> Select[Any]:
    """The same numbers, for a statement that is to ask the index of words before
    anything else.

    PostgreSQL can't tell how many of those whose words answer have the text too.  Left
    to choose, it makes the words of every customer anew for a common name.  It reads no
    more of a materialized table than is asked for."""
    some = hits(question, of)
    if of is FTS5:
        return some
    return select(some.cte("hit").prefix_with("MATERIALIZED").c.rowid)


def customers(
    question: str, of: Language, *conditions: ColumnElement[bool]
) -> Select[Any]:
    """The ids, in no order, of the customers whose words answer ``question`` and who
    meet ``conditions``: each is looked up when their number is met in the index, so
    that a limit ends the work."""
    if of is FTS5:
        some = select(Customer.id).join(WORDS, WORDS.c.rowid == Customer.id)
        return some.where(answers(question, of), *conditions)
    hit = hits(question, of).cte("hit").prefix_with("MATERIALIZED")
    # PostgreSQL looks up one by one what has an offset of its own.
    one = select(Customer.id).where(Customer.id == hit.c.rowid, *conditions)
    looked_up = one.offset(0).lateral("looked_up")
    return select(looked_up.c.id).select_from(hit.join(looked_up, true()))


def is_among(question: str, of: Language, *, few: bool) -> ColumnElement[bool]:
    """The condition that a customer's words answer ``question``.  ``few`` says that not
    many do; then PostgreSQL looks them up together, which takes half the time."""
    if few and of is TSEARCH:
        numbers = func.array(hits(question, of).scalar_subquery())
        return Customer.id == any_(numbers)
    return Customer.id.in_(hits_first(question, of))


def answers(question: str, of: Language) -> ColumnElement[bool]:
    """The condition that the words of a row of ``WORDS`` answer ``question``."""
    if of is FTS5:
        return WORDS.c.customer_words.op("MATCH", is_comparison=True)(question)
    vector: ColumnElement[Any] = literal_column(VECTOR, TSVECTOR)
    asked = cast(literal(question), TSQUERY)
    return vector.op("@@", is_comparison=True)(asked)


def question(words: Iterable[Word], of: Language) -> str:
    """The question for customers who may hold all of those ``words`` that are indexed;
    "" when none is."""
    asked = [word.asked(of) for word in words if word.is_indexed]
    return of.all_of(asked) if asked else ""


def row_of(number: int, values: Mapping[str, Any]) -> Row:
    """The row of the index for a customer of this ``number`` and these columns."""
    return number, words(values)


def words(values: Mapping[str, Any]) -> str:
    """The words of a customer of these columns."""
    return search_words(values["name_folded"], values["phone_digits"], values["last4"])


def add(site: Session, rows: list[Row]) -> None:
    """Index customers, in the place of what is there of their numbers.  For a customer
    who was deleted by hand it may be there, and SQLite gives the highest number again."""
    if rows:
        on_sqlite = site.get_bind().dialect.name == "sqlite"
        statement = _ADD_SQLITE if on_sqlite else _ADD_POSTGRESQL
        site.connection().exec_driver_sql(statement, rows)


def remove(site: Session, number: int) -> None:
    """Take a customer out of the index."""
    site.connection().execute(delete(WORDS).where(WORDS.c.rowid == number))
