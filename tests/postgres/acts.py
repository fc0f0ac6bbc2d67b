"""What operators, strangers and commands do to one customer or one operator."""

from __future__ import annotations

from app.cards import reconcile, unsaved
from app.db import Work
from tests.actors.forms import CHANGE, csrf
from tests.actors.operator_client import A_CARD, Desk, boxes
from tests.places.vault import EXPIRY, NOON, VISA, FakeClock
from vault import Pan, Vault, crypto
from vault.errors import LeaseHeld, VaultError
from vault.ops.purge import Purge
from vault.ops.rotation.start import take_up
from vault.ops.web_key_rotation import sign_all_rows

from .meeting import ADDRESS, CODE, OPS, PASSWORD, Act, Here

# Every card of these tests has expired by then.
YEARS_LATER = NOON + 10 * 366 * 24 * 3600
REFUSED = 2
HEADING = "customer_name,phone,card_number,exp_month,exp_year"

CUSTOMER_ACTS = ("register", "name", "expiry", "number", "delete", "reconcile")
OPERATOR_ACTS = (
    "wrong password",
    "right password",
    "ask",
    "again",
    "right code",
    "wrong code",
    "logout",
    "change",
)

# --- Acts on a customer.


def customer_act(here: Here, desk: Desk, name: str, public_id: str) -> Act:
    """An act on a customer, the form filled in."""
    if name == "reconcile":
        seal_alone(here)
        return _or_refused(lambda: mend(here))
    if name == "register":
        desk.open("/cards")
        path, fields = "/cards", desk.filled("登録", **A_CARD)
    else:
        path = f"/cards/{public_id}/edit"
        desk.open(path)
        button = "削除" if name == "delete" else "更新"
        changes = {
            "name": {"customer_name": "B"},
            "expiry": {"exp_month": "12", "exp_year": "2031"},
            "number": boxes("5555", "5555", "5555", "4444"),
            "delete": {},
        }
        fields = desk.filled(button, confirmed="y", **changes[name])
    return lambda: desk.send(path, fields).status_code


def seal_alone(here: Here) -> None:
    """A card that a crash left two hours ago."""
    vault = here.app.extensions["vault"]
    other = Vault(vault.web_key, vault.engine, FakeClock(NOON - 7200))
    with vault.engine.begin() as db:
        other.tokenize(db, Pan.parse(VISA), EXPIRY, OPS)


def mend(here: Here) -> int:
    """What ``cards reconcile --apply`` does."""
    vault = here.app.extensions["vault"]
    work = Work(here.site, vault)
    try:
        found = reconcile.orphans(work, vault, NOON)
        due = [orphan for orphan in found if not orphan.young]
        lost = unsaved.changes(work, vault)
        list(reconcile.remove(work, vault, due, OPS))
        list(unsaved.record_changes(work, lost, OPS))
        list(reconcile.other_expiries(work, vault, NOON, OPS, applied=True))
    finally:
        work.close()
    return 0


def purge(here: Here) -> int:
    """What ``cardvault purge`` does in ten years."""
    vault = here.vault
    later = Vault(vault.web_key, vault.engine, FakeClock(YEARS_LATER))
    run = Purge(later, 0)
    for _ in run.run(OPS):
        pass
    assert run.damaged == []
    return 0


def rotate(here: Here) -> int:
    """What ``cardvault rotate`` does."""
    try:
        rotation = take_up(here.open_vault(), OPS, "")
        for _ in (*rotation.reencrypt(1000), *rotation.read_back()):
            pass
        rotation.finish(OPS)
    except LeaseHeld:
        return 1
    return 0


def rotate_web_key(here: Here) -> int:
    """What ``cardvault web-key rotate`` does, and the restart after it."""
    vault = here.open_vault()
    own, new_key = vault.web_key, crypto.new_key()
    new = own.successor(vault.ops, root=own.root, sealing_key=new_key)
    sign_all_rows(vault, new, OPS)
    here.renew(new)
    return 0


def import_file(here: Here) -> int:
    """What ``cards import`` does with a file of one customer."""
    number = next(here.numbers)
    name = "".join(chr(ord("あ") + int(digit)) for digit in str(number))
    path = here.folder / f"{number}.csv"
    # Files of one size are compared with each other, which takes its time.
    blank = "\n" * number
    path.write_text(f"{HEADING}\n{name},090-0000-0000,{VISA},1,2030\n{blank}")
    return here.command("cards", "import", str(path))


COMMANDS = {
    "purge": purge,
    "rotate": rotate,
    "web-key rotate": rotate_web_key,
    "import": import_file,
}


def command_act(here: Here, name: str) -> Act:
    """A command on every card, among them the customer's."""
    return _or_refused(lambda: COMMANDS[name](here))


def _or_refused(act: Act) -> Act:
    """The act; it answers REFUSED when the vault is not this web key's any more."""

    def act_or_refused() -> int:
        try:
            return act()
        except VaultError:
            return REFUSED

    return act_or_refused


# --- Acts on an operator.


def operator_act(here: Here, name: str, login_id: str) -> Act:
    """An act of an operator, or of a stranger who knows the login ID."""
    if name in ("wrong password", "right password"):
        client, page = here.app.test_client(), "/login"
        typed = PASSWORD if name.startswith("right") else "no such password 1"
        fields = {"login_id": login_id, "password": typed}
        path = "/login"
    else:
        step = {"ask": "password", "again": "code", "logout": "in", "change": "in"}
        client = here.visitor(login_id, step.get(name, "code"))
        page, path, fields = {
            "ask": ("/login/email", "/login/email", {"email": ADDRESS}),
            "again": ("/login/code", "/login/code/resend", {}),
            "right code": ("/login/code", "/login/code", {"code": CODE}),
            "wrong code": ("/login/code", "/login/code", {"code": "22222222"}),
            "logout": ("/cards", "/logout", {}),
            "change": ("/password", "/password", dict(CHANGE)),
        }[name]
    fields["csrf_token"] = csrf(client.get(page).text)
    return lambda: client.post(path, data=fields).status_code


OPERATOR_COMMANDS = {
    "unlock": ("operators", "unlock"),
    "reset-password": ("operators", "reset-password"),
    "disable": ("operators", "disable"),
    "remove-email": ("operators", "remove-email"),
    "sessions end": ("sessions", "end"),
}


def operator_command(here: Here, name: str, login_id: str) -> Act:
    """A command on the operator."""
    address = (ADDRESS,) if name == "remove-email" else ()
    return lambda: here.command(*OPERATOR_COMMANDS[name], login_id, *address)
