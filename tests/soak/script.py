"""What happens on the scripted endpoint: event n is always the same, whoever asks and whenever.

People of the sample company (three of them on notice), one who left three weeks ago and an account of
nobody known copy, change, rename and delete files over the five days before `base_time`. Every 17th event
is dated a day earlier: late events are normal.
"""

from __future__ import annotations

import random
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
_ON_NOTICE = (0, 20, 41)
"""Their places in the sample company."""
_COLLEAGUES = (3, 8, 17, 26, 33, 50)
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


def scripted_event(number: int, count: int, base_time: int, host: Host, version: str) -> Event:
    """Event `number` of `count`."""
    dice = random.Random(f"{SEED}/{number}")
    time = base_time - DAYS * _DAY_MS + number * (DAYS * _DAY_MS - 60_000) // count
    if number % 17 == 16:
        time -= _DAY_MS
    metadata = event_metadata("removable_storage", version)
    account, stick = _copier(dice, base_time)
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
    activity = dice.choice(_ACTS)
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


def _copier(dice: random.Random, base_time: int) -> tuple[str, PeripheralDevice]:
    """An account and one of its sticks. Colleagues copy a little, leavers much more."""
    company = scripted_company(base_time)
    place = dice.choice((*_ON_NOTICE * 3, *_COLLEAGUES, -1, -2))
    account = {-1: LEFT_ACCOUNT, -2: _NOBODY}.get(place) or company[place].account
    stick = PeripheralDevice(
        name="Stick",
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=f"0781:5591:{account}-{dice.randrange(3)}",
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
