"""Customers are found by an index of words, and each order has an index of its own.

The folded names are made anew, because variant characters and company forms are folded
now.  What folds them, and what makes the words, is written here as it was when this
revision was made: the site's own may change, and then needs a revision of its own.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from itertools import pairwise

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

PAGE = 2_000
SORTS = ("updated_at", "name_folded", "expiry")
REPLACED = ("updated_at", "expiry")

ON_SQLITE = """
    CREATE VIRTUAL TABLE customer_words USING fts5(
        words, detail=none, columnsize=0, tokenize=ascii)
"""
ON_POSTGRESQL = (
    "CREATE TABLE customer_words (rowid bigint PRIMARY KEY, words text NOT NULL)"
)
INDEX_POSTGRESQL = """
    CREATE INDEX ix_customer_words ON customer_words
    USING gin (array_to_tsvector(string_to_array(words, ' ')))
"""
READ = """
    SELECT id, name, phone_digits, last4 FROM customer
    WHERE id > :after ORDER BY id LIMIT :page
"""
FOLD = "UPDATE customer SET name_folded = :folded WHERE id = :id"
ADD = "INSERT INTO customer_words (rowid, words) VALUES (:id, :words)"

MAX_KEY = 400
GROUPS = (
    "高髙 崎﨑碕嵜 辺邉邊 斎齋齊斉 吉𠮷 浜濵濱 島嶋嶌 沢澤 桜櫻 広廣 国國 真眞 恵惠 "
    "徳德 瀬瀨 栄榮 曽曾 富冨 弥彌 滝瀧 条條 実實 寿壽 蔵藏 万萬 館舘 柳栁桺 峰峯 竜龍 "
    "黒黑 青靑 清淸 横橫 増增 渕淵渊 槙槇 桧檜 篭籠 鴎鷗 円圓 学學 県縣 関關 鉄鐵 塩鹽 "
    "豊豐 遥遙 与與 児兒 仏佛 伝傳 内內 単單 厳嚴 団團 壮壯 将將 巌巖 応應 戸戶 晋晉 "
    "会會 歩步 毎每 渋澁 済濟 為爲 狭狹 宝寶寳 亀龜 静靜 聡聰 緑綠 縁緣 総總 荘莊 薫薰 "
    "穂穗 礼禮 稲稻 糸絲 浅淺 藪籔薮 船舩 桑桒 野埜 帯帶 宮宫 郎郞 都都 葉葊 芦蘆 "
    "渓溪 禎禎 隆隆 逸逸 岳嶽 尭堯 槌鎚 頼賴 来來 涼凉 穣穰 粛肅 継繼 神神 福福 祥祥"
)
HYPHENS = "-‐‑‒–—―⁃−﹘﹣－ｰ─━"
COMPANY_FORMS = {
    "(株)": "株式会社",
    "(有)": "有限会社",
    "(同)": "合同会社",
    "(資)": "合資会社",
    "(名)": "合名会社",
    "(医)": "医療法人",
    "(学)": "学校法人",
    "(財)": "財団法人",
    "(社)": "社団法人",
    "(宗)": "宗教法人",
    "(福)": "社会福祉法人",
}
SELECTORS = (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))
VARIANTS: dict[int, str | None] = {
    **{ord(other): group[0] for group in GROUPS.split() for other in group[1:]},
    **dict.fromkeys(map(ord, "〜〰∼"), "~"),
    **dict.fromkeys(map(ord, HYPHENS), "ー"),
    **dict.fromkeys(SELECTORS),
}
KATAKANA = {code: code + 0x60 for code in range(0x3041, 0x3097)}
LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


def upgrade() -> None:
    """Index every customer.  On PostgreSQL folded names are compared by their code
    points, as on SQLite, whatever the database's own order is."""
    _compare_folded_names("C")
    for name in REPLACED:
        op.drop_index(f"ix_customer_{name}", "customer")
    on_postgresql = op.get_bind().dialect.name == "postgresql"
    op.execute(ON_POSTGRESQL if on_postgresql else ON_SQLITE)
    _fold_anew(_fold, index=True)
    for name in SORTS:
        op.create_index(f"ix_customer_{name}_id", "customer", [name, "id"])
    if on_postgresql:
        op.execute(INDEX_POSTGRESQL)
        # Without figures about the words, the index would not be used.
        op.execute("ANALYZE customer_words")


def downgrade() -> None:
    """Drop the indexes, and fold the names as the older site does."""
    op.drop_table("customer_words")
    for name in SORTS:
        op.drop_index(f"ix_customer_{name}_id", "customer")
    _fold_anew(_older_fold, index=False)
    for name in REPLACED:
        op.create_index(f"ix_customer_{name}", "customer", [name])
    _compare_folded_names("default")


def _compare_folded_names(collation: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        kind = sa.Text(collation=collation)
        op.alter_column("customer", "name_folded", type_=kind)


def _fold_anew(fold: Callable[[str], str], *, index: bool) -> None:
    """Write every customer's folded name and, if asked for, the words."""
    db, after = op.get_bind(), 0
    while page := db.execute(sa.text(READ), {"after": after, "page": PAGE}).all():
        after = page[-1].id
        rows = []
        for row in page:
            folded = fold(row.name)
            words = _words(folded, row.phone_digits, row.last4)
            rows.append({"id": row.id, "folded": folded, "words": words})
        db.execute(sa.text(FOLD), rows)
        if index:
            db.execute(sa.text(ADD), rows)


def _fold(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name.translate(VARIANTS)).casefold()
    folded = "".join(folded.translate(VARIANTS).translate(KATAKANA).split())
    for short, whole in COMPANY_FORMS.items():
        folded = folded.replace(short, whole)
    return folded[:MAX_KEY]


def _older_fold(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    return "".join(folded.translate(KATAKANA).split())


def _words(name_folded: str, phone_digits: str, last4: str) -> str:
    codes = [*(_code(ord(character)) for character in name_folded), "0000"]
    pairs = [one + other for one, other in pairwise(codes)]
    runs = [phone_digits[at : at + 3] for at in range(len(phone_digits) - 2)]
    words = ["b" + pair for pair in pairs[:1]] + ["i" + pair for pair in pairs[1:]]
    words += ["t" + run for run in runs] + ["k" + last4]
    return " ".join(dict.fromkeys(words))


def _code(point: int) -> str:
    letters = ""
    for _ in range(4):
        point, place = divmod(point, len(LETTERS))
        letters = LETTERS[place] + letters
    return letters
