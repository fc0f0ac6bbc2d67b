"""An operator's working day at a site of 3,000 customers, from login to logout."""

from __future__ import annotations

import csv
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Locator, expect

from app.cards.typed import digits_of
from app.japan_time import month_key
from tests.actors.keyboard import alt_n, press, register_by_keys
from tests.actors.operator_browser import NARROW, Desk, Site
from tests.places.customers import Newcomer, Row, newcomers, take_in
from vault.clock import system_clock

STORED = 3_000
REGISTERED = 30
EDITED = 10
SOON = 3
# The keys of one registration that are no data, before the form's keys were made.
KEYS_BEFORE = 16
KEYS = 7
# The entries of one login; and one whose number depends on how many processes serve.
LOGIN = Counter(
    [
        "login.password",
        "login.code_made",
        "login.code_sent",
        "login.code",
        "login.logged_in",
    ],
)
BY_PROCESS = "key.minted"
HEADINGS = [
    "お客様名",
    "電話番号",
    "カード番号",
    "カードブランド",
    "有効期限",
    "更新日時",
]
TIME = re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d")
COUNT = re.compile(r"検索結果：([\d,]+)件　")
# In how many lines the children of an element stand.
LINES = """(nav) => {
    const boxes = [...nav.children].map((one) => one.getBoundingClientRect());
    return new Set(boxes.map((box) => Math.round((box.top + box.bottom) / 8))).size;
}"""
# Where the lines of a cell's text begin, under a label that the cell's style writes.
STARTS = """(cell) => {
    const text = document.createRange();
    text.selectNodeContents(cell);
    return [...text.getClientRects()].filter((box) => box.width).map((box) => box.left);
}"""
BACK = (
    "入力の途中でログアウトしたため、入力内容を戻しました。"
    "カード番号は安全のため再入力してください。"
)


@dataclass
class Day:
    """The operator's day: their ``desk``, the ``book`` of what must be registered now,
    who comes in during the day, what the trail held ``before`` it, and how many entries
    of each event were ``done`` since."""

    desk: Desk
    login_id: str
    book: Counter[Row]
    comers: list[Newcomer]
    before: Counter[str]
    done: Counter[str] = field(default_factory=Counter)

    def changed(self, before: Row, **after: str) -> Row:
        """Note that a customer's row has changed; returns the new one."""
        row = replace(before, **after)
        self.book[before] -= 1
        self.book[row] += 1
        if (before.name, before.phone) != (row.name, row.phone):
            self.done["customer.updated"] += 1
        if before.masked != row.masked:
            self.done.update(["card.replaced", "card.deleted"])
        elif before.expiry != row.expiry:
            self.done["card.expiry_changed"] += 1
        return row

    def came(self, one: Newcomer) -> Row:
        """Note that a customer was registered; returns their row."""
        self.book[one.row] += 1
        self.done.update(["card.registered", "customer.registered"])
        return one.row

    def holding(self, *words: str) -> list[Row]:
        """The rows in whose name, number or mask every word is."""
        return [
            row
            for row in self.book.elements()
            if all(
                word in row.name
                or word in digits_of(row.phone)
                or row.masked.endswith(word)
                for word in words
            )
        ]


@pytest.fixture
def day(new_desk: Callable[..., Desk], site: Site) -> Day:
    """A day at the list, just logged in; three stored cards end next month."""
    made = list(newcomers(STORED + REGISTERED + EDITED))
    year, month = divmod(month_key(system_clock(), later=1), 100)
    soon = f"{month:02}/{year}"
    stored = [replace(one, expiry=soon) for one in made[:SOON]] + made[SOON:STORED]
    take_in(site.place, stored)
    desk = new_desk(keeps_bodies=False)
    login_id = desk.login()
    book = Counter(one.row for one in stored)
    return Day(desk, login_id, book, made[STORED:], _events(site))


def _events(site: Site) -> Counter[str]:
    """How many entries of each event the trail has."""
    trail = site.place.ops("audit", "list").stdout.splitlines()
    events = Counter(line.split("\t")[4] for line in trail)
    del events[BY_PROCESS]
    return events


def test_a_working_day_at_three_thousand_customers(
    day: Day, new_desk: Callable[..., Desk]
) -> None:
    """All that was done is in the list, the file, the trail and the vault, once."""
    day.desk.look("list", narrow=True)
    _lines_hold_at_a_telephones_width(day.desk)
    _register_by_keys_alone(day)
    _search(day)
    _edit(day)
    _answer_an_expiry(day)
    _answer_a_duplicate(day)
    _meet_another(day, new_desk(keeps_bodies=False))
    _outlive_a_login(day)
    _save_the_list(day)
    day.desk.press("ログアウト")
    day.done["login.logged_out"] += 1
    expect(day.desk.page.locator("[name=login_id]")).to_be_visible()
    assert "ログアウトしました。" in day.desk.text()
    day.desk.look("logged-out", narrow=True)
    _everything_agrees(day)
    assert day.desk.wrong == []


def _lines_hold_at_a_telephones_width(desk: Desk) -> None:
    """The filters are in one line, and so is what turns the pages, on any page."""
    desk.page.set_viewport_size({"width": NARROW, "height": 1000})
    for path in ("/cards", "/cards?page=11"):
        desk.open(path)
        for nav in (".filter", ".pages"):
            for found in desk.page.locator(nav).all():
                assert found.evaluate(LINES) == 1, (path, nav)
    desk.look("page-11", narrow=True)
    desk.page.set_viewport_size({"width": 1280, "height": 1000})
    desk.open("/cards")


def _register_by_keys_alone(day: Day) -> None:
    """Register several, each with seven keys that are no data; of the first one's data
    each key is pressed too."""
    alt_n(day.desk)
    counted = set()
    for number in range(REGISTERED):
        one = day.comers.pop()
        month, year = one.expiry.split("/")
        data = (one.number, one.name, one.phone, month, year[2:])
        keys = register_by_keys(day.desk, *data, each=number == 0)
        row = day.came(one)
        assert row.masked in day.desk.text()
        counted.add(keys + alt_n(day.desk))
        day.desk.page.wait_for_url("**/cards#customer_name")
    sys.stdout.write(f"keys of a registration that are no data: {counted}, ")
    sys.stdout.write(f"before its form had keys of its own {KEYS_BEFORE}\n")
    assert counted == {KEYS}


def _search(day: Day) -> None:
    """Search for a name, two words, a telephone's end, last four digits, nobody."""
    someone = next(iter(day.book))
    for words in (
        ["佐藤"],
        ["田中", "商事"],
        [digits_of(someone.phone)[-8:]],
        [someone.masked[-4:]],
    ):
        found = day.holding(*words)
        assert found
        assert _asked_for(day.desk, " ".join(words)) == len(found)
        assert Counter(_shown(day.desk)) <= Counter(found)
        assert len(_shown(day.desk)) == min(len(found), 50)
    day.desk.look("found", narrow=True)
    assert day.holding("鰐淵麒二") == []
    assert _asked_for(day.desk, "鰐淵麒二") == 0
    assert "「鰐淵麒二」に一致するお客様は登録されていません。" in day.desk.text()
    day.desk.look("nobody", narrow=True)


def _asked_for(desk: Desk, q: str) -> int:
    """Search by the keyboard; returns how many the page says there are."""
    desk.page.locator("main").focus()
    press(desk, "/")
    desk.page.keyboard.press("ControlOrMeta+a")
    desk.page.keyboard.type(q)
    with desk.page.expect_navigation(url=f"**/cards?q={quote_plus(q)}"):
        press(desk, "Enter")
    count = COUNT.search(desk.text())
    return int(count[1].replace(",", "")) if count else 0


def _shown(desk: Desk) -> list[Row]:
    """The rows of the list that is open."""
    cells: list[list[str]] = desk.page.eval_on_selector_all(
        "tbody tr[id]",
        """(rows) => rows.map((row) =>
            [".name", ".phone", ".masked", ".expires"].map((cell) =>
                row.querySelector(cell).firstChild.textContent.trim()))""",
    )
    return [Row(*row) for row in cells]


def _row_of(desk: Desk, row: Row) -> Locator:
    """The line of the list that shows a customer."""
    return (
        desk.page.locator("tbody tr[id]")
        .filter(has_text=row.phone)
        .filter(has_text=row.masked)
    )


def _open(day: Day, desk: Desk, row: Row) -> None:
    """Find a customer by their telephone number and open their page."""
    day.done["audit.viewed"] += 1
    _asked_for(desk, digits_of(row.phone))
    _row_of(desk, row).get_by_role("link", name="編集").click()
    expect(desk.page.locator("h2").first).to_have_text("クレジットカード情報の更新")


def _update(desk: Desk) -> None:
    """Send the form; what was done is shown then."""
    desk.press("更新")
    expect(desk.page.locator(".done h2")).to_have_text("更新完了しました。")


def _edit(day: Day) -> None:
    """Edit ten: four telephone numbers, three names, two expiries, one number."""
    desk, rows = day.desk, list(+day.book)[SOON : SOON + EDITED]
    for number, row in enumerate(rows):
        _open(day, desk, row)
        if number < 4:
            after = {"phone": f"03-5550-{number:04}"}
            desk.fill(**after)
        elif number < 7:
            after = {"name": f"{row.name}（{number}号室）"}
            desk.fill(customer_name=after["name"])
        elif number < 9:
            after = {"expiry": f"{number:02}/2033"}
            desk.fill(exp_month=f"{number}", exp_year="33")
        else:
            one = day.comers.pop()
            after = {"masked": one.row.masked, "expiry": one.expiry}
            desk.card(one.number, *one.expiry.split("/"))
        if number == 9:
            desk.look("edit", narrow=True)
        _update(desk)
        day.changed(row, **after)
        if number == 9:
            desk.look("updated", narrow=True)
        desk.press("戻る")
        desk.page.wait_for_url(f"**/cards?q={digits_of(row.phone)}#*")


def _answer_an_expiry(day: Day) -> None:
    """Give a card that ends next month the date of the new one, as it is printed."""
    desk = day.desk
    desk.press("条件をクリア")
    desk.press(f"期限間近（{SOON}）")
    expect(desk.page.locator("tbody tr[id]")).to_have_count(SOON)
    rows = _shown(desk)
    desk.look("soon", narrow=True)
    _row_of(desk, rows[0]).get_by_role("link", name="編集").click()
    expect(desk.page.locator("dl .badge")).to_have_text("期限間近")
    day.done["audit.viewed"] += 1
    desk.page.locator("[name=exp_month]").fill("12/31")
    press(desk, "Tab")
    expect(desk.page.locator("[name=exp_year]")).to_have_value("31")
    _update(desk)
    day.changed(rows[0], expiry="12/2031")
    desk.press("戻る")
    expect(desk.page.locator("tbody tr[id]")).to_have_count(SOON - 1)
    assert Counter(_shown(desk)) == Counter(rows[1:])
    desk.press("すべて")
    desk.page.wait_for_url("**/cards")


def _answer_a_duplicate(day: Day) -> None:
    """A card that is typed is stored already: look at it in a tab of its own, mend its
    telephone number there, and register nothing."""
    desk, one = day.desk, day.comers.pop()
    desk.fill(customer_name=one.name, phone=one.phone)
    desk.card(one.number, *one.expiry.split("/"))
    desk.press("登録")
    row = day.came(one)
    desk.press("続けて登録")
    desk.fill(customer_name=row.name, phone="045-555-0001")
    desk.card(one.number, *one.expiry.split("/"))
    likely = desk.page.locator("#likely")
    expect(likely).to_contain_text("このお客様は登録済みの可能性があります。")
    desk.look("duplicate", narrow=True)
    with desk.page.context.expect_page() as opened:
        likely.get_by_role("link", name="登録内容を見る（新しいタブ）").click()
    tab = Desk(opened.value, desk.site, desk.name, keeps_bodies=False)
    tab.watch()
    expect(tab.page.locator("[name=phone]")).to_have_value(row.phone)
    day.done["audit.viewed"] += 1
    tab.fill(phone="045-555-0001")
    _update(tab)
    day.changed(row, phone="045-555-0001")
    tab.page.close()
    assert tab.wrong == []


def _meet_another(day: Day, other: Desk) -> None:
    """Two operators have one customer open; the later one sees what the other changed,
    keeps what they typed, and decides."""
    desk, row = day.desk, list(+day.book)[100]
    other.login()
    day.done.update(LOGIN)
    for one in (desk, other):
        one.open("/cards")
        _open(day, one, row)
    desk.fill(phone="06-5550-0002")
    other.fill(customer_name=f"{row.name}（新）")
    _update(other)
    row = day.changed(row, name=f"{row.name}（新）")
    desk.press("更新")
    day.done["audit.viewed"] += 1
    expect(desk.page.locator("#summary")).to_be_focused()
    expect(desk.page.locator("#summary")).to_contain_text(f"→ {row.name}")
    assert desk.page.locator("[name=phone]").input_value() == "06-5550-0002"
    assert desk.page.locator("[name=customer_name]").input_value() == row.name
    desk.look("conflict", narrow=True)
    _lines_of_a_change_are_under_each_other(desk)
    _update(desk)
    day.changed(row, phone="06-5550-0002")
    assert other.wrong == []


def _lines_of_a_change_are_under_each_other(desk: Desk) -> None:
    """At a telephone's width none of them looks like a label of its own."""
    desk.page.set_viewport_size({"width": NARROW, "height": 1000})
    imported = desk.page.locator(".history td[data-label=変更後]").last
    first, second = imported.evaluate(STARTS)
    assert abs(first - second) < 2
    desk.page.set_viewport_size({"width": 1280, "height": 1000})


def _outlive_a_login(day: Day) -> None:
    """A login ends half-way through a form: all but the number comes back."""
    desk, one = day.desk, day.comers.pop()
    month, year = one.expiry.split("/")
    desk.open("/cards?sort=name")
    desk.fill(customer_name=one.name, phone=one.phone)
    desk.card(one.number, month, year)
    desk.site.end_logins(day.login_id)
    desk.press("登録")
    expect(desk.page.locator("[name=login_id]")).to_be_visible()
    desk.log_in(day.login_id)
    day.done.update([*LOGIN, "session.ended"])
    desk.page.wait_for_url("**/cards?sort=name")
    expect(desk.page.locator("#new .notice")).to_have_text(BACK)
    names = ["customer_name", "phone", "exp_month", "exp_year", "card_number_1"]
    typed = [desk.page.locator(f"[name={name}]").input_value() for name in names]
    assert typed == [one.name, one.phone, month, year, ""]
    desk.look("typed-is-back", narrow=True)
    desk.card(one.number, month, year)
    desk.press("登録")
    expect(desk.page.locator(".done h2")).to_have_text("登録完了しました。")
    day.came(one)
    desk.look("registered", narrow=True)
    desk.press("戻る")


def _save_the_list(day: Day) -> None:
    """The file has everyone once, each telephone number and date whole."""
    with day.desk.page.expect_download() as download:
        day.desk.page.get_by_role("link", name="CSVで保存").click()
    raw = download.value.path().read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    head, *lines = csv.reader(raw.decode("utf-8-sig").splitlines())
    assert head == HEADINGS
    rows = [Row(name, phone, mask, to) for name, phone, mask, _, to, _ in lines]
    assert Counter(rows) == +day.book
    assert all(TIME.fullmatch(line[-1]) for line in lines)
    with day.desk.page.expect_download() as download:
        day.desk.page.get_by_role("link", name="Excelで保存").click()
    assert download.value.suggested_filename.endswith(".xlsx")
    assert zipfile.is_zipfile(download.value.path())
    day.done["cards.exported_masked"] += 2


def _everything_agrees(day: Day) -> None:
    """Ask the commands: the list, the trail and the vault hold what was done."""
    place, everyone = day.desk.site.place, day.book.total()
    listed = place.run("flask", "--app", "wsgi", "cards", "list")
    lines = [line.split("\t") for line in listed.stdout.splitlines()]
    rows = [Row(line[2], line[3], line[4], f"{line[5]}/{line[6]}") for line in lines]
    assert Counter(rows) == +day.book
    # The second look at the trail is in it, as the first is in the one before.
    day.done.update(["customers.listed", "audit.viewed"])
    assert _events(day.desk.site) - day.before == day.done
    for words, says in _answers(everyone).items():
        answer = place.ops(*words) if words[0] != "flask" else place.run(*words)
        assert (answer.returncode, says in answer.stdout) == (0, True), answer


def _answers(everyone: int) -> dict[tuple[str, ...], str]:
    """What each command that checks says of a whole vault of so many cards."""
    whole = "every row and audit entry as written"
    return {
        ("audit", "verify"): "entries, every one as written",
        ("verify",): f"{everyone:,} cards opened, {whole}",
        ("flask", "--app", "wsgi", "cards", "reconcile"): "every card has its customer",
    }
