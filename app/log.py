"""Sets up the log: each record scrubbed, with its request's id, on standard error."""

from __future__ import annotations

import logging
import os
import re
import secrets
import sys
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, has_request_context, request

from config import Config, ConfigError
from vault import Vault
from vault.card.scrub import scrub

from . import lock_waits, log_lines
from .happenings import SENTENCES, Kind, happened

REQUEST_ID_BYTES = 8
REQUEST_ID_HEADER = "X-Request-ID"
SLOW_SECONDS = 2.0
# The loggers whose lines of level INFO are written too.
OURS = "app"

_tracebacks = logging.Formatter()
# What PostgreSQL adds to an error quotes the row, and with it what was typed.
_QUOTED_ROW = re.compile(r"\nDETAIL:.*?(?=\n\n(?:The above|During handling)|\Z)", re.S)


class _ScrubbedRecord(logging.LogRecord):
    """A record whose message, traceback and stack hold no card number, whichever
    handler writes it (PCI DSS 3.5.1); ``request`` is the id of the request it is about,
    or ""."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info:
            trace = _tracebacks.formatException(self.exc_info)
            self.exc_text = scrub(_QUOTED_ROW.sub("", trace))
        if self.stack_info:
            self.stack_info = scrub(self.stack_info)
        self.request = g.get("request_id", "") if has_request_context() else ""

    def getMessage(self) -> str:
        """The message with its arguments, scrubbed."""
        return scrub(super().getMessage())


class Stderr(logging.Handler):
    """Writes to what is standard error at that moment, one write a record, so that the
    lines of two threads or processes are not mixed."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; where standard error is gone, nothing else is."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a log that fails must fail nothing else
            self.handleError(record)


def init_app(app: Flask) -> None:
    """Scrub every record this process makes from now on, write it as LOG_FORMAT says,
    and number the requests."""
    settings: Config = app.extensions["settings"]
    write_to_stderr(settings.log_format)
    lock_waits.watch(app.extensions["site_engine"])
    vault = app.extensions["vault"]
    # A command may run where the web key is not; ``current.vault`` says so then.
    if isinstance(vault, Vault):
        lock_waits.watch(vault.engine)
    app.before_request(_begin)
    app.after_request(_end)


def write_to_stderr(kind: str) -> None:
    """Scrub every record from now on, and let the root logger write to standard error
    in the format ``kind``.  Where somebody has set it up otherwise (gunicorn's
    --log-config), that stays."""
    logging.setLogRecordFactory(_ScrubbedRecord)
    logging.getLogger(OURS).setLevel(logging.INFO)
    root = logging.getLogger()
    journal = log_lines.is_journal(os.environ)
    if not root.handlers:
        root.addHandler(Stderr())
    for handler in root.handlers:
        if isinstance(handler, Stderr):
            handler.setFormatter(log_lines.formatter(kind, journal=journal))


def refusal(refused: ConfigError, environ: Mapping[str, str]) -> str:
    """What a refused start writes to standard error.  The settings are not to be
    trusted then, so LOG_FORMAT is read by itself."""
    if environ.get("LOG_FORMAT") != "json":
        return f"error: {refused}\n"
    level, sentence = SENTENCES[Kind.START_REFUSED]
    message = scrub("; ".join([sentence, *refused.faults]))
    record = logging.LogRecord(__name__, level, "", 0, message, None, None)
    record.kind = Kind.START_REFUSED.value
    return log_lines.JsonLines().format(record) + "\n"


def _begin() -> None:
    """Give the request an id of its own: one that came with it could be anything."""
    g.request_id = secrets.token_hex(REQUEST_ID_BYTES)
    g.request_begun = time.monotonic()


def milliseconds() -> int:
    """How long this request has taken so far."""
    begun: float = g.get("request_begun", time.monotonic())
    return round(1000 * (time.monotonic() - begun))


def _end(response: Response) -> Response:
    """Put the id into the answer, so that a proxy can log it, and tell of a request
    that took long."""
    response.headers[REQUEST_ID_HEADER] = g.get("request_id", "")
    took = milliseconds()
    if took >= SLOW_SECONDS * 1000:
        page, status = request.endpoint or "", response.status_code
        happened(Kind.REQUEST_SLOW, page=page, status=status, ms=took)
    return response
