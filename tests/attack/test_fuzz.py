"""Any bytes in any field of any form (INP-01)."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .conftest import Target
from .test_door import CARD, count
from .visitor import Visitor

EXAMPLES = int(os.environ.get("ATTACK_EXAMPLES", "60"))
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
    "a@x,e@y",
)
TYPED = st.one_of(st.sampled_from(NASTY), st.text(max_size=300))
NAMES = (*CARD, "card_number_2", "card_number_4", "ticket", "rev", "act", "csrf_token")
OPEN_FORMS = {
    "/login": ("login_id", "password", "csrf_token"),
    "/login/email": ("email", "csrf_token"),
    "/login/code": ("code", "csrf_token"),
    "/logout": ("csrf_token",),
}
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@FUZZ
@given(data=st.data())
def test_a_strangers_forms_bear_anything(target: Target, data: st.DataObject) -> None:
    """No 500, nothing over two seconds; a stranger stays one."""
    visitor = target.stranger()
    path = data.draw(st.sampled_from(sorted(OPEN_FORMS)))
    names = data.draw(st.lists(st.sampled_from(OPEN_FORMS[path]), max_size=4))
    # Without its token first, then with it.
    visitor.send(path, [(name, data.draw(TYPED)) for name in names])
    fields = [(name, data.draw(TYPED)) for name in names if name != "csrf_token"]
    visitor.post(path, fields, page="/login")
    assert visitor.get("/cards").location == "/login"


@pytest.fixture(scope="module")
def inside(target: Target) -> Visitor:
    """An operator who is logged in, for all of this file."""
    if target.place is None:
        pytest.skip("needs a site of its own")
    return target.logged_in()


@FUZZ
@given(data=st.data())
def test_the_card_form_bears_anything(
    target: Target, inside: Visitor, data: st.DataObject
) -> None:
    """Refused with a page, or registered whole: as many cards as customers."""
    broken = data.draw(st.dictionaries(st.sampled_from(NAMES), TYPED, max_size=4))
    fields = {**CARD, **broken}
    if data.draw(st.booleans()):
        inside.post("/cards", fields)
    else:
        inside.post("/cards", [*fields.items(), *broken.items()])
    assert count(target, "customer") == count(target, "customer WHERE length(token)=36")


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
        assert inside.get(f"/cards?{query}").status in (200, 303)
        assert inside.get(f"/cards.csv?{query}").status == 200
    assert inside.get(f"/cards/{quote(path, safe='')}/edit").status in (400, 404)


def test_nothing_typed_was_executed(
    own: Target, operator: Callable[[], Visitor]
) -> None:
    """What was typed is shown as typed, escaped, and nothing else."""
    visitor = operator()
    visitor.post("/cards", {**CARD, "customer_name": "<b>{{7*7}}</b>"})
    page = visitor.get("/cards").text
    assert "&lt;b&gt;{{7*7}}&lt;/b&gt;" in page
    assert "<b>49" not in page
    assert count(own, "customer") > 0
