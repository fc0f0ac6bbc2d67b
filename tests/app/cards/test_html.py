"""Every page in every state is HTML without a fault, by html-validate's rules.

Of the recommended ones those of style alone are off, and the one against a page that
asks for itself again, as the page for arrivals has to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.actors.operator_client import A_CARD, Auth, Desk, boxes
from tests.places.site import PASSWORD, ROOT

CHECKER = ROOT / "tests" / "html" / "node_modules" / ".bin" / "html-validate"
RULES = ROOT / "tests" / "html" / ".htmlvalidate.json"

pytestmark = pytest.mark.skipif(
    (not CHECKER.exists() or shutil.which("node") is None) and "CI" not in os.environ,
    reason="html-validate is not installed: it needs npm",
)


def faults(folder: Path, pages: dict[str, str]) -> list[str]:
    """What html-validate finds in ``pages``, each by its name."""
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    words = [str(CHECKER), "--config", str(RULES), "--formatter", "json"]
    files = [str(folder / f"{name}.html") for name in pages]
    # Into a file, because node ends before a pipe has taken everything.
    out = folder / "faults.json"
    with out.open("wb") as sink:
        ran = subprocess.run([*words, *files], stdout=sink, check=False, timeout=120)
    assert ran.returncode in (0, 1)
    return [
        f"{Path(result['filePath']).stem}:{fault['line']}: {fault['ruleId']}: {fault['message']}"
        for result in json.loads(out.read_text())
        for fault in result["messages"]
    ]


def test_the_check_finds_a_fault(tmp_path: Path) -> None:
    """A role that says what the element is already, and an id used twice."""
    page = '<!doctype html><html lang="ja"><head><title>a</title></head><body>{}</body>'
    page = page.format('<main role="main" id="a"></main><p id="a"></p>') + "</html>"
    found = " ".join(faults(tmp_path, {"page": page}))
    assert "no-redundant-role" in found
    assert "no-dup-id" in found


def test_the_login_pages(auth: Auth, tmp_path: Path) -> None:
    """Each step, and each with its errors."""
    pages = {"login": auth.get("/login").text}
    pages["login-empty"] = auth.post("/login").text
    pages["login-wrong"] = auth.password(password="wrong password 1").text
    auth.password()
    pages["email"] = auth.get("/login/email").text
    pages["email-empty"] = auth.address("").text
    auth.address()
    pages["code"] = auth.get("/login/code").text
    pages["code-wrong"] = auth.code("22222222").text
    pages["resent"] = auth.post("/login/code/resend", page="/login/code").text
    auth.code(auth.mailbox.code())
    pages["password"] = auth.get("/password").text
    pages["password-empty"] = auth.post("/password").text
    pages["factors"] = auth.get("/factors").text
    proof = auth.post("/factors/totp/new", page="/factors")
    pages["totp"] = (
        auth.client.get(proof.location).text if proof.location else proof.text
    )
    auth.logout()
    pages["logged-out"] = auth.get("/login").text
    assert faults(tmp_path, pages) == []


def test_the_card_pages(desk: Desk, tmp_path: Path) -> None:
    """The list, a card's whole life, and every kind of error."""
    pages = {}

    def keep(name: str) -> None:
        pages[name] = desk.page

    desk.open("/cards")
    keep("empty")
    desk.press("/cards", "登録")
    keep("all-empty")
    public_id = desk.register(customer_name='山田 "太郎" <様>')
    desk.register()
    for number in range(51):
        desk.register(customer_name=f"客{number}号", exp_year=str(2027 + number % 9))
    for page in ("registered", "updated", "edit"):
        desk.open(f"/cards/{public_id}/{page}?q=A&sort=name")
        keep(page)
    for name, address in {
        "list": "/cards",
        "second": "/cards?page=2&sort=name",
        "nothing": "/cards?q=zzz",
        "soon": "/cards?expiry=soon",
        "not-found": "/cards/nobody/edit",
        "nowhere": "/nowhere",
    }.items():
        desk.open(address)
        keep(name)
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    stale = desk.filled("更新", confirmed="y", phone="03-1234-5678")
    desk.change(public_id, exp_month="13", **boxes("1"))
    keep("edit-errors")
    desk.change(public_id)
    keep("unchanged")
    desk.delete(public_id, confirmed="")
    keep("not-confirmed")
    desk.change(public_id, customer_name="B")
    desk.send(path, stale | {"exp_month": "1", "exp_year": "2031"})
    keep("conflict")
    desk.open(str(desk.delete(public_id).location))
    keep("deleted")
    desk.send("/cards", A_CARD)
    keep("no-token")
    assert faults(tmp_path, pages) == []


def test_the_other_pages(app: Flask, client: FlaskClient, tmp_path: Path) -> None:
    """What is answered without asking who is there."""
    crossed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    pages = {
        "arrival": client.get("/cards", headers=crossed).text,
        "forbidden": client.post("/login", headers=crossed).text,
        "large": client.post("/login", data={"password": PASSWORD * 2000}).text,
    }
    app.extensions["site_engine"].dispose()
    assert faults(tmp_path, pages) == []
