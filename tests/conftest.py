"""What every test may ask for: a clock to turn, a vault of its own."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.actors.mail import Mails, receiving
from tests.places.compiled import compile_once
from tests.places.postgres_cluster import PROGRAMS, Cluster
from tests.places.rights import RIGHTS, missing
from tests.places.vault import EXPIRY, VISA, FakeClock, VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault, WebKey
from vault.card.scrub import holds_card_number, scrub
from vault.ops import RootKey
from vault.ops.create import create_vault, new_keys
from vault.store.database import connect
from vault.store.sqlite import checkpoint

# A disk takes milliseconds to sync a file, and a run syncs a hundred thousand times.
MEMORY, ROOM_BYTES = Path("/dev/shm"), 4 * 1024**3


def pytest_configure() -> None:
    """Lay the tests' folders into memory where there is room, unless it is said where
    to lay them; what is compiled is kept."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))
        # PostgreSQL copies hundreds of files for each database, and Chromium has its
        # profile there.
        os.environ.setdefault("TMPDIR", str(MEMORY))
        tempfile.tempdir = None
    compile_once()


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """The umask of a login, which ``cardvault`` changes in the process it runs in, and
    that may be this one."""
    os.umask(0o022)
    yield
    os.umask(0o022)


@pytest.fixture
def clock() -> FakeClock:
    """A clock at noon in Japan on 2026-11-23."""
    return FakeClock()


@pytest.fixture(scope="session")
def keys() -> tuple[WebKey, RootKey]:
    """One pair of keys for the whole run: making them is not what is tested."""
    return new_keys()


@pytest.fixture(scope="session")
def founded(
    tmp_path_factory: pytest.TempPathFactory, keys: tuple[WebKey, RootKey]
) -> Path:
    """The file of a vault just founded, to be copied: migrating takes its time."""
    path = tmp_path_factory.mktemp("founded") / "vault.db"
    engine = connect(f"sqlite:///{path}")
    create_vault(*keys, engine, FakeClock(), Actor("ops", "command"))
    checkpoint(engine)
    engine.dispose()
    return path


@pytest.fixture
def place(
    tmp_path: Path, clock: FakeClock, keys: tuple[WebKey, RootKey], founded: Path
) -> Iterator[VaultPlace]:
    """A vault on a SQLite file of its own."""
    web_key, root_key = keys
    path = tmp_path / "vault.db"
    shutil.copy(founded, path)
    engine = connect(f"sqlite:///{path}")
    yield VaultPlace(tmp_path, f"sqlite:///{path}", web_key, root_key, engine, clock)
    engine.dispose()


@pytest.fixture(scope="session")
def server() -> Iterator[Cluster]:
    """A running PostgreSQL of the tests' own, one for each process of the run."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    cluster = Cluster().make()
    yield cluster
    cluster.remove()


@pytest.fixture
def vault(place: VaultPlace) -> Vault:
    """The web role of ``place``."""
    return place.vault()


@pytest.fixture
def operator_actor() -> Actor:
    """Somebody to do things."""
    return Actor("taro", "192.0.2.1")


@pytest.fixture
def register(vault: Vault, operator_actor: Actor) -> Callable[..., Token]:
    """Seal a card in a transaction of its own and return its token."""

    def register(digits: str = VISA, expiry: Expiry = EXPIRY) -> Token:
        with vault.engine.begin() as db:
            return vault.tokenize(db, Pan.parse(digits), expiry, operator_actor)

    return register


@pytest.fixture
def mails() -> Iterator[tuple[Mails, int]]:
    """A mail server and its port."""
    box = Mails()
    with receiving(box) as port:
        yield box, port


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case by its argument alone when its value looks like a number."""
    return argname if isinstance(val, str) and len(digits_in(val)) > 8 else None


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """No card number is in a test's name: names end up in logs.  What this account may
    not do is skipped, and in CI, where a skip is a failure, left out."""
    lacking = {item: why for item in items if (why := _lacks(item))}
    if os.environ.get("CI"):
        config.hook.pytest_deselected(items=list(lacking))
        items[:] = [item for item in items if item not in lacking]
    for item, why in lacking.items():
        item.add_marker(pytest.mark.skip(reason=why))
    items[:] = in_order(items)
    for item in items:
        if holds_card_number(item.nodeid):
            raise pytest.UsageError(f"{scrub(item.nodeid)} is named after a number")


def _lacks(item: pytest.Item) -> str:
    """Why a test can't run with this account's rights; "" when it can."""
    marks = item.iter_markers("rights")
    return next(filter(None, (missing(right) for m in marks for right in m.args)), "")


def pytest_report_header() -> list[str]:
    """What can't be tested here, if anything can't."""
    return [f"not tested: {why}" for right in RIGHTS if (why := missing(right))]


def pytest_collection_finish() -> None:
    """What is loaded by now stays, so that no search for garbage looks at it again."""
    gc.collect()
    gc.freeze()


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """The long tests first, so that no core is left waiting for the last of them: of
    two processes each begins with a half of the list, so one kind heads each half."""
    killing, others = parted(items, lambda item: "faults" in item.keywords)
    walking, others = parted(others, lambda item: "browser" in item.path.parts)
    middle = max(len(items) // 2 - len(killing), 0)
    return [*killing, *others[:middle], *walking, *others[middle:]]


def parted(
    items: list[pytest.Item], is_first: Callable[[pytest.Item], bool]
) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those for which ``is_first`` and the others, each in their order."""
    chosen = [item for item in items if is_first(item)]
    return chosen, [item for item in items if not is_first(item)]


def digits_in(text: str) -> str:
    """The digits of a text, of any script."""
    return "".join(sign for sign in text if sign.isdigit())


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test is a failure: there everything can run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
