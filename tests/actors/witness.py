"""What an operator meets when a database takes nothing, and afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.places.site import Place

from .forms import CARD
from .mail import Mails
from .operator_http import Desk

UNSAVED = "登録・更新は行われていません。"
NAMES = ["先の客", "後の客"]
# Who waits for ever waits longer, and a machine that does other work besides may take
# its time.
PATIENCE_SECONDS = 60
HEALTH_SECONDS = 120


@dataclass
class Witness:
    """An operator with a form filled in before the fault, and a stranger."""

    place: Place
    mails: Mails
    desk: Desk = field(init=False)
    form: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.desk = Desk(self.place)
        self.desk.login("taro", self.mails)
        self.desk.post("/cards", "/cards", customer_name=NAMES[0], **CARD)
        self.form = self.desk.filled("/cards", customer_name=NAMES[1], **CARD)

    def is_told(self) -> None:
        """His form is answered 503 in Japanese, sent again too."""
        for _ in range(3):
            answer = self.desk.ask("/cards", self.form)
            assert answer.seconds < PATIENCE_SECONDS
            assert answer.status == 503
            assert UNSAVED in answer.text

    def goes_on(self) -> None:
        """The very next request is taken: the same form, in the same login; the
        only other customer is the one from before."""
        assert self.desk.ask("/cards", self.form).url.endswith("/registered")
        lines = self.desk.get("/cards.csv").splitlines()
        assert sorted(line.partition(",")[0] for line in lines[1:]) == NAMES
        verified = self.place.ops("verify")
        assert verified.returncode == 0, verified.stdout
        assert verified.stdout.startswith("2 cards opened")

    def health(self) -> int:
        """The status of the page for load balancers."""
        return self.desk.ask("/healthz").status

    def sees_health(self, status: int) -> None:
        """It becomes ``status``, which may take until the next write is tried."""
        until = time.monotonic() + HEALTH_SECONDS
        while self.health() != status:
            assert time.monotonic() < until
            time.sleep(0.2)
