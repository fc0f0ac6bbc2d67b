"""A place whose site was installed from the wheel, far from the repository.

``python -m tests.places.installed PYTHON FOLDER`` registers a card there, which
``make release`` does with the wheel it is about to release.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.actors.forms import CARD
from tests.actors.mail import Mails, receiving
from tests.actors.operator_http import Desk
from tests.forked import Started

from .site import Place

NAME = "山田 太郎"


@dataclass
class Installed(Place):
    """A folder with keys and databases beside an environment whose ``python`` is
    called."""

    python: Path = Path(sys.executable)

    @property
    def gunicorn_settings(self) -> Path:
        """gunicorn.conf.py as the wheel installs it."""
        return self.python.parent.parent / "share" / "cardsite" / "gunicorn.conf.py"

    def environ(self, **more: str) -> dict[str, str]:
        """The web role's environment, in which nothing leads to the repository."""
        made = super().environ(**more)
        return {name: value for name, value in made.items() if name != "PYTHONPATH"}

    def command(self, name: str) -> list[str]:
        """How one of the commands is typed; those of other projects may lie in another
        environment, whose packages this one uses."""
        if name == "cardvault":
            return [str(self.python.with_name(name))]
        return [str(self.python), "-m", name]

    def run(
        self, *words: str, given: str = "", kill_at: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of the commands to its end."""
        assert not kill_at
        return self.run_anew(*words, environ=self.environ(**more), given=given)

    def _start_anew(
        self,
        *words: str,
        folder: Path,  # noqa: ARG002 - that is the repository
        environ: Mapping[str, str],
        log: Path,
        kill_at: str = "",
    ) -> Started:
        return super()._start_anew(
            *words, folder=self.folder, environ=environ, log=log, kill_at=kill_at
        )


def register_a_card(place: Installed, mails: Mails) -> str:
    """Make the vault and the tables, add an operator, log in with the mailed code and
    register a card; returns the list as they see it then."""
    place.make()
    place.add_operator("taro")
    flags = ("--config", str(place.gunicorn_settings))
    with place.serving(*flags, anew=True):
        desk = Desk(place)
        desk.login("taro", mails)
        desk.post("/cards", "/cards", customer_name=NAME, **CARD)
        return desk.get("/cards")


def main(python: str, folder: str) -> None:
    """Register a card, and hold what the list and the vault say against it."""
    mails = Mails()
    with receiving(mails) as port:
        place = Installed(Path(folder), mail_port=port, python=Path(python))
        listed = register_a_card(place, mails)
    assert NAME in listed
    verified = place.ops("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
