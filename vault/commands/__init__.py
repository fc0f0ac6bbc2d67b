"""The ``cardvault`` command, which the ops person types."""

from __future__ import annotations

import os
import resource
import sys
from importlib import import_module, metadata

import click
from sqlalchemy.exc import SQLAlchemyError

from ..errors import (
    FileRefused,
    InputError,
    LeaseHeld,
    NotMadeByRoot,
    SchemaError,
    VaultError,
    WrongRootKey,
    WrongVault,
)
from ..store.refusals import explain
from .output import harmless
from .uses import Verbs
from .vaults import HintedUsage, read_settings

DISTRIBUTION = "cardvault-site"
"""What setup.cfg calls the package."""
EXIT_FOUND, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_WRONG_ROOT, EXIT_HELD = 1, 2, 3, 5, 6

HELP = """Keep the card vault: see where it stands, open it, prove it.

The web server seals cards and opens none; this command, given the root key,
opens them. Alone it shows where things stand and the next step.
"""


# In the order of their use.  Each is in the module of its name, which is imported when
# the verb is typed: all of them together take longer than most of them run.
VERBS = (
    "init",
    "status",
    "rotate",
    "report",
    "verify",
    "root",
    "web-key",
    "export",
    "duplicates",
    "purge",
    "quarantine",
    "audit",
    "backup",
    "restore",
    "doctor",
    "pan-scan",
)


class Cardvault(Verbs):
    """The group of all verbs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The names of the verbs, for the help."""
        return sorted(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, or None when there is none."""
        if cmd_name in VERBS and cmd_name not in self.commands:
            self.add_command(_verb(cmd_name))
        return super().get_command(ctx, cmd_name)


def _verb(typed: str) -> click.Command:
    name = typed.replace("-", "_")
    verb: click.Command = getattr(import_module(f".{name}", __name__), name)
    return verb


def installed_version() -> str:
    """The version that was installed; or that none was, where the code runs as it
    lies."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _print_version(
    context: click.Context, _option: click.Parameter, asked: bool
) -> None:
    """Print the version of the code that runs, and end."""
    if asked and not context.resilient_parsing:
        click.echo(f"cardvault {installed_version()}")
        context.exit()


@click.group(cls=Cardvault, invoke_without_command=True, help=HELP)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version and exit.",
)
@click.pass_context
def cardvault(context: click.Context) -> None:
    if context.invoked_subcommand is None:
        context.invoke(_verb("status"), as_json=False)


def main() -> None:
    """Run ``cardvault`` and end the process with its exit code.

    0 done; 1 something was found; 2 usage, a missing root key or a file in the
    way; 3 interrupted or the database went away; 4 rows quarantined or left out;
    5 a wrong root key or share; 6 another rotation runs; 7 nothing matched.
    """
    # A core file of this process would hold the root key (PCI DSS 3.6).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)
    try:
        sys.exit(cardvault.main(prog_name="cardvault", standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        _fail(error.format_message(), _usage_hint(error), EXIT_USAGE)
    except click.Abort:
        _fail("interrupted", "run the same command again to go on", EXIT_INTERRUPTED)
    except (NotMadeByRoot, WrongRootKey) as error:
        _fail(str(error), error.hint, EXIT_WRONG_ROOT)
    except LeaseHeld as error:
        _fail(str(error), error.hint, EXIT_HELD)
    except (InputError, FileRefused, SchemaError, WrongVault) as error:
        _fail(str(error), error.hint, EXIT_USAGE)
    except VaultError as error:
        hint = error.hint or "look closer with: cardvault verify"
        _fail(str(error), hint, EXIT_FOUND)
    except SQLAlchemyError as error:
        settings = read_settings()
        what, hint = explain(error, (settings.database_url, settings.site_database_url))
        _fail(
            f"the vault's database does not answer: {what}",
            hint or "check VAULT_DATABASE_URL and run the same command again",
            EXIT_INTERRUPTED,
        )


def _usage_hint(error: click.ClickException) -> str:
    if isinstance(error, HintedUsage):
        return error.hint
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context else "cardvault --help"


def _fail(what: str, hint: str, code: int) -> None:
    # An error may hold an unchecked name of a row or a file.
    click.echo(f"cardvault: error: {harmless(what).rstrip('.')}", err=True)
    if hint:
        click.echo(f"cardvault: hint: {harmless(hint)}", err=True)
    sys.exit(code)
