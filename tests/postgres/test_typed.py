"""What PostgreSQL refuses to be asked never reaches it (INP-03)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import Engine

from tests.actors.forms import RIGHT, forms_of, hidden
from tests.actors.mail import Mails
from tests.actors.target import Target
from tests.actors.visitor import Visitor
from tests.forked import typist
from tests.places.site import PASSWORD, Place
from vault.store.database import connect

pytestmark = pytest.mark.postgres

# A NUL fits no text, and a long one no column.
TYPED = ("\x00", "taro\x00", "x" * 5000, "9" * 5000)
CARD = {name: RIGHT[name] for name in ("customer_name", "phone", "card_number_1")}
CARD |= {"exp_month": "1", "exp_year": "2030", "confirmed": "y"}
HEADING = "customer_name,phone,card_number,exp_month,exp_year\n"


@pytest.fixture
def place(
    tmp_path: Path, databases: tuple[str, str], mails: tuple[Mails, int]
) -> Place:
    """A place whose site is on PostgreSQL."""
    more = {"DATABASE_URL": databases[0], "VAULT_DATABASE_URL": databases[1]}
    more |= {"LOGIN_FAILURES_PER_ORIGIN": "10000"}
    return Place(tmp_path, mail_port=mails[1], more=more).make()


def forgive(engine: Engine) -> None:
    """Take back failures, locks and tries, so that every field is looked at."""
    with engine.begin() as db:
        db.exec_driver_sql("UPDATE operator SET failures = 0, locked_until = 0")
        db.exec_driver_sql("UPDATE code SET tries = 0")


def fill_in(visitor: Visitor, page: str, engine: Engine) -> int:
    """Every field of every form of a page in turn; returns how many were sent.
    The visitor himself fails at a status of 500 or over."""
    sent = 0
    for form in forms_of(visitor.get(page).text):
        if form.action in ("/logout", "/login/code/resend"):
            continue
        right = {name: RIGHT.get(name, value) for name, value in form.fields.items()}
        right |= dict.fromkeys(form.boxes, "y")
        for name in sorted({*right} - {"csrf_token"}):
            for text in TYPED:
                forgive(engine)
                pairs = {"ticket": "", **right, name: text}
                visitor.send(form.action or page, pairs.items())
                sent += 1
    return sent


def test_any_field_and_address_is_borne(
    place: Place, mails: tuple[Mails, int], databases: tuple[str, str]
) -> None:
    """At every step of a login: no page is an incident."""
    target, engine = Target(place.url, place, mails[0]), connect(databases[0])
    with place.serving("--workers", "1"):
        assert fill_in(target.stranger(), "/login", engine) == 8
        at_code, _ = target.to_code(target.new_operator())
        sent = fill_in(at_code, "/login/email", engine)
        sent += fill_in(at_code, "/login/code", engine)
        visitor = target.logged_in()
        done = visitor.post("/cards", CARD).location
        pages = ("/cards", done.replace("registered", "edit"), "/password")
        for page in (*pages, "/factors/proof"):
            sent += fill_in(visitor, page, engine)
        visitor = target.logged_in()
        for text in TYPED:
            query = urlencode(dict.fromkeys(("q", "sort", "page", "expiry"), text))
            like = urlencode(dict.fromkeys(("prefix", "last4", "expiry"), text))
            paths = (
                f"/cards?{query}",
                f"/cards.csv?{query}",
                f"/cards/likeness?{like}",
            )
            for path in (*paths, "/cards/%00/edit", f"/cards/{'x' * 900}/edit"):
                if len(path) < 4000:
                    visitor.get(path)
    engine.dispose()
    assert sent > 60
    assert "incident" not in (place.folder / "gunicorn.log").read_text()


# The last is a bidi mark.
CONTROLS = ("\0", "\0taro", "ta\0ro", "\x01", "\x1b[2K", "\x7f", "\x85", "\u202e")
# No character at all, and half of a pair; a new password may hold them.
ODD = ("\ufffe", "\ud800")
PASSWORDS = {
    "current_password": PASSWORD,
    "new_password": "another battery 7",
    "new_password_again": "another battery 7",
}
NEW = ("new_password", "new_password_again")


def controlled(form: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """A form with each odd text in each field, alone and behind what is right."""
    for name, right in form.items():
        for text in CONTROLS if name in NEW else (*CONTROLS, *ODD):
            for typed in (text, right + text):
                # The new password is the same in both boxes, or that is the fault.
                both = dict.fromkeys(NEW, typed) if name in NEW else {name: typed}
                yield name, form | both


def answers(
    visitor: Visitor, page: str, path: str, form: dict[str, str], engine: Engine
) -> set[tuple[str, int]]:
    """How a form is answered, by the field that was odd."""
    token = hidden(visitor.get(page).text, "csrf_token")
    found = set()
    for name, fields in controlled(form):
        forgive(engine)
        sent = visitor.send(path, {**token, **fields}.items())
        found.add((name, sent.status))
    return found


def test_control_characters_get_each_auth_forms_usual_answer(
    place: Place, mails: tuple[Mails, int], databases: tuple[str, str]
) -> None:
    """In every field: the form again with what is wrong, and no incident.  A factor
    that nobody has is not found."""
    target, engine = Target(place.url, place, mails[0]), connect(databases[0])
    with place.serving("--workers", "1"):
        login = {"login_id": "operator1", "password": "wrong password 1"}
        found = answers(target.stranger(), "/login", "/login", login, engine)
        half = target.stranger()
        half.post("/login", {"login_id": target.new_operator(), "password": PASSWORD})
        email = {"email": "operator@"}
        found |= answers(half, "/login/email", "/login/email", email, engine)
        at_code, _ = target.to_code(target.new_operator())
        code = {"code": "22222222"}
        found |= answers(at_code, "/login/code", "/login/code", code, engine)
        inside = target.logged_in()
        proof = {"current_password": "wrong password 1"}
        found |= answers(inside, "/factors/proof", "/factors/proof", proof, engine)
        found |= answers(inside, "/password", "/password", PASSWORDS, engine)
        inside.post("/factors/totp/new", {}, page="/factors")
        found |= answers(inside, "/factors/totp", "/factors/totp", code, engine)
        credential = {"credential": "{}", "name": "事務所"}
        path = "/factors/passkey"
        found |= answers(inside, "/factors", path, credential, engine)
        path = "/factors/remove"
        removed = answers(inside, "/factors", path, {"factor": "totp"}, engine)
    engine.dispose()
    fields = {*login, *email, *code, *proof, *PASSWORDS, *credential}
    assert found == {(name, 422) for name in fields}
    assert removed == {("factor", 404)}
    assert "incident" not in (place.folder / "gunicorn.log").read_text()


def test_a_file_imported_twice_at_once_goes_in_once(
    place: Place, tmp_path: Path, databases: tuple[str, str]
) -> None:
    """Whoever comes second is told to wait, or that the rows are in already."""
    file = tmp_path / "customers.csv"
    rows = [f"客,090-{n:08},5555555555554444,12,2030\n" for n in range(400)]
    file.write_text(HEADING + "".join(rows))
    words = ("flask", "--app", "wsgi", "cards", "import", str(file))
    runs = [
        typist().pipe(*words, folder=tmp_path, environ=place.environ())
        for _ in range(3)
    ]
    said = [(run.communicate()[1], run.returncode) for run in runs]
    for told, code in said:
        assert code == 0 or "another import is running" in told
    again = place.run(*words)
    assert "400 of 400 rows are in already" in again.stderr
    engine = connect(databases[0])
    with engine.connect() as db:
        count = db.exec_driver_sql("SELECT count(*) FROM customer").scalar_one()
    engine.dispose()
    assert count == 400
