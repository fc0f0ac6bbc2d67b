"""Logging in: the password, the second factor, and the guard of every page."""

from __future__ import annotations

import hashlib
import hmac

from flask import Flask
from flask_login import LoginManager, current_user
from flask_wtf import CSRFProtect

from config import Config
from vault import SiteSeal

from . import code_views, commands, factor_views, guard, pages, views
from .guard import (
    acting,
    begin_to_write,
    current_login,
    idle_seconds,
    public,
    reload_login,
)
from .logins import LONGEST_SECONDS, LoginEnded
from .names import mark_of, names_of
from .passwords import Hasher

__all__ = [
    "LONGEST_SECONDS",
    "acting",
    "begin_to_write",
    "current_login",
    "idle_seconds",
    "init_app",
    "mark_of",
    "names_of",
    "public",
    "reload_login",
]


def init_app(app: Flask) -> None:
    """Guard every page, and add the login pages and the commands."""
    settings: Config = app.extensions["settings"]
    secure = not settings.allow_insecure_loopback
    app.config.update(
        SESSION_COOKIE_NAME="__Host-session" if secure else "session",
        SESSION_COOKIE_SECURE=secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Strict",
        WTF_CSRF_TIME_LIMIT=None,
        # Flask-Login reads its remember cookie first.  This site has none, and a name
        # that no browser can send switches it off.
        REMEMBER_COOKIE_NAME=";",
    )
    app.session_interface = guard.CookieSession()
    app.extensions["hasher"] = Hasher(settings.argon2_memory_kib)
    app.extensions["code_key"] = hmac.new(
        settings.secret_key.encode(), b"login codes", hashlib.sha256
    ).digest()
    secrets = (settings.secret_key, *settings.secret_key_fallbacks)
    app.extensions["seed_seal"] = SiteSeal(secrets, "one-time password seeds")
    # The guard comes before the check of a form's token, so that a stranger's form is
    # answered with the login page.
    app.before_request(guard.refuse_strangers)
    app.before_request(guard.lead_back_to_form)
    CSRFProtect(app)
    # Flask-Login's own context processor would query the database on error pages too;
    # the proxy does so only when a template uses it.
    manager = LoginManager()
    manager.init_app(app, add_context_processor=False)
    app.jinja_env.globals["current_user"] = current_user
    manager.session_protection = None
    manager.request_loader(guard.load_operator)
    app.register_error_handler(LoginEnded, guard.lead_out)
    app.jinja_env.globals["previous_login"] = pages.previous_login
    # The first two share one blueprint.
    for blueprint in {v.blueprint for v in (views, code_views, factor_views)}:
        app.register_blueprint(blueprint)
    for group in (commands.operators, commands.sessions):
        app.cli.add_command(group)
