"""Pages, orders, filters and searches of the list as the customers grow in number, each
as the site asks its database for it: the page and the counts beside it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Engine, insert, text
from sqlalchemy.orm import Session

from app.cards.models import Customer
from app.cards.search import index, listing
from app.cards.search.query import Query
from app.cards.typed import digits_of, search_key
from app.db import looking
from app.migrations import HISTORY
from vault.card.token import random_letters
from vault.store.database import connect

from .server import PROGRAMS, Server

CHUNK = 5_000
TIMES = 7
NOW = 1_795_402_800  # 2026-11-23, and the months below are beside it
FAMILIES = (
    "佐藤 鈴木 高橋 田中 伊藤 渡辺 山本 中村 小林 加藤 吉田 山田 佐々木 山口 松本 井上 木村 "
    "林 斎藤 清水 山崎 森 池田 橋本 阿部 石川 山下 中島 石井 小川 前田 岡田 長谷川 藤田 後藤 "
    "近藤 村上 遠藤 青木 坂本 福田 太田 西村 藤井 岡本 金子 藤原 三浦 中野 中川"
)
GIVEN = (
    "太郎 花子 一郎 健 誠 翔太 美咲 陽子 直樹 大輔 恵子 由美 浩 明 久美子 裕子 智子 和也 "
    "達也 健太 亮 剛 修 真由美 幸子 さくら 結衣 葵 蓮 悠真 拓海 翼 舞 彩 香織 直美 浩二 "
    "正樹 隆 茂 勇 進 実 清 豊 京子 節子 和子 洋子 美紀"
)
TRADES = (
    "商事 運輸 工業 建設 電機 食品 製作所 不動産 印刷 水産 物産 産業 通信 精機 薬品"
)
LETTERS = "一二三四五六七八九十百千万春夏秋冬東西南北上中下左右前後内外"
RARE = "鰐淵 麒一"
RARE_EVERY = 20_000


def customers(count: int) -> Iterator[dict[str, Any]]:
    """``count`` made-up customers, the same every time; one name in RARE_EVERY is
    RARE."""
    draw = random.Random(count)  # nosec B311
    families, given, trades = FAMILIES.split(), GIVEN.split(), TRADES.split()
    weights = [1 / (place + 8) for place in range(len(families))]
    for number in range(1, count + 1):
        family = draw.choices(families, weights)[0]
        kind = draw.random()
        if number % RARE_EVERY == RARE_EVERY // 2:
            name = RARE
        elif kind < 0.85:
            name = family + draw.choice(given) + draw.choice(LETTERS) * (kind < 0.3)
        else:
            firm = family + draw.choice(LETTERS) * (kind < 0.9) + draw.choice(trades)
            name = f"株式会社{firm}" if kind < 0.93 else f"{firm}株式会社"
        start = draw.choice(("090", "080", "070", "03", "06"))
        phone = start + "".join(draw.choices("0123456789", k=8))
        month = draw.randrange(-2, 60)
        year, past = divmod(10 + month, 12)
        yield {
            "id": number,
            "public_id": random_letters(24),
            "name": name,
            "name_folded": search_key(name),
            "phone": phone,
            "phone_digits": digits_of(phone),
            "token": f"card_{number}",
            "brand": "visa",
            "prefix": "48",
            "last4": f"{draw.randrange(10_000):04}",
            "length": 16,
            "expiry": (2026 + year) * 100 + past + 1,
            "rev": 1,
            "created_at": NOW,
            "updated_at": NOW - 40_000_000 + draw.randrange(40_000_000),
            "created_by": "bench",
        }


@contextmanager
def places(folder: Path) -> Iterator[dict[str, str]]:
    """The URL of an empty database on each engine that is installed, by its name."""
    folder.mkdir(parents=True)
    urls = {"SQLite": f"sqlite:///{folder}/site.db"}
    if not PROGRAMS:
        yield urls
        return
    server = Server().make()
    try:
        with server.database("site") as url:
            yield urls | {"PostgreSQL": url}
    finally:
        server.remove()


def filled(url: str, count: int) -> Engine:
    """A site's database of ``count`` customers."""
    engine = connect(url)
    HISTORY.upgrade(engine)
    made = customers(count)
    while chunk := list(islice(made, CHUNK)):
        with engine.begin() as db, Session(db) as site:
            db.execute(insert(Customer), chunk)
            rows = [index.row_of(row["id"], row) for row in chunk]
            index.add(site, rows)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("VACUUM ANALYZE"))
    return engine


def asked(engine: Engine) -> dict[str, Query]:
    """What is measured, by its name; the first is what the others are held against."""
    with looking(engine) as site:
        someone = site.get_one(Customer, 1)
        phone = someone.phone_digits
        nobody = next(
            digits
            for digits in (f"090{n:08}" for n in range(10**8))
            if not listing.count(site, Query(q=digits), NOW)
        )
    common, every = (
        "佐藤",
        ("name", "-name", "expiry", "-expiry", "updated", "-updated"),
    )
    return {
        "first page": Query(),
        "second page, by its link": Query(page=2),
        "last page": Query(page=-1),
        "page before the last, by its link": Query(page=-2),
        "page 10, by its number alone": Query(page=10),
        **{f"sorted by {sort}": Query(sort=sort) for sort in every},
        **{f"last page by {sort}": Query(sort=sort, page=-1) for sort in every},
        "期限間近": Query(expiry="soon"),
        "期限切れ": Query(expiry="expired"),
        "期限間近, newest first": Query(expiry="soon", sort="-updated"),
        "期限切れ, by name": Query(expiry="expired", sort="name"),
        "a name nobody has": Query(q="鰐淵麒二"),
        "letters nobody has": Query(q="zz"),
        "a rare name": Query(q="鰐淵"),
        "a whole rare name": Query(q="麒一 鰐淵"),
        "three letters": Query(q="佐藤一"),
        "one letter": Query(q="林"),
        "a firm": Query(q="㈱佐藤春商事"),
        "a firm's form": Query(q="株式会社"),
        "会社, by name": Query(q="会社", sort="name"),
        "two names": Query(q="佐藤 太郎"),
        "two names nobody has both of": Query(q="佐藤 鈴木"),
        "a name and last four": Query(q="佐藤 5678"),
        "a mixed word": Query(q="佐藤 090"),
        "a whole telephone number": Query(q=phone),
        "a telephone number nobody has": Query(q=nobody),
        "a number's end": Query(q=phone[-8:]),
        "a piece of a number": Query(q=f"{phone[3:7]}-{phone[7:9]}"),
        "three digits": Query(q="567"),
        "two digits": Query(q="90"),
        "last four digits": Query(q="5678"),
        **{f"{common} by {sort}": Query(q=common, sort=sort) for sort in every},
        f"{common} and 期限切れ": Query(q=common, expiry="expired"),
        f"{common}, last page": Query(q=common, page=-1),
    }


@dataclass(frozen=True)
class Took:
    """What one took: milliseconds, the median and the most of TIMES."""

    median: float
    most: float


def measure(engine: Engine) -> dict[str, Took]:
    """What each of ``asked`` took, all in turn, TIMES times: on SQLite, which works in
    this process, of the processor, so that other work on the machine doesn't count."""
    on_sqlite = engine.dialect.name == "sqlite"
    clock = time.process_time if on_sqlite else time.perf_counter
    spent: dict[str, list[float]] = {}
    queries = {name: _linked(engine, query) for name, query in asked(engine).items()}
    for _ in range(TIMES):
        for name, query in queries.items():
            began = clock()
            with looking(engine) as site:
                found = listing.find(site, query, NOW)
                listing.counts(site, found.query, NOW)
            spent.setdefault(name, []).append(1000 * (clock() - began))
    return {name: Took(median(all_), max(all_)) for name, all_ in spent.items()}


def _linked(engine: Engine, query: Query) -> Query:
    """The query as the link that leads to it has it."""
    beside: dict[int, Callable[[listing.Page], dict[str, Any]]] = {
        2: lambda page: page.next,
        -2: lambda page: page.previous,
    }
    if query.page not in beside:
        return query
    with looking(engine) as site:
        first = listing.find(site, replace(query, page=query.page // 2), NOW)
        return Query.read({k: str(v) for k, v in beside[query.page](first).items()})
