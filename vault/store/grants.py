"""Grants the roles of a PostgreSQL server what each may do with our tables.

Three roles share a database.  The owner makes and changes the tables.  The site's
logins are members of ``cardsite_web`` and those of the ops commands of
``cardsite_ops``; each may do what a table of grants says, and nothing else.  Where
the two roles don't exist, and on SQLite, there is one role for everything and nothing
is granted.

PostgreSQL wants UPDATE of a column from whoever locks a row, and UPDATE or DELETE of
the table from whoever locks a table.  A grant that is for a lock alone says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, text

from .revisions import REVISIONS

WEB, OPS = "cardsite_web", "cardsite_ops"
EVERY_COLUMN = ("*",)
# The first version of PostgreSQL that lets another role than the owner VACUUM.
MAINTAIN_SINCE = 17

Privilege = tuple[str, str, str, str]
"""Role, table or sequence, column or "", and PostgreSQL's word, like UPDATE."""


@dataclass(frozen=True)
class Rights:
    """What a role may do with a table besides SELECT.  ``update`` has the columns it
    may write; ``maintain`` is VACUUM, where PostgreSQL can grant that."""

    insert: bool = False
    delete: bool = False
    update: tuple[str, ...] = ()
    maintain: bool = False

    def privileges(self, version: int) -> Iterator[tuple[str, str]]:
        """Each privilege and its column, "" for all, on a server of a ``version``."""
        yield "SELECT", ""
        if self.insert:
            yield "INSERT", ""
        if self.delete:
            yield "DELETE", ""
        if self.maintain and version >= MAINTAIN_SINCE:
            yield "MAINTAIN", ""
        for column in self.update:
            yield "UPDATE", "" if self.update == EVERY_COLUMN else column


Grants = Mapping[str, Mapping[str, Rights]]
"""What each role may do, by table and role.  A role that is not named may not even
look at the table."""

READ = Rights()

GRANTS: Grants = {
    "vault": {
        # For a lock alone: the column's CHECK lets it hold nothing but 1.
        WEB: Rights(update=("id",)),
        OPS: Rights(update=EVERY_COLUMN, maintain=True),
    },
    # A web process mints keys, counts seals and retires keys.  It can destroy none:
    # a destroyed key's ``opens`` is NULL.
    "data_key": {
        WEB: Rights(insert=True, update=("state", "seals", "retired_at", "mac")),
        OPS: Rights(insert=True, update=EVERY_COLUMN, maintain=True),
    },
    "card": {
        WEB: Rights(
            insert=True, delete=True, update=("rev", "expiry", "updated_at", "mac")
        ),
        OPS: Rights(
            delete=True,
            update=("data_key_id", "rev", "envelope", "updated_at", "mac"),
            maintain=True,
        ),
    },
    "rotation": {WEB: READ, OPS: Rights(insert=True, update=EVERY_COLUMN)},
    "rotation_range": {
        WEB: READ,
        OPS: Rights(insert=True, delete=True, update=EVERY_COLUMN),
    },
    "quarantine": {
        WEB: READ,
        OPS: Rights(insert=True, delete=True, update=("mac", "ops_mac")),
    },
    "purged": {
        WEB: READ,
        OPS: Rights(insert=True, delete=True, update=("mac", "ops_mac")),
    },
    # Nobody but the owner changes or deletes an entry of the trail.
    "audit_entry": {WEB: Rights(insert=True), OPS: Rights(insert=True)},
    "audit_head": {
        WEB: Rights(update=("seq", "sealed_chain_key")),
        OPS: Rights(update=("seq", "sealed_chain_key"), maintain=True),
    },
    REVISIONS.version_table: {WEB: READ, OPS: READ},
}
"""The grants in the vault's database."""

_ROLES = text("SELECT rolname FROM pg_roles WHERE rolname IN :roles").bindparams(
    bindparam("roles", value=[WEB, OPS], expanding=True)
)
_TABLES = text("""
    SELECT relname FROM pg_class
    WHERE relkind IN ('r', 'p') AND relnamespace = current_schema()::regnamespace
""")
# The sequences that number the rows of a table.
_SEQUENCES = text("""
    SELECT owner.relname, sequence.relname FROM pg_class sequence
    JOIN pg_depend ON pg_depend.objid = sequence.oid AND deptype IN ('a', 'i')
    JOIN pg_class owner ON owner.oid = refobjid
    WHERE sequence.relkind = 'S'
    AND sequence.relnamespace = current_schema()::regnamespace
""")
_GRANTED = text("""
    WITH ours AS (
        SELECT * FROM pg_class WHERE relnamespace = current_schema()::regnamespace
    )
    SELECT rolname, relname, '', privilege_type
    FROM ours, aclexplode(relacl) JOIN pg_roles ON pg_roles.oid = grantee
    WHERE rolname IN :roles
    UNION ALL
    SELECT rolname, relname, attname, privilege_type
    FROM ours JOIN pg_attribute ON attrelid = ours.oid, aclexplode(attacl)
    JOIN pg_roles ON pg_roles.oid = grantee WHERE rolname IN :roles
""").bindparams(bindparam("roles", value=[WEB, OPS], expanding=True))
_EXCESS = text("""
    SELECT current_user, CASE
        WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = current_user
            AND (rolsuper OR rolcreaterole)) THEN 'is a superuser or makes roles'
        WHEN EXISTS (SELECT FROM pg_class WHERE relname IN :tables
            AND relnamespace = current_schema()::regnamespace
            AND pg_has_role(relowner, 'MEMBER')) THEN 'owns the tables'
        WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = :ops
            AND pg_has_role(oid, 'MEMBER')) THEN 'is a role of the ops commands'
    END
""").bindparams(bindparam("tables", expanding=True), ops=OPS)


def roles(db: Connection) -> list[str]:
    """Which of the two roles the server has; none on SQLite."""
    if db.dialect.name != "postgresql":
        return []
    return sorted(db.execute(_ROLES).scalars())


def difference(db: Connection, grants: Grants) -> set[Privilege]:
    """The privileges that the server's roles have and should not have by ``grants``,
    and the other way round; empty when ``apply`` would change nothing."""
    there = roles(db)
    if not there:
        return set()
    ours = {name for name, _ in _relations(db, grants)}
    found = {tuple(row) for row in db.execute(_GRANTED)}
    granted = {one for one in found if one[1] in ours and one[0] in there}
    return granted ^ _wanted(db, grants, there)


def apply(db: Connection, grants: Grants) -> bool:
    """Give the server's roles exactly the privileges of ``grants`` on the tables that
    exist; says whether that changed anything.

    Raises SQLAlchemyError when ``db``'s role doesn't own the tables.
    """
    if not difference(db, grants):
        return False
    there = roles(db)
    for name, kind in _relations(db, grants):
        for role in there:
            # It revokes the privileges on the columns too.
            db.exec_driver_sql(f'REVOKE ALL ON {kind} "{name}" FROM "{role}"')
    kinds = dict(_relations(db, grants))
    for role, name, column, privilege in sorted(_wanted(db, grants, there)):
        what = f'{privilege} ("{column}")' if column else privilege
        db.exec_driver_sql(f'GRANT {what} ON {kinds[name]} "{name}" TO "{role}"')
    return True


def excess(db: Connection, grants: Grants) -> str:
    """What ``db``'s role may do that the site doesn't need, as words for a log; ""
    when there is nothing, and on SQLite."""
    if db.dialect.name != "postgresql":
        return ""
    role, why = db.execute(_EXCESS, {"tables": list(grants)}).one()
    return f"{role} {why}" if why else ""


def _relations(db: Connection, grants: Grants) -> list[tuple[str, str]]:
    """The tables of ``grants`` that exist and their sequences, each with its kind."""
    tables = set(db.execute(_TABLES).scalars()) & grants.keys()
    numbered = [name for table, name in db.execute(_SEQUENCES) if table in tables]
    kinds = {"TABLE": sorted(tables), "SEQUENCE": sorted(numbered)}
    return [(name, kind) for kind, names in kinds.items() for name in names]


def _wanted(db: Connection, grants: Grants, there: list[str]) -> set[Privilege]:
    version = int((db.dialect.server_version_info or (0,))[0])
    tables = set(db.execute(_TABLES).scalars()) & grants.keys()
    wanted = {
        (role, table, column, privilege)
        for table in tables
        for role, rights in grants[table].items()
        for privilege, column in rights.privileges(version)
    }
    wanted |= {
        (role, sequence, "", "USAGE")
        for table, sequence in db.execute(_SEQUENCES)
        for role, rights in grants.get(table, {}).items()
        if rights.insert
    }
    return {one for one in wanted if one[0] in there}
