"""Scrubs card numbers out of every log record of every logger."""

from __future__ import annotations

import logging
from typing import Any

from flask import Flask

from vault.card.scrub import scrub

_tracebacks = logging.Formatter()


class _ScrubbedRecord(logging.LogRecord):
    """A record whose message, traceback and stack hold no card number, whichever
    handler writes it (PCI DSS 3.5.1)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info:
            self.exc_text = scrub(_tracebacks.formatException(self.exc_info))
        if self.stack_info:
            self.stack_info = scrub(self.stack_info)

    def getMessage(self) -> str:
        """The message with its arguments, scrubbed."""
        return scrub(super().getMessage())


def init_app(_app: Flask) -> None:
    """Scrub every record this process makes from now on."""
    logging.setLogRecordFactory(_ScrubbedRecord)
