"""What the code page says when no mail comes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.actors.operator_browser import Desk
from tests.places.site import PASSWORD

LATER = "1分たってもメールが届かない場合は"
# Where the style's clock is: it stands still until the test turns it.
TURN = """(seconds) => {
    for (const one of document.getAnimations()) {
        one.pause();
        one.currentTime = seconds * 1000;
    }
}"""


@pytest.mark.parametrize("bound", [True, False], ids=["bound", "unbound"])
def test_after_a_minute_the_page_says_what_to_do(
    new_desk: Callable[..., Desk], bound: bool
) -> None:
    """And not before; nothing is moved by it but what stands below, and it is the same
    whether or not the address is bound."""
    desk = new_desk()
    login_id = desk.site.operator()
    desk.open("/login")
    desk.fill(login_id=login_id, password=PASSWORD)
    desk.press("ログイン")
    desk.fill(email=f"{login_id if bound else 'nobody'}@example.co.jp")
    desk.press("送信")
    note = desk.page.locator(".later")
    again = desk.page.get_by_role("button", name="認証コードを再送信")
    places = []
    for seconds, shown in ((0, False), (59.9, False), (60, True)):
        desk.page.evaluate(TURN, seconds)
        assert note.is_visible() is shown
        places.append(again.bounding_box())
    assert LATER in note.inner_text()
    assert places[0] == places[1] == places[2]
    desk.look("code-later", narrow=True)
    assert desk.wrong == []
