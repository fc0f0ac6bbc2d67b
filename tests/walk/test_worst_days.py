"""Each worst day ends as its chapter of docs/operations.md says."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.actors.mail import Mails, receiving
from tests.actors.operator_http import Desk
from tests.actors.witness import Witness
from tests.places.postgres_cluster import Cluster
from tests.places.site import PASSWORD, ROOT, free_port
from tests.places.small_disk import disk, fill
from tests.places.vault import FakeClock
from tests.vault.commands.runbook import TEXT as RUNBOOK
from tests.vault.commands.runbook import Reader, chapter, lines_of
from tests.vault.commands.shell import Ran, Shell
from tests.vault.commands.thief import Thief, lay_a_sealing_key_ready
from vault import Actor, Vault, VaultSettings
from vault.clock import DAY_SECONDS, system_clock

from .host import Host, found, found_site

pytestmark = pytest.mark.faults

FAR = 365 * DAY_SECONDS
# Chapters whose days are long and have files of their own.
ELSEWHERE = {
    "Something may be known to somebody": (
        "tests/vault/commands/test_runbook.py",
        "test_every_other_recipe_can_be_typed",
    ),
    "Not made by this vault's root": (
        "tests/vault/commands/test_runbook.py",
        "test_the_web_hosts_recipe_leaves_a_thief_nothing",
    ),
}
DAYS: dict[str, Callable[..., None]] = {}


def day(heading: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The day of a chapter, which its docstring names."""

    def mark(test: Callable[..., None]) -> Callable[..., None]:
        assert f'"{heading}"' in " ".join((test.__doc__ or "").split())
        DAYS[heading] = test
        return test

    return mark


def slug(heading: str) -> str:
    """What a link to a heading says after its #."""
    return re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")


def rows() -> list[str]:
    """The chapters that the table of symptoms leads to."""
    headings = {slug(one): one for one in re.findall(r"^#+ (.+)$", RUNBOOK, re.M)}
    table = chapter("When something is wrong").partition("|---|")[2]
    return [headings[link] for link in re.findall(r"\]\(#([\w-]+)\) \|$", table, re.M)]


@pytest.mark.parametrize("heading", rows())
def test_every_chapter_of_the_table_has_its_day(heading: str) -> None:
    """A symptom whose chapter nobody has gone through is none to rely on."""
    if heading in ELSEWHERE:
        path, name = ELSEWHERE[heading]
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8")
    else:
        assert heading in DAYS


def test_every_day_is_in_the_table() -> None:
    """Each is found by what one sees of it, and none is there twice."""
    assert sorted(rows()) == sorted([*DAYS, *ELSEWHERE])
    table = chapter("When something is wrong")
    assert len(re.findall(r"^\| .* \|$", table, re.M)) == len(rows()) + 1


@day("The disk is full")
@pytest.mark.rights("disks")
def test_the_disk_is_full(
    tmp_path: Path, open_host: Callable[[Path], Host], mails: tuple[Mails, int]
) -> None:
    """ "The disk is full": pages say so, a backup goes elsewhere, and after room was
    made the same form is taken in the same login."""
    with disk("no space", tmp_path) as folder:
        host = open_host(folder)
        with host.place.serving():
            witness = Witness(host.place, mails[0])
            fill(folder / "filled")
            witness.is_told()
            witness.sees_health(503)
            found(host.type("cardvault audit list").text, "make room on the disk of")
            _, backed_up = host.follow("The disk is full")
            found(backed_up, "the trail has no entry of this backup")
            (folder / "filled").unlink()
            witness.goes_on()
            told = host.follow("The disk is full", 1)
            found(told[0], "2 cards opened")
            found(told[2], "every card has its customer")
        assert (tmp_path / "full.backup").stat().st_size


@day("The database doesn't answer")
@pytest.mark.postgres
def test_the_database_does_not_answer(
    tmp_path: Path, server: Cluster, mails: tuple[Mails, int]
) -> None:
    """ "The database doesn't answer": PostgreSQL is stopped under the site and comes
    back; the site goes on by itself, and so does the command typed again."""
    with server.database("site") as site, server.database("vault") as vault:
        urls = {"DATABASE_URL": site, "VAULT_DATABASE_URL": vault}
        keys = {"VAULT_WEB_KEY": "instance/web.key"}
        host = found_site(Host(tmp_path, mails[1], {**urls, **keys}))
        host.settings.pop("VAULT_WEB_KEY")
        with host.place.serving():
            witness = Witness(host.place, mails[0])
            server.stop()
            try:
                witness.is_told()
                assert witness.health() == 503
                cut_off = host.type("cardvault rotate")
                assert cut_off.code in (2, 3), cut_off.text
                doctor = host.type("cardvault doctor")
                found(doctor.text, "127.0.0.1|/", "refused|No such file")
                assert doctor.code == 1
            finally:
                server.start()
            assert witness.desk.ask("/cards").status == 200
            host.well("cardvault rotate")
            witness.goes_on()
        told = host.follow("The database doesn't answer", 1)
        found(told[0], "2 cards opened")
        found(told[1], "every card has its customer")


@day("The disk died")
def test_the_disk_died(kept: Host) -> None:
    """ "The disk died": a cut database leads there; every line restores it, and the
    customer of after the backup is lost, as it says."""
    kept.register("後の客")
    vault = kept.folder / "instance" / "vault.db"
    with vault.open("r+b") as file:
        file.truncate(vault.stat().st_size // 3)
    broken = kept.type("cardvault verify")
    assert broken.code != 0
    found(broken.text, "The disk died")
    for path in kept.folder.glob("instance/*.db*"):
        path.unlink()
    told = kept.follow("The disk died")
    found(told[0], "made ")
    found(told[2], "2 cards opened")
    assert kept.customers() == {"山田 太郎", "鈴木 花子"}


@day("The web key file is lost")
def test_the_web_key_is_gone(kept: Host) -> None:
    """ "The web key file is lost": made anew of what the root proves, and the site
    starts with it."""
    (kept.folder / "instance" / "web.key").unlink()
    gone = kept.type("cardvault status")
    assert gone.code == 2
    found(gone.text, "web-key recover")
    told = kept.follow("The web key file is lost")
    found(told[0], "2 cards opened and held against it")
    found(told[3], "every card has its customer")
    with kept.place.serving():
        assert Desk(kept.place).ask("/login").status == 200


@day("The passphrase is forgotten")
def test_the_passphrase_is_forgotten(kept: Host) -> None:
    """ "The passphrase is forgotten": the custodians' shares make a file under a new
    one, and it opens the cards."""
    (kept.folder / "word").write_text("a word nobody remembers\n")
    (kept.folder / "word").chmod(0o600)
    kept.well(
        "umask 077; cardvault root split --shares 3 --threshold 2 > shares"
        " && cardvault root passphrase < word"
    )
    forgotten = kept.type("cardvault verify < /dev/null")
    assert forgotten.code in (2, 5)
    (kept.folder / "word").write_text("a word that all remember\n")
    (line,) = re.findall(r"^\$ (.*)$", chapter("The passphrase is forgotten"), re.M)
    shares = re.findall(
        r"^(?:\w+ ){20,}\w+$", (kept.folder / "shares").read_text(), re.M
    )
    (kept.folder / "two").write_text("\n".join(shares[:2]) + "\n")
    word = {"VAULT_ROOT_PASSPHRASE_FILE": "word"}
    kept.well(f"{line} < two", VAULT_ROOT_KEY="", **word)
    opened = kept.well("cardvault verify", VAULT_ROOT_KEY="joined.key", **word)
    found(opened, "2 cards opened")
    found(kept.well("cardvault audit list --event root.used"), "root join")


@day("The wrong root key")
def test_the_root_is_another_ones(kept: Host, tmp_path: Path) -> None:
    """ "The wrong root key": refused by every look, which the trail keeps; with the
    right medium all is well."""
    other = Host(tmp_path / "other")
    other.folder.mkdir()
    other.well("cardvault init --no-passphrase")
    wrong = str(other.folder / "instance" / "root.key")
    for line in ("cardvault verify", "cardvault rotate"):
        refused = kept.type(line, VAULT_ROOT_KEY=wrong)
        assert refused.code == 5, refused.text
        found(refused.text, "the root key is of vault .*, this is vault")
    (status,) = kept.follow("The wrong root key", VAULT_ROOT_KEY=wrong)
    found(status, r"(?m)^root +[0-9a-f]{16}$")
    told = kept.follow("The wrong root key", 1)
    found(told[0], "2 cards opened")
    assert told[1].count("root.refused") == 2


@day("The clock is wrong")
def test_the_clock_is_a_year_ahead(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "The clock is wrong": nothing is purged, both looks say it, and once it is set
    right every line ends well, whatever the site wrote meanwhile."""
    heading, now = "The clock is wrong", system_clock()
    shell.seal(2)
    clock = FakeClock(now + FAR)
    monkeypatch.setattr("vault.commands.vaults.system_clock", clock)
    monkeypatch.setattr("vault.commands.doctor.system_clock", clock)
    refused = shell("purge", "--expired-for", "0")
    assert refused.code == 2
    found(refused.err, "the clock says", "nothing was deleted")
    told = [typed(shell, line) for line in lines_of(heading)]
    assert len(told) == 2
    for ran in told:
        found(ran.out + ran.err, "365 days (ahead of the trail|before)")
    vault = Vault.open(VaultSettings(), clock)
    with vault.engine.begin() as db:
        vault.record(db, "login", Actor("taro", "192.0.2.1"))
    vault.engine.dispose()
    assert shell("purge", "--expired-for", "0").code == 2
    clock.now = now
    told = [typed(shell, line) for line in lines_of(heading, 1)]
    assert [ran.code for ran in told] == [0, 0, 0]
    found(told[0].out + told[0].err, "behind the trail's newest entry")
    assert "card_" not in told[2].out
    found(shell("verify").out, "2 cards opened")


def typed(shell: Shell, line: str) -> Ran:
    """A line of a chapter, typed."""
    name, *words = shlex.split(line)
    assert name == "cardvault"
    return shell(*words)


@day("An older backup")
def test_an_older_backup_was_put_over(kept: Host) -> None:
    """ "An older backup": an anchor from elsewhere finds it; the newer backup in an
    empty place brings back what was missing."""
    older = kept.folder / "older"
    older.mkdir()
    kept.well("cp site.backup older/")
    kept.register("新しい客")
    kept.well("cardvault audit anchor > anchor.json && rm site.backup")
    kept.well("cardvault backup site.backup")
    _empty(kept)
    refused = kept.type("cardvault restore older/site.backup --anchor anchor.json")
    assert refused.code == 1
    found(refused.text, "older than the anchor")
    restore = "cardvault restore older/site.backup --anchor anchor.json"
    kept.well(f"{restore} --accept-older")
    said = kept.type("cardvault audit verify --anchor anchor.json")
    assert said.code == 1
    found(said.text, "an older database|was anchored")
    _empty(kept)
    told = kept.follow("The disk died")
    found(told[2], "3 cards opened")
    assert "新しい客" in kept.customers()


@day("When an anchor does not hold")
def test_an_anchor_does_not_hold(kept: Host) -> None:
    """ "When an anchor does not hold": each command with it exits 1 and names an
    entry; a rotation writes nothing."""
    kept.register("新しい客")
    kept.well("cardvault audit anchor > newer.json")
    _empty(kept)
    kept.well("cardvault restore site.backup")
    for line in ("cardvault audit verify", "cardvault rotate"):
        said = kept.type(f"{line} --anchor newer.json")
        assert said.code == 1, said.text
        found(said.text, r"audit entry|trail", "anchored")
    found(kept.well("cardvault status"), r"(?m)^generation +1$")


def _empty(host: Host) -> None:
    """Move the databases away."""
    for path in host.folder.glob("instance/*.db*"):
        path.unlink()


@day("Mail is dead: nobody can log in")
def test_mail_is_dead(host: Host) -> None:
    """ "Mail is dead: nobody can log in": the test mail names what failed, the log
    too; the mail leaves when the server is back."""
    host.mail_port = free_port()
    (line,) = re.findall(
        r"^ +(flask --app wsgi mail test .*)$",
        chapter("Mail is dead: nobody can log in"),
        re.M,
    )
    dead = host.type(line)
    assert dead.code == 1
    found(dead.text, "ConnectionRefusedError|refused")
    box, place = Mails(), host.place
    with place.serving():
        desk = Desk(place)
        desk.post("/login", "/login", login_id="taro", password=PASSWORD)
        desk.post("/login/email", "/login/email", email="taro@example.co.jp")
        with receiving(box, port=host.mail_port):
            host.well(line)
            code = ""
            while not code:
                message = box.message("taro@example.co.jp").get_content()
                code = "".join(re.findall(r"(?m)^[2-9a-z]{8}$", message))
            led = desk.post("/login/code", "/login/code", code=code)
            assert led.endswith("/cards")
    found((place.folder / "gunicorn.log").read_text(), "mail.not_taken")
    found(host.well("cardvault audit list --event login.code_sent"), "success")


@day("The web host or the web key")
def test_somebody_was_on_the_web_host(empty: Shell, kept: Host, tmp_path: Path) -> None:
    """ "The web host or the web key": a key file that they laid ready is moved away as
    it says, every line goes through, and what they have opens nothing."""
    shutil.copytree(kept.folder, tmp_path, dirs_exist_ok=True)
    reader, before = Reader(empty), (tmp_path / "instance/web.key").read_bytes()
    thief = Thief(empty)
    lay_a_sealing_key_ready(thief)
    done = reader.follow("The web host or the web key")
    assert reader.mended == ["instance/web.key.new"]
    # An operator without an app has none to forget, and that is said.
    (none,) = [ran for _, ran in done[1:] if ran.code]
    found(none.out, "has neither an authenticator app nor a passkey")
    assert (tmp_path / "instance/web.key").read_bytes() != before
    assert thief.opened() == set()
