"""One leak as the pipeline stores it: people from an HR file, really signed blocks, an open alert."""

from __future__ import annotations

import hashlib

import msgspec
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import insert

from event_schema.codec import encode_event
from event_schema.leaver_fields import (
    AccountFields,
    DeviceFields,
    EvidenceFields,
    LeaverFields,
    PersonFields,
    PersonStatus,
    TimeFields,
)
from event_schema.ocsf_events import Event, FileActivity, event_metadata, file_system_activity
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
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.wire import WireRecord, pack_events
from server.people.hr_import import import_people
from server.store.database import Database
from server.store.tables import (
    agent_keys,
    agents,
    alert_days,
    alerts,
    event_blocks,
    rule_days,
    subject_events,
)

NOW = 1_795_305_600_000  # 2026-11-22T00:00:00Z
DAY = NOW // 86_400_000
CHANNEL = "removable_storage"
AGENT, EPOCH = "alice-laptop-agent", "00112233aabbccdd"
RULE = "6f3d6b0e-5d52-4a0e-8a3d-4a1f0e6c1a11"
PEOPLE = """id,name,accounts,department,manager,time zone,notice date,last working day
E1007,Alice Wang,alice CORP\\alice awang@corp.example,Sales,E1001,Asia/Shanghai,2026-11-01,2026-11-28
E1001,Berta Braun,berta,Sales,,Europe/Berlin,,
"""
SECRETS = (
    "alice",
    "wang",
    "berta",
    "braun",
    "E1007",
    "E1001",
    "corp.example",
    AGENT,
    "1501",
    "4C530001",
    "/home/alice",
)
"""What no masked output may hold, in any case."""


def copied_file(number: int, *, size: int, activity: FileActivity = FileActivity.CREATE) -> Event:
    """A file of the leak; everything in it that can names the person."""
    name = f"customers-{number:03}.xlsx"
    digest = hashlib.sha256(name.encode()).hexdigest()
    return file_system_activity(
        activity,
        time=NOW + number * 1000,
        metadata=event_metadata("removable_storage", "0.1.0"),
        actor=Actor(
            user=User(name="Alice", uid="1501"),
            process=Process(
                pid=4000 + number,
                name="cp",
                file=Executable(name="cp", type_id=FileType.REGULAR, path="/home/alice/bin/cp"),
                auid=1501,
            ),
        ),
        device=Host(hostname="alice-laptop", type_id=HostType.LAPTOP, uid=AGENT),
        file=File(
            name=name,
            type_id=FileType.REGULAR,
            path=f"/run/media/alice/ALICE_USB/from alice/{name}",
            ext="xlsx",
            size=size,
            hashes=(Fingerprint(algorithm_id=HashAlgorithm.SHA_256, value=digest),),
            drive_type_id=DriveType.REMOVABLE,
            volume="Alice_Wang's stick",
        ),
        unmapped=Unmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit"),
            peripheral_device=PeripheralDevice(
                name="SanDisk Cruzer Blade",
                type_id=PeripheralType.EXTERNAL_STORAGE,
                uid="0781:5567:4C530001",
                serial_number="4C530001",
                vendor_name="SanDisk",
                model="Cruzer Blade",
            ),
        ),
    )


def known_of(number: int) -> LeaverFields:
    return LeaverFields(
        person=PersonFields(
            status=PersonStatus.NOTICE,
            id="E1007",
            days_to_last_day=6,
            department="Sales",
            manager="E1001",
            peer_group="Sales",
        ),
        account=AccountFields(kind="personal", owner_id="E1007"),
        time=TimeFields(local_hour=8, day_type="off"),
        evidence=EvidenceFields(
            fidelity="exact", gap="hash skipped: alice's file was gone" if number == 3 else None
        ),
        device=DeviceFields(assigned_to="E1007", first_seen_for_person=True),
    )


def store_block(database: Database, record: WireRecord, known: list[tuple[int, LeaverFields] | None]) -> None:
    """The record as the pipeline keeps it."""
    entries = zstandard.ZstdCompressor().compress(msgspec.json.encode(known))
    with database.begin() as connection:
        connection.execute(
            insert(event_blocks).values(
                agent=record.agent,
                epoch=record.epoch,
                first_seq=record.first_seq,
                count=record.count,
                received_at=NOW,
                last_day=DAY,
                signature=record.signature,
                value=record.value,
                leaver=entries,
            )
        )


def pack(key: Ed25519PrivateKey, first_seq: int, events: list[Event]) -> WireRecord:
    encoded = [encode_event(event) for event in events]
    return pack_events(key, agent=AGENT, epoch=EPOCH, first_seq=first_seq, events=encoded)


def enrolled_agent(database: Database) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    with database.begin() as connection:
        connection.execute(insert(agents).values(name=AGENT, created_at=NOW, clock_offset=0))
        connection.execute(
            insert(agent_keys).values(
                agent=AGENT,
                key_id="0" * 16,
                public_key=key.public_key().public_bytes_raw(),
                certificate_serial="1",
                not_before=0,
                not_after=NOW * 2,
            )
        )
    return key


def record_leak(database: Database, files: int = 30) -> Ed25519PrivateKey:
    """Alert 1: files of 1, 2, 3 … MB in blocks of ten, and people, rule hits and keys to go with them."""
    key = enrolled_agent(database)
    with database.begin() as connection:
        import_people(connection, PEOPLE.encode(), actor="cli:hr", at=NOW)
    events = [copied_file(number, size=(number + 1) * 1_000_000) for number in range(files)]
    for start in range(0, files, 10):
        part = events[start : start + 10]
        known: list[tuple[int, LeaverFields] | None] = [
            (event.time, known_of(start + index)) for index, event in enumerate(part)
        ]
        store_block(database, pack(key, start, part), known)
    open_alert(database, events=files)
    return key


def open_alert(
    database: Database, *, events: int, subject: str = "person:E1007", alert_id: int = 1, score: int = 87
) -> None:
    with database.begin() as connection:
        connection.execute(
            insert(alerts).values(
                id=alert_id,
                subject=subject,
                family="removable_storage_copy",
                status="open",
                score=score,
                account_owner="E1007",
                suspected_actor="E1007",
                traits=[{"kind": "own_account", "events": events}],
                sentence={
                    "en": "465 MB (30 files) to a device first seen that day; last day in 6 days",
                    "zh": "…",
                },
                shares=[
                    {"source": "anomaly", "points": score - 30, "share": 0.66},
                    {"source": RULE, "points": 30, "share": 0.34},
                ],
                facts={"bytes": 465_000_000, "person": "E1007", "account": "alice", "host": "alice-laptop"},
                policy_version="p1",
                first_time=NOW,
                last_time=NOW + events * 1000,
                events=events,
                opened_at=NOW,
                updated_at=NOW,
            )
        )
        place = {"channel": CHANNEL, "day": DAY}
        connection.execute(insert(alert_days).values(alert=alert_id, **place))
        connection.execute(
            insert(subject_events).values(
                subject=subject, agent=AGENT, epoch=EPOCH, first_seq=0, last_seq=events - 1, **place
            )
        )
        connection.execute(
            insert(rule_days).values(
                channel="removable_storage",
                subject=subject,
                rule_id=RULE,
                day=DAY,
                family="removable_storage_copy",
                level="high",
                title="Copies to removable storage in the notice period",
                hits=events,
                first_time=NOW,
                last_time=NOW,
                first_version=1,
                last_version=1,
            )
        )
