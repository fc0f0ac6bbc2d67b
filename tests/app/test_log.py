"""The log holds no card number, whoever writes it."""

from __future__ import annotations

import io
import logging

import pytest

pytestmark = pytest.mark.usefixtures("app")

FORMS = [
    "4810000000020000",
    "4810-0000-0002-0000",
    "4810 0000 0002 0000",
    "４８１０００００００２００００"[:16],
    "x4810000000020000x",
]


@pytest.fixture
def written() -> io.StringIO:
    """What a handler of somebody else's logger writes."""
    stream = io.StringIO()
    logger = logging.getLogger("somebody.elses")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.handlers, logger.propagate = [handler], False
    return stream


@pytest.mark.parametrize("number", FORMS)
def test_a_number_is_cut_from_message_and_arguments(
    written: io.StringIO, number: str
) -> None:
    """However it is grouped, and wherever it stands (PAN-03)."""
    logger = logging.getLogger("somebody.elses")
    logger.warning("card %s of %s", number, {"phone": "090-0000-0000"})
    logger.warning(f"card {number}")
    assert number not in written.getvalue()
    assert "090-0000-0000" in written.getvalue()


def test_a_number_is_cut_from_a_traceback(written: io.StringIO) -> None:
    """The exception's text, its cause's, and the stack's."""
    logger = logging.getLogger("somebody.elses")
    try:
        try:
            raise ValueError("bad card 4810000000020000")
        except ValueError as error:
            raise RuntimeError("while reading 4810 0000 0002 0000") from error
    except RuntimeError:
        logger.exception("failed for 5555555555554444", stack_info=True)
    told = written.getvalue()
    assert "Traceback" in told
    assert not [n for n in ("4810000000020000", "4810 0000", "5555555555") if n in told]
