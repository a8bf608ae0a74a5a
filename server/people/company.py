"""What holds for the whole company: its calendar, and the time zone of accounts that nobody owns.

`leaver up` writes its settings into the database, from where the pipeline, every worker and every training
takes them: all go by the same days.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, select

from server.people.calendar import MONDAY_TO_FRIDAY, Calendar
from server.store.tables import installation
from server.store.upsert import upsert

DEFAULT_TIME_ZONE = "UTC"
_CALENDAR, _TIME_ZONE = "calendar", "time_zone"


class Company(msgspec.Struct, frozen=True):
    """`time_zone`: an IANA name."""

    calendar: Calendar = MONDAY_TO_FRIDAY
    time_zone: str = DEFAULT_TIME_ZONE


def load_company(connection: Connection) -> Company:
    """As `leaver up` was last told."""
    known = _stored(connection)
    name = known.get(_CALENDAR, "")
    return Company(Calendar(name) if name else MONDAY_TO_FRIDAY, known.get(_TIME_ZONE, DEFAULT_TIME_ZONE))


def keep_company(connection: Connection, *, calendar: str, time_zone: str) -> bool:
    """Writes the settings where they changed; whether they did. In a write transaction that is alone; raise
    the people's version then."""
    known = _stored(connection)
    if (known.get(_CALENDAR, ""), known.get(_TIME_ZONE, DEFAULT_TIME_ZONE)) == (calendar, time_zone):
        return False
    rows = [{"key": _CALENDAR, "value": calendar}, {"key": _TIME_ZONE, "value": time_zone}]
    upsert(connection, installation, rows)
    return True


def _stored(connection: Connection) -> dict[str, str]:
    keys = installation.c.key.in_((_CALENDAR, _TIME_ZONE))
    return {row.key: row.value for row in connection.execute(select(installation).where(keys))}
