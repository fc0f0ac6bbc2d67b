"""A customer whose card is gone: what the operator sees, and what he can do."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from tests.actors.operator_client import Desk, boxes
from tests.places.vault import FakeClock
from vault import Actor
from vault.ops.purge import Purge

OTHER = boxes("5555", "5555", "5555", "4444")
NEW_EXPIRY = {"exp_month": "5", "exp_year": "2033"}
MASK = "48**-****-****-0000"
OPS = Actor("ops", "command")
# 01/2030 ended more than three years and some days ago then.
IN_2033 = 1_990_000_000
PURGED = "保存期間が過ぎたため、カード番号は削除されました。新しいカード番号を登録してください。"
GIVEN_UP = "カード番号を読み出せなくなったため、管理者が破棄しました。"
EXPIRY_NEEDED = "新しいカード番号の有効期限を入力してください。"
NUMBER_NEEDED = "新しいカード番号も入力してください。"


def purge(desk: Desk) -> None:
    """What cardvault purge does, years later."""
    vault = desk.vault
    for _ in Purge(vault, 90).run(OPS):
        pass


def give_up(desk: Desk) -> None:
    """What cardvault quarantine drop does."""
    vault, (customer,) = desk.vault, desk.customers()
    with vault.engine.begin() as db:
        db.execute(text("DELETE FROM card"))
        vault.record(db, "card.given_up", OPS, subject=customer.token)


@pytest.fixture
def purged(desk: Desk, clock: FakeClock) -> str:
    """A customer whose card was purged."""
    public_id = desk.register()
    now, clock.now = clock.now, IN_2033
    purge(desk)
    clock.now = now
    assert desk.cards() == 0
    return public_id


@pytest.fixture
def given_up(desk: Desk) -> str:
    """A customer whose card was given up."""
    public_id = desk.register()
    give_up(desk)
    return public_id


def test_the_list_has_a_word_beside_the_number(desk: Desk, purged: str) -> None:
    """削除済み beside the mask, which tells which card to ask for, and that a new
    number is needed; others show theirs as ever."""
    desk.open("/cards")
    assert purged in desk.page
    assert "削除済み" in desk.page
    assert "新しいカード番号を登録してください" in desk.page
    assert MASK in desk.page
    desk.register(customer_name="B")
    desk.open("/cards")
    assert (desk.page.count("削除済み"), desk.page.count(MASK)) == (1, 2)


def test_the_edit_page_says_what_happened_and_what_to_do(
    desk: Desk, purged: str
) -> None:
    """The notice, 削除済み beside the mask, and the purge in 変更履歴."""
    desk.open(f"/cards/{purged}/edit")
    assert PURGED in desk.page
    shown, _, history = desk.page.partition('id="history"')
    assert shown.index(MASK) < shown.index("削除済み")
    assert "カード番号の削除（保存期間の終了）" in history
    assert "2033/01/" in history
    assert MASK in history
    assert "管理者（保存期間の処理）" in history


@pytest.mark.engines("sqlite", "postgres")
def test_a_new_number_with_its_expiry_makes_it_whole(desk: Desk, purged: str) -> None:
    """One card again, the notice gone, and the history goes on."""
    assert desk.change(purged, **OTHER, **NEW_EXPIRY).status_code == 303
    desk.open(f"/cards/{purged}/edit")
    assert PURGED not in desk.page
    assert "55**-****-****-4444" in desk.page
    assert "カード番号の削除（保存期間の終了）" in desk.page
    assert "新規登録" in desk.page.partition("変更履歴")[2]
    assert desk.cards() == 1
    desk.open("/cards")
    assert "削除済み" not in desk.page


@pytest.mark.parametrize(
    ("kind", "half", "said"),
    [
        ("purged", OTHER, EXPIRY_NEEDED),
        ("given_up", OTHER, EXPIRY_NEEDED),
        ("purged", NEW_EXPIRY, f"カード番号は削除済みのため、{NUMBER_NEEDED}"),
        ("given_up", NEW_EXPIRY, f"カード番号は破棄済みのため、{NUMBER_NEEDED}"),
    ],
)
def test_half_of_a_card_is_refused(
    desk: Desk,
    request: pytest.FixtureRequest,
    kind: str,
    half: dict[str, str],
    said: str,
) -> None:
    """There is no number or expiry to keep."""
    public_id = request.getfixturevalue(kind)
    assert desk.change(public_id, **half).status_code == 422
    assert said in desk.errors
    assert desk.cards() == 0


def test_name_and_phone_can_change_without_a_number(desk: Desk, purged: str) -> None:
    """A customer who moved and has no new card yet: the mask tells which to ask for,
    with the word that it isn't stored."""
    assert desk.change(purged, customer_name="B").status_code == 303
    desk.open(f"/cards/{purged}/updated")
    assert desk.customers()[0].name == "B"
    assert f"{MASK}（削除済み）" in desk.page


@pytest.mark.parametrize("kind", ["purged", "given_up"])
def test_the_customer_can_be_deleted(
    desk: Desk, request: pytest.FixtureRequest, kind: str
) -> None:
    """There is no card left to delete with it."""
    public_id = request.getfixturevalue(kind)
    answer = desk.delete(public_id)
    desk.open(str(answer.location))
    assert "削除完了しました。" in desk.page
    assert desk.customers() == []


def test_a_card_given_up_says_so(desk: Desk, given_up: str) -> None:
    """破棄済み on the list, who did it on the edit page, and a new number mends it."""
    desk.open("/cards")
    assert "破棄済み" in desk.page
    desk.open(f"/cards/{given_up}/edit")
    assert GIVEN_UP in desk.page
    assert "カード番号の破棄" in desk.page
    assert desk.change(given_up, **OTHER, **NEW_EXPIRY).status_code == 303
    assert desk.cards() == 1


def test_a_card_that_is_missing_is_none_of_these(desk: Desk) -> None:
    """Nobody deleted it: 保管なし, and both ways out are named."""
    public_id = desk.register()
    with desk.vault.engine.begin() as db:
        db.execute(text("DELETE FROM card"))
    desk.open("/cards")
    assert "保管なし" in desk.page
    desk.open(f"/cards/{public_id}/edit")
    assert "このお客様のカード番号は保管されていません。" in desk.page
    assert "新しいカード番号への変更、または削除はできます。" in desk.page


@pytest.mark.engines("sqlite", "postgres")
def test_a_purge_between_opening_and_saving_is_told(
    desk: Desk, clock: FakeClock
) -> None:
    """A new expiry for a card that has gone meanwhile is refused in words."""
    public_id = desk.register()
    path = f"/cards/{public_id}/edit"
    desk.open(path)
    fields = desk.filled("更新", confirmed="y", **NEW_EXPIRY)
    now, clock.now = clock.now, IN_2033
    purge(desk)
    clock.now = now
    assert desk.send(path, fields).status_code == 422
    assert NUMBER_NEEDED in desk.errors
    assert PURGED in desk.page
