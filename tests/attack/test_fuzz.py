"""Any bytes in any field of any form, and in any address (INP-01)."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.cards.typed import shortened
from tests.actors.answer import Answer
from tests.actors.forms import CARD, RIGHT, Form, forms_of
from tests.actors.target import Target
from tests.actors.visitor import Visitor
from tests.places.site import PASSWORD

Pairs = list[tuple[str, str]]

EXAMPLES = int(os.environ.get("ATTACK_EXAMPLES", "25"))
NASTY = (
    "' OR '1'='1",
    "'; DROP TABLE customer; --",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "\r\nSet-Cookie: evil=1",
    "../../../../etc/passwd",
    "=HYPERLINK(1)",
    "%s%n%x",
    "\x00",
    "\u202e",
    "\ud800",
    "１２３４５６７８",
    "²",
    "A" * 5000,
    "1" * 5000,
    "a@x,e@y",
    '{"id": "x", "rawId": [], "response": {}, "type": "public-key"}',
    "[" * 3000,
)
TYPED = st.one_of(st.sampled_from(NASTY), st.text(max_size=300))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
# The pages with forms at each step of a login.
PAGES: dict[str, tuple[str, ...]] = {
    "stranger": ("/login",),
    "password given": ("/login/email",),
    "code sent": ("/login/code",),
    "logged in": ("/cards", "EDIT", "/password", "/factors/proof"),
    "password proved": ("/factors", "/factors/totp"),
}
# What no fuzzed form may change, and what only an answered one may.
KEPT = (
    "SELECT id, login_id, name, password_hash, must_change, disabled_at FROM operator",
    "SELECT operator_id, address FROM operator_address",
    "SELECT operator_id, sealed FROM totp",
    "SELECT operator_id, credential_id FROM passkey",
)
CUSTOMERS = "SELECT count(*), coalesce(sum(rev), 0), coalesce(max(id), 0) FROM customer"


def state(target: Target, *queries: str) -> list[list[tuple[object, ...]]]:
    """What the site's database says to ``queries``."""
    assert target.place is not None
    with closing(sqlite3.connect(target.place.folder / "site.db")) as db:
        return [db.execute(query).fetchall() for query in queries]


def forgive(target: Target) -> None:
    """Take back failures, locks and tries, so that every example is looked at."""
    assert target.place is not None
    with closing(sqlite3.connect(target.place.folder / "site.db", timeout=120)) as db:
        db.execute("UPDATE operator SET failures = 0, locked_until = 0")
        db.execute("UPDATE code SET tries = 0")
        db.execute("DELETE FROM origin_failure")
        db.commit()


class Standing:
    """A visitor who comes back to his step of the login whenever he has lost it."""

    def __init__(self, target: Target, step: str) -> None:
        self.target = target
        self.step = step
        self.visitor = target.stranger()
        self.edit = ""

    def page(self, asked: str) -> tuple[str, str]:
        """An address of PAGES and the HTML there; when it is gone, with its card or
        its login, one like it."""
        for begun in (False, True):
            if begun:
                self._begin()
            address = self.edit if asked == "EDIT" else asked
            answer = self.visitor.get(address) if address else None
            if answer is not None and answer.status == 200:
                return address, answer.text
        raise AssertionError(f"{self.step}: {asked} does not open")

    def _begin(self) -> None:
        if self.step == "stranger":
            self.visitor = self.target.stranger()
        elif self.step == "password given":
            self.visitor = self.target.stranger()
            fields = {"login_id": self.target.new_operator(), "password": PASSWORD}
            self.visitor.post("/login", fields)
        elif self.step == "code sent":
            self.visitor, _ = self.target.to_code(self.target.new_operator())
        else:
            self.visitor = self.target.logged_in()
            done = self.visitor.post("/cards", {"customer_name": "A", **CARD}).location
            self.edit = done.removesuffix("registered") + "edit"
        if self.step == "password proved":
            self.visitor.post("/factors/proof", {"current_password": PASSWORD})
            self.visitor.post("/factors/totp/new", {}, page="/factors")


@pytest.fixture(scope="module", params=sorted(PAGES))
def standing(target: Target, request: pytest.FixtureRequest) -> Standing:
    """A visitor at each step."""
    if target.place is None:
        pytest.skip("needs a site of its own")
    return Standing(target, request.param)


def worth_sending(html: str, data: st.DataObject) -> list[Form]:
    """The forms of a page; the one that logs out, which costs a new login, seldom."""
    leaves = data.draw(st.integers(0, 19)) == 0
    return [form for form in forms_of(html) if leaves or form.action != "/logout"]


def whole(form: Form) -> dict[str, str]:
    """What a form sends when every field is filled in and every box ticked."""
    filled = form.fields | dict.fromkeys(form.boxes, "y")
    for sent in form.buttons.values():
        filled |= sent
    return {name: RIGHT.get(name, value) for name, value in filled.items()}


def broken(form: Form, data: st.DataObject) -> Pairs:
    """The pairs a form sends, some of them broken, doubled, left out or made up."""
    right = whole(form)
    names = st.sampled_from([*sorted(right), "made_up"])
    pairs = list((right | data.draw(st.dictionaries(names, TYPED))).items())
    for change in (pairs.append, pairs.remove):
        if pairs and data.draw(st.integers(0, 9)) == 0:
            change(data.draw(st.sampled_from(pairs)))
    return pairs


def sent(visitor: Visitor, page: str, form: Form, pairs: Pairs) -> Answer:
    """The answer to a form of ``page``."""
    action = form.address(page)
    if form.method == "post":
        return visitor.send(action, pairs)
    return visitor.get(f"{action}?{urlencode(pairs, errors='surrogatepass')[:3500]}")


def is_done(answer: Answer) -> bool:
    """Say whether an answer leads to the page that says it was done."""
    return answer.location.endswith(("/registered", "/updated", "/deleted"))


@FUZZ
@given(data=st.data())
def test_every_form_bears_anything(standing: Standing, data: st.DataObject) -> None:
    """No 500, nothing over two seconds, and nothing is written but what is answered."""
    target = standing.target
    forgive(target)
    page, html = standing.page(data.draw(st.sampled_from(PAGES[standing.step])))
    form = data.draw(st.sampled_from(worth_sending(html, data)))
    pairs = broken(form, data)
    kept, customers = state(target, *KEPT), state(target, CUSTOMERS)
    answer = sent(standing.visitor, page, form, pairs)
    assert state(target, *KEPT) == kept
    assert is_done(answer) or state(target, CUSTOMERS) == customers
    assert answer.location != "/cards" or standing.step not in (
        "stranger",
        "password given",
        "code sent",
    )


def test_the_fuzz_finds_every_form(target: Target, operator: object) -> None:
    """Each form of the site is on one of PAGES, a new one too."""
    assert operator
    found = set()
    for step, pages in PAGES.items():
        standing = Standing(target, step)
        for address in pages:
            _, html = standing.page(address)
            found |= {(form.address(address), form.method) for form in forms_of(html)}
    assert found == {
        ("/login", "post"),
        ("/login/email", "post"),
        ("/login/code", "post"),
        ("/login/code/resend", "post"),
        ("/cards/search", "post"),
        ("/cards", "post"),
        ("EDIT", "post"),
        ("/password", "post"),
        ("/factors/proof", "post"),
        ("/factors/totp/new", "post"),
        ("/factors/totp", "post"),
        ("/factors/passkey", "post"),
        ("/logout", "post"),
    }


@pytest.fixture(scope="module")
def inside(target: Target) -> Visitor:
    """An operator who is logged in, for all of this file."""
    if target.place is None:
        pytest.skip("needs a site of its own")
    return target.logged_in()


@FUZZ
@given(
    q=TYPED,
    sort=TYPED,
    page=TYPED,
    path=st.text(st.characters(codec="ascii"), max_size=40),
)
def test_every_address_bears_anything(
    inside: Visitor, q: str, sort: str, page: str, path: str
) -> None:
    """The search, its order and pages, and addresses nobody made."""
    query = urlencode({"q": q, "sort": sort, "page": page}, errors="surrogatepass")
    if len(query) < 3500:
        # What may be a card number is no address of a search.
        right = 200 if shortened(q) == q else 400
        assert inside.get(f"/cards?{query}").status == right
        assert inside.get(f"/cards.csv?{query}").status == right
    assert inside.get(f"/cards/{quote(path, safe='')}/edit").status in (400, 404)


@FUZZ
@given(body=st.one_of(st.binary(max_size=2000), TYPED))
def test_reports_and_bodies_of_any_kind(target: Target, body: bytes | str) -> None:
    """What is no form at all: reports of the policy, JSON, raw bytes."""
    raw = body if isinstance(body, bytes) else body.encode(errors="surrogatepass")
    visitor = target.stranger()
    for path, kind in (
        ("/csp-report", "application/csp-report"),
        ("/login", "application/json"),
        ("/login", "multipart/form-data; boundary=x"),
        ("/login", "application/x-www-form-urlencoded"),
    ):
        visitor.ask("POST", path, raw, {"Content-Type": kind})


def test_nothing_typed_was_executed(
    own: Target, operator: Callable[[], Visitor]
) -> None:
    """What was typed is shown as typed, escaped, and nothing else."""
    visitor = operator()
    visitor.post("/cards", {**CARD, "customer_name": "<b>{{7*7}}</b>"})
    page = visitor.get("/cards").text
    assert "&lt;b&gt;{{7*7}}&lt;/b&gt;" in page
    assert "<b>49" not in page
    assert own.count("customer") > 0
