"""Words of the leavers' pages in the viewer's language, and how people stand in their addresses."""

from __future__ import annotations

from datetime import date
from typing import Any, Final
from urllib.parse import quote

from server.console.page import Ask
from server.console.times_shown import day
from server.people.import_report import FieldChange
from server.people.roles import Role

_RESERVED: Final = frozenset({"flag", "import", "imports", "people", "said", "sign", "holding", "undo"})
_DAYS: Final = frozenset({"start_date", "notice_date", "last_working_day", "end_date", "flagged_last_day"})
ID_CHARACTERS: Final = 128


def person_path(person: str) -> str:
    """An id or a pseudonym as a part of an address. One that no address could hold stands in hexadecimal."""
    if "/" in person or person in _RESERVED or person.startswith(("~", ".")) or not person.isprintable():
        return f"~{person.encode('utf-8', 'surrogatepass').hex()}"
    return quote(person, safe="")


def person_of(path: str) -> str:
    """The other way round; a text that is no such part stays as it is, and nobody has it."""
    if not path.startswith("~"):
        return path[:ID_CHARACTERS]
    try:
        return bytes.fromhex(path[1 : 1 + 4 * ID_CHARACTERS]).decode()
    except ValueError:
        return path[:ID_CHARACTERS]


def leaving_types(ask: Ask) -> dict[str, str]:
    return {
        "resigned": ask.text("Resigned"),
        "dismissed": ask.text("Dismissed"),
        "end_of_contract": ask.text("End of contract"),
        "partner_end": ask.text("End of partnership"),
    }


def sources(ask: Ask) -> dict[str, str]:
    return {
        "by_hand": ask.text("By hand"),
        "file": ask.text("File"),
        "folder": ask.text("Watched folder"),
        "hr_system": ask.text("HR system"),
        "identity_provider": ask.text("Identity provider"),
        "unknown": ask.text("Not known"),
    }


def states(ask: Ask) -> dict[str, str]:
    return {
        "open": ask.text("Not closed"),
        "closed": ask.text("Account closed"),
        "handed_over": ask.text("Somebody else's now"),
        "ended": ask.text("Nobody's now"),
        "rotated": ask.text("Changed since"),
    }


def account_kinds(ask: Ask) -> dict[str, str]:
    return {
        "personal": ask.text("Personal account"),
        "shared": ask.text("Shared account"),
        "service": ask.text("Service account"),
        "partner": ask.text("Partner's account"),
    }


def items(ask: Ask) -> dict[str, str]:
    return {
        "dates": ask.text("The dates are right"),
        "accounts": ask.text("Accounts are closed"),
        "devices": ask.text("Devices are back"),
        "secrets": ask.text("Passwords are changed"),
        "activity": ask.text("What was done was looked at"),
    }


def departments(ask: Ask) -> dict[Role, str]:
    """Whose task a sign-off is."""
    return {
        Role.HR: ask.text("HR"),
        Role.ANALYST: ask.text("Security"),
        Role.ADMINISTRATOR: ask.text("IT"),
        Role.AUDITOR: ask.text("Auditors"),
    }


def ways(ask: Ask) -> dict[str, str]:
    """Of changes in the history."""
    return {
        "import": ask.text("Import"),
        "flag": ask.text("Flagged"),
        "unflag": ask.text("Flag withdrawn"),
        "undo": ask.text("Undone"),
        "account": ask.text("Account"),
        "device": ask.text("Device"),
        "scim": ask.text("Identity provider"),
    }


def columns(ask: Ask) -> dict[str, str]:
    """Of HR's files and of what changes."""
    return {
        "id": ask.text("Employee id"),
        "name": ask.text("Name of the person"),
        "accounts": ask.text("Accounts"),
        "department": ask.text("Department"),
        "job_role": ask.text("Job"),
        "manager": ask.text("Manager"),
        "time_zone": ask.text("Time zone"),
        "priority": ask.text("Priority"),
        "devices": ask.text("Devices"),
        "since": ask.text("Valid from"),
        "employment": ask.text("Contract number"),
        "kind": ask.text("Kind of employment"),
        "start_date": ask.text("Start date"),
        "notice_date": ask.text("Notice date"),
        "last_working_day": ask.text("Last working day"),
        "end_date": ask.text("End date"),
        "last_hour": ask.text("Last hour"),
        "leaving_type": ask.text("Kind of leaving"),
        "other_employments": ask.text("Other employments"),
        "from_identity_provider": ask.text("From the identity provider"),
        "flagged_last_day": ask.text("Last day by hand"),
        "note": ask.text("Note"),
    }


def value_words(ask: Ask, field: FieldChange) -> tuple[str | None, str | None]:
    """What a field was and is, as people read it: dates as days, words of ours translated."""
    return _value(ask, field.column, field.before), _value(ask, field.column, field.after)


def _value(ask: Ask, column: str, value: str | None) -> str | None:
    if value is None:
        return None
    if column == "leaving_type":
        return leaving_types(ask).get(value, value)
    if column in _DAYS:
        written, _, hour = value.partition(" ")
        return f"{day(date.fromisoformat(written), ask.look.language)} {hour}".strip()
    return value


def iso_day(written: str | None) -> date | None:
    """Of what the read models write; None stays None."""
    return None if written is None else date.fromisoformat(written)


def weekdays(ask: Ask) -> tuple[str, ...]:
    """Monday first, short."""
    return (
        ask.text("Mon"),
        ask.text("Tue"),
        ask.text("Wed"),
        ask.text("Thu"),
        ask.text("Fri"),
        ask.text("Sat"),
        ask.text("Sun"),
    )


def days_words(ask: Ask, days: int | None) -> str:
    """How far away a last day is."""
    if days is None:
        return ""
    if days == 0:
        return ask.text("today")
    if days > 0:
        return ask.text("in {n} day|in {n} days", n=days)
    return ask.text("{n} day ago|{n} days ago", n=-days)


def all_words(ask: Ask) -> dict[str, Any]:
    """What the templates of leavers are given besides their values."""
    return {
        "types": leaving_types(ask),
        "sources": sources(ask),
        "states": states(ask),
        "kinds": account_kinds(ask),
        "item_words": items(ask),
        "departments": departments(ask),
        "ways": ways(ask),
        "column_words": columns(ask),
        "value_words": lambda field: value_words(ask, field),
        "days_words": lambda days: days_words(ask, days),
        "weekdays": weekdays(ask),
        "iso_day": iso_day,
        "person_path": person_path,
    }
