"""What the documents say is true."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pyrage
import pytest

from app.auth.commands import operators, sessions
from app.cards.commands import cards
from app.cli import migrate
from app.mail_commands import mail
from docs.draw_architecture import PICTURE, draw
from docs.print_manual import MADE_OF, MANUAL, chapters, document, made_of
from tests.actors.reader import run, settings_in_code
from vault.commands import cardvault

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNBOOK = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LIFECYCLE = (ROOT / "docs" / "lifecycle.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
SETTING = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b|\bCOPYRIGHT\b")
# The tables of what a card site has to hold, and how many rows each has.
ROWS = {
    "AUT": 9,
    "OTP": 6,
    "SES": 4,
    "WEB": 9,
    "INP": 4,
    "PAN": 8,
    "VLT": 6,
    "AUD": 4,
    "REL": 10,
    "ATH": 7,
    "LCK": 6,
}
# In capitals, but an argument and not a setting.
ARGUMENTS = {"LOGIN_ID", "OWN_HOST"}


def test_every_setting_is_in_the_readmes_table() -> None:
    """Each has its row, or shares one, with a default and a meaning."""
    table = README.partition("## Settings")[2].partition("## Commands")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    assert settings_in_code() == set(SETTING.findall(" ".join(row[1] for row in rows)))
    assert all(row[2].strip() and row[3].strip() for row in rows)


def test_every_setting_the_readme_names_exists() -> None:
    """Wherever it is named, not in the table alone."""
    assert set(SETTING.findall(README)) - ARGUMENTS <= settings_in_code()


def commands_in(document: str) -> set[str]:
    """Every command a document names, without its arguments and options."""
    found = re.findall(
        r"(?:^\$ |`)((?:cardvault|flask --app wsgi)[^`\n|;]*)", document, re.M
    )
    plain = (
        re.split(r" (?:--(?!app )|[A-Z<]|[\"']|\S+\.csv)", line)[0].strip()
        for line in found
    )
    return set(plain) - {"cardvault"}


def commands_of(name: str, command: click.Command) -> Iterator[tuple[str, str]]:
    """The full name and the help of ``command``, or of all below it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            assert below is not None
            yield from commands_of(f"{name} {verb}", below)
    else:
        yield name, command.get_help(click.Context(command, info_name=name))


COMMANDS = dict(commands_of("cardvault", cardvault))
for ours in (operators, sessions, cards, mail, migrate):
    COMMANDS |= dict(commands_of(f"flask --app wsgi {ours.name}", ours))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_documented_with_an_example(name: str) -> None:
    """README or runbook name it; its help says what it does and shows it typed."""
    assert name in commands_in(README) | commands_in(RUNBOOK)
    text, _, example = COMMANDS[name].partition("Example:")
    assert len(text.split("\n\n")[1].strip()) > 10
    assert name in example


@pytest.mark.parametrize("command", sorted(commands_in(README + RUNBOOK + LIFECYCLE)))
def test_every_command_named_exists(command: str) -> None:
    """What a document tells to type is one of ours, or a group of them."""
    assert any(f"{name} ".startswith(f"{command} ") for name in COMMANDS)


def test_the_readmes_transcript_is_true(tmp_path: Path) -> None:
    """Every line typed answers as shown; only ids differ."""
    block = README.partition("```console\n")[2].partition("```")[0]
    turns = re.split(r"^\$ ", block, flags=re.M)[1:]
    assert len(turns) > 4
    for turn in turns:
        line, _, expected = turn.partition("\n")
        shown = run(line, tmp_path).stdout
        shown = re.sub(r"(?m)^(vault +)[0-9a-f]{32}$", r"\1VAULT", shown)
        shown = re.sub(r"(?m)^(root +)[0-9a-f]{16}$", r"\1ROOT", shown)
        assert shown == expected, line


EVENT = re.compile(r"\b(?:card|cards|customer|customers|audit)\.[a-z_]+\b")


def test_every_event_of_a_cards_life_is_one_the_trail_has() -> None:
    """In the page and in its picture."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("app", "vault")
        for path in ROOT.glob(f"{folder}/**/*.py")
    )
    picture = (ROOT / "docs" / "lifecycle.svg").read_text(encoding="utf-8")
    told = set(EVENT.findall("".join(re.findall(r"`[^`\n]*`", LIFECYCLE))))
    assert len(told) > 12
    for event in told | set(EVENT.findall(picture)):
        assert f'"{event}"' in code, event


def test_the_months_work_does_what_the_page_says(tmp_path: Path) -> None:
    """Every line of docs/lifecycle.md, typed in its order, ends well, and the trail has
    the events it names."""
    identity = pyrage.x25519.Identity.generate()
    for line in ("cardvault init --no-passphrase", "flask --app wsgi migrate"):
        assert run(line, tmp_path).returncode == 0
    (tmp_path / "customers.csv").write_text(
        "customer_name,phone,card_number,exp_month,exp_year\n"
        "山田 太郎,090-0000-0000,4810000000020000,01,2040\n",
        encoding="utf-8",
    )
    block = LIFECYCLE.partition("```console\n")[2].partition("```")[0]
    lines = re.findall(r"^\$ (.*)$", block, re.M)
    assert len(lines) == 10
    for line in lines:
        if "--with amounts.csv" in line:
            masked = (tmp_path / "masked.csv").read_text(encoding="utf-8-sig")
            token = masked.splitlines()[1].split(",")[0]
            (tmp_path / "amounts.csv").write_text(f"token,amount\n{token},1980\n")
            answer = f"token,exp_month,exp_year\n{token},02,2041\n"
            (tmp_path / "answer.csv").write_text(answer)
        typed = line.replace("age1...", str(identity.to_public()))
        ran = run(f"VAULT_ROOT_KEY=instance/root.key {typed}", tmp_path)
        assert ran.returncode == 0, f"{line}\n{ran.stdout}"
    told = ("card.imported", "customers.listed", "cards.exported")
    for event in (*told, "card.expiry_changed"):
        assert event in ran.stdout, event
    sealed = (tmp_path / "nov2.age").read_bytes()
    assert pyrage.decrypt(sealed, [identity]) == b"4810000000020000,4001,1980\r\n"


SERVER_URL = re.compile(r"postgresql(?:\+psycopg)?://[^\s'\"`)]*")


def test_every_database_url_shown_asks_for_tls() -> None:
    """Whoever copies one gets a server whose name was checked (PCI DSS 4.2.1)."""
    places = [*DOCUMENTS, *(p for p in (ROOT / "deploy").rglob("*") if p.is_file())]
    urls = [
        url
        for path in places
        if path.suffix not in (".pyc", ".pdf")
        for url in SERVER_URL.findall(path.read_text(encoding="utf-8"))
    ]
    assert len(urls) > 8
    assert [url for url in urls if "sslmode=verify-full" not in url] == []


def test_every_make_target_named_exists() -> None:
    """``make x`` in a document is a rule of the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for path in DOCUMENTS:
        for target in re.findall(r"`make (\w+)", path.read_text(encoding="utf-8")):
            assert re.search(rf"^{target}:", makefile, re.M), f"{path.name}: {target}"


def test_the_layout_names_what_is_there() -> None:
    """Every file and folder at the left of the README's tree exists."""
    tree = README.partition("## Layout\n\n```\n")[2].partition("```")[0]
    names = re.findall(r"^(\S+) ", tree, re.M)
    assert len(names) > 5
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_printed_manual_is_of_todays_text_and_pictures() -> None:
    """A changed text or picture asks for ``make manual``."""
    assert list(made_of()) == MADE_OF.read_text(encoding="utf-8").splitlines()


def test_the_manuals_contents_name_every_chapter() -> None:
    """With the page it begins on, under the edition."""
    found = chapters(MANUAL.read_text(encoding="utf-8"))
    assert [chapter.title[:3] for chapter in found] == ["1-1", "1-2", "1-3", "そのほ"]
    shown = document(found, [3, 5, 7, 9])
    assert shown.index("第2.0版") < shown.index("目次")
    for chapter, page in zip(found, (3, 5, 7, 9), strict=True):
        line = f"<span>{chapter.title}</span><i></i><span>{page}</span>"
        assert line in shown
        assert f"<h2>{chapter.title}</h2>" in chapter.html


def test_the_picture_is_of_todays_imports() -> None:
    """docs/architecture.svg is what ``make architecture`` would draw now."""
    assert PICTURE.read_text(encoding="utf-8") == draw(), "run: make architecture"


def test_every_file_the_architecture_names_exists() -> None:
    """Each path in code style leads to a file or a folder."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:app|vault|templates|docs)/[\w/.-]*|\w+\.cfg)`", page)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    """Every relative link names a file that is there."""
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_every_test_the_security_table_names_exists() -> None:
    """Each row's test is there, in the file it is said to be in."""
    table = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table)
    assert len(named) > 60
    for path, name in named:
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), name


def test_every_requirement_has_its_row() -> None:
    """Each has a state and a test of its own, and none is left out."""
    table = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([A-Z]{3}-\d\d) (.*) \|$", table, re.M)
    asked = {
        f"{kind}-{n:02d}" for kind, last in ROWS.items() for n in range(1, last + 1)
    }
    assert {name for name, _ in rows} == asked
    for name, row in rows:
        _, source, state, tests = row.rsplit(" | ", 3)
        assert source.strip(), name
        assert state.startswith(("met", "deviation", "not ours")), name
        assert tests.startswith("`tests/"), name
