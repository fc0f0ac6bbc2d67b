"""``flask --app wsgi operators|sessions`` set who may log in and show who is."""

from __future__ import annotations

import click
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app import current
from app.cli import SiteGroup, account, example, fail, harmless
from app.db import work
from vault.clock import DAY_SECONDS, japan_stamp
from vault.store.database import reading
from vault.web.newest_entries import newest_entries

from . import codes, first_password, listing, lockout, logins, service, shared_ids
from .factors import rules
from .models import Address, Login, Operator
from .new_operator import NewOperator, checked_address, taken
from .pages import hasher
from .shared_ids import Sharing

operators = SiteGroup("operators", help="Who may log in.")
sessions = SiteGroup("sessions", help="Who is logged in.")


@operators.command(
    epilog=example("operators add taro --name 太郎 --email taro@example.co.jp")
)
@click.argument("login_id")
@click.option("--name", required=True, help="The person's name.")
@click.option(
    "--email",
    "emails",
    multiple=True,
    required=True,
    help="An address codes may go to; give it again for more.",
)
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the first password from standard input.",
)
@click.option(
    "--no-change", is_flag=True, help="Don't ask for a new password at the first login."
)
@click.option(
    "--shared",
    is_flag=True,
    help="Several persons use this ID: an exception, see PCI DSS 8.2.2.",
)
@click.option("--reason", default="", help="With --shared: why.")
@click.option("--approver", default="", help="With --shared: who allowed it.")
@click.option(
    "--until", default="", help="With --shared: its last day, within 90 days."
)
def add(
    login_id: str,
    name: str,
    emails: tuple[str, ...],
    password_stdin: bool,
    no_change: bool,
    shared: bool,
    reason: str,
    approver: str,
    until: str,
) -> None:
    """Add an operator; without --password-stdin a random first password is
    printed once.

    A shared ID (--shared) ends with its day, and the trail names the address
    each person confirmed.
    """
    sharing = _sharing(shared, reason, approver, until)
    new = NewOperator.checked(login_id, name, emails, sharing)
    if service.by_login_id(work().site, login_id):
        raise taken(login_id)
    work().release()
    password = first_password.given(new) if password_stdin else first_password.random()
    _store(new, hasher().hash(password), must_change=not no_change)
    if password_stdin:
        click.echo(f"added {login_id}")
    else:
        life = "" if no_change else ", good for 24 hours"
        first_password.show_once(f"added {login_id}", login_id, password, life)


def _store(new: NewOperator, password_hash: str, *, must_change: bool) -> None:
    """Write a new operator and its entry in the trail; raises OperatorRefused when
    another command has just taken the login ID."""
    work().write()
    service.add_operator(
        work().site,
        new.login_id,
        new.name,
        new.addresses,
        password_hash,
        must_change=must_change,
        now=current.now(),
        sharing=new.sharing,
    )
    try:
        work().site.flush()
    except IntegrityError:
        raise taken(new.login_id) from None
    _done("operator.added", new.login_id, _shared_detail(new.sharing))


@operators.command("list", epilog=example("operators list --csv > operators.csv"))
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with all dates.")
def list_operators(as_csv: bool) -> None:
    """Show every operator: login ID, name, state with enrolled factors, addresses.

    CSV is for a review of the accounts: when each was made, enabled, disabled and last
    logged in, since when it is unused, when the password was changed and the factors were
    enrolled.  It is UTF-8 with a byte order mark, as Excel reads it; times are Japan's.
    """
    found = work().site.scalars(select(Operator).order_by(Operator.login_id)).all()
    if not as_csv:
        _print([_line(operator) for operator in found])
        return
    with reading(current.vault().engine) as db:
        names = [operator.login_id for operator in found]
        entries = newest_entries(db, names, listing.EVENTS)
    lines = list(listing.review(found, entries, _state))
    work().release()
    for line in lines:
        # CSV is UTF-8 whatever the terminal's encoding is.
        click.echo(line.encode(), nl=False)


@operators.command(epilog=example("operators disable taro"))
@click.argument("login_id")
def disable(login_id: str) -> None:
    """Keep an operator out from their next request on."""
    operator = _operator(login_id)
    operator.disabled_at = current.now()
    logins.end_all(work().site, current.now(), operator.id)
    _done("operator.disabled", login_id)
    click.echo(f"disabled {login_id}")


@operators.command(epilog=example("operators enable taro"))
@click.argument("login_id")
def enable(login_id: str) -> None:
    """Let a disabled operator, or one unused for 90 days, in again."""
    operator = _operator(login_id)
    operator.disabled_at, operator.used_at = 0, current.now()
    _done("operator.enabled", login_id)
    click.echo(f"enabled {login_id}")


@operators.command(epilog=example("operators unlock taro"))
@click.argument("login_id")
def unlock(login_id: str) -> None:
    """Lift a lock after too many failures, and the limit of ten codes a day."""
    _let_in_again(_operator(login_id))
    _done("operator.unlocked", login_id)
    click.echo(f"unlocked {login_id}")


@operators.command("reset-password", epilog=example("operators reset-password taro"))
@click.argument("login_id")
def reset_password(login_id: str) -> None:
    """Print a new first password once; the old one and every login end, and so do a
    lock and the limit of ten codes a day."""
    password = first_password.random()
    new_hash = hasher().hash(password)
    operator = _operator(login_id)
    service.set_password(work().site, operator, new_hash, current.now())
    operator.must_change, operator.first_password_until = (
        True,
        current.now() + DAY_SECONDS,
    )
    _let_in_again(operator)
    logins.end_all(work().site, current.now(), operator.id)
    _done("operator.password_reset", login_id)
    first_password.show_once(
        f"reset {login_id}", login_id, password, ", good for 24 hours"
    )


@operators.command("reset-factors", epilog=example("operators reset-factors taro"))
@click.argument("login_id")
def reset_factors(login_id: str) -> None:
    """Forget an operator's authenticator app and passkeys, for one who lost them.

    Their logins end.  The next one takes a mailed code; where LOGIN_FACTOR asks for
    more, they enrol again at once.
    """
    if not rules.reset(work().site, _operator(login_id), current.now()):
        fail(
            f"{login_id} has neither an authenticator app nor a passkey",
            "see flask --app wsgi operators list",
        )
    _done("operator.factors_reset", login_id)
    click.echo(f"reset the factors of {login_id}")


@operators.command(
    "add-email", epilog=example("operators add-email taro taro@example.co.jp")
)
@click.argument("login_id")
@click.argument("address")
def add_email(login_id: str, address: str) -> None:
    """Bind one more address to an operator."""
    operator, address = _operator(login_id), checked_address(address)
    if any(
        bound.address.casefold() == address.casefold() for bound in operator.addresses
    ):
        fail(
            f"{address} is bound to {login_id} already",
            "see flask --app wsgi operators list",
        )
    operator.addresses.append(Address(address=address))
    _done("operator.address_added", login_id)
    click.echo(f"bound {address} to {login_id}")


@operators.command(
    "remove-email", epilog=example("operators remove-email taro taro@example.co.jp")
)
@click.argument("login_id")
@click.argument("address")
def remove_email(login_id: str, address: str) -> None:
    """Unbind an address from an operator; logins by codes to it end."""
    operator = _operator(login_id)
    kept = [a for a in operator.addresses if a.address.casefold() != address.casefold()]
    if len(kept) == len(operator.addresses):
        fail(
            f"{address} is not bound to {login_id}",
            "see flask --app wsgi operators list",
        )
    operator.addresses[:] = kept
    logins.end_confirmed_by(work().site, operator.id, address, current.now())
    _done("operator.address_removed", login_id)
    click.echo(f"unbound {address} from {login_id}")


@sessions.command("list", epilog=example("sessions list"))
def list_sessions() -> None:
    """Show who is logged in: login ID, step, origin, minutes since last seen, and when
    the login began (Japan)."""
    lines = []
    for login in work().site.scalars(select(Login).order_by(Login.seen_at.desc())):
        if not logins.is_over(login, current.now()):
            minutes = (current.now() - login.seen_at) // 60
            who, origin = login.operator.login_id, login.origin
            began = japan_stamp(login.created_at)
            lines.append(f"{who}\t{login.step}\t{origin}\t{minutes}\t{began}")
    _print(lines)


@sessions.command("end", epilog=example("sessions end taro"))
@click.argument("login_id", required=False)
@click.option("--all", "everyone", is_flag=True, help="End everyone's.")
def end_sessions(login_id: str | None, everyone: bool) -> None:
    """End an operator's login, or everyone's."""
    if everyone == bool(login_id):
        fail("give a login ID or --all", "flask --app wsgi sessions end --help")
    operator_id = _operator(login_id).id if login_id else None
    if everyone:
        work().write()
        service.hold(work().site)
    count = logins.end_all(work().site, current.now(), operator_id)
    _done("session.ended", login_id or "everyone")
    click.echo(f"ended {count}")


def _line(operator: Operator) -> str:
    bound = " ".join(address.address for address in operator.addresses)
    has = ", ".join([_state(operator), *sorted(rules.enrolled(operator))])
    return f"{operator.login_id}\t{operator.name}\t{has}\t{bound}"


def _print(lines: list[str]) -> None:
    """Print lines after releasing every lock, as a pager may take long."""
    work().release()
    for line in lines:
        click.echo(harmless(line))


def _operator(login_id: str) -> Operator:
    """Begin to write, and return the operator to be changed, locked."""
    work().write()
    operator = service.held_by_login_id(work().site, login_id)
    if operator is None:
        fail(
            f"no operator has the login ID {login_id}",
            "see flask --app wsgi operators list",
        )
    return operator


def _let_in_again(operator: Operator) -> None:
    """Lift what failures and mailed codes keep an operator out by."""
    lockout.unlock(operator)
    codes.lift_day_limit(work().site, operator.id)


def _sharing(shared: bool, reason: str, approver: str, until: str) -> Sharing | None:
    """What the options --shared, --reason, --approver and --until say together."""
    if not shared:
        if reason or approver or until:
            fail("--reason, --approver and --until belong to --shared", "add --shared")
        return None
    if current.settings().login_factor != "mail":
        fail(
            "a shared ID's persons are told apart by mailed codes, "
            "and LOGIN_FACTOR asks for another factor",
            "give each person an ID",
        )
    try:
        return Sharing.allow(reason, approver, until, current.now())
    except ValueError as fault:
        fail(
            str(fault), "add --shared --reason TEXT --approver NAME --until YYYY-MM-DD"
        )


def _shared_detail(allowed: Sharing | None) -> dict[str, str]:
    """The detail of the trail's entry about a shared ID."""
    if allowed is None:
        return {}
    return {
        "shared_reason": allowed.reason,
        "shared_approver": allowed.approver,
        "shared_until": shared_ids.last_day(allowed.until),
    }


def _state(operator: Operator) -> str:
    if operator.disabled_at:
        return "disabled"
    if operator.locked_until > current.now():
        return "locked"
    if logins.has_ended(operator, current.now()):
        return "ended"
    if current.now() - operator.used_at > service.UNUSED_SECONDS:
        return "unused"
    if operator.shared_until:
        return f"shared until {shared_ids.last_day(operator.shared_until)}"
    return "first password" if operator.must_change else "active"


def _done(event: str, subject: str, detail: dict[str, str] | None = None) -> None:
    """Record the act in the trail and commit both databases."""
    work().record(event, account(), subject=subject, detail=detail)
    work().commit()
