"""A simulated endpoint for tests of the server: makes real, signed wire records with chosen events."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_schema.codec import encode_event
from event_schema.control_records import Heartbeat, Loss, LossReason, encode_control
from event_schema.ocsf_events import Event, FileActivity, event_metadata, file_system_activity
from event_schema.ocsf_objects import (
    Actor,
    DriveType,
    File,
    FileType,
    Host,
    HostType,
    PeripheralDevice,
    PeripheralType,
    User,
)
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.request_signing import key_id
from event_schema.wire import RecordKind, WireRecord, pack_control, pack_events
from server.store.database import Database
from server.store.tables import agent_keys, agents

EPOCH = "0123456789abcdef"


def copied_file(
    time: int,
    *,
    name: str = "report.xlsx",
    size: int = 1000,
    account: str | None = "alice",
    device: str = "0781:5591:S1",
    host: str = "laptop-1",
) -> Event:
    """A finished file on a stick, as the removable-storage collector reports it."""
    stick = PeripheralDevice(name="Stick", type_id=PeripheralType.EXTERNAL_STORAGE, uid=device)
    return file_system_activity(
        FileActivity.CREATE,
        time=time,
        metadata=event_metadata("removable_storage", "0.1.0"),
        actor=Actor(user=User(name=account)) if account is not None else Actor(app_name="unknown"),
        device=Host(hostname=host, type_id=HostType.LAPTOP),
        file=File(
            name=name,
            type_id=FileType.REGULAR,
            path=f"/media/stick/{name}",
            size=size,
            drive_type_id=DriveType.REMOVABLE,
        ),
        unmapped=Unmapped(
            evidence=Evidence(fidelity="exact", observed_by="fanotify_fid", actor_from="audit"),
            peripheral_device=stick,
        ),
    )


class Endpoint:
    """An enrolled agent's key and sequence numbers."""

    def __init__(self, name: str = "laptop-1", epoch: str = EPOCH) -> None:
        self.name = name
        self.epoch = epoch
        self.key = Ed25519PrivateKey.generate()
        self.next_seq = 0

    def enrol(self, database: Database, now: int = 0) -> None:
        with database.begin() as connection:
            connection.execute(
                agents.insert().values(name=self.name, created_at=now, enrolled_at=now, clock_offset=0)
            )
        self._register_key(database)

    def renew(self, database: Database) -> None:
        """From now on it signs with another key."""
        self.key = Ed25519PrivateKey.generate()
        self._register_key(database)

    def _register_key(self, database: Database) -> None:
        with database.begin() as connection:
            connection.execute(
                agent_keys.insert().values(
                    agent=self.name,
                    key_id=key_id(self.key.public_key()),
                    public_key=self.key.public_key().public_bytes_raw(),
                    certificate_serial="0",
                    not_before=0,
                    not_after=2**50,
                )
            )

    def record(self, events: Sequence[Event]) -> WireRecord:
        """The next record; its numbers follow the last one's."""
        encoded = [encode_event(event) for event in events]
        return self.raw_record(encoded)

    def raw_record(self, encoded: list[bytes]) -> WireRecord:
        record = pack_events(
            self.key, agent=self.name, epoch=self.epoch, first_seq=self.next_seq, events=encoded
        )
        self.next_seq += len(encoded)
        return record

    def loss(self, count: int) -> WireRecord:
        content = encode_control(Loss(reason=LossReason.SPOOL_FULL, first_seq=self.next_seq, count=count))
        record = pack_control(
            self.key,
            agent=self.name,
            kind=RecordKind.LOSS,
            epoch=self.epoch,
            first_seq=self.next_seq,
            count=count,
            content=content,
        )
        self.next_seq += count
        return record

    def heartbeat(self, heartbeat: Heartbeat) -> WireRecord:
        return pack_control(
            self.key,
            agent=self.name,
            kind=RecordKind.HEARTBEAT,
            epoch=self.epoch,
            first_seq=self.next_seq,
            count=0,
            content=encode_control(heartbeat),
        )
