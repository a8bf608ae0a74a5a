"""`leaver token`: the administrator's token, and those of service accounts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.table import Table

from event_schema.printable import printable_name
from server.admin_token import rotate_token
from server.commands.opening import (
    USAGE,
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
from server.json_times import rfc3339
from server.service_tokens import (
    DAY_MS,
    DAYS_MAX,
    BadTokenName,
    Scope,
    ServiceToken,
    TokenRefused,
    TokenRole,
    create_token,
    list_tokens,
    revoke_token,
)

REASON_CHARACTERS = 1000


@click.group("token")
def token_group() -> None:
    """Tokens for the HTTPS interface: the administrator's, and those of service accounts."""


@token_group.command("rotate")
@data_option
def rotate(data: Path | None) -> None:
    """Make a new administrator's token and print it, once. The one before ends at once."""
    with open_installation(data) as installation, installation.database.begin() as connection:
        token = rotate_token(connection, now=system_clock(), actor=system_actor())
    click.echo(token)


@token_group.command("create")
@click.argument("name")
@click.option(
    "--role",
    required=True,
    type=click.Choice([str(role) for role in TokenRole]),
    help="hr-import brings HR's files, scim is an identity provider; others see in the console's API what "
    "people of that role see, but never take a pseudonym off and never manage accounts.",
)
@click.option(
    "--scope",
    type=click.Choice([str(scope) for scope in Scope]),
    help="Of the console's roles: only read (the default), or write too.",
)
@click.option(
    "--days",
    default=365,
    show_default=True,
    type=click.IntRange(1, DAYS_MAX),
    help="Until it ends by itself.",
)
@data_option
@json_option
def create(name: str, role: str, scope: str | None, days: int, data: Path | None, as_json: bool) -> None:
    """Make a token for the service account NAME and print it, once.

    The audit trail names the account with all that it changes. Give the next one another name (okta-2028),
    and revoke the old one when the service uses the new one.
    """
    with open_installation(data) as installation:
        now = system_clock()
        try:
            with installation.database.begin() as connection:
                token = create_token(
                    connection,
                    name,
                    TokenRole(role),
                    scope=None if scope is None else Scope(scope),
                    days=days,
                    now=now,
                    actor=system_actor(),
                )
        except BadTokenName as error:
            fail(str(error), USAGE)
        except TokenRefused as error:
            fail(str(error))
    ends = now + days * DAY_MS
    if as_json:
        shown = {
            "name": name,
            "role": role,
            "token": token,
            "expires_at": ends,
            "expires_at_dt": rfc3339(ends),
        }
        echo_json(shown)
    else:
        click.echo(f"The token of {name}, shown only now; it ends on {_day(ends)}:", err=True)
        click.echo(token)


@token_group.command("list")
@data_option
@json_option
def show(data: Path | None, as_json: bool) -> None:
    """Service accounts: role, since when, until when, when last used. The tokens themselves never show."""
    with open_installation(data) as installation:
        now = system_clock()
        with installation.database.read() as connection:
            found = list_tokens(connection)
    if as_json:
        echo_json(found)
    elif found:
        echo_table(_table(found, now))
    else:
        click.echo("No tokens of service accounts yet: leaver token create NAME --role ROLE")


@token_group.command("revoke")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@data_option
def revoke(name: str, reason: str, data: Path | None) -> None:
    """Refuse the token of NAME from now on, at once and for good."""
    why = checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                revoke_token(connection, name, now=system_clock(), actor=system_actor(), reason=why)
        except TokenRefused as error:
            fail(str(error))
    click.echo(f"The token of {printable_name(name)} holds no longer.")


def _table(found: list[ServiceToken], now: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("name", "role", "scope", "state", "made", "ends", "last used", "by"):
        table.add_column(column, no_wrap=column != "by")
    for token in found:
        table.add_row(
            token.name,
            token.role,
            token.scope,
            token.state_at(now),
            _day(token.created_at),
            _day(token.expires_at),
            age(token.used_at, now),
            printable_name(token.created_by),
        )
    return table


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d")
