"""``cardvault doctor`` looks for what weakens the vault on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import click

from .. import crypto
from ..card.scrub import scrub
from ..clock import system_clock
from ..errors import VaultError
from ..ops.census import take_census
from ..ops.doctor.checks import everything
from ..ops.doctor.mail import send
from ..ops.doctor.result import CheckResult, Installation, fault, look, ok, warning
from ..ops.doctor.site import Address, through
from ..settings import VaultSettings, site_words
from ..store.database import reading
from ..web.web_key import WebKey
from .half_done import half_done
from .output import counted, harmless
from .vaults import EXAMPLE, new_file_for

EXIT_FOUND = 1


def read_settings(environ: Mapping[str, str] = os.environ) -> Installation:
    """What the checks look at, by the environment's settings."""
    settings, site = VaultSettings.from_environ(environ), site_words(environ)
    return Installation(settings, site, system_clock)


@click.command(
    epilog=EXAMPLE
    + "cardvault doctor\n"
    + "  cardvault doctor --url https://cards.example.jp\n"
    + "  cardvault doctor --mail ops@example.jp --json"
)
@click.option("--url", metavar="URL", help="Ask the site at its public address, too.")
@click.option("--mail", metavar="ADDRESS", help="Send one mail by the MAIL_ settings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def doctor(
    context: click.Context, url: str | None, mail: str | None, as_json: bool
) -> None:
    """Check this machine's files, databases, keys and limits. Needs no root key.

    It changes nothing. Each line is ok, warning, fault or unknown, with what to do; one
    check that can't be made ends no other. Run it as the site's account or as root, with
    the site's settings.

    Exit code 1 when there is a warning or a fault.
    """
    if url:
        Address.parse(url)
    here = read_settings()
    # A server may answer with what it was given, and an address may hold a number.
    found = [replace(one, text=scrub(one.text)) for one in _all(here, url, mail)]
    here.close()
    if as_json:
        told = [vars(one) for one in found]
        click.echo(json.dumps({"ok": not _wrong(found), "checks": told}))
    else:
        _show(found)
    context.exit(EXIT_FOUND if _wrong(found) else 0)


def _all(
    here: Installation, url: str | None, mail: str | None
) -> Iterator[CheckResult]:
    yield from look("ciphers", _ciphers, here)
    yield from everything(here)
    yield from look("half done", _half_done, here)
    if url:
        yield from look("site", lambda here: through(url, here), here)
    if mail:
        yield from look("mail", lambda here: send(mail, here), here)


def _ciphers(_here: Installation) -> Iterator[CheckResult]:
    crypto.self_test()
    yield ok("ciphers", "the ciphers give their known answers")


def _half_done(here: Installation) -> Iterator[CheckResult]:
    """What a command left that was killed, or a file that is not in its place yet."""
    settings = here.settings
    try:
        vault = here.vault()
    except VaultError:
        yield from _not_in_place(here)
        return
    with reading(vault.engine) as db:
        census = take_census(vault, db)
    left = half_done(settings, vault, census)
    for one in left:
        yield warning("half done", one.what, one.next)
    if not left:
        yield ok("half done", "nothing was left by a command that was killed")


def _not_in_place(here: Installation) -> Iterator[CheckResult]:
    path = here.settings.web_key
    new = new_file_for(path)
    if new.exists() and here.vault_under(WebKey.read(new)).is_well():
        yield fault(
            "half done",
            f"the vault already uses the new web key file, {new}",
            f"mv {new} {path}, then restart the site",
        )


def _show(found: Sequence[CheckResult]) -> None:
    for one in found:
        mend = f"; {one.mend}" if one.mend else ""
        # A name in a row or a file is unchecked.
        line = harmless(f"{one.name}: {one.text}{mend}")
        click.echo(f"{one.state:<8} {line}")
    wrong = _wrong(found)
    if wrong:
        click.echo(f"{counted(len(wrong), 'line')} to look at", err=True)


def _wrong(found: Sequence[CheckResult]) -> list[CheckResult]:
    return [one for one in found if one.is_wrong]
