"""What happens on the scripted endpoints: event n is always the same, whoever asks and whenever.

People of the sample company (three of them on notice), one who left three weeks ago and an account of
nobody known copy, change, rename and delete files over the five days before `base_time`. Every 17th event
is dated a day earlier: late events are normal.

With several endpoints people overlap on them, and yet nothing may depend on who delivers first (decision 3
says in what the order of arrival shows). So the script has phases, and whoever runs it lets a phase begin
when all of the one before is stored. In a phase all that a person does happens on one endpoint, and in the
next phase on the next one. Beside that, one on notice does nothing from the second phase on but delete
files, on all endpoints at once, on sticks that the first phase has shown: sums, minima and maxima, which come
out the same in any order. With two kinds of acts at once, order would decide which family a day is of.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache

from event_schema.ocsf_events import (
    Event,
    FileActivity,
    PeripheralActivityKind,
    event_metadata,
    file_system_activity,
    peripheral_activity,
)
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    File,
    FileType,
    Host,
    PeripheralDevice,
    PeripheralType,
    User,
)
from event_schema.ocsf_unmapped import DeviceUnmapped, Evidence, Unmapped
from server.evaluation.demo_company import DemoPerson, demo_company

SEED = 1
DAYS = 5
LEFT_ID, LEFT_ACCOUNT = "E9001", "left.long.ago"
_NOBODY = "contractor7"
_DAY_MS = 86_400_000
_COPYING, _DELETING = (0, 20), 41
"""Of those on notice, their places in the sample company."""
_COLLEAGUES = (3, 8, 17, 26, 33, 50)
_STICKS = 3
_DRAWN = (*_COPYING * 4, _DELETING, *_COLLEAGUES, -1, -2)
"""Colleagues copy a little, leavers much more; -1 has left, -2 is nobody known."""
_PEOPLE = (*_COPYING, _DELETING, *_COLLEAGUES, -1, -2)
PHASES = 5
_SEEN = Evidence(fidelity="exact", observed_by="simulated", actor_from="simulated")
_ACTS = (
    *[FileActivity.CREATE] * 16,
    *[FileActivity.UPDATE] * 2,
    FileActivity.DELETE,
    FileActivity.RENAME,
)


def scripted_company(base_time: int) -> tuple[DemoPerson, ...]:
    """The sample company as of `base_time` (ms UTC)."""
    return _company(datetime.fromtimestamp(base_time / 1000, UTC).date())


def left_person_csv(base_time: int) -> bytes:
    """HR's row about the one who has left, beside the sample company."""
    today = datetime.fromtimestamp(base_time / 1000, UTC).date()
    dates = f"{today - timedelta(days=60)},{today - timedelta(days=21)}"
    header = "id,name,accounts,department,manager,time zone,notice date,last working day"
    return f"{header}\n{LEFT_ID},Long Gone,{LEFT_ACCOUNT},sales,E1002,UTC,{dates}\n".encode()


def phase_ends(count: int) -> list[int]:
    """The number after each phase's last event."""
    return [-(-count * phase // PHASES) for phase in range(1, PHASES + 1)]


def numbers_on(place: int, places: int, count: int) -> Iterator[int]:
    """Of the events that happen on endpoint `place` of `places`, in their order."""
    return (number for number in range(count) if place_of(number, places, count) == place)


def place_of(number: int, places: int, count: int) -> int:
    """The endpoint, of `places`, on which event `number` of `count` happens."""
    if _roams(number, count):
        return _draw(number, 3) % places
    return (_PEOPLE.index(_who(number)) + number * PHASES // count) % places


def _roams(number: int, count: int) -> bool:
    """Whether it is a file deleted on any endpoint: never a late one, and never in the first phase."""
    return number * PHASES // count > 0 and number % 17 != 16 and _who(number) == _DELETING


def _who(number: int) -> int:
    # The first events show all sticks of all.
    if number < _STICKS * len(_PEOPLE):
        return _PEOPLE[number // _STICKS]
    return _DRAWN[_draw(number, 1) % len(_DRAWN)]


def _draw(number: int, what: int) -> int:
    """As random as needed, and much quicker than random.Random: endpoints look through all numbers."""
    mixed = (number * 0x9E3779B1 + what * 0x85EBCA6B) & 0xFFFFFFFF
    mixed = ((mixed ^ mixed >> 15) * 0x2C1B3C6D) & 0xFFFFFFFF
    mixed = ((mixed ^ mixed >> 12) * 0x297A2D39) & 0xFFFFFFFF
    return mixed ^ mixed >> 15


def scripted_event(number: int, count: int, base_time: int, host: Host, version: str) -> Event:
    """Event `number` of `count`."""
    dice = random.Random(f"{SEED}/{number}")
    time = base_time - DAYS * _DAY_MS + number * (DAYS * _DAY_MS - 60_000) // count
    if number % 17 == 16:
        time -= _DAY_MS
    metadata = event_metadata("removable_storage", version)
    account, stick = _copier(number, base_time)
    if number % 50 == 49:
        return peripheral_activity(
            dice.choice(list(PeripheralActivityKind)),
            time=time,
            metadata=metadata,
            actor=Actor(app_name="udev"),
            device=host,
            peripheral_device=stick,
            unmapped=DeviceUnmapped(evidence=_SEEN),
        )
    activity = FileActivity.DELETE if _roams(number, count) else dice.choice(_ACTS)
    file = _file(f"file-{number}.bin", dice)
    return file_system_activity(
        activity,
        time=time,
        metadata=metadata,
        actor=Actor(user=User(name=account)),
        device=host,
        file=file,
        unmapped=Unmapped(evidence=_SEEN, peripheral_device=stick),
        file_result=_file(f"renamed-{number}.bin", dice) if activity is FileActivity.RENAME else None,
    )


@cache
def _company(today: date) -> tuple[DemoPerson, ...]:
    return demo_company(SEED, today)


def _copier(number: int, base_time: int) -> tuple[str, PeripheralDevice]:
    """An account and one of its sticks."""
    company = scripted_company(base_time)
    who = _who(number)
    account = {-1: LEFT_ACCOUNT, -2: _NOBODY}.get(who) or company[who].account
    which = number if number < _STICKS * len(_PEOPLE) else _draw(number, 4)
    stick = PeripheralDevice(
        name="Stick",
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=f"0781:5591:{account}-{which % _STICKS}",
    )
    return account, stick


def _file(name: str, dice: random.Random) -> File:
    return File(
        name=name,
        type_id=FileType.REGULAR,
        path=f"/media/stick/{name}",
        size=int(dice.lognormvariate(12, 2)),
        drive_type_id=DriveType.REMOVABLE,
    )
