"""The owner, the site and the ops commands each have a role of PostgreSQL that may do
what it needs and nothing else (ATH-07)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest
from sqlalchemy import create_engine, inspect

from app.grants import GRANTS as SITE_GRANTS
from tests.places.site import Place
from tests.places.vault import VISA
from vault.store import grants
from vault.store.grants import EVERY_COLUMN, GRANTS, OPS, READ, WEB, Rights
from vault.store.vacuum import STATEMENTS

from .roles import NAME, Roles, blocks

pytestmark = pytest.mark.postgres

DATABASES = {"site": SITE_GRANTS, "vault": GRANTS}
LOGINS = {"web1": WEB, "ops1": OPS}
DENIED = "42501"
MEETINGS = [("web1", "site"), ("web1", "vault"), ("ops1", "vault")]

TRIED = (
    "ALTER TABLE {table} ADD COLUMN planted int",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "DROP TABLE {table} CASCADE",
    "TRUNCATE {table} CASCADE",
    "CREATE INDEX planted ON {table} ((1))",
    "CREATE RULE planted AS ON INSERT TO {table} DO INSTEAD NOTHING",
    "CREATE TRIGGER planted AFTER INSERT ON {table} EXECUTE FUNCTION tsvector_update_trigger()",
)
TRIED_ON_THE_WHOLE = (
    "CREATE TABLE planted (id int)",
    "CREATE TEMPORARY TABLE planted (id int)",
    "CREATE VIEW planted AS SELECT 1",
    "CREATE FUNCTION planted() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE SCHEMA planted",
    "CREATE ROLE planted",
    "ALTER ROLE cardsite_owner PASSWORD 'x'",
    "SET ROLE cardsite_owner",
    "SET ROLE {other}",
    "SET session_replication_role = replica",
    "ALTER DEFAULT PRIVILEGES FOR ROLE cardsite_owner GRANT ALL ON TABLES TO PUBLIC",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
    "DROP OWNED BY cardsite_owner",
)


@contextmanager
def logged_in(roles: Roles, login: str, database: str) -> Iterator[psycopg.Connection]:
    """A connection of a login's, by TLS, whose every statement is undone."""
    url = roles.url(login, database).replace("+psycopg", "")
    with closing(psycopg.connect(url)) as db:
        yield db


def answer(db: psycopg.Connection, statement: str) -> str:
    """The SQLSTATE that a statement is answered with; "" when it is carried out."""
    try:
        db.execute(statement.encode())
        return ""
    except psycopg.Error as refused:
        return refused.sqlstate or "?"
    finally:
        db.rollback()


def columns_of(roles: Roles, database: str) -> dict[str, list[str]]:
    """The columns of every table of a database."""
    engine = create_engine(roles.url("cardsite_owner", database))
    found = inspect(engine)
    tables = {
        table: [column["name"] for column in found.get_columns(table)]
        for table in found.get_table_names()
    }
    engine.dispose()
    return tables


def attempts(table: str, columns: list[str], rights: Rights | None) -> dict[str, bool]:
    """Each statement that may be tried on a table, and whether ``rights`` let it."""
    every = rights is not None and rights.update == EVERY_COLUMN
    mine = rights or Rights()
    tried = {
        f"SELECT FROM {table} WHERE false": rights is not None,
        f"INSERT INTO {table} DEFAULT VALUES": mine.insert,
        f"DELETE FROM {table} WHERE false": mine.delete,
    }
    for column in columns:
        set_it = f'UPDATE {table} SET "{column}" = NULL'
        tried[set_it] = every or column in mine.update
    return tried | {text.format(table=table): False for text in TRIED}


@pytest.mark.parametrize(("login", "database"), MEETINGS)
def test_whatever_is_not_granted_is_refused(
    roles: Roles, login: str, database: str
) -> None:
    """Each statement on each table and each column is answered "permission denied",
    unless the table of grants lets it."""
    granted, tables = DATABASES[database], columns_of(roles, database)
    assert tables.keys() == granted.keys()
    with logged_in(roles, login, database) as db:
        for table, columns in tables.items():
            rights = granted[table].get(LOGINS[login])
            for statement, allowed in attempts(table, columns, rights).items():
                refused = answer(db, statement) == DENIED
                assert refused is not allowed, statement


@pytest.mark.parametrize(("login", "database"), MEETINGS)
def test_nothing_is_done_to_the_whole(roles: Roles, login: str, database: str) -> None:
    """No object is made, no other role taken, no check switched off, no file read."""
    other = next(role for role in LOGINS.values() if role != LOGINS[login])
    with logged_in(roles, login, database) as db:
        for statement in TRIED_ON_THE_WHOLE:
            assert answer(db, statement.format(other=other)) == DENIED, statement


@pytest.mark.parametrize(("login", "database"), MEETINGS)
def test_numbers_are_drawn_and_not_set(roles: Roles, login: str, database: str) -> None:
    """A sequence gives who inserts the next number, and is turned by nobody.  The
    vault's number rows that nobody but the owner adds."""
    named = "SELECT relname FROM pg_class WHERE relkind = 'S'"
    with logged_in(roles, login, database) as db:
        names = [row[0] for row in db.execute(named.encode())]
        assert names
        for name in names:
            drawn = answer(db, f"SELECT nextval('{name}')")
            assert drawn == ("" if database == "site" else DENIED)
            assert answer(db, f"SELECT setval('{name}', 1)") == DENIED


@pytest.mark.parametrize(("login", "database"), MEETINGS)
def test_no_right_is_handed_on(roles: Roles, login: str, database: str) -> None:
    """PostgreSQL answers a GRANT by who may not grant with an error or a warning; in
    either case nobody has more than before."""
    everybody = "SELECT count(*) FROM pg_class, aclexplode(relacl) WHERE relname = %s"
    everybody += " AND grantee = 0"
    with logged_in(roles, login, database) as db:
        for table in DATABASES[database]:
            with suppress(psycopg.errors.InsufficientPrivilege):
                db.execute(f"GRANT ALL ON {table} TO PUBLIC".encode())
                assert db.execute(everybody.encode(), (table,)).fetchone() == (0,)
            db.rollback()


def test_the_ops_role_does_not_get_into_the_sites_database(roles: Roles) -> None:
    """It is refused at the door."""
    with pytest.raises(
        psycopg.OperationalError, match="permission denied for database"
    ):
        psycopg.connect(roles.url("ops1", "site").replace("+psycopg", ""))


def test_the_site_writes_nothing_that_ops_makes() -> None:
    """What may never be granted, said once more: no change of an entry of the trail, of
    a card's envelope, token or key, of what a data key opens; nothing of a rotation, a
    quarantine, a purge; of the vault's row the one column that has one value."""
    web = {table: rights[WEB] for table, rights in GRANTS.items()}
    for table in ("rotation", "rotation_range", "quarantine", "purged"):
        assert web[table] == READ
    assert web["alembic_version_vault"] == READ
    assert SITE_GRANTS["alembic_version_site"][WEB] == READ
    assert web["vault"] == Rights(update=("id",))
    assert not {"id", "token", "envelope", "data_key_id"} & set(web["card"].update)
    assert not {"id", "opens", "wrapped", "ops_mac"} & set(web["data_key"].update)
    assert not web["data_key"].delete
    for role in (WEB, OPS):
        assert GRANTS["audit_entry"][role] == Rights(insert=True)
        assert not GRANTS["audit_head"][role].insert
        assert not GRANTS["vault"][role].insert
    assert not GRANTS["card"][OPS].insert
    assert all(set(rights) == {WEB} for rights in SITE_GRANTS.values())


def granted(
    roles: Roles, login: str = "cardsite_owner", *flags: str
) -> tuple[int, str]:
    """What ``migrate`` says as a login, and its exit code."""
    done = roles.place(login).run("flask", "--app", "wsgi", "migrate", *flags)
    return done.returncode, done.stdout + done.stderr


def test_migrate_grants_again(roles: Roles) -> None:
    """What was granted by hand, or taken away, is found by --check and mended by the
    owner; another role says who has to."""
    assert granted(roles, "cardsite_owner", "--check")[0] == 0
    planted = (
        f"GRANT DELETE ON audit_entry TO {WEB}",
        f"GRANT UPDATE (envelope) ON card TO {WEB}",
        f"REVOKE INSERT ON audit_entry FROM {OPS}",
        "GRANT SELECT (envelope) ON card TO PUBLIC",
    )
    for statement in planted:
        roles.cluster.say(statement, database="vault")
        code, said = granted(roles, "cardsite_owner", "--check")
        assert (code, f"vault roles\t{OPS}, {WEB}\tbehind" in said) == (1, True)
        code, said = granted(roles, "web1")
        assert (code, "error: web1 doesn't own" in said) == (2, True)
        assert "hint: type this with the URLs of the role that owns" in said
        code, said = granted(roles)
        assert (code, f"vault roles\t{OPS}, {WEB}\tgranted" in said) == (0, True)
    code, said = granted(roles)
    assert (code, said.count("\tas granted\n")) == (0, 2)


def _one_customer(place: Place) -> str:
    """A file for the import."""
    path = place.folder / "one.csv"
    heading = "customer_name,phone,card_number,exp_month,exp_year"
    path.write_text(f"{heading}\nA,090-0000-0000,{VISA},1,2030\n")
    return str(path)


def test_a_command_of_another_role_says_so(roles: Roles) -> None:
    """Which login is for what is named, and not a database that doesn't answer."""
    web = roles.place("web1")
    done = web.ops("rotate")
    assert (done.returncode, "permission denied" in done.stderr) == (3, True)
    assert "under: PostgreSQL: roles" in done.stderr, done.stderr
    ops = roles.place("ops1", DATABASE_URL=roles.url("web1", "site"))
    done = ops.run("flask", "--app", "wsgi", "cards", "import", _one_customer(ops))
    assert (done.returncode, "permission denied" in done.stderr) == (2, True)
    assert "under: PostgreSQL: roles" in done.stderr, done.stderr


def test_a_server_without_the_roles_has_one_for_everything(
    databases: tuple[str, str],
) -> None:
    """Nothing is granted there, and nothing is behind."""
    engine = create_engine(databases[1])
    with engine.begin() as db:
        assert grants.roles(db) == []
        assert grants.difference(db, GRANTS) == set()
        assert grants.apply(db, GRANTS) is False
    engine.dispose()


@pytest.mark.parametrize(("version", "may"), [(15, False), (16, False), (17, True)])
def test_vacuum_is_granted_where_it_can_be(version: int, may: bool) -> None:
    """From PostgreSQL 17 on, for the tables that a rotation vacuums and no other."""
    vacuumed = {statement.split()[-1] for statement in STATEMENTS}
    for table, by_role in GRANTS.items():
        ops = dict(by_role[OPS].privileges(version))
        assert ("MAINTAIN" in ops) is (may and table in vacuumed), table
        assert "MAINTAIN" not in dict(by_role[WEB].privileges(version))


def test_the_owner_types_the_vacuum(roles: Roles) -> None:
    """The runbook's lines are those that the command names, and the owner may."""
    block = next(b for b in blocks("What PostgreSQL keeps") if "--username" in b)
    for statement in STATEMENTS:
        assert f"{statement};" in block.splitlines()
    assert len([line for line in block.splitlines() if line.startswith("VACUUM")]) == 4
    typed = roles.type(block)
    assert (typed.returncode, "WARNING" in typed.stdout) == (0, False), typed.stdout
    ours = roles.type(block.replace("cardsite_owner", "ops1"))
    assert ours.stdout.count("WARNING") == len(STATEMENTS), ours.stdout


def test_the_sites_log_names_a_role_that_may_too_much(roles: Roles) -> None:
    """For each database once, at the start; a role of the site's own is not named."""
    told = {
        "web1": "",
        "cardsite_owner": "cardsite_owner owns the tables",
        "cardsite": "cardsite is a superuser or makes roles",
    }
    for login, words in told.items():
        place = roles.place(login)
        log = place.folder / "gunicorn.log"
        log.unlink(missing_ok=True)
        with place.serving("--workers", "1"):
            pass
        said = log.read_text()
        for name in ("site", "vault"):
            line = f"the {name} database: {words}, and so may whoever breaks in"
            assert said.count(line) == (1 if words else 0), said
        assert words or "breaks into the site" not in said


@pytest.mark.parametrize(
    ("given", "taken", "named"),
    [
        (f"GRANT {OPS} TO web1", f"REVOKE {OPS} FROM web1", f"is in the role {OPS}"),
        (
            "GRANT pg_write_all_data TO web1",
            "REVOKE pg_write_all_data FROM web1",
            "is in the role pg_write_all_data",
        ),
        (
            "GRANT UPDATE (mac) ON audit_entry TO web1",
            "REVOKE UPDATE (mac) ON audit_entry FROM web1",
            "may UPDATE audit_entry (mac)",
        ),
        (
            "GRANT TRUNCATE ON card TO web1",
            "REVOKE TRUNCATE ON card FROM web1",
            "may TRUNCATE card",
        ),
    ],
)
def test_a_right_of_the_logins_own_is_named(
    roles: Roles, given: str, taken: str, named: str
) -> None:
    """What was given to a login by hand, beside what its role has."""
    engine = create_engine(roles.url("web1", "vault"))
    for statement, told in ((given, f"web1 {named}"), (taken, "")):
        roles.cluster.say(statement, database="vault")
        with engine.connect() as now:
            assert grants.excess(now, GRANTS) == told
    engine.dispose()


def test_an_older_site_goes_over(roles: Roles) -> None:
    """What one role owned of each database is the owner's after the runbook's lines, and
    the old role may nothing any more."""
    for name in ("site", "vault"):
        over = f"REASSIGN OWNED BY cardsite_owner TO {name}"
        roles.cluster.say(f"CREATE ROLE {name} LOGIN", over, database=name)
    assert granted(roles)[0] == 2
    block = next(b for b in blocks("PostgreSQL: roles") if "REASSIGN" in b)
    typed = roles.type(block)
    assert typed.returncode == 0, typed.stdout
    assert granted(roles)[0] == 0
    for name in ("site", "vault"):
        roles.cluster.say(f"DROP ROLE {name}")


def test_a_wrong_server_is_refused_with_its_reason(roles: Roles) -> None:
    """verify-full takes the server by its name; another name, another authority and no
    TLS are each said in one line."""
    right = roles.place("web1")
    listing = ("flask", "--app", "wsgi", "cards", "list")
    assert right.run(*listing).returncode == 0
    url = roles.url("web1", "site")
    other = roles.folder / "other.crt"
    other.write_bytes((roles.cluster.data / "tls.crt").read_bytes())
    wrong = {
        roles.url("web1", "site", host="127.0.0.1"): "does not match host name",
        url.replace(str(roles.cluster.ca), str(other)): "certificate verify failed",
        url.replace(str(roles.cluster.ca), "nowhere.crt"): "does not exist",
    }
    assert NAME in url
    for changed, reason in wrong.items():
        done = right.run(*listing, DATABASE_URL=changed)
        assert (done.returncode, reason in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 2
