"""The log's lines: as text, as JSON, and as the journal wants them."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from app.log_lines import JournalText, JsonLines, Text, formatter, is_journal
from tests.places.site import BIN, ROOT, Place

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# Each would end a line, or a string, somewhere.
UNRULY = 'a\nb\r\x85\u2028"\\\x1b[2J\ud800'


def record(message: str = UNRULY, *, failed: bool = False) -> logging.LogRecord:
    """A record at level WARNING, with a traceback when something ``failed``."""
    trace = None
    if failed:
        try:
            raise ValueError(message)
        except ValueError:
            trace = sys.exc_info()
    made = logging.LogRecord("app.x", logging.WARNING, "", 0, "%s", (message,), trace)
    made.request = "0123456789abcdef"
    return made


@pytest.mark.parametrize("failed", [True, False])
def test_json_is_one_object_a_line(failed: bool) -> None:
    """Whatever the message holds; the traceback is one field of it."""
    line = JsonLines().format(record(failed=failed))
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)
    assert told["message"] == UNRULY
    assert TIME.fullmatch(told["time"])
    assert (told["level"], told["kind"], told["logger"]) == ("warning", "log", "app.x")
    assert told["request"] == "0123456789abcdef"
    assert told.get("traceback", "").startswith("Traceback") == failed


def test_text_has_time_level_and_request() -> None:
    """In one line, the traceback below."""
    lines = Text().format(record("a line", failed=True)).splitlines()
    time, rest = lines[0].split(" ", 1)
    assert TIME.fullmatch(time)
    assert rest == "WARNING [0123456789abcdef] a line"
    assert lines[1].startswith("Traceback")


def test_every_line_for_the_journal_has_its_priority() -> None:
    """It takes each line for an entry, so the traceback's need one too."""
    lines = JournalText().format(record("a line", failed=True)).splitlines()
    assert lines[0] == "<4>[0123456789abcdef] a line"
    assert len(lines) > 3
    assert all(line.startswith("<4>") for line in lines)


@pytest.mark.parametrize(
    ("level", "sign"),
    [("CRITICAL", "<2>"), ("ERROR", "<3>"), ("INFO", "<6>"), ("DEBUG", "<7>")],
)
def test_a_priority_is_sd_daemons(level: str, sign: str) -> None:
    """As sd-daemon(3) has them."""
    made = record("a line")
    made.levelno = logging.getLevelNamesMapping()[level]
    assert JournalText().format(made).startswith(f"{sign}[")


def test_the_journal_is_known_by_its_stream(tmp_path: Path) -> None:
    """A variable inherited by a process whose output goes elsewhere says nothing."""
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        own = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
        assert is_journal(own, stream.fileno())
        assert not is_journal({}, stream.fileno())
        assert not is_journal({"JOURNAL_STREAM": "1:2"}, stream.fileno())
    assert not is_journal(own, 987654)
    assert isinstance(formatter("text", journal=True), JournalText)
    assert isinstance(formatter("json", journal=True), JsonLines)


def test_all_a_site_says_is_json(tmp_path: Path) -> None:
    """gunicorn's own lines too, from its start to its end."""
    place = Place(tmp_path, more={"LOG_FORMAT": "json"}).make()
    with place.serving("--workers", "1", anew=True):
        asked = urllib.request.Request(f"{place.url}/login", headers={"Host": "x.y"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(asked)
        request = refused.value.headers["X-Request-ID"]
        refused.value.close()
    said = (tmp_path / "gunicorn.log").read_text().splitlines()
    lines = [json.loads(line) for line in said]
    assert all(TIME.fullmatch(line["time"]) for line in lines)
    told = {line["kind"] for line in lines if line.get("request") == request}
    assert told == {"refused.host", "pages.refused"}
    assert "server" in {line["kind"] for line in lines}


def test_a_refused_start_is_json_too(tmp_path: Path) -> None:
    """All faults in one line."""
    place = Place(tmp_path, more={"LOG_FORMAT": "json"}).make()
    bad = place.environ(SECRET_KEY="short", CODE_TTL="1")
    where = ("--bind", f"127.0.0.1:{place.port}", "--workers", "1")
    command = [str(BIN / "gunicorn"), *where, "wsgi:app"]
    # Not forked from the tests: whatever those have loaded would be loaded here.
    ended = subprocess.run(
        command, cwd=ROOT, env=bad, capture_output=True, text=True, check=False
    )
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    (line,) = [line for line in lines if line["kind"] == "start.refused"]
    assert "SECRET_KEY" in line["message"]
    assert "CODE_TTL" in line["message"]


def test_a_format_there_is_not_is_refused(tmp_path: Path) -> None:
    """With the ones there are."""
    place = Place(tmp_path).make()
    ended = place.run("flask", "--app", "wsgi", "operators", "list", LOG_FORMAT="yaml")
    assert "LOG_FORMAT is 'yaml'; give text, json" in ended.stderr
