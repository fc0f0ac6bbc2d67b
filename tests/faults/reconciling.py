"""What ``cards reconcile`` finds after a crash."""

from __future__ import annotations

from app import create_app
from config import Config
from tests.places.site import Place
from vault.clock import system_clock

HOURS_LATER = 2 * 3600


def reconcile(place: Place, *flags: str) -> tuple[int, list[str]]:
    """What ``cards reconcile`` would say two hours later: exit code and lines."""
    config = Config.from_environ(place.environ())
    app = create_app(config, lambda: system_clock() + HOURS_LATER)
    done = app.test_cli_runner().invoke(args=["cards", "reconcile", *flags])
    app.extensions["site_engine"].dispose()
    app.extensions["vault"].engine.dispose()
    return done.exit_code, done.output.splitlines()
