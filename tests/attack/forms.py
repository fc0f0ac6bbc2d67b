"""The forms of a page, as a visitor's browser would find them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

Pairs = list[tuple[str, str]]


@dataclass
class Form:
    """Where a form is sent, how, and the names it sends with the values it has."""

    action: str
    method: str
    fields: Pairs = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects forms; a field may name its form by id from outside of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.page = page
        self.forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._outside: list[tuple[str, tuple[str, str]]] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """A form begins, or one of its fields is there."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(
                given.get("action") or self.page, given.get("method", "get")
            )
            self.forms.append(self._open)
            self._by_id[given.get("id", "")] = self._open
        elif tag in ("input", "button") and given.get("name"):
            pair = (given["name"], given.get("value", ""))
            if "form" in given:
                self._outside.append((given["form"], pair))
            elif self._open is not None:
                self._open.fields.append(pair)

    def handle_endtag(self, tag: str) -> None:
        """A form ends."""
        if tag == "form":
            self._open = None

    def found(self) -> list[Form]:
        """Every form with every field that belongs to it."""
        for name, pair in self._outside:
            self._by_id[name].fields.append(pair)
        return self.forms


def forms_of(page: str, html: str) -> list[Form]:
    """The forms in the HTML of the address ``page``."""
    reader = _Reader(page)
    reader.feed(html)
    return reader.found()
