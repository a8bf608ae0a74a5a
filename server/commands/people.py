"""`leaver people`: what HR tells: who works here, with which accounts, and who is leaving when."""

from __future__ import annotations

from pathlib import Path

import click
from rich.table import Table

from event_schema.leaver_fields import PersonStatus
from event_schema.printable import printable_name
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
from server.commands.people_accounts import account, show_accounts
from server.commands.people_holdings import close_account, reissue, return_device
from server.commands.people_import import import_file, imports
from server.commands.tables import echo_table
from server.people.dates import UnreadableDate, day_text, minute_text, read_day, read_minute
from server.people.directory import Directory, PersonRecord
from server.people.facts import LeaverFlag, LeavingType, PersonFacts, latest_employment
from server.people.flags import FlagRefused, UnknownPerson, flag_person, unflag_person
from server.people.hr_directory import load_hr_directory
from server.people.hr_view import hr_reading
from server.people.import_report import day_and_minute
from server.people.standing import flagged

REASON_CHARACTERS = 1000
_TYPES: tuple[LeavingType, ...] = ("resigned", "dismissed", "end_of_contract", "partner_end")


@click.group("people")
def people() -> None:
    """Who works here, and who is leaving when: HR's view, without alerts."""


people.add_command(import_file)
people.add_command(imports)
people.add_command(account)
people.add_command(show_accounts)
people.add_command(close_account)
people.add_command(return_device)
people.add_command(reissue)


@people.command("list")
@click.option("--leaving", is_flag=True, help="Only people with a notice date or a last working day.")
@data_option
@json_option
def show(leaving: bool, data: Path | None, as_json: bool) -> None:
    """Ids, dates and status of all people, by last working day."""
    with open_installation(data) as installation:
        now = system_clock()
        with hr_reading(installation.database) as connection:
            directory = load_hr_directory(connection)
    found = sorted(
        (_Shown(person, directory, now) for person in directory.people()),
        key=lambda shown: (shown.last_day is None, shown.last_day or 0, shown.person.id),
    )
    if leaving:
        found = [shown for shown in found if shown.leaves]
    if as_json:
        echo_json([shown.plain() for shown in found])
    elif not found:
        click.echo("No one is marked as leaving." if leaving else "No people yet: leaver people import FILE")
    else:
        echo_table(_people_table(found))


@people.command("flag")
@click.argument("person", metavar="ID")
@click.option("--last-day", required=True, metavar="DATE", help="The last working day, still worked.")
@click.option("--last-hour", metavar="HH:MM", help="Until when, where the person is; else the day's end.")
@click.option("--notice-date", metavar="DATE", help="Else 90 days before the last day.")
@click.option("--type", "leaving_type", type=click.Choice(_TYPES), help="How the person leaves.")
@click.option("--reason", help="Why; kept in the audit trail for good, so without any name.")
@data_option
@json_option
def flag(
    person: str,
    last_day: str,
    last_hour: str | None,
    notice_date: str | None,
    leaving_type: LeavingType | None,
    reason: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Say that somebody leaves, ahead of HR's file. It stands over the file's dates until `unflag`.

    Flagged again, what is not said stays as it was; the hour only where the day is the same. A day is written
    2026-12-04, 4.12.2026 or 2026年12月4日.
    """
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        wanted = LeaverFlag(
            last_day=_day("--last-day", last_day),
            notice_day=None if notice_date is None else _day("--notice-date", notice_date),
            last_minute=None if last_hour is None else _minute("--last-hour", last_hour),
            leaving_type=leaving_type,
        )
        try:
            with installation.database.begin() as connection:
                before, after = flag_person(
                    connection, person, wanted, actor=system_actor(), at=system_clock(), reason=why
                )
        except (UnknownPerson, FlagRefused) as error:
            fail(str(error))
    _echo_flagged(before, after, as_json)


@people.command("unflag")
@click.argument("person", metavar="ID")
@click.option("--reason", help="Why; kept in the audit trail for good, so without any name.")
@data_option
@json_option
def unflag(person: str, reason: str | None, data: Path | None, as_json: bool) -> None:
    """Take a flag back: the dates of HR's file hold again."""
    why = None if reason is None else checked_reason(reason, REASON_CHARACTERS)
    with open_installation(data) as installation:
        try:
            with installation.database.begin() as connection:
                before, after = unflag_person(
                    connection, person, actor=system_actor(), at=system_clock(), reason=why
                )
        except (UnknownPerson, FlagRefused) as error:
            fail(str(error))
    _echo_flagged(before, after, as_json)


class _Shown:
    """A person as the list has it."""

    def __init__(self, person: PersonRecord, directory: Directory, now: int) -> None:
        self.person = person
        self.status, self.days = directory.status_at(person, now)
        self.accounts = sorted(
            record.name
            for record in directory.records_of(person.id)
            if any(b.person_id == person.id and b.holds_at(now) for b in record.owners)
        )
        self.main = latest_employment(flagged(person.employments, person.flag))
        self.last_day = None if self.main is None else self.main.last_day

    @property
    def leaves(self) -> bool:
        main = self.main
        return main is not None and (main.last_day is not None or main.notice_day is not None)

    def plain(self) -> dict[str, object]:
        main = self.main
        return {
            "id": self.person.id,
            "department": self.person.department,
            "job_role": self.person.job_role,
            "manager": self.person.manager_id,
            "time_zone": self.person.time_zone,
            "priority": self.person.priority,
            "kind": None if main is None else main.kind,
            "employments": len(self.person.employments),
            "start_date": _day_or_none(None if main is None else main.start_day),
            "notice_date": _day_or_none(None if main is None else main.notice_day),
            "last_working_day": _day_or_none(self.last_day),
            "last_hour": None if main is None or main.last_minute is None else minute_text(main.last_minute),
            "leaving_type": None if main is None else main.leaving_type,
            "flagged": self.person.flag is not None,
            "status": self.status,
            "days_to_last_day": self.days,
            "accounts": self.accounts,
        }


def _people_table(found: list[_Shown]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "department", "status", "notice date", "last working day"):
        table.add_column(column, no_wrap=True)
    table.add_column("days left", justify="right", no_wrap=True)
    table.add_column("how", no_wrap=True)
    for shown in found:
        main = shown.main
        how = [main.leaving_type.replace("_", " ")] if main is not None and main.leaving_type else []
        how += ["by hand"] if shown.person.flag is not None else []
        table.add_row(
            printable_name(shown.person.id),
            printable_name(shown.person.department or "-"),
            shown.status,
            _day_or_none(None if main is None else main.notice_day) or "-",
            (None if main is None else day_and_minute(main.last_day, main.last_minute)) or "-",
            "-" if shown.days is None or shown.status is PersonStatus.ACTIVE else str(shown.days),
            ", ".join(how) or "-",
        )
    return table


def _echo_flagged(before: PersonFacts, after: PersonFacts, as_json: bool) -> None:
    main = latest_employment(flagged(after.employments, after.flag))
    last = None if main is None else day_and_minute(main.last_day, main.last_minute)
    if as_json:
        echo_json({"id": after.id, "changed": before != after, "last_working_day": last})
    elif before == after:
        click.echo(f"{after.id} is flagged so already: last day {last}")
    elif after.flag is None:
        click.echo(
            f"{after.id}: the flag is gone; " + (f"last day {last}, as HR says" if last else "no last day")
        )
    else:
        how = f"; {after.flag.leaving_type.replace('_', ' ')}" if after.flag.leaving_type else ""
        click.echo(f"{after.id}: last day {last}, {after.time_zone}{how}")
        old = before.flag
        if old is not None and old.last_minute is not None and after.flag.last_minute is None:
            was = minute_text(old.last_minute)
            click.echo(
                f"The last hour, {was}, was that of the other day: --last-hour says another.", err=True
            )


def _day(option: str, written: str) -> int:
    try:
        day = read_day(written)
    except UnreadableDate as error:
        raise click.UsageError(f"{option}: {error}") from None
    if day is None:
        raise click.UsageError(f"{option}: is no day")
    return day


def _minute(option: str, written: str) -> int | None:
    try:
        return read_minute(written)
    except UnreadableDate as error:
        raise click.UsageError(f"{option}: {error}") from None


def _day_or_none(day: int | None) -> str | None:
    return None if day is None else day_text(day)
