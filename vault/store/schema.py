"""The vault's tables.  Times are seconds since 1970 UTC, expiries YYYYMM.

Every row but the trail's carries ``mac``, made with the sealing key over all its
other columns, and what the ops side alone writes carries ``ops_mac`` too, made with
a key of the root's (row_macs.py).  The trail is a chain of its own (trail.py).
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

METADATA = MetaData()
# SQLite numbers rows by itself only when the type is exactly INTEGER.
ROW_ID = BigInteger().with_variant(Integer(), "sqlite")

# One row: which vault this is and which generation new cards belong to.  Between
# ``root rotate`` and its --finalize the ``next_`` columns hold the same for the
# new root, here and in every data key's row.
VAULT = Table(
    "vault",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("vault_id", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("root_id", Text, nullable=False),
    Column("suite", Text, nullable=False),
    Column("sealed_genesis", LargeBinary, nullable=False),
    Column("next_root_id", Text),
    Column("next_genesis", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("ops_mac", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)

# ``opens`` is the row's own id while its wrapped bytes exist and NULL once they
# are destroyed.  Cards refer to ``opens``, so the database itself refuses to
# destroy a key that a card still needs.  ``suite`` says how ``wrapped`` was made: by
# a web process or by the ops side (crypto.py).  A key that the ops side minted,
# retired or destroyed has ``ops_mac``.
DATA_KEY = Table(
    "data_key",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("opens", ROW_ID, unique=True),
    Column("generation", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("suite", Text, nullable=False),
    Column("root_id", Text, nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("next_root_id", Text),
    Column("next_wrapped", LargeBinary),
    Column("seals", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger),
    Column("destroyed_at", BigInteger),
    Column("mac", LargeBinary, nullable=False),
    Column("ops_mac", LargeBinary),
    CheckConstraint("opens IS NULL OR opens = id", name="opens_itself"),
    CheckConstraint(
        "(state = 'destroyed') = (opens IS NULL)", name="destroyed_opens_nothing"
    ),
    CheckConstraint("state IN ('live', 'retired', 'destroyed')", name="state"),
)

CARD = Table(
    "card",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("token", Text, nullable=False, unique=True),
    Column(
        "data_key_id", ROW_ID, ForeignKey("data_key.opens"), nullable=False, index=True
    ),
    Column("rev", Integer, nullable=False),
    Column("envelope", LargeBinary, nullable=False),
    Column("brand", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("last4", Text, nullable=False),
    Column("length", Integer, nullable=False),
    Column("expiry", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)


class CardRow(NamedTuple):
    """A whole row of ``CARD``, with its columns in the table's order, as a test checks.

    Loops over many cards unpack rows by position, because reading by name takes longer
    than opening.
    """

    id: int
    token: str
    data_key_id: int
    rev: int
    envelope: bytes
    brand: str
    prefix: str
    last4: str
    length: int
    expiry: int
    created_at: int
    updated_at: int
    mac: bytes


ID, TOKEN, REV, EXPIRY = map(CardRow._fields.index, ("id", "token", "rev", "expiry"))
"""The positions of a card's columns in its row."""


# One row for each rotation.  Its cursor and its lease are written in the same
# transaction as each batch.  Censuses are JSON, cards by generation.
ROTATION = Table(
    "rotation",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("data_key_id", ROW_ID, ForeignKey("data_key.id"), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("card_cursor", BigInteger, nullable=False),
    Column("reencrypted", BigInteger, nullable=False),
    Column("newer", BigInteger, nullable=False),
    Column("quarantined", BigInteger, nullable=False),
    Column("read_back", BigInteger, nullable=False),
    Column("keys_destroyed", BigInteger, nullable=False),
    Column("census_before", Text, nullable=False),
    Column("census_after", Text),
    Column("audit_seq", BigInteger),
    Column("lease", Text, nullable=False),
    Column("lease_at", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("ops_mac", LargeBinary, nullable=False),
    CheckConstraint("state IN ('running', 'finished')", name="state"),
)

# On PostgreSQL the cards that exist when a rotation begins are divided into ranges of
# card numbers.  One process at a time works through a range, from after ``card_cursor``
# to ``last_card``.  When all are done their rows are deleted, and the rotation's own
# cursor goes on with the cards that came later.
ROTATION_RANGE = Table(
    "rotation_range",
    METADATA,
    Column("id", ROW_ID, primary_key=True, autoincrement=False),
    Column("rotation_id", ROW_ID, ForeignKey("rotation.id"), nullable=False),
    Column("last_card", BigInteger, nullable=False),
    Column("card_cursor", BigInteger, nullable=False),
    Column("reencrypted", BigInteger, nullable=False),
    Column("newer", BigInteger, nullable=False),
    Column("lease", Text, nullable=False),
    Column("lease_at", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("ops_mac", LargeBinary, nullable=False),
)

# Cards that could not be opened when they were to be re-encrypted.
QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("card_id", ROW_ID, primary_key=True, autoincrement=False),
    Column("token", Text, nullable=False),
    Column("rotation_id", ROW_ID, ForeignKey("rotation.id"), nullable=False),
    Column("problem", Text, nullable=False),
    Column("found_at", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("ops_mac", LargeBinary, nullable=False),
)

# Cards that were purged, so that a customer without a card is not reported as damage;
# the trail's entry of each batch says the same.  ``ops_mac`` is there when the purge
# had the root key.
PURGED = Table(
    "purged",
    METADATA,
    Column("token", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("ops_mac", LargeBinary),
)

AUDIT_ENTRY = Table(
    "audit_entry",
    METADATA,
    Column("seq", ROW_ID, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("detail", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)

# One row: how many entries there are and the key the next one is made with,
# itself sealed under the web key file.
AUDIT_HEAD = Table(
    "audit_head",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("sealed_chain_key", LargeBinary, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
