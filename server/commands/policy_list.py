"""`leaver policy list` and `show`: what runs, in which version, what it found, and what exceptions hide."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import click
import msgspec
from rich.table import Table
from rich.text import Text

from event_schema.printable import printable_name
from policies.engine import Policy
from policies.rule_file import RuleText, parse_text, policy_of
from server.commands.opening import (
    FINDINGS,
    data_option,
    echo_json,
    fail,
    json_option,
    open_installation,
    system_clock,
)
from server.commands.policy_sight import sight_of, unmask_options, unmasking_of
from server.commands.tables import age, echo_table
from server.json_times import with_datetimes
from server.policies.listing import (
    HITS_DAYS,
    ExceptionRow,
    Listing,
    RuleRow,
    find_version,
    held_versions,
    policy_listing,
)
from server.policies.publishing import PolicyFault, kept_faults
from server.policies.versions import PolicyVersion, UnknownPolicy, versions_of_rule

SHORT_ID = 8


@click.command("list")
@click.option("--all", "everything", is_flag=True, help="Also rules and exceptions whose file is gone.")
@unmask_options
@data_option
@json_option
def show_list(everything: bool, unmask: bool, reason: str | None, data: Path | None, as_json: bool) -> None:
    """Rules and exceptions: whether they run, in which version, what they found or hid.

    Exit code 3: a file has faults, a rule cannot run, or an exception has ended and is still in use.
    """
    unmasking = unmasking_of(unmask, reason)
    now = system_clock()
    with open_installation(data) as installation:
        with installation.database.read() as connection:
            found = policy_listing(connection, now=now)
            faults = kept_faults(connection)
        rows = [row for row in found.exceptions if everything or row.state != "gone"]
        sight = sight_of(
            installation.database,
            [
                *(text for row in rows for text in (row.title, row.reason)),
                *(row.title for row in found.rules),
                *(fault.message for fault in faults),
                *(error.message for error in found.faults),
            ],
            unmasking,
            "policies",
        )
    faults = [msgspec.structs.replace(fault, message=sight(fault.message)) for fault in faults]
    shown = msgspec.structs.replace(
        found,
        rules=tuple(
            msgspec.structs.replace(row, title=sight(row.title))
            for row in found.rules
            if everything or row.state != "gone"
        ),
        exceptions=tuple(
            msgspec.structs.replace(row, title=sight(row.title), reason=sight(row.reason)) for row in rows
        ),
    )
    own = tuple(
        PolicyFault("saved", error.file, error.line, sight(error.message))
        for error in found.faults
        if all(error.file != fault.file for fault in faults)
    )
    if as_json:
        echo_json({"rules": shown.rules, "exceptions": shown.exceptions, "faults": [*faults, *own]})
    else:
        _echo(shown, [*faults, *own], now)
    if faults or own or any(row.state == "ended" for row in shown.exceptions):
        raise SystemExit(FINDINGS)


@click.command("show")
@click.argument("rule", metavar="RULE")
@click.option("--version", type=click.IntRange(1), help="Which; else the one that holds.")
@unmask_options
@data_option
@json_option
def show_one(
    rule: str, version: int | None, unmask: bool, reason: str | None, data: Path | None, as_json: bool
) -> None:
    """One rule or exception: what it is for, what to do when it fires, and its text.

    RULE is an id or how it begins, a file or a title. Names of people show with --unmask.
    """
    unmasking = unmasking_of(unmask, reason)
    with open_installation(data) as installation:
        with installation.database.read() as connection:
            try:
                found = find_version(held_versions(connection).values(), rule)
                if version is not None:
                    found = _of_number(versions_of_rule(connection, found.rule_id), version)
            except UnknownPolicy as error:
                fail(str(error))
        about = policy_of(parse_text(RuleText(found.file, found.text, found.number))) if found.text else None
        said = [] if about is None else [about.title, about.description, about.runbook]
        texts = [found.text or "", found.title, found.reason, *said]
        sight = sight_of(installation.database, texts, unmasking, found.rule_id)
    if about is not None:
        masked = {name: sight(getattr(about, name)) for name in ("title", "description", "runbook")}
        about = msgspec.structs.replace(about, **masked)
    if as_json:
        shown = with_datetimes(msgspec.structs.replace(found, text=None))
        echo_json(
            shown
            | {
                "title": sight(found.title),
                "text": sight(found.text or "") or None,
                "reason": sight(found.reason),
            }
            | {"policy": about, "outside_budget": about is not None and about.always_alerts}
        )
        return
    _echo_one(found, about, sight(found.title))
    click.echo()
    click.echo(sight(found.text) if found.text is not None else "Its file is gone.")


def _of_number(versions: list[PolicyVersion], number: int) -> PolicyVersion:
    found = next((each for each in versions if each.number == number), None)
    if found is None:
        raise UnknownPolicy(f"there is no version {number}; the newest is {versions[0].number}")
    return found


def _echo_one(found: PolicyVersion, about: Policy | None, title: str) -> None:
    now = system_clock()
    state = "in use" if found.runs else "gone" if found.text is None else "out of use"
    click.echo(printable_name(title))
    saved = f", {found.origin} {age(found.saved_at, now)} by {found.saved_by}" if found.number else ""
    click.echo(f"{found.kind} {found.rule_id}, {state}")
    click.echo(f"version {found.number or 'as shipped'}, {found.hash[:16]}{saved}")
    if about is not None and about.family:
        budget = "always alerts, outside of the budget" if about.always_alerts else "alerts within the budget"
        click.echo(f"level {about.level}, family {about.family}, {budget}")
    if about is not None and about.runbook:
        click.echo("\nWhat to do when it fires:")
        for number, step in enumerate(about.runbook.splitlines(), start=1):
            click.echo(f"  {number}. {step}")


def _echo(found: Listing, faults: list[PolicyFault], now: int) -> None:
    echo_table(_rules(found.rules))
    if found.exceptions:
        click.echo()
        echo_table(_exceptions(found.exceptions, now))
    for row in found.exceptions:
        if row.state == "ended":
            words = (
                f"exception {row.id[:SHORT_ID]} ran out on {last_day(row.until)} and hides nothing that came "
                "after: renew it (policy save) or policy disable it"
            )
            click.echo(f"! {words}")
    for fault in faults:
        click.echo(f"! {printable_name(f'{fault.file}:{fault.line}: {fault.message}')}")


def _rules(rows: tuple[RuleRow, ...]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "rule"):
        table.add_column(name, no_wrap=name == "id", overflow="fold")
    for name in ("level", "budget", "state", "version"):
        table.add_column(name, no_wrap=True)
    table.add_column(f"hits {HITS_DAYS} d", justify="right", no_wrap=True)
    table.add_column("people", justify="right", no_wrap=True)
    for row in rows:
        words = Text(printable_name(row.title))
        if row.exceptions:
            words.append(f" ({_number(len(row.exceptions), 'exception')})", style="dim")
        version = f"{row.version or '–'} {row.origin}{'*' if row.changed else ''}"
        counts = f"{row.hits:,}", f"{row.people:,}"
        table.add_row(row.id[:SHORT_ID], words, row.level, _budget(row), row.state, version, *counts)
    if any(row.changed for row in rows):
        table.caption = "* not what this version of Leaver ships"
        table.caption_justify = "left"
    return table


def _budget(row: RuleRow) -> str:
    if not row.family:
        return "–"
    return "outside" if row.outside_budget else "within"


def _exceptions(rows: tuple[ExceptionRow, ...], now: int) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("id", no_wrap=True)
    table.add_column("exception", overflow="fold", min_width=30)
    for name in ("from", "owner", "last day"):
        table.add_column(name, no_wrap=True)
    table.add_column("hid", justify="right", no_wrap=True)
    table.add_column("last", no_wrap=True)
    for row in rows:
        words = Text(printable_name(row.title)).append(f"\n{printable_name(row.reason)}", style="dim")
        table.add_row(
            row.id[:SHORT_ID],
            words,
            _from(row.rules),
            printable_name(row.owner),
            _until(row),
            f"{row.hidden:,}",
            "never" if row.last_hidden_at is None else age(row.last_hidden_at, now),
        )
    return table


def _from(rules: tuple[str, ...]) -> str:
    more = f" +{len(rules) - 1}" if len(rules) > 1 else ""
    return rules[0][:SHORT_ID] + more


def _until(row: ExceptionRow) -> str:
    day = last_day(row.until)
    return f"{day}" if row.state == "on" else f"{day} {'ENDED' if row.state == 'ended' else row.state}"


def last_day(until: int) -> date:
    """until: ms UTC, exclusive."""
    return datetime.fromtimestamp((until - 1) / 1000, UTC).date()


def _number(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
