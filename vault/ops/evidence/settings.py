"""Shows the settings of this environment without what is secret.

A setting that is in no list here is not shown at all, so that one that is added
tomorrow can't give a secret away.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from .words import Cell, Subject, Table, Words

SECRET = (
    "SECRET_KEY",
    "SECRET_KEY_FALLBACKS",
    "VAULT_ROOT_KEY_COMMAND",
    "AUDIT_ANCHOR_COMMAND",
    "MAIL_USERNAME",
)
"""Of these it is only said whether they are set: a command may hold a password."""
URLS = ("DATABASE_URL", "VAULT_DATABASE_URL")
"""These are shown without user's password and without what follows the ``?``, but for
the names in SHOWN_IN_URLS."""
SHOWN_IN_URLS = ("sslmode", "sslrootcert")
SHOWN = (
    "SECRET_KEY_FILE",
    "VAULT_WEB_KEY",
    "VAULT_ROOT_KEY",
    "VAULT_ROOT_PASSPHRASE_FILE",
    "MAIL_PASSWORD_FILE",
    "DATABASE_POOL",
    "MAIL_SERVER",
    "MAIL_PORT",
    "MAIL_TLS",
    "MAIL_USE_TLS",
    "MAIL_DEFAULT_SENDER",
    "MAIL_SUBJECT",
    "MAIL_PRODUCT",
    "TRUSTED_HOSTS",
    "PROXY_HOPS",
    "ALLOWED_NETWORKS",
    "SITE_NAME",
    "SUPPORT_EMAIL_LOGIN",
    "SUPPORT_EMAIL",
    "COPYRIGHT",
    "ALLOW_INSECURE_LOOPBACK",
    "FLASK_DEBUG",
    "CODE_TTL",
    "LOGIN_FACTOR",
    "ARGON2_MEMORY_KIB",
    "LOGIN_FAILURES_PER_ORIGIN",
    "LUHN_EXEMPT_UNIONPAY",
    "LOG_FORMAT",
    "CARD_STOPPED_VALUES",
)
"""These are shown as they are; those that name files hold nothing of them."""

_SET = Words("設定あり（値は非表示）", "set; not shown")
_UNSET = Words("未設定（既定値）", "not set: the default")
_UNREADABLE = Words("読み取れない値", "can't be read")


def read_settings(environ: Mapping[str, str] = os.environ) -> Subject:
    """The settings in ``environ``, as they may be shown."""
    rows: list[Sequence[Cell]] = []
    data: dict[str, str | None] = {}
    for name in sorted((*SHOWN, *URLS, *SECRET)):
        value = _value(name, environ.get(name, ""))
        rows.append((name, value))
        data[name] = value.en if isinstance(value, Words) else value
        if not environ.get(name):
            data[name] = None
    return Subject(
        "settings",
        Words("設定", "Settings"),
        Words(
            "このコマンドを実行した環境の設定。秘密の値は表示しません。"
            "サイトの設定は cardsite-run 経由で実行した場合に表示されます。"
            "既定値はREADMEの表にあります。",
            "The settings of the environment this was run in, without what is secret. The "
            "site's are here when it was run through cardsite-run. The README has the "
            "defaults.",
        ),
        "2.2.1, 8.2.8, 8.3.4",
        (
            Table(
                Words("設定値", "Values"),
                (Words("名前", "Name"), Words("値", "Value")),
                rows,
            ),
        ),
        data,
    )


def _value(name: str, value: str) -> str | Words:
    if not value:
        return _UNSET
    if name in SECRET:
        return _SET
    return _bare_url(value) if name in URLS else value


def _bare_url(value: str) -> str | Words:
    """A database's URL without its password and without any argument that is not known
    to be harmless."""
    try:
        url = make_url(value)
    except ArgumentError:
        return _UNREADABLE
    kept = {key: url.query[key] for key in SHOWN_IN_URLS if key in url.query}
    return url.set(query=kept).render_as_string(hide_password=True)
