"""`leaver policy save`, `enable`, `disable`, `history`, `rollback`: a change is a version with a reason."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import click
import msgspec
from rich.table import Table
from sqlalchemy import Connection

from event_schema.printable import printable_name
from policies.errors import PolicyErrors
from policies.rule_file import read_rule_file
from server.commands.opening import (
    FINDINGS,
    checked_reason,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_actor,
    system_clock,
)
from server.commands.policy_sight import sight_of, unmask_options, unmasking_of
from server.commands.tables import age, echo_table
from server.installation import Installation
from server.json_times import with_datetimes
from server.policies.listing import find_version, held_versions
from server.policies.versions import (
    REASON_CHARACTERS,
    PolicyVersion,
    Unchanged,
    UnknownPolicy,
    roll_back,
    save,
    set_version,
    switch,
    versions_of_rule,
)
from server.policies.watched_folder import policy_folder

_HASH = 12
_reason = click.option("--reason", required=True, help="Why; kept with the version and in the audit trail.")
_rule = click.argument("rule", metavar="RULE")


@click.command("save")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_reason
@data_option
@json_option
def save_file(file: Path, reason: str, data: Path | None, as_json: bool) -> None:
    """Take the rule or exception in FILE over, in use from now on, as a new version of its id.

    Faults are all told, and nothing changes then. Exit code 3: it has faults.
    """

    def change(connection: Connection, actor: str, now: int) -> PolicyVersion:
        try:
            text = read_rule_file(file)
        except (OSError, ValueError) as error:
            fail(f"{file}: {error}")
        return save(connection, text, file=file.name, actor=actor, reason=why, now=now)

    why = checked_reason(reason, REASON_CHARACTERS)
    _echo_changed(changed(data, change), as_json)


@click.command("enable")
@_rule
@_reason
@data_option
@json_option
def enable(rule: str, reason: str, data: Path | None, as_json: bool) -> None:
    """Use a rule or exception again."""
    _echo_changed(_switched(rule, reason, data, enabled=True), as_json)


@click.command("disable")
@_rule
@_reason
@data_option
@json_option
def disable(rule: str, reason: str, data: Path | None, as_json: bool) -> None:
    """Take a rule or exception out of use. Alerts that it raised stay."""
    _echo_changed(_switched(rule, reason, data, enabled=False), as_json)


@click.command("rollback")
@_rule
@click.argument("version", type=click.IntRange(1))
@_reason
@data_option
@json_option
def rollback(rule: str, version: int, reason: str, data: Path | None, as_json: bool) -> None:
    """Go back to what VERSION of RULE said. That is a new version; none is lost."""
    why = checked_reason(reason, REASON_CHARACTERS)

    def change(connection: Connection, actor: str, now: int) -> PolicyVersion:
        found = find_version(held_versions(connection).values(), rule)
        return roll_back(connection, found.rule_id, version, actor=actor, reason=why, now=now)

    _echo_changed(changed(data, change), as_json)


@click.command("history")
@_rule
@click.option("--diff", is_flag=True, help="What each version changed.")
@unmask_options
@data_option
@json_option
def history(
    rule: str, diff: bool, unmask: bool, reason: str | None, data: Path | None, as_json: bool
) -> None:
    """Who changed RULE, when and why, newest first. Names of people show with --unmask."""
    unmasking = unmasking_of(unmask, reason)
    with open_installation(data) as installation:
        with installation.database.read() as connection:
            try:
                found = find_version(held_versions(connection).values(), rule)
                versions = versions_of_rule(connection, found.rule_id) if found.number else [found]
            except UnknownPolicy as error:
                fail(str(error))
        texts = [text for each in versions for text in (each.text or "", each.title, each.reason)]
        sight = sight_of(installation.database, texts, unmasking, found.rule_id)
    shown = [
        msgspec.structs.replace(
            each,
            text=None if each.text is None else sight(each.text),
            title=sight(each.title),
            reason=sight(each.reason),
        )
        for each in versions
    ]
    if as_json:
        echo_json([with_datetimes(each) | {"diff": _diff(shown, at)} for at, each in enumerate(shown)])
        return
    now = system_clock()
    if diff:
        for at, each in enumerate(shown):
            click.echo(f"version {each.number}, {_said(each, now)}")
            for line in _diff(shown, at):
                click.echo(f"  {printable_name(line)}")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("version", "hash", "saved", "by", "from", "state"):
        table.add_column(name, no_wrap=True)
    table.add_column("reason", overflow="fold")
    for each in shown:
        state = "gone" if each.text is None else "on" if each.enabled else "off"
        when = age(each.saved_at, now) if each.number else "not yet"
        by, why = printable_name(each.saved_by), printable_name(each.reason)
        table.add_row(str(each.number), each.hash[:_HASH], when, by, each.origin, state, why)
    echo_table(table)


def changed(data: Path | None, change: Callable[[Connection, str, int], PolicyVersion]) -> PolicyVersion:
    """What `change` did in a transaction of its own; exits where it could not."""
    with open_installation(data) as installation:
        publish_first(installation)
        try:
            with installation.database.begin() as connection:
                return change(connection, system_actor(), system_clock())
        except PolicyErrors as errors:
            for error in errors.errors:
                click.echo(printable_name(str(error)), err=True)
            raise SystemExit(FINDINGS) from errors
        except (UnknownPolicy, Unchanged) as error:
            fail(str(error))


def publish_first(installation: Installation) -> None:
    """What a first `leaver up` would: so that there is something to change."""
    with installation.database.read() as connection:
        published = set_version(connection)
    if not published:
        policy_folder(installation).take()


def _switched(rule: str, reason: str, data: Path | None, *, enabled: bool) -> PolicyVersion:
    why = checked_reason(reason, REASON_CHARACTERS)

    def change(connection: Connection, actor: str, now: int) -> PolicyVersion:
        found = find_version(held_versions(connection).values(), rule)
        return switch(connection, found.rule_id, enabled=enabled, actor=actor, reason=why, now=now)

    return changed(data, change)


def _echo_changed(version: PolicyVersion, as_json: bool) -> None:
    if as_json:
        shown = with_datetimes(msgspec.structs.replace(version, text=None))
        shown.pop("text")
        echo_json(shown)
        return
    state = "in use" if version.enabled else "out of use"
    click.echo(
        f"{version.kind} {version.rule_id}: version {version.number} ({version.hash[:_HASH]}) is {state}"
    )
    click.echo("All workers go by it with their next batch.")


def _said(version: PolicyVersion, now: int) -> str:
    when = age(version.saved_at, now) if version.number else "not yet saved"
    return f"{when} by {version.saved_by or 'nobody'}: {printable_name(version.reason)}"


def _diff(versions: list[PolicyVersion], at: int) -> list[str]:
    """From the version before to this one; of the first, all of it."""
    before = versions[at + 1] if at + 1 < len(versions) else None
    old = (before.text or "").splitlines() if before is not None else []
    found = list(difflib.unified_diff(old, (versions[at].text or "").splitlines(), lineterm="", n=2))[2:]
    if before is not None and before.enabled != versions[at].enabled:
        found.append("in use" if versions[at].enabled else "out of use")
    return found
