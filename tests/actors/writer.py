"""A process that writes as a web process does, without the pages."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import OperationalError

from app.cards import service
from app.db import Work
from vault import Actor, Expiry, Pan, Vault, WebKey
from vault.clock import system_clock
from vault.store.database import connect

NUMBER = "4810000000020000"


class Writer:
    """One operator at the site's own services, as a web process runs them."""

    def __init__(self, folder: str, seed: int) -> None:
        web_key = WebKey.read(Path(folder) / "web.key")
        vault_url = f"sqlite:///{folder}/vault.db"
        self.vault = Vault(web_key, connect(vault_url), system_clock)
        self.site = connect(f"sqlite:///{folder}/site.db")
        self.by = Actor(f"writer {seed}", "192.0.2.1")
        self.draw = random.Random(seed)
        self.mine: list[str] = []

    def act(self) -> None:
        """Register, replace a number or delete, and commit as a request does.  One
        that waits for a lock in vain is answered 503 and changes nothing."""
        work, mine = Work(self.site, self.vault), list(self.mine)
        with suppress(OperationalError):
            work.write()
            roll = self.draw.random()
            if roll < 0.4 or not mine:
                mine.append(self.register(work))
            elif roll < 0.75:
                self.replace(work, self.draw.choice(mine))
            else:
                mine.remove(self.delete(work, self.draw.choice(mine)))
            work.commit()
            self.mine = mine
        work.close()

    def register(self, work: Work) -> str:
        """A new customer."""
        public_id, pan = service.new_public_id(), Pan.parse(NUMBER)
        new = service.NewCard("客甲", "090-0000-0000", pan, Expiry(2030, 1))
        service.register(work, new, public_id, self.by, 1)
        return public_id

    def replace(self, work: Work, public_id: str) -> None:
        """Another number for a customer; the old card goes last."""
        customer = service.find(work.site, public_id)
        assert customer is not None
        pan, expiry = Pan.parse(NUMBER), Expiry(2030, 1)
        entered = service.CardChange("客甲", "090-0000-0000", pan, expiry)
        service.change(work, customer, entered, self.by, 2)

    def delete(self, work: Work, public_id: str) -> str:
        """A customer goes, and then the card."""
        customer = service.find(work.site, public_id)
        assert customer is not None
        service.remove(work, customer, self.by)
        return public_id


def write(folder: str, seed: int, begin: Any, stop: Any, told: Any) -> None:
    """Act until told to stop; tell which customers are left."""
    writer = Writer(folder, seed)
    writer.act()
    begin.wait()
    while not stop.wait(writer.draw.random() / 20):
        writer.act()
    told.put(writer.mine)
