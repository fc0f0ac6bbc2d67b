"""Checks who may read and who owns the files that the settings name."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from ...errors import FileRefused
from ...store.files import is_on_one_disk
from ...store.key_file import is_handed_in
from ...store.write_queue import SUFFIX as QUEUE
from ...web.web_key import WebKey
from ..root_key import RootKey, read_root_text
from .result import CheckResult, Installation, fault, ok, unknown, warning

_SIDE_FILES = ("", "-wal", "-shm", "-journal", QUEUE)
_SECRETS = ("SECRET_KEY_FILE", "MAIL_PASSWORD_FILE")


def web_key(here: Installation) -> Iterator[CheckResult]:
    """Check that the web key file is there, private and whole."""
    path = here.settings.web_key
    try:
        WebKey.read(path)
    except FileRefused as error:
        yield fault("web key", str(error), error.hint)
    else:
        yield ok("web key", f"{path} is private and whole")


def modes(here: Installation) -> Iterator[CheckResult]:
    """Check that nobody else can read a database, a file beside it, or a secret."""
    wrong = [path for path in _private(here) if _is_open(path)]
    # A secret may be the group's of the site, as the mail password is.
    wrong += [path for path in _secrets(here) if _is_open(path, 0o007)]
    for path in wrong:
        yield fault("file modes", f"{path} can be read by others", f"chmod 600 {path}")
    for path in _folders(here):
        if _mode(path) & 0o022:
            yield fault(
                "file modes",
                f"others can put files into the folder {path}",
                f"chmod go-w {path}",
            )
            wrong.append(path)
    if not wrong:
        yield ok("file modes", "no database or secret can be read by others")


def owners(here: Installation) -> Iterator[CheckResult]:
    """Check that each database and what is beside it belongs to the owner of their
    folder, who is the account that runs the site."""
    wrong = False
    for database in here.sqlite_files().values():
        if not database.parent.is_dir():
            continue
        account = database.parent.stat().st_uid
        for path in _beside(database):
            if path.stat().st_uid != account:
                wrong = True
                yield fault(
                    "file owners",
                    f"{path} belongs to {_name(path.stat().st_uid)}, its folder to "
                    f"{_name(account)}",
                    f"chown {_name(account)} {path}",
                )
    if here.sqlite_files() and not wrong:
        yield ok("file owners", "the databases belong to the owner of their folder")


def root_key(here: Installation) -> Iterator[CheckResult]:
    """Check that the root key is not within reach of the web server."""
    beside = here.settings.web_key.with_name("root.key")
    named = here.settings.root_key
    found = dict.fromkeys(filter(None, (named, beside)))
    there = [path for path in found if os.path.lexists(path)]
    for path in there:
        yield warning(
            "root key",
            f"the root key {path} lies on this machine",
            "take it off a web server: a medium in a safe, or custodians' shares",
        )
        yield from _root_key_file(here, path)
    if not there:
        yield ok("root key", "no root key file lies here")


def _root_key_file(here: Installation, path: Path) -> Iterator[CheckResult]:
    account = _site_account(here)
    # Root reads every file; the site account's own check says not to run as root.
    if account and _can_read(account, path):
        yield fault(
            "root key",
            f"{_name(account)}, who runs the site, can read {path}",
            f"chown root {path}, or better, take it away",
        )
    text = read_root_text(path)
    if not RootKey.is_sealed(text):
        yield warning(
            "root key",
            f"{path} is not under a passphrase",
            f"VAULT_ROOT_KEY={path} cardvault root passphrase",
        )


def passphrase(here: Installation) -> Iterator[CheckResult]:
    """Check that the passphrase does not lie beside what it opens."""
    path, key = here.settings.root_passphrase_file, here.settings.root_key
    if path is None or not path.exists():
        return
    if _is_open(path):
        yield fault("passphrase", f"{path} can be read by others", f"chmod 600 {path}")
    if key is not None and key.exists() and is_on_one_disk(key, path):
        yield warning(
            "passphrase",
            f"{path} lies on the disk of {key}, which it opens",
            "keep the two apart, or type the passphrase",
        )
    else:
        yield ok("passphrase", f"{path} lies apart from the root key")


def site_account(here: Installation) -> Iterator[CheckResult]:
    """Say which account runs the site and whether it can open what it needs."""
    account = _site_account(here)
    if account is None:
        yield unknown("site account", "which account runs the site can't be told here")
        return
    there = [path for path in here.sqlite_files().values() if path.exists()]
    shut = [path for path in there if not _can_read(account, path)]
    for path in shut:
        yield fault(
            "site account",
            f"{_name(account)}, who runs the site, can't open {path}",
            f"chown {_name(account)} {path}",
        )
    key = here.settings.web_key
    if key.exists() and not _can_read(account, key):
        yield unknown(
            "site account",
            f"{_name(account)}, who runs the site, can't open {key} by itself",
            "right where systemd hands it over (LoadCredential); else chown "
            f"{_name(account)} {key}",
        )
    if account == 0:
        yield warning(
            "site account",
            "the folder of the databases belongs to root",
            "run the site as an account of its own, and give it the folder (chown)",
        )
    elif not shut:
        yield ok("site account", f"{_name(account)} can open what the site needs")


def _site_account(here: Installation) -> int | None:
    """The owner of the databases' folder; None when no database is a file here."""
    for database in here.sqlite_files().values():
        if database.parent.is_dir():
            return database.parent.stat().st_uid
    return None


def _can_read(account: int, path: Path) -> bool:
    """Say whether the account may read the file.  Its groups count as others: a key
    file that a group can read is refused anyhow."""
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    mine = found.st_uid == account and mode & stat.S_IRUSR
    return account == 0 or bool(mine or mode & (stat.S_IRGRP | stat.S_IROTH))


def _private(here: Installation) -> Iterator[Path]:
    for database in here.sqlite_files().values():
        yield from _beside(database)
    key = here.settings.root_key
    if key is not None and key.exists():
        yield key


def _secrets(here: Installation) -> Iterator[Path]:
    for setting in _SECRETS:
        path = Path(here.site.get(setting, ""))
        if setting in here.site and path.exists():
            yield path


def _beside(database: Path) -> Iterator[Path]:
    for suffix in _SIDE_FILES:
        path = database.with_name(database.name + suffix)
        if path.exists():
            yield path


def _folders(here: Installation) -> list[Path]:
    paths = (here.settings.web_key, *here.sqlite_files().values())
    return [path for path in dict.fromkeys(p.parent for p in paths) if path.is_dir()]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _is_open(path: Path, others: int = 0o077) -> bool:
    """Say whether ``others`` can read the file; a secret's mount is the service's
    alone."""
    return bool(_mode(path) & others) and not is_handed_in(path)


def _name(account: int) -> str:
    try:
        return pwd.getpwuid(account).pw_name
    except KeyError:
        return f"uid {account}"
