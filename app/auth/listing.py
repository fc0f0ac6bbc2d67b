"""Lists the operators as CSV with the dates that a review of accounts asks for.

PCI DSS 7.2.4 wants every account looked at each half year, 8.2.6 those unused for 90 days
disabled.  When a password was changed and an operator enabled again is in the trail
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from app.spreadsheet import BYTE_ORDER_MARK, line, without_formula
from vault.card.scrub import one_line
from vault.clock import japan_stamp

from .factors import rules
from .models import Operator

COLUMNS = (
    "login_id",
    "name",
    "state",
    "factors",
    "made",
    "enabled",
    "disabled",
    "last_login",
    "unused_since",
    "password_changed",
    "password_reset",
    "totp_enrolled",
    "passkey_enrolled",
    "shared_until",
    "shared_approver",
    "addresses",
)
ENABLED = "operator.enabled"
CHANGED, RESET = "operator.password_changed", "operator.password_reset"
EVENTS = (ENABLED, CHANGED, RESET)
"""What is read from the trail, by login ID."""

Entries = Mapping[tuple[str, str], int]


def review(
    operators: Sequence[Operator], entries: Entries, state: Callable[[Operator], str]
) -> Iterator[str]:
    """Every operator as a line of CSV (RFC 4180) behind a byte order mark, as Excel
    reads it.  ``entries`` says when each of EVENTS was last done to a login ID, ``state``
    names an operator's state; times are Japan's, "" for never."""
    yield BYTE_ORDER_MARK + line(COLUMNS)
    for operator in operators:
        yield line(
            [without_formula(one_line(c)) for c in _cells(operator, entries, state)]
        )


def _cells(
    operator: Operator, entries: Entries, state: Callable[[Operator], str]
) -> tuple[str, ...]:
    def last(event: str) -> str:
        return _stamp(entries.get((operator.login_id, event), 0))

    passkeys = [passkey.created_at for passkey in operator.passkeys]
    return (
        operator.login_id,
        operator.name,
        state(operator),
        " ".join(sorted(rules.enrolled(operator)) or ["mail"]),
        _stamp(operator.created_at),
        last(ENABLED),
        _stamp(operator.disabled_at),
        _stamp(operator.last_login_at),
        _stamp(operator.used_at),
        last(CHANGED),
        last(RESET),
        _stamp(operator.totp.created_at if operator.totp else 0),
        _stamp(max(passkeys, default=0)),
        _stamp(operator.shared_until),
        operator.shared_approver,
        " ".join(bound.address for bound in operator.addresses),
    )


def _stamp(at: int) -> str:
    return japan_stamp(at) if at else ""
