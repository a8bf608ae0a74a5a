"""`leaver leavers`: who is leaving or has left, what is still open, and who signed it off."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
from click.core import ParameterSource

from server.commands.leavers_text import leaver_text, ledger_text
from server.commands.opening import (
    Command,
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.policy_sight import unmask_options, unmasking_of
from server.commands.tables import echo_text
from server.leavers.activity import open_alerts, with_activity
from server.leavers.ledger import SHOWN_DAYS, ledger
from server.leavers.named import UnknownLeaver, person_named
from server.people.leaver_ledger import load_leaver
from server.people.roles import NotAllowed, Right, Role, may
from server.people.sign_offs import NOTE_CHARACTERS, CannotSign, Item, sign_off, take_back

_ROLES = [role.value for role in Role]
_ROLE_HELP = (
    "In whose place: HR and administrators see ids, analysts pseudonyms; only analysts see alerts."
    " A convenience for whoever is root here, no lock."
)


def _view_options(command: Command) -> Command:
    role = click.option(
        "--as", "role", type=click.Choice(_ROLES), default="analyst", show_default=True, help=_ROLE_HELP
    )
    return role(unmask_options(data_option(json_option(command))))


@click.group("leavers", invoke_without_command=True)
@click.option(
    "--days",
    type=click.IntRange(0, 36_500),
    default=SHOWN_DAYS,
    show_default=True,
    help="So long after the last day; for longer only where something is used, or an alert is open.",
)
@click.option("--all", "everybody", is_flag=True, help="All of them, those who are done too.")
@_view_options
@click.pass_context
def leavers(
    context: click.Context,
    days: int,
    everybody: bool,
    role: str,
    unmask: bool,
    reason: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Who is leaving or has left, and what is still open: the list that HR, IT and security work through.

    The most urgent first. Accounts are open until they are closed or handed over, machines until they are
    given back or reissued, passwords that several know until they are changed.
    """
    if context.invoked_subcommand is not None:
        for name in context.params:
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"options go behind {context.invoked_subcommand}")
        return
    unmasking = unmasking_of(unmask, reason)
    with open_installation(data) as installation:
        now = system_clock()
        try:
            found = ledger(
                installation.database,
                Role(role),
                now=now,
                days=days,
                everybody=everybody,
                unmasking=unmasking,
            )
        except NotAllowed as error:
            raise click.UsageError(str(error)) from None
    if as_json:
        echo_json(found)
    elif not found.rows:
        more = f" {found.hidden:,} left longer ago: --all" if found.hidden else ""
        click.echo(f"No one is leaving.{more}")
    else:
        echo_text(ledger_text(found))


@leavers.command("show")
@click.argument("person", metavar="ID|PSEUDONYM")
@_view_options
def show(person: str, role: str, unmask: bool, reason: str | None, data: Path | None, as_json: bool) -> None:
    """One leaver: each account, machine and password, and each sign-off with its note."""
    unmasking = unmasking_of(unmask, reason)
    with open_installation(data) as installation:
        database = installation.database
        try:
            with database.read() as connection:
                person_id = person_named(connection, person, Role(role))
            found = ledger(database, Role(role), now=system_clock(), person_id=person_id, unmasking=unmasking)
        except NotAllowed as error:
            raise click.UsageError(str(error)) from None
        except UnknownLeaver as error:
            fail(str(error))
    if not found.rows:
        fail("nobody is leaving by this name: leaver leavers --all")
    if as_json:
        echo_json(found.rows[0])
    else:
        echo_text(leaver_text(found.rows[0]))


@leavers.command("sign-off")
@click.argument("person", metavar="ID|PSEUDONYM")
@click.argument("item", type=click.Choice([item.value for item in Item]))
@click.option("--as", "role", type=click.Choice(_ROLES), required=True, help="In whose place.")
@click.option("--note", help="Kept with the person; needed where something is open: why that is fine.")
@click.option("--take-back", "takes_back", is_flag=True, help="It is not signed off after all.")
@data_option
def sign(person: str, item: str, role: str, note: str | None, takes_back: bool, data: Path | None) -> None:
    """Sign off that an item of somebody's leaving is done, on the record.

    HR signs the dates; HR or IT (administrator) that devices are back; IT or security (analyst) accounts and
    secrets; security that the person's activity was looked at. It is about this leaving: where the last day
    changes, it has to be signed again.
    """
    said = None if note is None else _checked_note(note)
    if takes_back and said is not None:
        raise click.UsageError("--note does not go with --take-back")
    with open_installation(data) as installation:
        now, actor = system_clock(), system_actor()
        try:
            with installation.database.begin() as connection:
                person_id = person_named(connection, person, Role(role))
                if takes_back:
                    take_back(connection, person_id, Item(item), role=Role(role), actor=actor, at=now)
                else:
                    leaving = load_leaver(connection, person_id, now)
                    if leaving is None:
                        raise UnknownLeaver(f"{person} is not leaving")
                    if may(Role(role), Right.SEE_LAST_USE):
                        # Passwords too of which only the use of an account tells.
                        leaving, _ = with_activity(connection, [leaving], now)[person_id]
                    alerted: Mapping[str, int] = {}
                    if may(Role(role), Right.SEE_ALERTS):
                        alerted = open_alerts(connection, [person_id])
                    sign_off(
                        connection,
                        leaving,
                        Item(item),
                        role=Role(role),
                        actor=actor,
                        at=now,
                        note=said,
                        open_alerts=alerted.get(person_id, 0),
                    )
        except NotAllowed as error:
            raise click.UsageError(str(error)) from None
        except (UnknownLeaver, CannotSign) as error:
            fail(str(error))
    click.echo(f"{person}: {item} {'no longer signed off' if takes_back else 'signed off'}")


def _checked_note(note: str) -> str:
    try:
        return checked_reason(note, NOTE_CHARACTERS)
    except click.UsageError:
        raise click.UsageError(f"--note needs 1 to {NOTE_CHARACTERS} characters of plain text") from None
