"""A sample company: 60 people in six departments, and 60 days of what they copied to removable storage.

Made from a seed; volumes are heavy-tailed and differ by person, as in published measurements (about a
quarter of staff use removable storage at all, on about half of their working days; more in sales and
engineering). Nothing in it is about the person whom the demo's live copy is about, but their own history.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

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
    Executable,
    File,
    FileType,
    Fingerprint,
    HashAlgorithm,
    Host,
    HostType,
    PeripheralDevice,
    PeripheralType,
    Process,
    User,
)
from event_schema.ocsf_unmapped import DeviceUnmapped, Evidence, Unmapped
from server.people.calendar import day_type

HISTORY_DAYS = 60
LEAVER_ID = "E1001"
"""Copied nothing since giving notice: what the demo's live copy shows is all there is."""
_DAY_MS = 86_400_000
_GIVEN = ["Wei", "Na", "Jun", "Min", "Li", "Hao", "Yan", "Bo", "Anna", "Ben", "Clara", "Eva", "Felix", "Ines"]
_FAMILY = ["Chen", "Wang", "Zhao", "Liu", "Sun", "Weber", "Rossi", "Novak", "Silva", "Haas", "Costa"]
_DEPARTMENTS = {"sales": 15, "engineering": 15, "support": 12, "finance": 7, "operations": 8, "people": 3}
_USES_STICKS = {"sales": 0.4, "engineering": 0.45, "operations": 0.35}
_WORDS = ["slides", "poster", "floorplan", "photo", "manual", "minutes", "drawing", "agenda", "event"]
_ENDINGS = ["pptx", "pdf", "jpg", "docx", "mp4", "png"]
_MAKERS = (("SanDisk", "Ultra"), ("Kingston", "DataTraveler"), ("Samsung", "T7"), ("Netac", "U326"))


class DemoPerson(msgspec.Struct, frozen=True):
    """`sticks`: devices in use; none for most people. `notice`, `last_day`: of those who leave."""

    id: str
    name: str
    account: str
    department: str
    manager: str
    host: str
    sticks: tuple[PeripheralDevice, ...]
    active_share: float
    """Part of the working days on which the person copies something."""
    usual_files: float
    usual_megabytes: float
    notice: date | None = None
    last_day: date | None = None


def demo_company(seed: int, today: date) -> tuple[DemoPerson, ...]:
    """The people. The first one gave notice a week ago, leaves in six days, and used a stick now and then
    before; two more leave later."""
    dice = random.Random(seed)
    names = [f"{given} {family}" for given in _GIVEN for family in _FAMILY]
    dice.shuffle(names)
    people: list[DemoPerson] = []
    for department, size in _DEPARTMENTS.items():
        manager = f"E{1001 + len(people) + 1}"
        for _ in range(size):
            number = len(people)
            first = number == 0
            uses = first or dice.random() < _USES_STICKS.get(department, 0.15)
            leaves_in = {0: 6, 20: 25, 41: 48}.get(number)
            people.append(
                DemoPerson(
                    id=f"E{1001 + number}",
                    name=names[number],
                    account=names[number].lower().replace(" ", "."),
                    department=department,
                    manager=manager,
                    host=f"laptop-{1001 + number}",
                    sticks=tuple(_stick(dice) for _ in range(dice.choice((1, 1, 2)))) if uses else (),
                    active_share=0.25 if first else dice.uniform(0.15, 0.6),
                    usual_files=math.exp(dice.gauss(1.8, 0.6)),
                    usual_megabytes=math.exp(dice.gauss(3.2, 0.9)),
                    notice=None if leaves_in is None else today - timedelta(days=7),
                    last_day=None if leaves_in is None else today + timedelta(days=leaves_in),
                )
            )
    return tuple(people)


def people_csv(people: tuple[DemoPerson, ...], extra_accounts: dict[str, str], time_zone: str) -> bytes:
    """What HR would export. `extra_accounts`: further accounts by person id."""
    lines = ["id,name,accounts,department,manager,time zone,notice date,last working day"]
    for person in people:
        accounts = person.account + (f";{extra_accounts[person.id]}" if person.id in extra_accounts else "")
        dates = f"{person.notice or ''},{person.last_day or ''}"
        lines.append(
            f"{person.id},{person.name},{accounts},{person.department},{person.manager},{time_zone},{dates}"
        )
    return ("\n".join(lines) + "\n").encode()


def demo_history(
    person: DemoPerson, seed: int, now: int, version: str, days: int = HISTORY_DAYS
) -> Iterator[Event]:
    """What the person's agent reported on the `days` days before today, in the order of time. now: ms UTC."""
    dice = random.Random(f"{seed}/{person.id}")
    today = now // _DAY_MS
    last = today - 7 if person.id == LEAVER_ID else today
    for day in range(today - days, last):
        chance = person.active_share if day_type(day) == "work" else person.active_share / 12
        if person.sticks and dice.random() < chance:
            yield from _active_day(person, dice, day, version)


def _active_day(person: DemoPerson, dice: random.Random, day: int, version: str) -> Iterator[Event]:
    stick = dice.choice(person.sticks)
    time = day * _DAY_MS + dice.randint(8 * 3600, 16 * 3600) * 1000
    host = Host(hostname=person.host, type_id=HostType.LAPTOP, uid=person.host)
    metadata = event_metadata("removable_storage", version)
    seen = Evidence(fidelity="exact", observed_by="simulated", actor_from="simulated")
    copier = Actor(
        user=User(name=person.account),
        process=Process(
            pid=dice.randint(1000, 60_000),
            name="nautilus",
            file=Executable(name="nautilus", type_id=FileType.REGULAR, path="/usr/bin/nautilus"),
        ),
    )

    def plugged(activity: PeripheralActivityKind, at: int) -> Event:
        return peripheral_activity(
            activity,
            time=at,
            metadata=metadata,
            actor=Actor(app_name="udev"),
            device=host,
            peripheral_device=stick,
            unmapped=DeviceUnmapped(evidence=seen),
        )

    yield plugged(PeripheralActivityKind.CONNECT, time)
    files = max(1, round(person.usual_files * math.exp(dice.gauss(0, 0.7))))
    megabytes = person.usual_megabytes * math.exp(dice.gauss(0, 0.9))
    for number in range(files):
        time += dice.randint(200, 4000)
        ending = dice.choice(_ENDINGS)
        name = f"{dice.choice(_WORDS)}-{day % 1000}-{number + 1}.{ending}"
        size = max(1, round(megabytes * 1e6 / files * dice.uniform(0.3, 1.7)))
        yield file_system_activity(
            FileActivity.CREATE,
            time=time,
            metadata=metadata,
            actor=copier,
            device=host,
            file=File(
                name=name,
                type_id=FileType.REGULAR,
                path=f"/media/{person.account}/{stick.model}/{name}",
                ext=ending,
                size=size,
                hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=dice.randbytes(32).hex()),),
                drive_type_id=DriveType.REMOVABLE,
                volume=stick.model,
            ),
            unmapped=Unmapped(evidence=seen, peripheral_device=stick),
        )
    yield plugged(PeripheralActivityKind.DISCONNECT, time + dice.randint(2000, 600_000))


def _stick(dice: random.Random) -> PeripheralDevice:
    vendor, model = dice.choice(_MAKERS)
    serial = dice.randbytes(8).hex().upper()
    return PeripheralDevice(
        name=f"{vendor} {model}",
        type_id=PeripheralType.EXTERNAL_STORAGE,
        uid=f"{dice.randbytes(2).hex()}:{dice.randbytes(2).hex()}:{serial}",
        serial_number=serial,
        vendor_name=vendor,
        model=model,
    )
