"""A number typed into everything is found nowhere (PAN-01)."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from tests.actors.forms import RIGHT, forms_of
from tests.places.site import Place
from tests.spellings import holders, spellings, typed_ways

from .sentinel import FORGIVEN, Letters, Recorder, Swept, a_place, headers, serving

pytestmark = pytest.mark.faults

# A published test number that nothing else here uses.
NUMBER = "4012888888881881"
STEPS = ("stranger", "password given", "code sent", "logged in")
HOME = dict(
    zip(STEPS, ("/login", "/login/email", "/login/code", "/cards"), strict=True)
)
FORMS = {step: [HOME[step]] for step in STEPS}
FORMS["logged in"] += ["/password", "/factors/proof"]
ASKED = ("q", "sort", "page", "expiry", "prefix", "last4", "v", "next", "made_up")
TYPED = {**RIGHT, "card_number_1": NUMBER}


def bodies(names: set[str], text: str, token: str) -> Iterator[tuple[str, str]]:
    """The same text in every field, as each kind of body: its type, itself."""
    fields = {**dict.fromkeys(names, text), text: text, "csrf_token": token}
    yield "application/x-www-form-urlencoded", urlencode(fields)
    yield "application/json", json.dumps(fields, ensure_ascii=False)
    report = {"document-uri": text, "violated-directive": text, "blocked-uri": text}
    yield "application/csp-report", json.dumps({"csp-report": report})
    edge = "x-x"
    parts = "".join(
        f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    file = f'name="file"; filename="{text}"\r\nContent-Type: text/plain\r\n\r\n{text}'
    upload = f"--{edge}\r\nContent-Disposition: form-data; {file}\r\n--{edge}--\r\n"
    yield f"multipart/form-data; boundary={edge}", parts + upload


def fields_of(visitor: Recorder, paths: list[str]) -> set[str]:
    """The name of every field of every form on these pages."""
    forms = (form for path in paths for form in forms_of(visitor.get(path).text))
    named = (
        {*form.fields, *form.boxes, *itertools.chain(*form.buttons.values())}
        for form in forms
    )
    return set().union(*named, TYPED) - {"csrf_token"}


def sweep(swept: Swept, step: str, rules: list[str]) -> None:
    """Every rule, asked and posted to, with the number in all there is."""
    visitor = swept.at(step)
    names = fields_of(visitor, [rule for rule in rules if "<" not in rule])
    token = forms_of(visitor.get(HOME[step]).text)[0].fields["csrf_token"]
    # Half a login is all one to most addresses: whole and full-width will do.
    half = step in (STEPS[1], STEPS[2])
    ways = typed_ways(NUMBER)[:: 3 if half else 2]
    for number, text in enumerate(ways):
        sent = headers(text)
        for rule in rules:
            path = re.sub(r"<[^>]+>", quote(text, safe=""), rule)
            path += "?" + urlencode(dict.fromkeys(ASKED, text))
            visitor.ask("GET", path, headers=sent)
            kinds = 1 if number or half else None
            for kind, body in itertools.islice(bodies(names, text, token), kinds):
                given = {**sent, "Content-Type": kind}
                answer = visitor.ask("POST", path, body.encode(), given)
                if step != "stranger" and answer.location == "/login":
                    visitor = swept.at(step)
                    page = visitor.get(HOME[step]).text
                    token = forms_of(page)[0].fields["csrf_token"]


def fill_in(swept: Swept, step: str, pages: list[str]) -> None:
    """Every field of every form in turn, with all the others right."""
    visitor = swept.at(step)
    for page in pages:
        for form in forms_of(visitor.get(page).text):
            if form.action in ("/logout", "/login/code/resend"):
                continue
            right = {**form.fields, **dict.fromkeys(form.boxes, "y")}
            right |= {name: TYPED[name] for name in TYPED if name in right}
            names = sorted({*right} - {"csrf_token", "ticket"})
            for name, text in itertools.product(names, typed_ways(NUMBER)):
                swept.change("site.db", *FORGIVEN)
                pairs = {**right, name: text, "ticket": ""}
                if form.method == "post":
                    visitor.send(form.address(page), pairs.items())
                else:
                    visitor.get(f"{form.action}?{urlencode(pairs)}")


def test_a_number_typed_at_every_address_is_nowhere(tmp_path: Path) -> None:
    """In every field, address, header and body, at every step of the login: no file,
    log, mail, answer or process holds it, in any spelling."""
    with a_place(tmp_path / "place") as swept:
        with serving(swept):
            rules = swept.rules()
            for step in STEPS:
                sweep(swept, step, rules)
                fill_in(swept, step, FORMS[step])
        found = holders(swept.everything(), NUMBER)
        assert found == []


def test_the_search_finds_a_number_however_it_is_spelled(tmp_path: Path) -> None:
    """In a file of the place, in a mail and in an answer; a mask is no number."""
    swept = Swept(Place(tmp_path), Letters())
    for count, spelling in enumerate(spellings(NUMBER)):
        (tmp_path / f"file{count}").write_bytes(b"x" * count + spelling + b"y")
        swept.mails.kept.append(b"Subject: a\n\n" + spelling)
        swept.seen.append(b"200\n" + spelling)
    assert len(holders(swept.everything(), NUMBER)) == 3 * (count + 1)
    assert count > 30
    assert holders({"mask": b"40**-****-****-1881"}, NUMBER) == []
