"""The web role's verbs."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from sqlalchemy import select, text, update

from tests.places.vault import VISA, FakeClock, VaultPlace
from vault import Actor, Expiry, Pan, Token, Vault, VaultSettings, WebKey, errors, trail
from vault.store.schema import CARD, DATA_KEY
from vault.web.data_keys import DATA_KEY_SEALS
from vault.web.live_key import DATA_KEY_SECONDS

Register = Callable[..., Token]


def keys_of(place: VaultPlace) -> list[tuple[int, str, int]]:
    """Every data key: number, state, seals."""
    with place.engine.connect() as db:
        rows = db.execute(select(DATA_KEY).order_by(DATA_KEY.c.id)).all()
    return [(row.id, row.state, row.seals) for row in rows]


def test_a_sealed_card_is_described_and_opens(
    place: VaultPlace, vault: Vault, register: Register
) -> None:
    """What went in is told masked by the web role and whole by the ops role."""
    token = register(VISA, Expiry(2030, 1))
    with place.engine.connect() as db:
        card = vault.describe(db, token)
        row = db.execute(select(CARD)).one()
        assert place.open_vault().digits(db, row) == VISA.encode()
    assert (card.masked, card.brand, card.expiry) == (
        "48**-****-****-0000",
        "visa",
        Expiry(2030, 1),
    )
    assert place.findings() == {}


def test_the_same_card_twice_gives_unrelated_tokens(register: Register) -> None:
    """Nothing about a token tells that two cards are the same."""
    assert register() != register()


def test_a_replaced_card_keeps_the_old_one_until_it_is_deleted(
    place: VaultPlace, vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """replace seals a second card; delete then takes the first."""
    old = register()
    with vault.engine.begin() as db:
        amex = Pan.parse("378282246310005")
        new = vault.replace(db, old, amex, Expiry(2031, 2), operator_actor)
    with vault.engine.begin() as db:
        assert vault.describe(db, old).last4 == "0000"
        vault.delete(db, old, operator_actor)
    with vault.engine.connect() as db:
        assert vault.describe(db, new).masked == "37**-******-*0005"
        with pytest.raises(errors.UnknownToken):
            vault.describe(db, old)
        events = [entry.event for entry in vault.history(db, new)]
    assert events == ["card.deleted", "card.replaced", "card.registered"]
    assert place.findings() == {}


def test_an_expiry_changes_alone(
    place: VaultPlace, vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """The number stays sealed as it was; rev goes up and the trail says both dates."""
    token = register()
    with vault.engine.begin() as db:
        before = db.execute(select(CARD.c.envelope)).scalar_one()
        vault.set_expiry(db, token, Expiry(2040, 12), operator_actor)
        assert vault.describe(db, token).expiry == Expiry(2040, 12)
        assert vault.describe(db, token).rev == 2
        assert db.execute(select(CARD.c.envelope)).scalar_one() == before
        vault.enter(db)
        latest = vault.history(db, token)[0]
    assert (latest.detail["before"], latest.detail["after"]) == ("01/2030", "12/2040")
    assert place.findings() == {}


def test_unknown_tokens_are_refused(vault: Vault, operator_actor: Actor) -> None:
    """Every verb says so, and nothing is written."""
    token, expiry = Token.new(), Expiry(2030, 1)
    with vault.engine.begin() as db:
        for act in (
            lambda: vault.describe(db, token),
            lambda: vault.delete(db, token, operator_actor),
            lambda: vault.set_expiry(db, token, expiry, operator_actor),
            lambda: vault.replace(db, token, Pan.parse(VISA), expiry, operator_actor),
        ):
            with pytest.raises(errors.UnknownToken, match=token):
                act()


def test_one_process_seals_with_one_data_key(
    place: VaultPlace, register: Register
) -> None:
    """Its seals are counted in the key's row."""
    for _ in range(3):
        register()
    assert keys_of(place) == [(1, "live", 3)]


def test_another_process_mints_a_key_of_its_own(
    place: VaultPlace, register: Register, operator_actor: Actor
) -> None:
    """Two web roles never share a data key."""
    register()
    other = place.vault()
    with other.engine.begin() as db:
        other.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
    assert keys_of(place) == [(1, "live", 1), (2, "live", 1)]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_mints_a_key_of_its_own(
    place: VaultPlace, vault: Vault, register: Register
) -> None:
    """A key made before a fork is not in memory after it."""
    register()
    child = os.fork()
    if child == 0:
        vault.engine.dispose(close=False)
        gone = vault._live is None
        register()
        os._exit(0 if gone and vault._live is not None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert keys_of(place) == [(1, "live", 1), (2, "live", 1)]
    register()
    assert keys_of(place) == [(1, "live", 2), (2, "live", 1)]


def test_a_data_key_lives_a_day(place: VaultPlace, register: Register) -> None:
    """After 24 hours the next seal retires it and mints another."""
    register()
    place.clock.advance(DATA_KEY_SECONDS - 1)
    register()
    assert keys_of(place) == [(1, "live", 2)]
    place.clock.advance(1)
    register()
    assert keys_of(place) == [(1, "retired", 2), (2, "live", 1)]
    assert place.findings() == {}


def test_keys_that_dead_processes_left_are_retired(
    place: VaultPlace, register: Register, operator_actor: Actor
) -> None:
    """A day later the next process to mint a key retires them."""
    register()
    place.clock.advance(DATA_KEY_SECONDS + 1)
    other = place.vault()
    with other.engine.begin() as db:
        other.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
    assert keys_of(place) == [(1, "retired", 1), (2, "live", 1)]


def test_a_worn_data_key_is_retired(place: VaultPlace, register: Register) -> None:
    """At 2^20 seals the process mints another."""
    register()
    with place.engine.begin() as db:
        row = db.execute(select(DATA_KEY)).one()
        place.vault().set_key(db, row, seals=DATA_KEY_SEALS)
    register()
    assert keys_of(place) == [(1, "retired", DATA_KEY_SEALS), (2, "live", 1)]


def test_a_data_key_never_passes_its_limit(
    place: VaultPlace, register: Register
) -> None:
    """2^31 seals are refused, whoever counts (VLT-04)."""
    register()
    with place.engine.begin() as db:
        row = db.execute(select(DATA_KEY)).one()
        with pytest.raises(errors.KeyWornOut):
            place.vault().set_key(db, row, seals=2**31 + 1)


def test_a_key_whose_minting_was_rolled_back_is_never_used(
    place: VaultPlace, vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """A second card doesn't get sealed under a key that no row holds."""
    with vault.engine.connect() as db:
        db.begin()
        vault.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
        db.rollback()
    other = place.vault()
    with other.engine.begin() as db:
        other.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
    register()
    assert keys_of(place) == [(1, "live", 1), (2, "live", 1)]
    assert place.findings() == {}


def test_an_edited_key_row_is_never_sealed_under(
    place: VaultPlace, register: Register
) -> None:
    """The process mints another and verify names the edited one."""
    register()
    with place.engine.begin() as db:
        db.execute(update(DATA_KEY).values(created_at=1))
    register()
    assert keys_of(place) == [(1, "live", 1), (2, "live", 1)]
    assert "data key 1" in place.findings()


def test_a_key_in_use_cannot_be_destroyed(
    place: VaultPlace, register: Register
) -> None:
    """The database itself refuses, by deletion and by taking what opens."""
    register()
    for statement in (
        "DELETE FROM data_key",
        "UPDATE data_key SET opens = NULL, state = 'destroyed', wrapped = ''",
    ):
        with pytest.raises(Exception, match="FOREIGN KEY"), place.engine.begin() as db:
            db.execute(text(statement))


def test_a_damaged_row_can_still_be_given_up(
    place: VaultPlace, vault: Vault, register: Register, operator_actor: Actor
) -> None:
    """Describe and set_expiry refuse it; replace and delete work and say so."""
    token = register()
    with place.engine.begin() as db:
        db.execute(update(CARD).values(last4="9999"))
    with place.engine.begin() as db:
        with pytest.raises(errors.IntegrityFault, match=token):
            vault.describe(db, token)
        with pytest.raises(errors.IntegrityFault, match=token):
            vault.set_expiry(db, token, Expiry(2031, 1), operator_actor)
        new = vault.replace(db, token, Pan.parse(VISA), Expiry(2031, 1), operator_actor)
        vault.delete(db, token, operator_actor)
        vault.enter(db)
        deleted = vault.history(db, new)[0]
    assert (deleted.event, deleted.detail["before"]) == ("card.deleted", "damaged row")
    assert place.findings() == {}


def test_a_database_of_another_vault_is_refused(
    place: VaultPlace, operator_actor: Actor
) -> None:
    """The web key and the database must belong together; nothing is sealed."""
    foreign = WebKey("another", place.web_key.root, place.web_key.sealing_key)
    vault = Vault(foreign, place.engine, place.clock)
    with pytest.raises(errors.WrongVault, match="another"):
        vault.require_ready()
    sealed = (Pan.parse(VISA), Expiry(2031, 1), operator_actor)
    with vault.engine.begin() as db, pytest.raises(errors.WrongVault):
        vault.tokenize(db, *sealed)
    assert not vault.is_well()
    assert place.vault().is_well()


def test_a_vault_without_its_row_or_tables_is_not_well(place: VaultPlace) -> None:
    """Health is no when the database answers but holds no vault."""
    with place.engine.begin() as db:
        db.execute(text("DELETE FROM vault"))
    assert not place.vault().is_well()
    with place.engine.begin() as db:
        db.execute(text("DROP TABLE vault"))
    assert not place.vault().is_well()


def test_a_second_vault_row_is_refused(place: VaultPlace) -> None:
    """The database holds one vault."""
    with pytest.raises(Exception, match="CHECK"), place.engine.begin() as db:
        db.execute(text("UPDATE vault SET id = 2"))


def test_open_reads_the_web_key_file(place: VaultPlace) -> None:
    """Vault.open takes what the settings name and is ready at once."""
    path = place.folder / "web.key"
    place.web_key.write(path)
    settings = VaultSettings(database_url=place.url, web_key=path)
    Vault.open(settings, place.clock).require_ready()
    assert WebKey.read(path).vault_id == place.web_key.vault_id


def test_an_act_whose_entry_cannot_be_written_is_undone(
    place: VaultPlace, vault: Vault, operator_actor: Actor
) -> None:
    """Without a trail no card is sealed (AUD-03)."""
    with place.engine.begin() as db:
        db.execute(text("DELETE FROM audit_head"))
    with pytest.raises(errors.IntegrityFault), vault.engine.begin() as db:
        vault.tokenize(db, Pan.parse(VISA), Expiry(2030, 1), operator_actor)
    assert keys_of(place) == []


def test_a_clock_set_back_is_told_before_what_follows(
    place: VaultPlace, register: Register, clock: FakeClock
) -> None:
    """Once, with where it stood, by nobody who can log in (PCI DSS 10.6.3)."""
    register()
    before = clock()
    clock.advance(-61)
    tokens = {register(), register()}
    with place.engine.connect() as db:
        entries = list(trail.read_entries(db))
    (told,) = [e for e in entries if e.event == "clock.set_back"]
    assert (told.actor, told.at, told.detail) == (
        "system clock",
        before - 61,
        {"from": before},
    )
    assert tokens <= {e.subject for e in entries if e.seq > told.seq}
    assert place.findings() == {}


def test_two_hosts_clocks_may_be_a_minute_apart(
    place: VaultPlace, register: Register, clock: FakeClock
) -> None:
    """Nobody set either of them."""
    register()
    clock.advance(-60)
    register()
    with place.engine.connect() as db:
        events = {entry.event for entry in trail.read_entries(db)}
    assert "clock.set_back" not in events
