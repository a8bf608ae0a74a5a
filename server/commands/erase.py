"""`leaver erase`: a person, an account of nobody, or days, from all that this server keeps."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from sqlalchemy import Connection

from event_schema.struct_base import Milliseconds
from server.commands.erase_text import (
    DIGEST_NOTE,
    counts_text,
    erasures_table,
    result_text,
    step_words,
)
from server.commands.opening import (
    FINDINGS,
    UNREACHABLE,
    USAGE,
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
from server.commands.tables import echo_table
from server.erasure.counting import count_rows
from server.erasure.erasing import OF_PERSON, begin, carry_out
from server.erasure.named_in_texts import TYPED
from server.erasure.plan import BelongsToPerson, NotFound, Target, account_target, days_target, person_target
from server.erasure.record import list_erasures
from server.erasure.staying import Stays, what_stays
from server.evidence_pack.stored import sweep
from server.housekeeping import trim_log
from server.installation import Installation
from server.log.contract import LogUnavailable
from server.people.account_names import account_key
from server.people.dates import UnreadableDate, day_text, read_day
from server.people.erased import erased_digest
from server.people.pseudonyms import person_subject, pseudonym_key
from server.pki.authority import PkiError
from server.store.database import MetAnother, StoreUnavailable
from server.store.leftovers import clear_leftovers
from server.store.tables import (
    accounts,
    activity_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    dead_letters,
    erasures,
    event_blocks,
    hidden_hits,
    judged_days,
    known_exports,
    people,
    policy_versions,
    pseudonyms,
    rule_days,
    state_versions,
    subject_agents,
    subject_events,
    subject_places,
    trait_uses,
)

REASON_CHARACTERS = 1000
DAY_MS = 86_400_000
_TOUCHED = (
    people, *OF_PERSON, accounts, pseudonyms, alerts, judged_days, channel_days, activity_days,
    anomaly_days, rule_days, subject_places, correlation_groups, trait_uses, subject_agents, subject_events,
    state_versions, dead_letters, erasures, event_blocks, hidden_hits, policy_versions, known_exports,
    *(table for table, _number, _names, _at in TYPED),
)  # fmt: skip
_NAMED_MIN = 3

Find = Callable[[Connection], Target]


class _Done(msgspec.Struct, frozen=True):
    """`rows` by table: what went, or (dry_run) would go; events too. `left`: what still lies in files, in
    words. `waiting`: records on the log that the pipeline has yet to read. `stays`: what is kept all the
    same, and until when."""

    kind: str
    dry_run: bool
    erased_at: Milliseconds | None
    rows: dict[str, int]
    left: tuple[str, ...] = ()
    waiting: int | None = None
    stays: tuple[Stays, ...] = ()


@click.group("erase")
def erase() -> None:
    """Erase a person, an account of nobody, or days: from database and log, while the server runs.

    What cannot be reached (endpoints' own disks, backups) is told in docs/retention_and_erasure.md.
    """


def _options(command: Command) -> Command:
    reason = click.option(
        "--reason", required=True, help="Why; kept in the audit trail for good, so without any name."
    )
    dry_run = click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
    yes = click.option("--yes", is_flag=True, help="Do not ask.")
    return reason(dry_run(yes(data_option(json_option(command)))))


@erase.command("person")
@click.argument("person", metavar="ID|PSEUDONYM")
@_options
def erase_person(
    person: str, reason: str, dry_run: bool, yes: bool, data: Path | None, as_json: bool
) -> None:
    """Erase all that is kept of a person: HR's data, events, state, alerts.

    Events of others in the same signed records stay, sealed by this installation. Events that arrive later
    from the person's accounts are dropped, and an HR file does not bring the person back unnoticed.

    Killed in the middle, it goes on when it is called again.
    """
    _erase(lambda connection: person_target(connection, person), reason, dry_run, yes, data, as_json)


@erase.command("account")
@click.argument("account", metavar="NAME[@HOST]|PSEUDONYM")
@_options
def erase_account(
    account: str, reason: str, dry_run: bool, yes: bool, data: Path | None, as_json: bool
) -> None:
    """Erase all that is kept of an account that belongs to nobody known: NAME on all hosts, or on one."""
    _erase(lambda connection: account_target(connection, account), reason, dry_run, yes, data, as_json)


@erase.command("day")
@click.argument("first", metavar="FROM")
@click.argument("last", metavar="[TO]", required=False)
@_options
def erase_day(
    first: str, last: str | None, reason: str, dry_run: bool, yes: bool, data: Path | None, as_json: bool
) -> None:
    """Drop all events of these UTC days (2026-11-20), TO included, ahead of retention.

    What was derived from them goes too; alerts stay until their own end. Events of these days that arrive
    later are taken in again.
    """

    def find(connection: Connection) -> Target:
        first_day = _day("FROM", first)
        last_day = first_day if last is None else _day("TO", last)
        if last_day < first_day:
            raise click.UsageError("TO: is before FROM")
        if last_day >= system_clock() // DAY_MS:
            raise click.UsageError(f"{day_text(last_day)} is not over yet (UTC): its events are still coming")
        shown = day_text(first_day)
        if first_day != last_day:
            shown += f" to {day_text(last_day)}"
        return days_target(connection, first_day, last_day, shown)

    _erase(find, reason, dry_run, yes, data, as_json)


@erase.command("list")
@click.option("--person", metavar="ID", help="Only erasures of this person; exit code 3: there is none.")
@click.option("--account", metavar="NAME", help="Only erasures of this account; exit code 3: there is none.")
@data_option
@json_option
def show_list(person: str | None, account: str | None, data: Path | None, as_json: bool) -> None:
    """What was erased, when, and how much. Names are not on the record: give one to look for it."""
    with open_installation(data) as installation, installation.database.read() as connection:
        found = list_erasures(connection)
        if found and (person is not None or account is not None):
            name = f"account:{account_key(account)}" if person is None and account else ""
            digest = erased_digest(pseudonym_key(connection), name or person_subject(person or ""))
            found = [erasure for erasure in found if erasure.digest == digest]
    if as_json:
        echo_json(found)
    elif found:
        echo_table(erasures_table(found))
        if any(erasure.digest for erasure in found):
            click.echo(DIGEST_NOTE)
    else:
        click.echo("Nothing was erased." if person is None and account is None else "No erasure of that.")
    if not found and (person is not None or account is not None):
        raise SystemExit(FINDINGS)


def _day(name: str, written: str) -> int:
    try:
        day = read_day(written)
    except UnreadableDate as error:
        raise click.UsageError(f"{name}: {error}") from None
    if day is None:
        raise click.UsageError(f"{name}: is no day")
    return day


def _erase(find: Find, reason: str, dry_run: bool, yes: bool, data: Path | None, as_json: bool) -> None:
    reason = checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        database = installation.database
        try:
            with database.begin() as connection:
                pseudonym_key(connection)
            with database.read() as connection:
                target = find(connection)
        except (NotFound, BelongsToPerson) as error:
            fail(str(error))
        _refuse_names(reason, target)
        is_known = bool(target.plan.subjects or target.plan.accounts) or target.plan.first_day is not None
        asks = is_known and not dry_run and not yes
        if asks and not sys.stdin.isatty():
            fail("nobody is there to be asked: say --yes", USAGE)
        rows = count_rows(database, target.plan) if is_known else {}
        stays = _stays(installation, target) if is_known else ()
        if not as_json:
            click.echo(counts_text(target, rows, stays))
        if dry_run:
            if as_json:
                echo_json(_Done(target.kind, True, target.erased_at, rows, stays=stays))
            return
        if asks:
            click.confirm("Erase this for good?", abort=True)
        try:
            done = _carry_out(installation, find, target, reason, is_known)
        except (NotFound, BelongsToPerson) as error:
            fail(str(error))
        except PkiError as error:
            fail(f"{error}; erase where leaver up runs")
        except StoreUnavailable as error:
            fail(f"{error}; what was begun goes on when this is called again", UNREACHABLE)
        except MetAnother as error:
            fail(f"{error}; call it again to go on")
    if as_json:
        echo_json(msgspec.structs.replace(done, stays=stays))
    else:
        click.echo(result_text(done.rows, done.left, done.waiting, stays))


def _stays(installation: Installation, target: Target) -> tuple[Stays, ...]:
    until = system_clock() + installation.config.retention.erased_accounts_days * DAY_MS
    with installation.database.read() as connection:
        return what_stays(connection, target.plan, accounts_until=until)


def _carry_out(installation: Installation, find: Find, target: Target, reason: str, is_known: bool) -> _Done:
    database, actor = installation.database, system_actor()
    rows: dict[str, int] = {}
    if is_known:
        installation.pki.open_authority()
        seal_key = installation.seal_key(actor)
        kept = installation.config.retention
        days = kept.erased_accounts_days
        with database.begin() as connection:
            # Again: an import may have come between the question and the answer.
            target = find(connection)
            now = system_clock()
            number = begin(
                connection, target, actor=actor, reason=reason, at=now, blocked_until=now + days * DAY_MS
            )
        with _progress() as progress:
            rows = carry_out(
                database,
                number,
                seal_key=seal_key,
                actor=actor,
                progress=progress,
                events_days=kept.events_days,
                sums_days=kept.activity_days,
            )
    # Also where all was erased before: somebody may have been killed before this.
    sweep(database, installation.directory.packs_path)
    left = list(clear_leftovers(database, [table.name for table in _TOUCHED]))
    waiting = _trim(installation, left)
    return _Done(target.kind, False, target.erased_at, rows, tuple(left), waiting)


def _trim(installation: Installation, left: list[str]) -> int | None:
    """Lets go what lies on the log and was read; how many records were not."""
    try:
        log = installation.open_log(create=False)
        try:
            trim_log(installation.database, log)
            firsts, ends = log.first_offsets(), log.end_offsets()
            if installation.config.log.kind == "kafka":
                left.append("segments of the Kafka topic, until the brokers delete them (docs/kafka.md)")
            return sum(ends[number] - firsts[number] for number in ends)
        finally:
            log.close()
    except LogUnavailable as error:
        left.append(f"the log, which was not reached: {error}")
        return None


def _refuse_names(reason: str, target: Target) -> None:
    plan = target.plan
    # Of HOST\NAME and DOMAIN\NAME the name alone says as much.
    parts = (account.rpartition("\\")[2] for account in plan.accounts)
    for name in (plan.person, plan.name, *plan.accounts, *parts):
        if name and len(name) >= _NAMED_MIN and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", reason, re.I):
            raise click.UsageError("--reason names whom it is about, and is kept for good: leave that out")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    columns: tuple[Any, ...] = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(step_words(what), total=of)
            bars.update(tasks[what], completed=done, total=of)

        yield progress
