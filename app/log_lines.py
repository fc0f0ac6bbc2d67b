"""Makes the lines of the log: text, or one JSON object a line.

It imports nothing of this project, because gunicorn.conf.py loads it by its path: the
master process must not hold the site's code, or a reload would go on serving that.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

SERVER = "server"
"""The kind of gunicorn's own lines."""
OTHER = "log"
"""The kind of every line that a library wrote."""

STDERR = 2
# Priorities of syslog, as sd-daemon(3) wants them at the beginning of a line.
_PRIORITIES = (
    (logging.CRITICAL, "<2>"),
    (logging.ERROR, "<3>"),
    (logging.WARNING, "<4>"),
    (logging.INFO, "<6>"),
)
_DEBUG = "<7>"


def is_journal(environ: Mapping[str, str], descriptor: int = STDERR) -> bool:
    """Say whether ``descriptor`` is the journal's stream: JOURNAL_STREAM names its
    device and inode.  A process started from a unit inherits the variable even if its
    standard error goes elsewhere."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def formatter(kind: str, *, journal: bool) -> logging.Formatter:
    """The formatter of LOG_FORMAT ``kind``; ``journal`` says that the lines go to the
    journal, which keeps a time itself and wants a priority."""
    if kind == "json":
        return JsonLines()
    return JournalText() if journal else Text()


class Text(logging.Formatter):
    """Time, level, the request's id and the message, then the traceback, on lines of
    its own."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        begin = f"{_time(record)} {record.levelname}"
        return "\n".join([f"{begin} {_sentence(record)}", *_trace(record)])


class JournalText(logging.Formatter):
    """The same without time and level; every line begins with its priority, because
    the journal takes each line of a traceback for an entry."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        priority = _priority(record.levelno)
        lines = [_sentence(record), *_trace(record)]
        return "\n".join(priority + line for line in lines)


class JsonLines(logging.Formatter):
    """One JSON object a line, all ASCII, so that no sign in it can begin a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON: ``time`` (RFC 3339, UTC, milliseconds), ``level``,
        ``kind``, ``message``, ``logger``, and where there are such ``request``, the
        facts and ``traceback``."""
        trace = "\n".join(_trace(record))
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "kind": _kind(record),
            "message": getattr(record, "sentence", None) or record.getMessage(),
            "logger": record.name,
            **_facts(record),
        }
        if trace:
            line["traceback"] = trace
        return json.dumps(line)


def _sentence(record: logging.LogRecord) -> str:
    request = getattr(record, "request", "")
    message = record.getMessage().replace("\n", " ")
    return f"[{request}] {message}" if request else message


def _trace(record: logging.LogRecord) -> list[str]:
    """The lines of the record's traceback and of its stack."""
    plain = logging.Formatter()
    text = record.exc_text or ""
    if record.exc_info and not text:
        text = plain.formatException(record.exc_info)
    stack = plain.formatStack(record.stack_info) if record.stack_info else ""
    return [*text.splitlines(), *stack.splitlines()]


def _kind(record: logging.LogRecord) -> str:
    named = getattr(record, "kind", None)
    if named is not None:
        return str(named)
    return SERVER if record.name.startswith("gunicorn") else OTHER


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    request = getattr(record, "request", "")
    facts: Mapping[str, Any] = getattr(record, "facts", {})
    return {**({"request": request} if request else {}), **facts}


def _time(record: logging.LogRecord) -> str:
    at = datetime.fromtimestamp(record.created, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _priority(level: int) -> str:
    return next((sign for least, sign in _PRIORITIES if level >= least), _DEBUG)
