"""`leaver people accounts` and `account`: accounts as entities, and who knows their passwords."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from event_schema.printable import printable_name
from server.commands.moments import read_moment
from server.commands.opening import (
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.tables import echo_table
from server.leavers.account_list import AccountView, list_accounts
from server.people.account_facts import (
    SYSTEM_CHARACTERS,
    AccountRefused,
    AccountWords,
    DateRefused,
    Declared,
    UnknownAccount,
    declare_account,
    remove_account,
)
from server.people.account_names import account_key
from server.people.directory import load_directory
from server.people.facts import AccountKind
from server.people.flags import UnknownPerson
from server.people.person_rows import ACCOUNT_CHARACTERS

REASON_CHARACTERS = 1000
_KINDS: tuple[AccountKind, ...] = ("personal", "shared", "service", "partner")


@click.command("accounts")
@click.option("--unowned", is_flag=True, help="Only those that nobody owns now: somebody should.")
@data_option
@json_option
def show_accounts(unowned: bool, data: Path | None, as_json: bool) -> None:
    """Accounts, declared or only seen in events: whose they are, and who else knows the password."""
    with open_installation(data) as installation:
        now = system_clock()
        with installation.database.read() as connection:
            found = list_accounts(connection, load_directory(connection), now=now, unowned=unowned)
    if as_json:
        echo_json(found)
    elif not found:
        click.echo("Every account has an owner." if unowned else "No accounts yet.")
    else:
        echo_table(_accounts_table(found))


@click.command("account")
@click.argument("name", metavar="NAME")
@click.option("--system", default="", help="Valid in this application alone, as its access log names it.")
@click.option("--kind", type=click.Choice(_KINDS), help="Shared and service accounts say nobody used them.")
@click.option("--owner", metavar="ID", help="Who uses it, or answers for it.")
@click.option("--no-owner", is_flag=True, help="It belongs to nobody from now on.")
@click.option("--knows", multiple=True, metavar="ID", help="Who knows its password; may be given again.")
@click.option("--forgets", multiple=True, metavar="ID", help="Who no longer does, as far as one can say so.")
@click.option("--since", metavar="DATE", help="From when owner and knowers are; else now, or always.")
@click.option("--rotated", metavar="DATE", help="When its password or key last changed; 'now'.")
@click.option("--remove", is_flag=True, help="There is no such account: it was declared by mistake.")
@click.option("--reason", help="Why; kept in the audit trail for good, so without any name.")
@data_option
def account(
    name: str,
    system: str,
    kind: AccountKind | None,
    owner: str | None,
    no_owner: bool,
    knows: tuple[str, ...],
    forgets: tuple[str, ...],
    since: str | None,
    rotated: str | None,
    remove: bool,
    reason: str | None,
    data: Path | None,
) -> None:
    """Say what kind of account NAME is, whose, who knows its password, and when that changed."""
    if owner and no_owner:
        raise click.UsageError("--owner and --no-owner: one of them")
    if remove and (kind or owner or no_owner or knows or forgets or rotated or since):
        raise click.UsageError("--remove goes alone")
    key = account_key(name)
    if not 1 <= len(key) <= ACCOUNT_CHARACTERS or len(system) > SYSTEM_CHARACTERS:
        raise click.UsageError("NAME or --system is empty or too long")
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        if not (kind or owner or no_owner or knows or forgets or rotated or remove):
            raise click.UsageError("nothing to note: --kind, --owner, --knows, --rotated, …")
        now = system_clock()
        zone = installation.config.people.time_zone
        said = AccountWords(
            account=key,
            system=system.strip().casefold(),
            kind=kind,
            owner=owner,
            nobody=no_owner,
            knows=knows,
            forgets=forgets,
            since=None if since is None else read_moment("--since", since, zone, now),
            rotated_at=None if rotated is None else read_moment("--rotated", rotated, zone, now),
        )
        actor = system_actor()
        try:
            with installation.database.begin() as connection:
                if remove:
                    remove_account(connection, key, said.system, actor=actor, at=now, reason=why)
                    words = "removed"
                else:
                    words = _noted(said, declare_account(connection, said, actor=actor, at=now, reason=why))
        except (UnknownPerson, UnknownAccount, DateRefused, AccountRefused) as error:
            fail(str(error))
    click.echo(f"{printable_name(key)}: {words}")


def _noted(said: AccountWords, declared: Declared) -> str:
    if not declared.is_new:
        return "noted"
    where = f"of {printable_name(said.system)}" if said.system else "valid everywhere"
    others = ", ".join(printable_name(each) if each else "everywhere" for each in declared.elsewhere)
    also = f"; there is one of {others} too" if others else ""
    return f"noted; a new account, {where}{also}. If that was not meant: --remove"


def _accounts_table(found: list[AccountView]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("account", overflow="fold")
    table.add_column("where", overflow="fold")
    for column in ("kind", "owner"):
        table.add_column(column, no_wrap=True)
    table.add_column("known to", justify="right", no_wrap=True)
    for view in found:
        place = view.system or (f"seen on {view.host}" if view.host else "-")
        table.add_row(
            printable_name(view.account),
            printable_name(place),
            "-" if view.kind is None else view.kind if view.closed_at is None else f"{view.kind}, closed",
            printable_name(view.owner or "nobody"),
            str(len(view.known_to)) if view.known_to else "-",
        )
    return table
