"""`leaver people close-account`, `return-device` and `reissue`: what is done about somebody who leaves."""

from __future__ import annotations

from pathlib import Path

import click

from event_schema.printable import printable_name
from server.commands.alert_words import moment
from server.commands.moments import read_moment
from server.commands.opening import (
    Command,
    checked_reason,
    data_option,
    fail,
    open_installation,
    system_actor,
    system_clock,
)
from server.leavers.activity import was_used
from server.people import account_facts
from server.people.account_facts import DateRefused, UnknownAccount
from server.people.account_names import account_key, machine_trait
from server.people.flags import UnknownPerson
from server.people.machines import MachineRefused, UnknownMachine, reissue_machine, return_machine

REASON_CHARACTERS = 1000


def _options(command: Command) -> Command:
    """--at, --reason and --data."""
    at = click.option(
        "--at",
        "when",
        default="now",
        metavar="DATE",
        show_default=True,
        help="2026-11-13, or '2026-11-13 17:30'; in [people] time_zone.",
    )
    reason = click.option("--reason", help="Why; kept in the audit trail for good, so without any name.")
    return at(reason(data_option(command)))


@click.command("close-account")
@click.argument("name", metavar="NAME")
@click.option("--system", default="", help="Valid in this application alone, as its access log names it.")
@click.option("--reopen", is_flag=True, help="It works again.")
@_options
def close_account(
    name: str, system: str, reopen: bool, when: str, reason: str | None, data: Path | None
) -> None:
    """Say that an account no longer works. Whose it was stays known, so an act after it is theirs."""
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        now = system_clock()
        zone = installation.config.people.time_zone
        then = read_moment("--at", when, zone, now)
        try:
            with installation.database.begin() as connection:
                found = account_facts.close_account(
                    connection,
                    account_key(name),
                    system.strip().casefold(),
                    when=None if reopen else then,
                    actor=system_actor(),
                    at=now,
                    reason=why,
                    moves=when != "now",
                )
        except (UnknownAccount, DateRefused) as error:
            fail(str(error))
    since = "" if found.since is None else f" since {moment(found.since, zone)}"
    if found.changed:
        words = "works again" if reopen else f"closed{since}"
    else:
        words = "was not closed" if reopen else f"closed already{since}; --at says another time"
    click.echo(f"{printable_name(account_key(name))}: {words}")


@click.command("return-device")
@click.argument("person", metavar="ID")
@click.argument("machine", metavar="MACHINE")
@_options
def return_device(person: str, machine: str, when: str, reason: str | None, data: Path | None) -> None:
    """Say that somebody gave a machine back, whatever HR's file still lists.

    MACHINE is a host's name, or device:UID.
    """
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        now = system_clock()
        zone = installation.config.people.time_zone
        then = read_moment("--at", when, zone, now)
        try:
            with installation.database.begin() as connection:
                return_machine(
                    connection, person, machine, when=then, actor=system_actor(), at=now, reason=why
                )
        except (UnknownPerson, MachineRefused) as error:
            fail(str(error))
    since = moment(then, zone)
    click.echo(f"{printable_name(machine)}: given back by {printable_name(person)}, {since}")


@click.command("reissue")
@click.argument("machine", metavar="MACHINE")
@click.argument("person", metavar="ID")
@click.option("--new", "is_new", is_flag=True, help="Nobody had it so far, and no event is of it.")
@_options
def reissue(
    machine: str, person: str, is_new: bool, when: str, reason: str | None, data: Path | None
) -> None:
    """Say that a machine is somebody else's from now on, or from --at on.

    What happened on it before that day is about whoever had it. MACHINE is a host's name, or device:UID.
    """
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        now = system_clock()
        zone = installation.config.people.time_zone
        then = read_moment("--at", when, zone, now)
        try:
            with installation.database.begin() as connection:
                had = reissue_machine(
                    connection,
                    machine,
                    person,
                    when=then,
                    actor=system_actor(),
                    at=now,
                    reason=why,
                    was_seen=is_new or was_used(connection, machine_trait(machine)),
                )
        except UnknownMachine as error:
            fail(f"{error}: --new says that it is meant")
        except (UnknownPerson, MachineRefused) as error:
            fail(str(error))
    before = f", no longer of {', '.join(map(printable_name, had))}" if had else ""
    since = moment(then, zone)
    click.echo(f"{printable_name(machine)}: of {printable_name(person)} since {since}{before}")
