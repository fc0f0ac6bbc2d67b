"""An operator who registers cards by the keyboard alone, and counts the keys."""

from __future__ import annotations

from playwright.sync_api import expect

from .operator_browser import Desk


def press(desk: Desk, *keys: str) -> int:
    """Press keys; returns how many."""
    for key in keys:
        desk.page.keyboard.press(key)
    return len(keys)


def alt_n(desk: Desk) -> int:
    """Press Alt+N as a keyboard does; Playwright's own leaves out which letter it is."""
    session = desk.page.context.new_cdp_session(desk.page)
    key = {"key": "n", "code": "KeyN", "windowsVirtualKeyCode": 78, "modifiers": 1}
    for kind in ("rawKeyDown", "char", "keyUp"):
        text = {"text": "n", "unmodifiedText": "n"} if kind == "char" else {}
        session.send("Input.dispatchKeyEvent", {"type": kind, **text, **key})
    session.detach()
    return 1


def register_by_keys(
    desk: Desk,
    number: str = "4810000000020000",
    name: str = "鍵 太郎",
    phone: str = "0312345678",
    month: str = "1",
    year: str = "2030",
    *,
    each: bool = True,
) -> int:
    """Type a card from お客様名 on and send it; returns the keys that are no data.
    The page after it is open then.  Unless ``each`` key of the data is pressed, a field's
    come at once."""
    keyboard = desk.page.keyboard
    type_in = keyboard.type if each else keyboard.insert_text
    expect(desk.page.locator("[name=customer_name]")).to_be_focused()
    type_in(name)
    keys = press(desk, "Tab")
    type_in(phone)
    keys += press(desk, "Tab")
    # The caret goes on by itself, and stays in the last box.
    type_in(number)
    keys += press(desk, "Tab")
    type_in(month)
    keys += press(desk, "Tab")
    type_in(year)
    # The dialog is answered with one key more.
    keys += press(desk, "Enter") + 1
    desk.page.wait_for_url("**/registered*")
    return keys
