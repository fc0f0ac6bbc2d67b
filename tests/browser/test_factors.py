"""The manual's walk with an authenticator app, and with a passkey."""

from __future__ import annotations

import time
from base64 import b32decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import expect

from app.auth.factors import totp
from tests.actors.mail import Mails, receiving
from tests.actors.operator_browser import Desk, Site
from tests.places.site import PASSWORD, Place

from .manual import delete, edit, register

PASSKEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@dataclass
class NamedPlace(Place):
    """A place under a host name: a passkey belongs to one."""

    @property
    def url(self) -> str:
        """Where the site answers."""
        return f"http://localhost:{self.port}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site on http://localhost."""
    mails = Mails()
    with receiving(mails) as port:
        place = NamedPlace(tmp_path_factory.mktemp("site"), mail_port=port)
        with place.make().serving():
            site = Site(place, mails)
            yield site
            site.end()


def give_password(desk: Desk, login_id: str) -> None:
    """The login's first page."""
    desk.open("/login")
    desk.fill(login_id=login_id, password=PASSWORD)
    desk.press("ログイン")


def code_now(seed: bytes, steps: int = 0) -> str:
    """What the app shows, so many steps from now."""
    return totp.code_at(seed, int(time.time()) // 30 + steps)


def walk_the_manual(desk: Desk) -> None:
    """Register, edit, delete, log out: as the manual says.  The test of the manual
    looks at these pages."""
    desk.dialogs.clear()
    desk.looks = False
    register(desk)
    edit(desk)
    delete(desk)
    desk.looks = True
    desk.press("ログアウト")
    assert "ログアウトしました。" in desk.text()
    assert desk.wrong == []


def enrol_app(desk: Desk) -> bytes:
    """ログイン方法の設定, from the list's header to the confirmed code."""
    desk.press("ログイン方法の設定")
    desk.look("factors")
    desk.press("認証アプリを設定")
    picture = desk.page.locator("img.qr")
    assert (
        picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    )
    desk.look("app")
    seed = b32decode(desk.page.locator(".secret").inner_text().replace(" ", ""))
    desk.fill(code="000000")
    desk.press("設定")
    assert "認証コードが正しくありません。" in desk.text()
    desk.look("app-error")
    desk.fill(code=code_now(seed))
    desk.press("設定")
    assert "認証アプリを設定しました。" in desk.text()
    desk.look("factors-with-app")
    desk.press("戻る")
    return seed


@pytest.mark.parametrize(
    "scripts", [True, False], ids=["with-script", "without-script"]
)
def test_the_manual_works_with_an_app(
    new_desk: Callable[..., Desk], scripts: bool
) -> None:
    """The second page is left out, the third takes the app's code; the rest is as
    printed."""
    desk = new_desk(scripts=scripts)
    login_id = desk.login()
    seed = enrol_app(desk)
    desk.press("ログアウト")
    give_password(desk, login_id)
    assert (
        "認証アプリに表示されている6桁の認証コードを入力してください。" in desk.text()
    )
    desk.look("code")
    desk.fill(code="000000")
    desk.press("ログイン")
    assert "認証コードが正しくありません。（残り4回）" in desk.text()
    desk.look("code-error")
    # The next step's: this one's is used up, and time may go on meanwhile.
    desk.fill(code=code_now(seed, 1))
    desk.press("ログイン")
    assert "前回のログイン" in desk.text()
    walk_the_manual(desk)


def plug_in(desk: Desk) -> Callable[[bool], None]:
    """Give the browser a passkey holder that says yes by itself; what is returned
    tells it whether it knows its user's finger from now on."""
    session = desk.page.context.new_cdp_session(desk.page)
    session.send("WebAuthn.enable")
    holder = session.send("WebAuthn.addVirtualAuthenticator", {"options": PASSKEY})

    def verify(known: bool) -> None:
        session.send("WebAuthn.setUserVerified", {**holder, "isUserVerified": known})

    return verify


def test_the_manual_works_with_a_passkey(new_desk: Callable[..., Desk]) -> None:
    """One button on the third page; the rest is as printed."""
    desk = new_desk()
    plug_in(desk)
    login_id = desk.login()
    desk.press("ログイン方法の設定")
    desk.press("パスキーを追加")
    expect(desk.page.get_by_text("パスキーを追加しました。")).to_be_visible()
    desk.look("factors-with-passkey")
    desk.press("戻る")
    desk.press("ログアウト")
    give_password(desk, login_id)
    assert "登録したパスキーでログインしてください。" in desk.text()
    desk.look("code")
    desk.press("パスキーでログイン")
    desk.page.wait_for_url("**/cards")
    walk_the_manual(desk)


# What extensions of browsers did to a passkey's answer.
BROKEN_TO_JSON = [
    "() => { throw new TypeError('Illegal invocation'); }",
    "() => ({ id: 'A', rawId: { 0: 1 } })",
]


@pytest.mark.parametrize("broken", BROKEN_TO_JSON, ids=["raises", "nonsense"])
def test_a_passkey_works_whatever_an_extension_made_of_to_json(
    new_desk: Callable[..., Desk], broken: str
) -> None:
    """Its fields are read one by one, at enrolling and at logging in."""
    desk = new_desk()
    script = f"PublicKeyCredential.prototype.toJSON = {broken};"
    for name in ("parseCreationOptionsFromJSON", "parseRequestOptionsFromJSON"):
        script += f"PublicKeyCredential.{name} = {broken};"
    desk.page.add_init_script(script)
    plug_in(desk)
    login_id = desk.login()
    desk.press("ログイン方法の設定")
    desk.press("パスキーを追加")
    expect(desk.page.get_by_text("パスキーを追加しました。")).to_be_visible()
    desk.press("ログアウト")
    give_password(desk, login_id)
    desk.press("パスキーでログイン")
    desk.page.wait_for_url("**/cards")
    assert desk.wrong == []


def test_a_passkeys_answer_that_cannot_be_read_names_the_extension(
    new_desk: Callable[..., Desk],
) -> None:
    """However often it is pressed nothing is sent, so nothing is counted, and the right
    browser still logs in."""
    desk = new_desk()
    plug_in(desk)
    login_id = desk.login()
    desk.press("ログイン方法の設定")
    desk.press("パスキーを追加")
    expect(desk.page.get_by_text("パスキーを追加しました。")).to_be_visible()
    desk.press("ログアウト")
    give_password(desk, login_id)
    desk.page.evaluate(
        """() => {
            window.kept = navigator.credentials.get.bind(navigator.credentials);
            const odd = { id: "A", rawId: { 0: 1 }, response: {} };
            navigator.credentials.get = async () => odd;
        }"""
    )
    said = desk.page.get_by_text(
        "ブラウザーの拡張機能（パスワード管理など）を無効にして"
    )
    for _ in range(6):
        desk.page.get_by_role("button", name="パスキーでログイン").click()
        expect(said).to_be_visible()
    desk.page.evaluate("() => { navigator.credentials.get = window.kept; }")
    desk.press("パスキーでログイン")
    desk.page.wait_for_url("**/cards")
    assert "その後のログイン失敗：0回" in desk.text()


def test_both_stand_side_by_side(new_desk: Callable[..., Desk]) -> None:
    """The app's box first, the passkey's button below; a refused passkey says so
    and leaves the box."""
    desk = new_desk()
    verify = plug_in(desk)
    login_id = desk.login()
    seed = enrol_app(desk)
    desk.press("ログイン方法の設定")
    desk.press("パスキーを追加")
    expect(desk.page.get_by_text("パスキーを追加しました。")).to_be_visible()
    desk.look("factors-with-both")
    desk.press("ログアウト")
    give_password(desk, login_id)
    desk.look("code")
    verify(False)
    desk.page.get_by_role("button", name="パスキーでログイン").click()
    said = desk.page.get_by_text("パスキーを確認できませんでした。")
    expect(said).to_be_visible()
    desk.look("passkey-refused")
    desk.fill(code=code_now(seed, 1))
    desk.press("ログイン")
    assert "クレジットカード情報の一覧" in desk.text()
    assert desk.wrong == []


def test_a_passkey_is_named_and_given_up_after_one_question(
    new_desk: Callable[..., Desk],
) -> None:
    """The browser's own dialog asks by the name; the list says which one went."""
    desk = new_desk()
    plug_in(desk)
    desk.login()
    enrol_app(desk)
    desk.press("ログイン方法の設定")
    box = desk.page.get_by_label("パスキーの名前", exact=True)
    expect(box).to_have_value("このパソコン")
    form = desk.page.locator("form.passkey")
    expect(form).to_contain_text("あとで見分けるための名前です（30文字以内）。")
    expect(form).not_to_contain_text("JavaScript")
    box.fill("事務所のパソコン")
    desk.press("パスキーを追加")
    expect(desk.page.get_by_text("事務所のパソコン")).to_be_visible()
    desk.look("factors-named", narrow=True)
    desk.dialogs.clear()
    desk.press("パスキー「事務所のパソコン」を削除")
    expect(desk.page.get_by_text("パスキーを削除しました。")).to_be_visible()
    asked = "パスキー「事務所のパソコン」を削除します。よろしいですか？"
    assert desk.dialogs == [asked]
    assert desk.wrong == []


def test_without_scripts_a_factor_is_given_up_by_its_own_box(
    new_desk: Callable[..., Desk],
) -> None:
    """Beside each factor stands the question; the browser asks for the box."""
    desk = new_desk()
    plug_in(desk)
    desk.login()
    enrol_app(desk)
    desk.press("ログイン方法の設定")
    desk.press("パスキーを追加")
    expect(desk.page.get_by_text("パスキーを追加しました。")).to_be_visible()
    plain = new_desk(scripts=False)
    for cookie in desk.page.context.cookies():
        name, value = cookie["name"], cookie["value"]
        plain.page.context.add_cookies(
            [{"name": name, "value": value, "url": desk.page.url}]
        )
    plain.open("/factors")
    button = plain.page.get_by_role("button", name="認証アプリを削除", exact=True)
    button.click()
    assert "設定済み" in plain.text()
    plain.press("認証アプリを削除")
    assert "認証アプリを削除しました。" in plain.text()
    assert "このパソコン" in plain.text()
    assert plain.wrong == []


def test_without_scripts_a_passkey_says_what_it_needs(
    new_desk: Callable[..., Desk],
) -> None:
    """Nothing to press that does nothing; a phone's width has room for it."""
    desk = new_desk(scripts=False, width=390)
    desk.login()
    desk.press("ログイン方法の設定")
    assert "ブラウザーのJavaScriptを有効にしてください。" in desk.text()
    button = desk.page.get_by_role("button", name="パスキーを追加")
    assert button.count() == 0
    assert desk.page.get_by_label("パスキーの名前").is_hidden()
    desk.look("factors-phone")
    desk.press("認証アプリを設定")
    desk.look("app-phone")
    desk.press("戻る")
    desk.press("戻る")
    desk.look("list-phone")
    assert desk.wrong == []
