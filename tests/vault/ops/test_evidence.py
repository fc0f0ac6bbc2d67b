"""``cardvault report evidence``: a folder for an assessor."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from app.auth.service import UNUSED_SECONDS
from tests.actors.reader import settings_in_code
from tests.places import filled_vault
from tests.places.site import PASSWORD, Place
from vault.crypto import SUITE
from vault.errors import FileRefused
from vault.ops.evidence import operators, parts, results, settings
from vault.ops.evidence.folder import NewFolder
from vault.ops.evidence.page import Head, page_of
from vault.ops.evidence.words import Subject, Table, Words
from vault.ops.pan_scan.numbers import numbers

CARDS = 1000
REASON = "annual change of keys"
PASSPHRASE = "some words that open the root"
MAIL_PASSWORD = "a password of the mail server"
HASH = re.compile(rb"\b[0-9a-f]{64}\b")
BOTH = ("index", "status", "checks", "keys", "custodians", "access", "operators")
PAGES = (*BOTH, "settings", "versions", "results")
# A number that no card has, with a right check digit.
NUMBER = "4111111111111111"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A site with an operator and 1,000 cards, all re-encrypted once."""
    place = Place(tmp_path_factory.mktemp("place")).make()
    place.add_operator("taro")
    filled_vault.fill(place, CARDS)
    done = place.ops("rotate", "--reason", REASON)
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="module")
def folder(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of that site, with the root key at hand and results given."""
    given = place.folder / "given"
    given.mkdir()
    (given / "tests.xml").write_text(
        '<testsuites><testsuite name="pytest" errors="0" failures="1" skipped="2" '
        'tests="2000" time="9"></testsuite></testsuites>'
    )
    (given / "notes.txt").write_text(f"tried with {NUMBER}")
    password = place.folder / "mail.password"
    password.write_text(MAIL_PASSWORD)
    password.chmod(0o600)
    phrase = place.folder / "passphrase"
    phrase.write_text(PASSPHRASE)
    phrase.chmod(0o600)
    sealed = filled_vault.copy(place, tmp_path_factory.mktemp("sealed"))
    opened = {"VAULT_ROOT_PASSPHRASE_FILE": str(phrase)}
    done = sealed.ops("root", "passphrase", given=PASSPHRASE + "\n")
    assert done.returncode == 0, done.stderr
    out = sealed.folder / "evidence"
    done = sealed.ops(
        *("report", "evidence", "--out", str(out), "--results", str(given)),
        **opened,
        MAIL_PASSWORD_FILE=str(password),
        MAIL_USERNAME="mailer",
        AUDIT_ANCHOR_COMMAND="cat > /dev/null # token-of-the-bucket",
    )
    # One of the results is left out, which is something to look at.
    assert done.returncode == 1, done.stderr
    assert "to look at  Results of tests and scanners" in done.stderr
    return out


def read(folder: Path, name: str) -> str:
    """A file of the folder."""
    return (folder / name).read_text(encoding="utf-8")


def entries(place: Place) -> int:
    """How many entries the trail has."""
    return int(json.loads(place.ops("status", "--json").stdout)["audit_seq"])


def test_every_file_is_there(folder: Path) -> None:
    """Pages in both languages, the rotation's record, the bill of materials; private."""
    expected = {f"{name}.{lang}.html" for name in PAGES for lang in ("ja", "en")}
    expected |= {f"rotation-1.{kind}" for kind in ("ja.txt", "en.txt", "json")}
    expected |= {f"{name}.json" for name in PAGES} - {"index.json", "custodians.json"}
    expected |= {"sbom.cdx.json", "SHA256SUMS", "result-tests.xml"}
    assert {path.name for path in folder.iterdir()} == expected
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_the_sums_are_of_every_file(folder: Path) -> None:
    """As sha256sum reads them."""
    words = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    assert len(ran.stdout.splitlines()) == len(list(folder.iterdir())) - 1


def test_no_file_holds_a_number_or_a_secret(folder: Path, place: Place) -> None:
    """By the project's own search, and by what the keys and passwords are; the file
    that was given with a number in it is left out and named."""
    secrets = {PASSWORD, PASSPHRASE, MAIL_PASSWORD, "mailer", "token-of-the-bucket"}
    secrets.add(place.environ()["SECRET_KEY"])
    before, sealed = place.folder / "root.key", folder.parent / "root.key"
    for path in (place.folder / "web.key", before, sealed):
        for value in json.loads(path.read_text()).values():
            if isinstance(value, str) and len(value) >= 40 and value != SUITE:
                secrets.add(value)
                secrets.add(base64.b64decode(value + "==").hex())
    assert len(secrets) > 6
    for path in folder.iterdir():
        data = path.read_bytes()
        assert numbers(HASH.sub(b"", data)) == [], path.name
        assert [one for one in secrets if one.encode() in data] == [], path.name
    left_out = json.loads(read(folder, "results.json"))
    assert [one["given"] for one in left_out if not one["name"]] == ["notes.txt"]
    assert "tests 2000" in read(folder, "results.en.html")


class Links(HTMLParser):
    """Collects where a page's links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(
        self,
        tag: str,  # noqa: ARG002
        attrs: list[tuple[str, str | None]],
    ) -> None:
        """Note every link."""
        self.found += [value or "" for name, value in attrs if name == "href"]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_the_contents_lead_to_every_file(folder: Path, lang: str) -> None:
    """Each of the language and each for a program; every link of every page resolves."""
    for path in folder.glob("*.html"):
        links = Links()
        links.feed(path.read_text(encoding="utf-8"))
        assert [one for one in links.found if not (folder / one).is_file()] == []
        if path.name == f"index.{lang}.html":
            named = set(links.found)
    other = "en" if lang == "ja" else "ja"
    theirs = {path.name for path in folder.iterdir() if f".{other}." in path.name}
    rest = {path.name for path in folder.iterdir()} - theirs - named
    assert rest == {f"index.{lang}.html", "SHA256SUMS"}


def test_the_pages_say_what_is_so(folder: Path) -> None:
    """The counts, the checks that were run, keys without their material, operators."""
    assert json.loads(read(folder, "status.json"))["cards"] == CARDS
    checks = json.loads(read(folder, "checks.json"))
    assert (checks["run"], checks["cards_opened"]) == (True, CARDS)
    assert checks["verify"] == checks["audit_verify"] == []
    assert "No anchor was given" in read(folder, "checks.en.html")
    assert set(checks["newest"]) == {"verify", "audit verify"}
    first, second = json.loads(read(folder, "keys.json"))["data_keys"]
    assert (first["state"], second["state"]) == ("destroyed", "retired")
    assert (second["cards"], second["bits"]) == (CARDS, 256)
    assert second["ends_at"] - second["made_at"] == 365 * 24 * 3600
    (taro,) = json.loads(read(folder, "operators.json"))
    assert (taro["login_id"], taro["state"]) == ("taro", "active")
    assert taro["last_login_at"] is None
    (web_key,) = [
        one
        for one in json.loads(read(folder, "access.json"))["files"]
        if one["is"] == "web key"
    ]
    assert web_key["mode"] == "0600"
    assert json.loads(read(folder, "rotation-1.json"))["reason"] == REASON
    listed = Place(folder.parent).ops("audit", "list", "--event", "report.evidence")
    assert '"folder": "evidence"' in listed.stdout


def test_the_entry_comes_before_the_first_file(place: Place, tmp_path: Path) -> None:
    """Killed at the first file there is no folder, and the trail knows of it; the next
    run says what is in the way, and does its work once that is gone."""
    out = tmp_path / "killed"
    words = ("report", "evidence", "--out", str(out))
    done = place.run("cardvault", *words, kill_at="evidence-file-written")
    assert done.returncode == -9
    assert not out.exists()
    trail = place.ops("audit", "list", "--event", "report.evidence").stdout
    assert '"folder": "killed"' in trail
    again = place.run("cardvault", *words)
    assert again.returncode == 2
    assert f"rm -r {out}.part" in again.stderr
    shutil.rmtree(f"{out}.part")
    assert place.run("cardvault", *words).returncode == 0


def test_without_the_root_key_the_page_says_so(place: Place, tmp_path: Path) -> None:
    """And gives the newest results that the trail has; an empty folder may be given."""
    out = tmp_path / "empty"
    out.mkdir()
    done = place.run("cardvault", "report", "evidence", "--out", str(out))
    assert done.returncode == 0, done.stderr
    checks = json.loads(read(out, "checks.json"))
    assert (checks["run"], checks["verify"]) == (False, None)
    assert "ルート鍵が手元にないため" in read(out, "checks.ja.html")
    assert "結果は渡されませんでした" in read(out, "results.ja.html")
    assert read(out, "index.ja.html").count("<td>未実施</td>") == 2
    assert "not done    What the checks found" in done.stderr


def test_nothing_is_written_over(place: Place, tmp_path: Path) -> None:
    """A folder with a file in it, a file, a link: refused before the trail has an
    entry."""
    full, file, link = (tmp_path / name for name in ("full", "file", "link"))
    full.mkdir()
    (full / "mine").write_text("mine")
    file.write_text("mine")
    link.symlink_to(tmp_path / "elsewhere")
    before = entries(place)
    for out in (full, file, link):
        done = place.run("cardvault", "report", "evidence", "--out", str(out))
        assert (done.returncode, "is in the way" in done.stderr) == (2, True)
    assert entries(place) == before
    assert (full / "mine").read_text() == file.read_text() == "mine"


def test_a_damaged_card_is_in_the_evidence(place: Place, tmp_path: Path) -> None:
    """The folder is whole, the finding in it, and the exit code says to look."""
    copy = filled_vault.copy(place, tmp_path / "copy")
    script = "UPDATE card SET last4 = '9999' WHERE id = 7"
    subprocess.run(["sqlite3", str(copy.folder / "vault.db"), script], check=True)
    out = tmp_path / "evidence"
    done = copy.ops("report", "evidence", "--out", str(out))
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(read(out, "checks.json"))["verify"]
    assert found["subject"].startswith("card_")
    assert found["subject"] in read(out, "checks.ja.html")
    assert "要確認" in read(out, "index.ja.html")


def test_an_edited_record_has_no_file(place: Place, tmp_path: Path) -> None:
    """The contents say why instead, and nobody gets a page to sign; an anchor that was
    given is held."""
    copy = filled_vault.copy(place, tmp_path / "copy")
    script = "UPDATE rotation SET reason = 'another'"
    subprocess.run(["sqlite3", str(copy.folder / "vault.db"), script], check=True)
    anchor = tmp_path / "anchor"
    anchor.write_text(copy.ops("audit", "anchor").stdout)
    out = tmp_path / "evidence"
    words = ("report", "evidence", "--out", str(out), "--anchor", str(anchor))
    done = copy.ops(*words)
    assert (done.returncode, "look at  Key rotation 1" in done.stderr) == (1, True)
    assert list(out.glob("rotation-*")) == []
    assert "記録を信用できません" in read(out, "index.ja.html")
    assert json.loads(read(out, "checks.json"))["anchors_held"] == 1


def test_every_setting_is_sorted_as_secret_or_not() -> None:
    """One that is added tomorrow has to be, or it is not in the evidence."""
    sorted_out = [*settings.SECRET, *settings.URLS, *settings.SHOWN]
    assert set(sorted_out) == settings_in_code()
    assert len(sorted_out) == len(set(sorted_out))


def test_no_setting_gives_a_secret_away() -> None:
    """Not a secret's value, not a password in a URL, nothing that is no setting."""
    url = "postgresql+psycopg://ops:s3cret@db/vault?sslmode=verify-full&password=s3cret"
    environ = dict.fromkeys(settings.SECRET, "s3cret") | {
        "VAULT_DATABASE_URL": url,
        "DATABASE_URL": "no url: s3cret",
        "OTHER_PASSWORD": "s3cret",
    }
    subject = settings.read_settings(environ)
    head = Head("v", "r", 0, "taro", "host", "1")
    assert "s3cret" not in json.dumps(subject.data) + page_of(subject, head, "en")
    assert "sslmode=verify-full" in subject.data["VAULT_DATABASE_URL"]


def test_operators_are_unused_when_the_site_says_so() -> None:
    """The ops side reads the tables by itself, and counts the same days."""
    assert operators.UNUSED_SECONDS == UNUSED_SECONDS


@pytest.mark.parametrize(("failures", "wrong"), [(0, False), (1, True)])
def test_a_failed_test_is_something_to_look_at(
    tmp_path: Path, failures: int, wrong: bool
) -> None:
    """The count in pytest's file decides."""
    given = tmp_path / "given"
    given.mkdir()
    suite = f'<testsuite errors="0" failures="{failures}" skipped="0" tests="10">'
    (given / "tests.xml").write_text(suite)
    with NewFolder(tmp_path / "out") as folder:
        assert results.take_in(folder, given).wrong is wrong


def test_what_a_row_says_can_not_change_a_page() -> None:
    """Markup, line ends and signs that turn the text round are shown as text."""
    table = Table(Words("表", "T"), (Words("列", "C"),), [["<b>\u202ea\n</b>"]])
    subject = Subject("x", Words("題", "T"), Words("", ""), "1.1", (table,))
    page = page_of(subject, Head("v", "r", 0, "<i>", "h", "1"), "en")
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\u202e" not in page


def test_a_text_with_a_number_stops_the_folder(tmp_path: Path) -> None:
    """Nothing stays of it."""
    out = tmp_path / "out"
    with NewFolder(out) as folder:
        folder.write("a.txt", "nothing")
        with pytest.raises(FileRefused, match="card number"):
            folder.write("b.txt", f"the reason was {NUMBER}")
    assert list(tmp_path.iterdir()) == []
    with NewFolder(out, [NUMBER]) as folder:
        folder.write("b.txt", f"an id: {NUMBER}")
        folder.publish()
    assert out.is_dir()


def test_the_bill_of_materials_is_cyclonedx(folder: Path) -> None:
    """The rules of the 1.6 schema that it could break: its fixed words, one reference
    each, licences as either one expression or names, hashes of the right length, and
    dependencies that are there.  What is installed is in it, by the lock's hashes."""
    bill = json.loads(read(folder, "sbom.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(
        r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"]
    )
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", bill["metadata"]["timestamp"])
    components = bill["components"]
    refs = [bill["metadata"]["component"]["bom-ref"]]
    refs += [one["bom-ref"] for one in components]
    assert len(refs) == len(set(refs))
    assert {one["type"] for one in components} == {"library"}
    for one in components:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        for licence in one.get("licenses", []):
            assert list(licence) in (["expression"], ["license"])
        hashes = [(h["alg"], len(h["content"])) for h in one.get("hashes", [])]
        assert set(hashes) <= {("SHA-256", 64)}
    assert [one["ref"] for one in bill["dependencies"]] == refs
    assert all(set(one["dependsOn"]) <= set(refs) for one in bill["dependencies"])
    locked = {one["name"]: one for one in components if one["scope"] == "required"}
    assert {"flask", "sqlalchemy", "cryptography"} <= locked.keys()
    assert all(one["hashes"] for one in locked.values())
    assert all(locked[name]["licenses"] for name in ("flask", "cryptography"))


def test_without_a_lock_file_the_parts_have_no_hashes(tmp_path: Path) -> None:
    """They are named all the same."""
    found = parts.installed(tmp_path / "none")
    assert "flask" in {part.name for part in found}
    assert not any(part.hashes or part.locked for part in found)


CHECKER = Path(__file__).resolve().parents[2] / "html/node_modules/.bin/html-validate"


@pytest.mark.skipif(
    (not CHECKER.exists() or shutil.which("node") is None) and "CI" not in os.environ,
    reason="html-validate is not installed: it needs npm",
)
def test_the_pages_are_html_without_a_fault(folder: Path, tmp_path: Path) -> None:
    """By html-validate's rules, as the site's own pages."""
    rules = CHECKER.parents[2] / ".htmlvalidate.json"
    words = [str(CHECKER), "--config", str(rules), "--formatter", "json"]
    out = tmp_path / "faults.json"
    with out.open("wb") as sink:
        files = sorted(map(str, folder.glob("*.html")))
        subprocess.run([*words, *files], stdout=sink, check=False, timeout=120)
    faults = [m for one in json.loads(out.read_text()) for m in one["messages"]]
    assert [f"{one['ruleId']}: {one['message']}" for one in faults] == []
