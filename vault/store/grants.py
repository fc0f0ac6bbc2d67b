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

from ..errors import SchemaError
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

# Roles of the server's own that may do more than any grant here.
_MIGHTY = (
    OPS,
    "pg_write_all_data",
    "pg_execute_server_program",
    "pg_read_server_files",
    "pg_write_server_files",
)
# Everybody's rights are each role's as well, so there may be none.
_EVERYBODY = "PUBLIC"

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
    ), granted AS (
        SELECT grantee, relname, '' AS attname, privilege_type
        FROM ours, aclexplode(relacl)
        UNION ALL
        SELECT grantee, relname, attname, privilege_type
        FROM ours JOIN pg_attribute ON attrelid = ours.oid, aclexplode(attacl)
    )
    SELECT COALESCE(rolname, 'PUBLIC'), relname, attname, privilege_type
    FROM granted LEFT JOIN pg_roles ON pg_roles.oid = grantee
""")
_NOT_OWNED = text("""
    SELECT current_user, relname FROM pg_class
    WHERE relname IN :names AND relnamespace = current_schema()::regnamespace
    AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname LIMIT 1
""").bindparams(bindparam("names", expanding=True))
_EXCESS = text("""
    SELECT current_user, CASE
        WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = current_user
            AND (rolsuper OR rolcreaterole)) THEN 'is a superuser or makes roles'
        WHEN EXISTS (SELECT FROM pg_class WHERE relname IN :tables
            AND relnamespace = current_schema()::regnamespace
            AND pg_has_role(relowner, 'MEMBER')) THEN 'owns the tables'
        ELSE (SELECT 'is in the role ' || min(rolname) FROM pg_roles
            WHERE rolname IN :mighty AND pg_has_role(oid, 'MEMBER'))
    END
""").bindparams(
    bindparam("tables", expanding=True),
    bindparam("mighty", value=list(_MIGHTY), expanding=True),
)
_MAY = text("""
    WITH ours AS (
        SELECT * FROM pg_class WHERE relname IN :tables
        AND relnamespace = current_schema()::regnamespace
    )
    SELECT relname, '', may FROM ours,
        unnest(ARRAY['INSERT', 'DELETE', 'TRUNCATE', 'TRIGGER']) may
    WHERE has_table_privilege(oid, may)
    UNION ALL
    SELECT relname, attname, 'UPDATE' FROM ours JOIN pg_attribute ON attrelid = oid
    WHERE attnum > 0 AND NOT attisdropped
    AND has_column_privilege(oid, attnum, 'UPDATE')
    ORDER BY 1, 2, 3
""").bindparams(bindparam("tables", expanding=True))


def roles(db: Connection) -> list[str]:
    """Which of the two roles the server has; none on SQLite."""
    if db.dialect.name != "postgresql":
        return []
    return sorted(db.execute(_ROLES).scalars())


def difference(db: Connection, grants: Grants) -> set[Privilege]:
    """The privileges that the server's roles, or everybody, have and should not have by
    ``grants``, and the other way round; empty when ``apply`` would change nothing."""
    there = roles(db)
    if not there:
        return set()
    ours = {name for name, _ in _relations(db, grants)}
    looked_at = {*there, _EVERYBODY}
    rows = db.execute(_GRANTED).all()
    found = {(str(row[0]), row[1], row[2], row[3]) for row in rows}
    granted = {one for one in found if one[0] in looked_at and one[1] in ours}
    return granted ^ _wanted(db, grants, there)


def apply(db: Connection, grants: Grants) -> bool:
    """Give the server's roles exactly the privileges of ``grants`` on the tables that
    exist; says whether that changed anything.

    Raises SchemaError when ``db``'s role doesn't own the tables: PostgreSQL answers its
    grants with a warning.
    """
    if not difference(db, grants):
        return False
    _require_owned(db, grants)
    there = roles(db)
    everybody = ", ".join([_EVERYBODY, *there])
    for name, kind in _relations(db, grants):
        # It revokes the privileges on the columns too.
        db.exec_driver_sql(f'REVOKE ALL ON {kind} "{name}" FROM {everybody}')
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
    tables = {"tables": list(grants)}
    role, why = db.execute(_EXCESS, tables).one()
    if why:
        return f"{role} {why}"
    for table, column, privilege in db.execute(_MAY, tables):
        rights = grants[table].get(WEB, READ)
        needed = set(rights.privileges(0))
        if not {(privilege, column), (privilege, "")} & needed:
            of = f" ({column})" if column else ""
            return f"{role} may {privilege} {table}{of}"
    return ""


def _require_owned(db: Connection, grants: Grants) -> None:
    names = [name for name, _ in _relations(db, grants)]
    found = db.execute(_NOT_OWNED, {"names": names}).first()
    if found is not None:
        raise SchemaError(
            f"{found[0]} doesn't own {found[1]} and can't grant the roles their rights",
            hint="type this with the URLs of the role that owns the tables",
        )


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
        (role, sequence, "", privilege)
        for table, sequence in db.execute(_SEQUENCES)
        for role, rights in grants.get(table, {}).items()
        # Whoever dumps a table reads its sequence too.
        for privilege in (("SELECT", "USAGE") if rights.insert else ("SELECT",))
    }
    return {one for one in wanted if one[0] in there}
