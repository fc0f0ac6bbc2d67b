"""The card pages: list, registration, edit, deletion, search and CSV."""

from __future__ import annotations

from flask import Flask

from app import japan_time
from app.auth import idle_seconds

from . import commands, pages, views
from .typed import shown


def init_app(app: Flask) -> None:
    """Add the pages and the commands, and the filters the templates use."""
    app.register_blueprint(views.blueprint)
    app.cli.add_command(commands.cards)
    app.jinja_env.filters["shown"] = shown
    app.jinja_env.globals["idle_seconds"] = idle_seconds
    app.jinja_env.globals["login_ends"] = pages.login_ends
    app.jinja_env.globals["operator_mark"] = pages.operator_mark
    app.jinja_env.filters["japan_date"] = japan_time.japan_date
