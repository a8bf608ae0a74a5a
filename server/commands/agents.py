"""`leaver agents`: invite, list and revoke endpoints."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from event_schema.printable import printable_name
from server.addresses import address_doubt, current_address
from server.agents.health import AgentHealth, list_agents
from server.agents.registry import TOKEN_LIFE, BadAgentName, RegistryError, create_token, revoke
from server.commands.agent_settings import settings
from server.commands.opening import (
    FINDINGS,
    UNREACHABLE,
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
from server.installation import Installation
from server.json_times import rfc3339
from server.log.contract import LogUnavailable
from server.pki.authority import PkiError

REASON_CHARACTERS_MAX = 1000


@click.group("agents")
def agents() -> None:
    """The programs on endpoints: enrol, list, revoke, set what they collect."""


agents.add_command(settings)


def _lower(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Host names know no case."""
    return name.lower()


@agents.command("enrol")
@click.argument("name", callback=_lower)
@data_option
@json_option
def enrol(name: str, data: Path | None, as_json: bool) -> None:
    """Print the line that enrols the machine NAME, once, within 24 hours.

    It takes the place of an earlier line for NAME that was not used.
    """
    with open_installation(data) as installation:
        now = system_clock()
        try:
            fingerprint = installation.pki.open_authority().fingerprint
            with installation.database.begin() as connection:
                token = create_token(connection, name, now=now, actor=system_actor())
        except BadAgentName as error:
            fail(str(error), USAGE)
        except (RegistryError, PkiError) as error:
            fail(str(error))
        address = current_address(installation)
        doubt = address_doubt(installation.config, address)
    line = f"leaver-enrol-1 {address} sha256:{fingerprint} {token}"
    if as_json:
        echo_json(
            {
                "agent": name,
                "address": address,
                "ca_sha256": fingerprint,
                "token": token,
                "expires_at": now + TOKEN_LIFE,
                "expires_at_dt": rfc3339(now + TOKEN_LIFE),
                "line": line,
                "warning": doubt,
            }
        )
    else:
        click.echo(f"On {name} run `leaver-agent enrol`, and paste this line:", err=True)
        click.echo(line)
        if doubt is not None:
            click.secho(f"leaver: {doubt}", err=True, fg="yellow")


@agents.command("list")
@data_option
@json_option
def show(data: Path | None, as_json: bool) -> None:
    """Health of all agents. Exit code 3 when one needs a look."""
    with open_installation(data) as installation:
        now = system_clock()
        with installation.database.read() as connection:
            found = list_agents(connection, now=now)
    if as_json:
        echo_json(found)
    elif not found:
        click.echo("No agents yet: leaver agents enrol NAME")
    else:
        echo_table(_table(found, now))
    if any(_needs_a_look(agent) for agent in found):
        raise SystemExit(FINDINGS)


@agents.command("revoke")
@click.argument("name", callback=_lower)
@click.option("--reason", required=True, help="Why; kept in the audit trail.")
@data_option
def revoke_agent(name: str, reason: str, data: Path | None) -> None:
    """Refuse NAME from now on, for good. The running server notices within two seconds, brokers at once."""
    reason = checked_reason(reason, REASON_CHARACTERS_MAX)
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                revoke(connection, name, reason=reason, now=system_clock(), actor=system_actor())
        except RegistryError as error:
            fail(str(error))
        click.echo(f"{name} is revoked.")
        try:
            _tell_brokers(installation, name)
        except LogUnavailable as error:
            fail(
                f"the Kafka brokers were not told; leaver up will, within a minute of their return: {error}",
                UNREACHABLE,
            )


def _tell_brokers(installation: Installation, name: str) -> None:
    broker = installation.open_broker_access()
    if broker is not None:
        try:
            broker.expel(name)
        finally:
            broker.close()


def _table(found: list[AgentHealth], now: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("agent", "state", "heard", "settings"):
        table.add_column(column, no_wrap=True)
    for column in ("waiting", "lost", "clock"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("findings", overflow="fold")
    for agent in found:
        table.add_row(
            printable_name(agent.name),
            agent.state,
            age(agent.heartbeat_at, now),
            _settings(agent),
            "-" if agent.backlog_events is None else f"{agent.backlog_events:,}",
            f"{agent.lost_events:,}",
            "-" if agent.clock_offset is None else f"{agent.clock_offset / 1000:+.1f} s",
            "; ".join(f"{finding.kind} ({finding.count})" for finding in agent.findings) or "-",
        )
    return table


def _settings(agent: AgentHealth) -> str:
    version = "-" if agent.settings_version is None else str(agent.settings_version)
    return version if agent.settings_problem is None else f"{version} (!)"


def _needs_a_look(agent: AgentHealth) -> bool:
    return bool(agent.findings or agent.lost_events or agent.state == "silent")
