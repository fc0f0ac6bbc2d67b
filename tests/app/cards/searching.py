"""Whether the search finds what comparing every customer finds, on either engine."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Engine, insert
from sqlalchemy.orm import Session

from app.cards.models import Customer
from app.cards.search import index, listing
from app.cards.search.query import Query
from app.cards.typed import digits_of, search_key
from app.db import looking
from tests.places.vault import NOON

FAMILIES = ("鈴木", "佐々木", "林", "小林", "髙橋", "A", "木村")
GIVEN = ("太郎", "花子", "木太", "一", "", "AA", "123")
FIRMS = ("{}商事", "株式会社{}", "{}㈱", "(有){}", "{}")
WORDS = (
    *("鈴木", "木", "林", "佐々", "々", "木太", "高橋", "太郎", "a", "aa", "aaa"),
    *("会社", "株式会社", "㈱", "有限", "株式会社鈴木", "木花", "無", "鈴木太郎商事"),
    *("090", "0901", "9", "12", "123", "1234", "12345678", "34-12", "0000", "99999"),
    *(
        "鈴木 12",
        "鈴木 0901",
        "太郎 鈴木",
        "林 木",
        "123 鈴木",
        "鈴木 林",
        "% _",
        "'\"*",
    ),
)
SORTS = ("name", "-name", "expiry", "-expiry", "updated", "-updated")
FILTERS = ("", "expired", "soon")
COUNT = 330


def customers(count: int) -> list[dict[str, Any]]:
    """Customers of whom many have the same names, digits, expiries and times."""
    draw = random.Random(count)
    made = []
    for number in range(1, count + 1):
        name = draw.choice(FIRMS).format(draw.choice(FAMILIES) + draw.choice(GIVEN))
        phone = draw.choice(("090", "03")) + "".join(draw.choices("1234", k=8))
        made.append(
            {
                "id": number,
                "public_id": "".join(chr(97 + int(digit)) for digit in f"{number:09}"),
                "name": name,
                "name_folded": search_key(name),
                "phone": phone,
                "phone_digits": digits_of(phone),
                "token": f"card_{number}",
                "brand": "visa",
                "prefix": "48",
                "last4": draw.choice(("0000", "1234", "9012")),
                "length": 16,
                "expiry": 202600 + draw.randrange(1, 13),
                "rev": 1,
                "created_at": NOON,
                "updated_at": NOON + draw.randrange(100),
                "created_by": "taro",
            }
        )
    return made


def insert_all(engine: Engine, rows: list[dict[str, Any]]) -> None:
    """Insert customers with their words."""
    with engine.begin() as db, Session(db) as site:
        db.execute(insert(Customer), rows)
        index.add(site, [index.row_of(row["id"], row) for row in rows])


def all_agree(engine: Engine, rows: list[dict[str, Any]]) -> None:
    """Each search by name and in the usual order, some in each order and with each filter:
    the pages that the links lead through, forwards from
    the first and backwards from the last, and the count, are those of ``rows``
    compared one by one."""
    queries = [
        Query(q=q, sort=sort) for q, sort in itertools.product(WORDS, ("-name", ""))
    ]
    for q, sort, expiry in itertools.product(("", "鈴木"), SORTS, FILTERS):
        queries.append(Query(q=q, sort=sort, expiry=expiry))
    for query in queries:
        with looking(engine) as site:
            _agrees(site, query, rows)
        every = listing.all_in_turn(engine, query, NOON, len(rows))
        assert [one.id for one in every] == compared(query, rows), query


def _agrees(site: Session, query: Query, rows: Iterable[dict[str, Any]]) -> None:
    wanted = compared(query, rows)
    assert listing.count(site, query, NOON) == len(wanted), query
    there, back = _walked(site, query), _walked(site, query, from_end=True)
    assert there == wanted, query
    assert back == wanted, query
    assert listing.count_all(site, query, NOON) == len(wanted), query
    if len(wanted) > 2 * listing.PAGE_SIZE:
        third = listing.find(site, Query(**{**vars(query), "page": 3}), NOON)
        assert [one.id for one in third.customers] == wanted[100:150], query


def _walked(site: Session, query: Query, *, from_end: bool = False) -> list[int]:
    if from_end:
        query = Query(**{**vars(query), "page": -1})
    found: list[int] = []
    while True:
        page = listing.find(site, query, NOON)
        ids = [customer.id for customer in page.customers]
        found = ids + found if from_end else found + ids
        if not (page.earlier if from_end else page.later):
            return found
        args = page.previous if from_end else page.next
        query = Query.read({name: str(value) for name, value in args.items()})


def compared(query: Query, rows: Iterable[dict[str, Any]]) -> list[int]:
    """The numbers of those of ``rows`` that ``query`` matches, in its order, by
    comparing the texts of each."""
    months = {"": (0, 999_999), "expired": (0, 202610), "soon": (202611, 202612)}
    first, last = months[query.expiry]
    kept = [
        row
        for row in rows
        if first <= row["expiry"] <= last
        and all(_holds(row, word) for word in query.q.split())
    ]
    column = {"name": "name_folded", "expiry": "expiry", "updated": "updated_at"}
    key = column[query.order.removeprefix("-")]
    kept.sort(key=lambda row: (row[key], row["id"]))
    numbers = [row["id"] for row in kept]
    return numbers[::-1] if query.order.startswith("-") else numbers


def _holds(row: dict[str, Any], word: str) -> bool:
    digits = word.replace("-", "")
    return search_key(word) in row["name_folded"] or (
        digits.isdigit() and (digits in row["phone_digits"] or digits == row["last4"])
    )
