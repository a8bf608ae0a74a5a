"""`leaver users`: who signs in to the console. What the console's page does, for whoever has the machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table
from sqlalchemy import Connection

from event_schema.printable import printable_name
from server.accounts.invitations import LASTS_MS, invite
from server.accounts.users import (
    AccountRefused,
    User,
    add_user,
    disable,
    enable,
    list_users,
    required_user,
    set_role,
)
from server.addresses import current_address
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
from server.commands.tables import age, echo_table
from server.installation import Installation
from server.json_times import rfc3339
from server.people.roles import Role

REASON_CHARACTERS = 1000
_ROLES = click.Choice([str(role) for role in Role])


@click.group("users")
def users() -> None:
    """Who signs in to the console, and in which role."""


@users.command("list")
@data_option
@json_option
def show(data: Path | None, as_json: bool) -> None:
    """All users: role, state, when they signed in last."""
    with open_installation(data) as installation, installation.database.read() as connection:
        found, now = list_users(connection), system_clock()
    if as_json:
        echo_json([_plain(user) for user in found])
    elif found:
        echo_table(_table(found, now))
    else:
        click.echo("No users yet: leaver up prints how the first administrator signs in.")


@users.command("add")
@click.argument("name")
@click.option("--role", required=True, type=_ROLES, help="What they may see and do (docs/console.md).")
@data_option
@json_option
def add(name: str, role: str, data: Path | None, as_json: bool) -> None:
    """Add the user NAME, and print a link by which they set a password: once, within a day."""
    with _changing(data) as (installation, connection):
        now, actor = system_clock(), system_actor()
        add_user(connection, name, Role(role), now=now, actor=actor)
        token = invite(connection, name, now=now, actor=actor)
    _say_link(installation, name, token, now, as_json=as_json)


@users.command("reset")
@click.argument("name")
@data_option
@json_option
def reset(name: str, data: Path | None, as_json: bool) -> None:
    """Print a link by which NAME sets a new password: once, within a day. The old one holds until then."""
    with _changing(data) as (installation, connection):
        now = system_clock()
        token = invite(connection, name, now=now, actor=system_actor())
    _say_link(installation, name, token, now, as_json=as_json)


@users.command("disable")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@data_option
@json_option
def disable_one(name: str, reason: str, data: Path | None, as_json: bool) -> None:
    """NAME signs in no longer; what they are doing now ends at once."""
    why = checked_reason(reason, REASON_CHARACTERS)
    with _changing(data) as (_, connection):
        disable(connection, name, now=system_clock(), actor=system_actor(), reason=why)
        changed = required_user(connection, name)
    _say(changed, f"{name} is disabled, and signed out.", as_json=as_json)


@users.command("enable")
@click.argument("name")
@data_option
@json_option
def enable_one(name: str, data: Path | None, as_json: bool) -> None:
    """NAME may sign in again, with the password they had."""
    with _changing(data) as (_, connection):
        enable(connection, name, now=system_clock(), actor=system_actor())
        changed = required_user(connection, name)
    _say(changed, f"{name} may sign in.", as_json=as_json)


@users.command("role")
@click.argument("name")
@click.argument("role", type=_ROLES)
@data_option
@json_option
def give_role(name: str, role: str, data: Path | None, as_json: bool) -> None:
    """Give NAME another role; they must sign in again."""
    with _changing(data) as (_, connection):
        set_role(connection, name, Role(role), now=system_clock(), actor=system_actor())
        changed = required_user(connection, name)
    _say(changed, f"{name} has the role {role}.", as_json=as_json)


@contextmanager
def _changing(data: Path | None) -> Iterator[tuple[Installation, Connection]]:
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                yield installation, connection
        except AccountRefused as error:
            fail(printable_name(str(error)))


def _say_link(installation: Installation, name: str, token: str, now: int, *, as_json: bool) -> None:
    link = f"{current_address(installation)}/invited#{token}"
    ends = now + LASTS_MS
    if as_json:
        echo_json(
            {"name": name, "link": link, "token": token, "expires_at": ends, "expires_at_dt": rfc3339(ends)}
        )
        return
    click.echo(f"For {name}, shown only now; good once, until {_moment(ends)}:", err=True)
    click.echo(link)


def _say(user: User, words: str, *, as_json: bool) -> None:
    if as_json:
        echo_json(_plain(user))
    else:
        click.echo(words)


def _plain(user: User) -> dict[str, object]:
    names = ("name", "role", "created_at", "created_by", "signed_in_at", "disabled_at", "by_provider")
    return {"state": user.state, **{name: getattr(user, name) for name in names}}


def _table(found: list[User], now: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "role", "state", "signs in by", "last signed in", "added", "by"):
        table.add_column(column, no_wrap=column != "by")
    for user in found:
        way = "provider" if user.by_provider else "password"
        added = datetime.fromtimestamp(user.created_at / 1000, UTC).strftime("%Y-%m-%d")
        last = age(user.signed_in_at, now)
        table.add_row(user.name, user.role, user.state, way, last, added, printable_name(user.created_by))
    return table


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
