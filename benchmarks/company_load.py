"""A company's week on removable storage, as records on the log: what the ingest benchmark works through.

1,000 people on 200 endpoints, five to an endpoint. A person's usual is heavy-tailed; the week is drawn
from the same distribution as the history, so that alerts come from few: 20 people are on notice, and two
of these take everything they can on the last day; one in 20 handles files with telling names. From a seed.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from event_schema.codec import encode_event
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
from event_schema.request_signing import key_id
from event_schema.wire import EVENTS_PER_RECORD_MAX, WireRecord, pack_events
from server.people.calendar import day_type
from server.people.pseudonyms import pseudonym_key
from server.pipeline.measuring import prints_of_places
from server.store.tables import (
    account_bindings,
    accounts,
    activity_days,
    agent_keys,
    agents,
    channel_days,
    collector_days,
    employments,
    installation,
    people,
    subject_agents,
    subject_places,
)

PEOPLE = 1000
AGENTS = 200
HISTORY_DAYS = 60
WEEK_DAYS = 5
EPOCH = "00c0ffee00c0ffee"
DAY_MS = 86_400_000
_ON_NOTICE_EVERY = 50
_TAKES_ALL_EVERY = 500
_SENSITIVE_EVERY = 20
_WORDS = ["slides", "poster", "floorplan", "photo", "manual", "minutes", "drawing", "agenda"]
_SENSITIVE_WORDS = ["客户名单", "contract", "price list"]
_ENDINGS = ["pptx", "pdf", "jpg", "docx", "mp4", "png", "zip", "xlsx"]
_DEPARTMENTS = ["sales", "engineering", "support", "finance", "operations"]


class Worker(msgspec.Struct, frozen=True):
    """One of the people. `files`, `megabytes`: median of an active day."""

    number: int
    files: float
    megabytes: float
    active: float
    stick: PeripheralDevice

    @property
    def account(self) -> str:
        return f"user{self.number:04}"

    @property
    def agent(self) -> str:
        return f"pc-{self.number % AGENTS:03}"

    @property
    def subject(self) -> str:
        return f"person:{self.number}"

    @property
    def on_notice(self) -> bool:
        return self.number % _ON_NOTICE_EVERY == 0

    @property
    def words(self) -> list[str]:
        return _WORDS + _SENSITIVE_WORDS if self.number % _SENSITIVE_EVERY == 0 else _WORDS

    @property
    def takes_all(self) -> bool:
        return self.number % _TAKES_ALL_EVERY == 0


class Load(msgspec.Struct, frozen=True):
    """`records` in the order of their days. `bytes_an_event`: of JSON, before compression."""

    records: list[WireRecord]
    events: int
    bytes_an_event: float


class Company:
    """`today`: day since 1970-01-01 on which the week ends."""

    def __init__(self, seed: int, today: int) -> None:
        self.today = today
        self._dice = random.Random(seed)
        self.workers = [self._worker(number) for number in range(PEOPLE)]
        self.keys = {f"pc-{number:03}": Ed25519PrivateKey.generate() for number in range(AGENTS)}

    def _worker(self, number: int) -> Worker:
        dice = self._dice
        serial = dice.randbytes(8).hex().upper()
        stick = PeripheralDevice(
            name="SanDisk Ultra",
            type_id=PeripheralType.EXTERNAL_STORAGE,
            uid=f"0781:5581:{serial}",
            serial_number=serial,
            vendor_name="SanDisk",
            model="Ultra",
        )
        return Worker(
            number,
            files=math.exp(dice.gauss(4.3, 0.7)),
            megabytes=math.exp(dice.gauss(3.5, 0.9)),
            active=dice.uniform(0.2, 0.6),
            stick=stick,
        )

    def _day(self, worker: Worker, day: int) -> tuple[int, float]:
        """(files, megabytes) that the worker copies on the day."""
        dice = self._dice
        if worker.takes_all and day == self.today:
            return 2000, 8000.0
        chance = worker.active if day_type(day) == "work" else worker.active / 12
        if dice.random() >= chance:
            return 0, 0.0
        files = max(1, round(worker.files * math.exp(dice.gauss(0, 0.6))))
        return files, worker.megabytes * math.exp(dice.gauss(0, 0.8))

    def settle(self, connection: Connection) -> None:
        """People, endpoints, and the history's days as the pipeline leaves them."""
        first, week = self.today - WEEK_DAYS - HISTORY_DAYS, self.today - WEEK_DAYS + 1
        connection.execute(
            people.insert(),
            [
                {
                    "id": str(w.number),
                    "department": _DEPARTMENTS[w.number % len(_DEPARTMENTS)],
                    "time_zone": ("Asia/Shanghai", "Europe/Berlin")[w.number % 2],
                    "changed_at": 0,
                }
                for w in self.workers
            ],
        )
        connection.execute(
            employments.insert(),
            [
                {
                    "person_id": str(w.number),
                    "number": 1,
                    "kind": "employee",
                    "notice_day": self.today - 10,
                    "last_day": self.today + 6,
                }
                for w in self.workers
                if w.on_notice
            ],
        )
        own = [{"system": "", "account": w.account} for w in self.workers]
        connection.execute(
            accounts.insert(),
            [{"kind": "personal", "source": "import", "changed_at": 0, **each} for each in own],
        )
        connection.execute(
            account_bindings.insert(),
            [
                {
                    "person_id": str(w.number),
                    "relation": "owner",
                    "source": "import",
                    "confidence": 1.0,
                    **each,
                }
                for w, each in zip(self.workers, own, strict=True)
            ],
        )
        connection.execute(installation.insert().values(key="people_version", value="1"))
        for name, key in self.keys.items():
            connection.execute(agents.insert().values(name=name, created_at=0, enrolled_at=0, clock_offset=0))
            connection.execute(
                agent_keys.insert().values(
                    agent=name,
                    key_id=key_id(key.public_key()),
                    public_key=key.public_key().public_bytes_raw(),
                    certificate_serial="0",
                    not_before=0,
                    not_after=2**50,
                )
            )
        connection.execute(
            collector_days.insert(),
            [
                {"agent": name, "collector": "removable_storage", "day": day}
                for name in self.keys
                for day in range(first, self.today + 1)
            ],
        )
        times = {"first_time": first * DAY_MS, "last_time": week * DAY_MS}
        used = {"channel": "removable_storage", **times}
        connection.execute(
            subject_agents.insert(),
            [{"subject": w.subject, "agent": w.agent, "first_time": first * DAY_MS} for w in self.workers],
        )
        connection.execute(
            subject_places.insert(),
            [{"subject": w.subject, "place": f"device:{w.stick.uid}", **used} for w in self.workers],
        )
        history = [
            (worker, day, files, megabytes)
            for worker in self.workers
            for day in range(first, week)
            for files, megabytes in [self._day(worker, day)]
            if files
        ]
        connection.execute(channel_days.insert(), [self._history_row(*each) for each in history])
        place_key = pseudonym_key(connection)
        connection.execute(activity_days.insert(), [self._activity_row(*each, place_key) for each in history])

    def _history_row(self, worker: Worker, day: int, files: int, megabytes: float) -> dict[str, object]:
        return {
            "subject": worker.subject,
            "channel": "removable_storage",
            "day": day,
            "day_type": day_type(day),
            "bytes": round(megabytes * 1e6),
            "files": files,
            "items": files,
            "new_places": 0,
            "first_time": day * DAY_MS,
            "last_time": day * DAY_MS + 1,
            "events": files + 2,
        }

    def _activity_row(
        self, worker: Worker, day: int, files: int, megabytes: float, key: bytes
    ) -> dict[str, object]:
        stick = (f"device:{worker.stick.uid}",)
        return {
            "subject": worker.subject,
            "activity": "removable_storage",
            "day": day,
            "day_type": day_type(day),
            "amounts": json.dumps([round(megabytes * 1e6), files, 0]),
            "places": json.dumps(prints_of_places("removable_storage", stick, key)),
            "events": files + 2,
        }

    def week(self, events_max: int) -> Load:
        """The last WEEK_DAYS days, day by day and endpoint by endpoint, at most about events_max events."""
        next_seq = dict.fromkeys(self.keys, 0)
        records: list[WireRecord] = []
        events = size = 0
        share = events_max / WEEK_DAYS
        for day in range(self.today - WEEK_DAYS + 1, self.today + 1):
            end = events + share
            for agent in self._agents_in_turn():
                waiting = [encode_event(event) for event in self._agent_day(agent, day)]
                while waiting and events < end:
                    part, waiting = waiting[:EVENTS_PER_RECORD_MAX], waiting[EVENTS_PER_RECORD_MAX:]
                    records.append(
                        pack_events(
                            self.keys[agent],
                            agent=agent,
                            epoch=EPOCH,
                            first_seq=next_seq[agent],
                            events=part,
                        )
                    )
                    next_seq[agent] += len(part)
                    events += len(part)
                    size += sum(map(len, part))
        return Load(records, events, size / events)

    def _agents_in_turn(self) -> list[str]:
        """Those with somebody who takes all come first, so that a short week has them too."""
        return sorted(self.keys, key=lambda name: not any(w.takes_all for w in self._of(name)))

    def _of(self, agent: str) -> list[Worker]:
        return self.workers[int(agent[3:]) :: AGENTS]

    def _agent_day(self, agent: str, day: int) -> Iterator[Event]:
        for order, worker in enumerate(self._of(agent)):
            files, megabytes = self._day(worker, day)
            if files:
                yield from self._copies(worker, day, order, files, megabytes)

    def _copies(self, worker: Worker, day: int, order: int, files: int, megabytes: float) -> Iterator[Event]:
        dice = self._dice
        time = day * DAY_MS + order * 3_600_000 + dice.randint(0, 3_000_000)
        host = Host(hostname=worker.agent, type_id=HostType.LAPTOP, uid=worker.agent)
        metadata = event_metadata("removable_storage", "0.1.0")
        seen = Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit")
        copier = Actor(
            user=User(name=worker.account, uid=str(1000 + worker.number)),
            process=Process(
                pid=dice.randint(1000, 60_000),
                name="nautilus",
                file=Executable(name="nautilus", type_id=FileType.REGULAR, path="/usr/bin/nautilus"),
                auid=1000 + worker.number,
            ),
        )
        yield peripheral_activity(
            PeripheralActivityKind.CONNECT,
            time=time,
            metadata=metadata,
            actor=Actor(app_name="udev"),
            device=host,
            peripheral_device=worker.stick,
            unmapped=DeviceUnmapped(evidence=seen),
        )
        for number in range(files):
            time += dice.randint(100, 900)
            ending = dice.choice(_ENDINGS)
            name = f"{dice.choice(worker.words)}-{day % 1000}-{number + 1}.{ending}"
            yield file_system_activity(
                FileActivity.CREATE,
                time=time,
                metadata=metadata,
                actor=copier,
                device=host,
                file=File(
                    name=name,
                    type_id=FileType.REGULAR,
                    path=f"/media/{worker.account}/Ultra/2026/{name}",
                    ext=ending,
                    size=max(1, round(megabytes * 1e6 / files * dice.uniform(0.3, 1.7))),
                    hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=dice.randbytes(32).hex()),),
                    drive_type_id=DriveType.REMOVABLE,
                    volume="Ultra",
                ),
                unmapped=Unmapped(evidence=seen, peripheral_device=worker.stick),
            )
