"""`leaver policy except`: an exception without writing YAML, counted on what is stored before it is saved.

What was given is shown as it was given, an id as an id and a pseudonym as a pseudonym: both together would
say whose it is. How often somebody would have been hidden is told by pseudonym, or unmasked, on the record.
"""

from __future__ import annotations

import datetime
from pathlib import Path

import click
import msgspec

from event_schema.printable import printable_name
from policies.errors import PolicyErrors
from server.alerts.view_types import Unmasking
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
from server.commands.policy_changes import publish_first
from server.commands.policy_sight import sight_of
from server.people.pseudonyms import UnknownPseudonym
from server.policies.listing import find_version
from server.policies.making_exceptions import (
    Wanted,
    checked_last_day,
    exception_text,
    keep_exception,
    person_by_any,
    prepare_exception,
)
from server.policies.preview import Preview
from server.policies.versions import (
    REASON_CHARACTERS,
    PolicyVersion,
    UnknownPolicy,
    current_versions,
)

_FILE = "leaver policy except"
_NOT_TOLD = (
    "What it would have hidden is told by pseudonym (--person), or with --unmask:"
    " an id or an account is named."
)


@click.command("except")
@click.argument("rules", metavar="RULE...", nargs=-1, required=True)
@click.option("--person", metavar="ID", help="An id, or a pseudonym.")
@click.option("--account", metavar="NAME", help="As events name it.")
@click.option("--host", metavar="NAME", help="A machine.")
@click.option("--device", metavar="UID", help="A removable device, by its unique id.")
@click.option("--destination", metavar="DOMAIN", help="A host or service that is sent to, or a mail domain.")
@click.option("--where", "fields", metavar="FIELD=VALUE", multiple=True, help="Any field. Again for more.")
@click.option("--until", metavar="DAY", required=True, help="Its last day, UTC: 2026-12-31; a year at most.")
@click.option("--reason", required=True, help="Why; kept with it and in the audit trail.")
@click.option("--owner", help="Who answers for it; else who runs this command.")
@click.option("--title", help="Else one is made that names nobody.")
@click.option(
    "--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How far back to count."
)
@click.option(
    "--unmask", is_flag=True, help="Count though an id or an account is named; kept in the audit trail."
)
@click.option("--dry-run", is_flag=True, help="Only show it, and count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_option
@json_option
def make_exception(
    rules: tuple[str, ...],
    person: str | None,
    account: str | None,
    host: str | None,
    device: str | None,
    destination: str | None,
    fields: tuple[str, ...],
    until: str,
    reason: str,
    owner: str | None,
    title: str | None,
    days: int,
    unmask: bool,
    dry_run: bool,
    yes: bool,
    data: Path | None,
    as_json: bool,
) -> None:
    """Leave some events out of what RULE finds, until a day. All that is given must be true of an event.

    What it would have hidden is counted first, on the stored events. Hits of before stay. One that has
    run out stops by itself; leaver policy list tells what each hides.

    \b
      leaver policy except leaver_uploads_files --destination partner.example \\
        --until 2026-12-31 --reason "contract 17" --owner lin
    """
    why = checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        now = system_clock()
        wanted = Wanted(person, account, host, device, destination, fields=_fields(fields))
        last_day = _last_day(until, now)
        if wanted.empty:
            raise click.UsageError(
                "say what is left out: --person, --host, --device, --destination or --where"
            )
        if as_json and not (dry_run or yes):
            raise click.UsageError("--json cannot ask: give --yes or --dry-run")
        publish_first(installation)
        by_pseudonym = False
        try:
            with installation.database.read() as connection:
                held = current_versions(connection)
                named = _named(held, rules)
                meant = wanted
                if person is not None:
                    meant = msgspec.structs.replace(wanted, person=person_by_any(connection, person))
                    by_pseudonym = meant.person != person.strip()
                found = prepare_exception(
                    connection,
                    meant,
                    named,
                    until=last_day,
                    owner=owner or system_actor().partition(":")[2],
                    reason=why,
                    now=now,
                    by_pseudonym=by_pseudonym,
                    title=title,
                    days=days,
                )
        except (UnknownPolicy, UnknownPseudonym) as error:
            fail(str(error))
        except PolicyErrors as errors:
            for fault in errors.errors:
                click.echo(printable_name(fault.message), err=True)
            raise SystemExit(FINDINGS) from errors
        told = unmask or found.told
        if unmask:
            # On the record before anything shows.
            unmasking = Unmasking(system_actor(), now, why)
            sight_of(installation.database, [], unmasking, found.exception_id)
        sight = sight_of(installation.database, [each.title for each in named], None, _FILE)
        titles = [(each.rule_id, sight(each.title)) for each in named]
        shown = _text(wanted, titles, last_day, owner, why, title, found.exception_id)
        if not as_json:
            click.echo(shown)
            click.echo(_words(found.counted) if told else _NOT_TOLD)
        if not dry_run:
            if not yes:
                click.confirm("Save it?", abort=True)
            with installation.database.begin() as connection:
                version = keep_exception(
                    connection, found, file=_FILE, actor=system_actor(), reason=why, now=now
                )
            if not as_json:
                click.echo(f"exception {version.rule_id} holds until {last_day} is over")
    if as_json:
        echo_json(
            {
                "id": found.exception_id,
                "saved": not dry_run,
                "text": shown,
                "preview": found.counted if told else None,
            }
        )


def _named(held: dict[str, PolicyVersion], rules: tuple[str, ...]) -> list[PolicyVersion]:
    """Raises UnknownPolicy."""
    return [
        find_version([each for each in held.values() if each.kind != "exception"], rule) for rule in rules
    ]


def _text(
    wanted: Wanted,
    rules: list[tuple[str, str]],
    until: datetime.date,
    owner: str | None,
    reason: str,
    title: str | None,
    exception_id: str | None = None,
) -> str:
    return exception_text(
        wanted,
        rules,
        until=until,
        owner=owner or system_actor().partition(":")[2],
        reason=reason,
        title=title,
        exception_id=exception_id,
    )


def _last_day(given: str, now: int) -> datetime.date:
    try:
        return checked_last_day(given, now)
    except ValueError as error:
        raise click.UsageError(f"--until {given}: {error}") from error


def _fields(given: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = []
    for each in given:
        path, equals, value = each.partition("=")
        if not equals or not path or not value:
            raise click.UsageError(f"--where {each}: write FIELD=VALUE")
        found.append((path.strip(), value.strip()))
    return tuple(found)


def _words(counted: Preview) -> str:
    if not counted.hits:
        return f"In the last {counted.days} days the rule found nothing."
    gone = "none" if not counted.alerts_gone else f"{counted.alerts_gone:,}"
    of_alerts = f"of {counted.alerts:,} alert{'s' * (counted.alerts != 1)} {gone} would not have been raised"
    of_people = f"{counted.people:,} {'person' if counted.people == 1 else 'people'}"
    words = (
        f"In the last {counted.days} days it would have hidden {counted.hidden:,} of {counted.hits:,} hits, "
        f"of {of_people}; {of_alerts}."
    )
    return words if counted.read_all else words + " Not all events were read: there are too many."
