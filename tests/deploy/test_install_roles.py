"""The installation of a web host of a site with PostgreSQL's roles (ATH-07)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.places.own_mounts import Machine
from tests.places.postgres_cluster import PROGRAMS
from tests.places.web_host import RUN, a_machine, ask, commands, fill, install, serving
from tests.postgres.roles import Roles, blocks, made

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.rights("root", "mounts"),
]
CA = "/etc/cardsite/ca.crt"


@pytest.fixture
def roles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roles]:
    """The databases, roles and vault, made on the ops host as the runbook says, with
    the login of the backups."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL is not installed")
    roles = made(tmp_path_factory.mktemp("roles"))
    (block,) = (one for one in blocks("PostgreSQL: roles") if "backup1" in one)
    assert roles.type(block).returncode == 0
    yield roles
    roles.cluster.remove()


def urls(roles: Roles, login: str) -> dict[str, str]:
    """Both settings for a login, with the authority's certificate of the machine."""
    return {
        name: roles.url(login, database).replace(str(roles.cluster.ca), CA)
        for name, database in (
            ("DATABASE_URL", "site"),
            ("VAULT_DATABASE_URL", "vault"),
        )
    }


def put(machine: Machine, path: str, text: str, mode: str) -> None:
    """Lay a file of root's there."""
    machine.do("sh", "-euc", 'cat >"$1"; chmod "$2" "$1"', "sh", path, mode, given=text)


def test_a_web_host_migrates_nothing_and_backs_up_by_another_login(
    roles: Roles,
) -> None:
    """With the web key and the web login from the ops host the script goes to its end;
    the site is well, and the night's dumps are those of a login that reads all."""
    with a_machine() as machine:
        assert install(machine).returncode == 2
        put(machine, CA, roles.cluster.ca.read_text(), "644")
        fill(machine, **urls(roles, "web1"))
        stopped = install(machine)
        assert stopped.returncode == 2
        assert "there is no vault yet" in stopped.stderr
        key = (roles.folder / "web.key").read_text()
        put(machine, "/etc/cardsite/web.key", key, "600")
        done = install(machine)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not any("migrate" in line for line in commands(done))
        with serving(machine) as url:
            assert ask(f"{url}/healthz") == 200
        pairs = [f"{name}={to}" for name, to in urls(roles, "backup1").items()]
        script = "/srv/cardsite/deploy/backup-nightly"
        machine.do(RUN, "env", *pairs, script, "/var/backups/cardsite", "35")
        kept = machine.do("ls", "/var/backups/cardsite")
        endings = re.findall(r"^cardsite-[\dT-]+\.(.*)$", kept, re.M)
        assert endings == ["anchor", "sha256", "site.pgdump", "vault.pgdump"]
