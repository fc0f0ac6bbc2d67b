"""What the documents name exists, and can be typed as they show it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import click
import pytest

from app.auth.commands import operators, sessions
from app.cards.commands import cards
from app.cli import migrate
from app.mail_commands import mail
from tests.actors.reader import settings_in_code
from tests.places.site import ROOT
from vault.commands import cardvault

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FLASK = {
    command.name: command for command in (operators, sessions, cards, mail, migrate)
}
# A changelog tells of what was, too.
TODAYS = [path for path in DOCUMENTS if path.name != "CHANGELOG.md"]
SOURCES = ("app", "vault", "tests", "bench", "deploy", "docs", "templates")
# Not names of the project's: an example of one, and a folder that a run makes.
EXAMPLES = {"tests/file.py", "tests/artefacts"}

FENCE = re.compile(r"^ *```.*?\n(.*?)^ *```$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
TYPED = re.compile(r"(?:^|(?<=[\s(;]))(cardvault|flask --app wsgi) +(?=[a-z-])")
SETTING = re.compile(r"(?<![\w$])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w/])")
PATH = re.compile(rf"(?<![\w/.])(?:{'|'.join(SOURCES)})/[\w./@-]*")
FILE = re.compile(
    r"(?<![\w/.*-])[\w-][\w.@-]*\.(?:py|cfg|toml|sh|service|timer|yml|md)\b"
)
LINK = re.compile(r"\]\(([^)\s#:]*)#([^)\s]+)\)")


@dataclass(frozen=True)
class Line:
    """A command as a document shows it: ``whole`` in a block to be typed, else named
    in a sentence, where what it takes may be left out."""

    words: str
    whole: bool


def text_of(path: Path) -> str:
    """A document's text."""
    return path.read_text(encoding="utf-8")


def code_in(text: str) -> list[tuple[str, bool]]:
    """Every piece of code of a document, and whether it is a block of its own."""
    blocks = [(block.replace("\\\n", " "), True) for block in FENCE.findall(text)]
    spans = [
        (" ".join(span.split()), False) for span in SPAN.findall(FENCE.sub("", text))
    ]
    return blocks + spans


def lines_of(text: str) -> Iterator[Line]:
    """Every command of ours that a document shows."""
    for code, whole in code_in(text):
        for row in code.splitlines():
            for found in TYPED.finditer(row):
                if re.search(r" (?:-\w|the) $", row[: found.start()]):
                    continue  # an account's name, or a word of a sentence
                typed = re.sub(r"\$\(.*?\)", "X", row[found.start() :])
                rest = re.split(r"[|;>)]|&&", typed)[0]
                yield Line(rest.strip(), whole and "..." not in rest)


LINES = sorted(
    {line.words: line for path in TODAYS for line in lines_of(text_of(path))}.values(),
    key=lambda line: line.words,
)


def fault_of(line: Line) -> str:
    """What is wrong with a command, as click says it; "" when it can be typed."""
    words = shlex.split(line.words, comments=True)
    command: click.Command | None = cardvault
    if words[0] == "flask":
        command, words = FLASK.get(words[3]), words[3:]
    words = words[1:]
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        context = click.Context(command)
        command, words = command.get_command(context, words[0]), words[1:]
    if command is None:
        return "there is no such command"
    return parsed(command, words, whole=line.whole)


def parsed(command: click.Command, words: list[str], *, whole: bool) -> str:
    """What click says of a command's words; "" when they fit."""
    context = click.Context(command)
    try:
        given, left, _ = command.make_parser(context).parse_args(list(words))
    except click.BadOptionUsage as incomplete:
        return incomplete.message if whole else ""
    except click.UsageError as refused:
        return refused.message
    wanting = [
        param.human_readable_name
        for param in command.params
        if whole and param.required and param.value_is_missing(given[param.name])
    ]
    if isinstance(command, click.Group) and whole:
        wanting.append("a command")
    return " ".join([*(f"without {name}" for name in wanting), *left])


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.words)
def test_every_command_shown_can_be_typed(line: Line) -> None:
    """With its options and arguments, wherever a document shows it."""
    assert fault_of(line) == ""


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        ("cardvault rotat", True),
        ("cardvault rotate --worker-count 3", False),
        ("cardvault verify now", False),
        ("cardvault export --recipient", True),
        ("cardvault pan-scan", True),
        ("cardvault audit", True),
        ("cardvault audit forget", False),
        ("flask --app wsgi operators remove taro", False),
        ("flask --app wsgi migrate --chek", True),
    ],
)
def test_a_command_that_can_not_be_typed_is_noticed(words: str, whole: bool) -> None:
    """A misspelt verb or option, a word too many, one too few."""
    (line,) = lines_of(f"```\n{words}\n```\n" if whole else f"See `{words}`.")
    assert line == Line(words, whole)
    assert fault_of(line)


def every_command(
    name: str, command: click.Command
) -> Iterator[tuple[str, click.Command]]:
    """``command``, or all below it, by their full names."""
    if not isinstance(command, click.Group):
        yield name, command
        return
    context = click.Context(command)
    for verb in command.list_commands(context):
        below = command.get_command(context, verb)
        assert below is not None
        yield from every_command(f"{name} {verb}", below)


def test_every_option_says_what_it_does() -> None:
    """In the help of its command."""
    both = [("cardvault", cardvault), *((f"flask {n}", c) for n, c in FLASK.items())]
    every = [
        (name, option)
        for top, group in both
        for name, command in every_command(top, group)
        for option in command.params
        if isinstance(option, click.Option)
    ]
    assert len(every) > 60
    silent = [f"{name} {option.opts[0]}" for name, option in every if not option.help]
    assert silent == []


@cache
def files() -> tuple[frozenset[str], str]:
    """The names of the project's files, and all that is written in its code."""
    paths = [path for top in SOURCES for path in (ROOT / top).rglob("*")]
    paths += [path for path in ROOT.iterdir() if path.is_file()]
    ours = [p for p in paths if p.is_file() and "node_modules" not in p.parts]
    code = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in ours
        if path.suffix in (".py", ".sh", ".example", "")
        and path.name != Path(__file__).name
    ]
    return frozenset(path.name for path in ours), "\n".join(code)


@pytest.mark.parametrize("path", TODAYS, ids=lambda path: path.name)
def test_every_file_named_exists(path: Path) -> None:
    """Each path from a folder of the project's, and each name of a source file."""
    names, _ = files()
    missing = []
    for code, _ in code_in(text_of(path)):
        for found in PATH.findall(code):
            name = found.rstrip(".").partition("::")[0]
            if name not in EXAMPLES and not (ROOT / name).exists():
                missing.append(name)
        # An instance of a systemd unit has its name after the @.
        units = [re.sub(r"@\w+", "@", name) for name in FILE.findall(code)]
        missing += [name for name in units if name not in names]
    assert missing == []


@pytest.mark.parametrize("path", TODAYS, ids=lambda path: path.name)
def test_every_setting_named_exists(path: Path) -> None:
    """Each name in capitals is a setting, or a variable that the tests, the Makefile or
    a host's files read."""
    _, code = files()
    named = {
        name for piece, _ in code_in(text_of(path)) for name in SETTING.findall(piece)
    }
    unknown = [
        name
        for name in sorted(named - settings_in_code())
        if not re.search(rf"\b{name}\b", code)
    ]
    assert unknown == []


def anchors(path: Path) -> set[str]:
    """The places in a document that a link can lead to, as they are named on the web."""
    found: dict[str, int] = {}
    for title in re.findall(r"^#+ +(.*?) *$", FENCE.sub("", text_of(path)), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title)
        name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found[name] = found.get(name, -1) + 1
    return {
        f"{name}-{n}" if n else name
        for name, last in found.items()
        for n in range(last + 1)
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_into_a_document_leads_to_a_chapter(path: Path) -> None:
    """Of the same one or of another."""
    lost = [
        f"{target}#{anchor}"
        for target, anchor in LINK.findall(text_of(path))
        if anchor not in anchors(path.parent / target if target else path)
    ]
    assert lost == []
