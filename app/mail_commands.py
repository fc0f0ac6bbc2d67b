"""``flask --app wsgi mail`` tries the mail server."""

from __future__ import annotations

import click
from flask import Flask

from . import current
from .auth.new_operator import checked_address
from .cli import EXIT_FOUND, SiteGroup, example, fail, say
from .mail import MailRefused, quoted, server_of, try_mail

mail = SiteGroup("mail", help="Whether mails leave.")


def init_app(app: Flask) -> None:
    """Add the commands."""
    app.cli.add_command(mail)


@mail.command("test", epilog=example("mail test taro@example.co.jp"))
@click.argument("address")
def try_one(address: str) -> None:
    """Send one mail to ADDRESS as the settings say, and print what the mail server said.

    Exit code 0 when the server took it, 1 when it didn't.
    """
    to, settings = checked_address(address), current.settings().mail
    try:
        said = try_mail(to)
    except MailRefused as error:
        fail(str(error), error.hint, EXIT_FOUND)
    say(f"{server_of(settings)} (MAIL_TLS={settings.tls}) took it: {said}")
    say(f"look whether it arrives at {quoted(to)}")
