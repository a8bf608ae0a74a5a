"""What holds for the whole company: calendar, working hours, the time zone of accounts that nobody owns,
and which addresses, destinations and devices are its own.

`leaver up` writes its settings into the database, from where the pipeline, every worker and every training
takes them: all go by the same days.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from server.people.calendar import MONDAY_TO_FRIDAY, Calendar
from server.people.company_places import NOTHING_NAMED, NamedPlaces
from server.store.tables import installation
from server.store.upsert import upsert

DEFAULT_TIME_ZONE = "UTC"
_CALENDAR, _TIME_ZONE, _HOURS, _PLACES = "calendar", "time_zone", "working_hours", "company_places"
"""Keys of `installation`; the last one's value is a NamedPlaces as JSON."""


class Company(msgspec.Struct, frozen=True):
    """`time_zone`: an IANA name. `working_hours`: as working_hours.py reads them; empty: not known."""

    calendar: Calendar = MONDAY_TO_FRIDAY
    time_zone: str = DEFAULT_TIME_ZONE
    working_hours: str = ""
    places: NamedPlaces = NOTHING_NAMED


def load_company(connection: Connection) -> Company:
    """As `leaver up` was last told."""
    known = _stored(connection)
    name = known[_CALENDAR]
    return Company(
        Calendar(name) if name else MONDAY_TO_FRIDAY,
        known[_TIME_ZONE],
        known[_HOURS],
        msgspec.json.decode(known[_PLACES], type=NamedPlaces),
    )


def keep_company(
    connection: Connection,
    *,
    calendar: str,
    time_zone: str,
    working_hours: str = "",
    places: NamedPlaces = NOTHING_NAMED,
) -> bool:
    """Writes the settings where they changed; whether they did. In a write transaction that is alone; raise
    the people's version then."""
    settings = _settings(calendar, time_zone, working_hours, places)
    if _stored(connection) == settings:
        return False
    upsert(connection, installation, [{"key": key, "value": value} for key, value in settings.items()])
    return True


def _settings(calendar: str, time_zone: str, working_hours: str, places: NamedPlaces) -> dict[str, str]:
    named = msgspec.json.encode(places).decode()
    return {_CALENDAR: calendar, _TIME_ZONE: time_zone, _HOURS: working_hours, _PLACES: named}


def _stored(connection: Connection) -> dict[str, str]:
    found = _settings("", DEFAULT_TIME_ZONE, "", NOTHING_NAMED)
    keys = installation.c.key.in_(found)
    found.update({row.key: row.value for row in connection.execute(select(installation).where(keys))})
    return found
