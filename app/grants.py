"""Says what each role of a PostgreSQL server may do in the site's database.

The ops commands have no business there, so their role is not named.
"""

from __future__ import annotations

from vault.store.grants import EVERY_COLUMN, READ, WEB, Grants, Rights

from .migrations import HISTORY

# The site never deletes an operator and never changes a login ID.
_OPERATOR = (
    "password_hash",
    "password_epoch",
    "must_change",
    "first_password_until",
    "failures",
    "locked_until",
    "first_lock_at",
    "second_lock_at",
    "code_sent_at",
    "last_login_at",
    "last_login_origin",
    "failures_since",
    "last_failure_at",
    "last_failure_origin",
    "disabled_at",
    "used_at",
)
_LOGIN = (
    "address",
    "sends",
    "seen_at",
    "challenge",
    "offer",
    "proved_at",
    "previous_at",
    "previous_origin",
    "failures_before",
    "failure_at",
    "failure_origin",
)
_CUSTOMER = (
    "name",
    "name_folded",
    "phone",
    "phone_digits",
    "token",
    "brand",
    "prefix",
    "last4",
    "length",
    "expiry",
    "rev",
    "updated_at",
    "stopped_at",
)
# Old rows are locked before they are deleted, and a lock needs UPDATE of a column.
_FORGOTTEN = Rights(insert=True, delete=True, update=("id",))
# The table is locked while a file is compared with those taken in before, and that lock
# needs UPDATE of the table.
_JOB = Rights(insert=True, update=EVERY_COLUMN)

_WEB = {
    "operator": Rights(insert=True, update=_OPERATOR),
    "operator_address": Rights(insert=True, delete=True),
    "past_password": Rights(insert=True),
    "totp": Rights(insert=True, delete=True, update=("sealed", "last_step")),
    "passkey": Rights(insert=True, delete=True, update=("sign_count", "used_at")),
    "login": Rights(insert=True, delete=True, update=_LOGIN),
    "ended_login": _FORGOTTEN,
    "code": Rights(insert=True, delete=True, update=("tries", "used_at", "counts")),
    "origin_failure": _FORGOTTEN,
    "customer": Rights(insert=True, delete=True, update=_CUSTOMER),
    "customer_words": Rights(insert=True, delete=True, update=("words",)),
    "form_ticket": Rights(insert=True, delete=True, update=("summary",)),
    "import_job": _JOB,
    "import_row": Rights(insert=True),
    "update_job": _JOB,
    "update_row": Rights(insert=True),
    HISTORY.version_table: READ,
}

GRANTS: Grants = {table: {WEB: rights} for table, rights in _WEB.items()}
"""The grants in the site's database."""
