"""A site where a number is typed everywhere, and everything it leaves."""

from __future__ import annotations

import queue
import socket
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from app import create_app
from config import Config
from tests.actors.answer import Answer
from tests.actors.forms import forms_of
from tests.actors.mail import Mails, receiving
from tests.actors.visitor import ALLOWED, Visitor
from tests.forked import Started
from tests.places.site import PASSWORD, Place

LOGIN_ID = "taro"
# Everything every logger says, as an administrator looking for a fault sets it up.
LOGGING = """
[loggers]
keys=root,sqlalchemy,access
[handlers]
keys=all
[formatters]
keys=plain
[logger_root]
level=DEBUG
handlers=all
[logger_sqlalchemy]
level=DEBUG
handlers=
qualname=sqlalchemy
[logger_access]
level=DEBUG
handlers=
qualname=gunicorn.access
[handler_all]
class=StreamHandler
formatter=plain
args=(sys.stderr,)
[formatter_plain]
format=%(asctime)s %(name)s %(levelname)s %(message)s
"""
FORGIVEN = (
    "UPDATE operator SET failures = 0, locked_until = 0, code_sent_at = 0",
    "UPDATE code SET tries = 0",
)
HEADERS = (
    "Referer",
    "User-Agent",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Accept-Language",
    "If-None-Match",
    "X-Made-Up",
)
# A day's codes, sent so long ago that nobody counts them.
NO_CODES = "UPDATE code SET sent_at = sent_at - 90000"


def headers(text: str) -> dict[str, str]:
    """Every header a server may keep, with the same text in it, as UTF-8."""
    return dict.fromkeys(HEADERS, text.encode().decode("latin-1"))


class Letters(Mails):
    """Refuses every mail while ``refusing``, and keeps it all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.refusing = False
        self.refused: queue.Queue[bytes] = queue.Queue()

    async def handle_DATA(
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """aiosmtpd's hook."""
        if self.refusing:
            assert isinstance(envelope.content, bytes)
            self.kept.append(envelope.content)
            self.refused.put(envelope.content)
            # For a while, so that it is tried again.
            return "451 4.7.1 not taken"
        return await super().handle_DATA(server, session, envelope)


@dataclass
class Recorder(Visitor):
    """A visitor who keeps every answer he was given."""

    seen: list[bytes] = field(default_factory=list)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request; the answer's head and body are kept."""
        answer = super().ask(method, path, body, headers)
        self.seen.append(f"{answer.status}\n{answer.headers}{answer.text}".encode())
        return answer

    def filled(self, page: str, button: str, **typed: str) -> dict[str, str]:
        """The fields of the form on ``page`` that has ``button``, as it sends them."""
        forms = forms_of(self.get(page).text)
        form = next(form for form in forms if button in form.buttons)
        ticked = dict.fromkeys(form.boxes, "y")
        return {**form.fields, **ticked, **form.buttons[button], **typed}

    def press(self, page: str, button: str, **typed: str) -> Answer:
        """Fill in the form on ``page`` and press its button; it goes there too."""
        return self.send(page, self.filled(page, button, **typed).items())

    def _judge(self, method: str, path: str, answer: Answer) -> None:
        # How fast an answer comes is held elsewhere, with nothing else going on.
        super()._judge(method, path, replace(answer, seconds=0.0))


@dataclass
class Swept:
    """A running site, and what everybody ever saw of it."""

    place: Place
    mails: Letters
    seen: list[bytes] = field(default_factory=list)

    def stranger(self, *more: int) -> Recorder:
        """Somebody who has nothing yet; answers of status ``more`` are right too."""
        return Recorder(self.place.url, {}, frozenset(ALLOWED | {*more}), self.seen)

    def at(self, step: str, *more: int) -> Recorder:
        """A visitor at a step of the login."""
        self.change("site.db", *FORGIVEN, NO_CODES)
        visitor = self.stranger(*more)
        if step != "stranger":
            visitor.post("/login", {"login_id": LOGIN_ID, "password": PASSWORD})
        if step in ("code sent", "logged in"):
            visitor.post("/login/email", {"email": f"{LOGIN_ID}@example.co.jp"})
            code = self.mails.code()
        if step == "logged in":
            assert visitor.post("/login/code", {"code": code}).location == "/cards"
        return visitor

    def change(self, database: str, *statements: str) -> None:
        """Run statements on one of the place's databases, as nobody's request."""
        path = self.place.folder / database
        with closing(sqlite3.connect(path, timeout=120)) as db, db:
            for statement in statements:
                db.execute(statement)

    @contextmanager
    def locked(self, database: str) -> Iterator[None]:
        """Hold a database's write lock."""
        path = self.place.folder / database
        with closing(sqlite3.connect(path, isolation_level=None, timeout=120)) as db:
            db.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def broken(self, database: str, table: str) -> Iterator[None]:
        """Take a table away."""
        self.change(database, f"ALTER TABLE {table} RENAME TO gone")
        yield
        self.change(database, f"ALTER TABLE gone RENAME TO {table}")

    def say(self, request: bytes) -> None:
        """Send bytes that need not be HTTP; what comes back is kept."""
        with socket.create_connection(("127.0.0.1", self.place.port), 120) as line:
            line.sendall(request)
            line.shutdown(socket.SHUT_WR)
            while data := line.recv(65536):
                self.seen.append(data)

    def told(self, *words: str) -> int:
        """Run a command; what it says is kept, its exit code comes back."""
        run = self.place.run if words[0] == "flask" else self.place.ops
        done = run(*words[words[0] == "cardvault" :])
        self.seen.append(f"{words[:3]}: {done.stdout}{done.stderr}".encode())
        return done.returncode

    def rules(self) -> list[str]:
        """Every address the site has, one added tomorrow too."""
        app = create_app(Config.from_environ(self.place.environ()))
        return sorted({rule.rule for rule in app.url_map.iter_rules()})

    def look_at(self, master: int) -> None:
        """Keep what every process of the site tells anybody about itself."""
        children = Path(f"/proc/{master}/task/{master}/children").read_text()
        for process in (master, *map(int, children.split())):
            for name in ("environ", "cmdline"):
                self.seen.append(Path(f"/proc/{process}/{name}").read_bytes())

    def everything(self) -> dict[str, bytes]:
        """All that is left: files, mails, and whatever anybody saw."""
        files = [path for path in self.place.folder.rglob("*") if path.is_file()]
        kept = {str(path): path.read_bytes() for path in files}
        kept |= {f"mail {n}": raw for n, raw in enumerate(self.mails.kept)}
        for number, said in enumerate(self.seen):
            kept[f"{number}: {said[:60]!r}"] = said
        return kept


@contextmanager
def a_place(folder: Path) -> Iterator[Swept]:
    """A place that keeps its temporary files and the fullest log inside itself."""
    mails = Letters()
    with receiving(mails) as port:
        (folder / "tmp").mkdir(parents=True)
        (folder / "log.ini").write_text(LOGGING)
        more = {
            "TMPDIR": str(folder / "tmp"),
            "LOGIN_FAILURES_PER_ORIGIN": "10000",
            # As behind a proxy that hands on whatever it was sent.
            "PROXY_HOPS": "1",
        }
        place = Place(folder, mail_port=port, more=more).make()
        place.add_operator(LOGIN_ID)
        yield Swept(place, mails)


@contextmanager
def serving(swept: Swept) -> Iterator[Started]:
    """gunicorn on the place, logging everything; looked at before it ends."""
    flags = ("--log-level", "debug", "--log-config", f"{swept.place.folder}/log.ini")
    with swept.place.serving("--workers", "2", *flags, anew=True) as site:
        swept.look_at(site.pid)
        yield site
        if site.poll() is None:
            swept.look_at(site.pid)
