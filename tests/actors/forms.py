"""The forms of a page, as a browser would find them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag

from tests.places.site import PASSWORD

# A card typed in at the counter, without the customer's name.
CARD = {
    "phone": "090-0000-0000",
    "card_number_1": "4810000000020000",
    "exp_month": "1",
    "exp_year": "2030",
    "confirmed": "y",
}
# A change of password that is taken.
CHANGE = {
    "current_password": PASSWORD,
    "new_password": "another horse battery 6",
    "new_password_again": "another horse battery 6",
}
# What the site's forms send when nothing in them is wrong but who it is.
RIGHT = {
    "login_id": "nobody",
    "password": PASSWORD,
    "email": "nobody@example.co.jp",
    "code": "22222222",
    "current_password": "wrong password 1",
    "new_password": "another battery 7",
    "new_password_again": "another battery 7",
    "customer_name": "山田",
    **CARD,
}
# What belongs to a form, tag by tag; a value has no ">" in it.
PARTS = re.compile(r"</?form\b[^>]*>|<input\b[^>]*>|<button\b.*?</button>", re.S)


@dataclass
class Form:
    """Where a form goes ("" for its own page) and how, its fields, its buttons'
    words and what each of them sends."""

    action: str = ""
    method: str = "get"
    fields: dict[str, str] = field(default_factory=dict)
    boxes: set[str] = field(default_factory=set)
    buttons: dict[str, dict[str, str]] = field(default_factory=dict)

    def address(self, page: str) -> str:
        """Where a browser sends the form on ``page``; it keeps the fragment to itself."""
        return urldefrag(self.action).url or page


class _Reader(HTMLParser):
    """Reads a page's forms; a checkbox counts as not ticked."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, Form] = {}
        self._open = ""
        self._button: tuple[str, dict[str, str]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = given.get("id", str(len(self.forms)))
            # A form may be named by a field before it is met itself.
            form = self._form(self._open)
            form.action = given.get("action", "")
            form.method = given.get("method", "get")
        owner = given.get("form", self._open)
        if tag == "input" and owner:
            self._take(self._form(owner), given)
        if tag == "button" and owner:
            self._button = (owner, given)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = ""

    def handle_data(self, data: str) -> None:
        if self._button and data.strip():
            owner, given = self._button
            sent = {given["name"]: given.get("value", "")} if "name" in given else {}
            self._form(owner).buttons[data.strip()] = sent
            self._button = None

    def _take(self, form: Form, given: dict[str, str]) -> None:
        if given.get("type") == "checkbox":
            form.boxes.add(given["name"])
        else:
            form.fields[given["name"]] = given.get("value", "")

    def _form(self, name: str) -> Form:
        return self.forms.setdefault(name, Form())


def forms_of(page: str) -> list[Form]:
    """Every form in a page's HTML."""
    reader = _Reader()
    # Python's parser takes its time for a list of fifty customers.
    reader.feed("".join(PARTS.findall(page)))
    return list(reader.forms.values())


def hidden(page: str, *names: str) -> dict[str, str]:
    """What those of the hidden fields ``names`` hold that a page has."""
    found = {
        name: re.search(rf'name="{name}"[^>]*value="([^"]*)"', page) for name in names
    }
    return {name: match[1] for name, match in found.items() if match}


def csrf(page: str) -> str:
    """The CSRF token of a page that has a form."""
    (token,) = hidden(page, "csrf_token").values()
    return token
