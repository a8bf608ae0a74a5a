"""Who may speak, and can it be read: header, agent, signature, content. Pure, but for the keys it is given.

What cannot be read becomes a dead letter with the place and the reason; its readable neighbours go on.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from event_schema.control_records import Heartbeat, Loss, decode_heartbeat, decode_loss
from event_schema.errors import SchemaError
from event_schema.ocsf_events import Event
from event_schema.wire import (
    RecordKind,
    Rejected,
    WireError,
    WireRecord,
    check_header,
    decode_events,
    unpack_content,
    verify_signature,
)
from server.log.contract import LoggedRecord

WHOLE_RECORD = -1
DATA_KEPT_BYTES = 64 * 1024


class AgentStanding(msgspec.Struct, frozen=True):
    """What the registry knows of an agent. `keys`: youngest first."""

    keys: tuple[Ed25519PublicKey, ...]
    revoked_at: int | None


class DeadLetter(msgspec.Struct, frozen=True):
    """Something on the log that cannot be used, as it came. event_index -1: the whole record."""

    partition: int
    offset: int
    event_index: int
    agent: str | None
    received_at: int
    reason: Rejected
    message: str
    data: bytes


class Admitted(msgspec.Struct, frozen=True):
    """A record whose agent signed it. Exactly one of `events`, `loss`, `heartbeat` is set."""

    logged: LoggedRecord
    record: WireRecord
    events: tuple[Event | None, ...] | None = None
    loss: Loss | None = None
    heartbeat: Heartbeat | None = None


class Admission(msgspec.Struct, frozen=True):
    """`admitted` is None when the whole record is a dead letter."""

    admitted: Admitted | None
    dead_letters: tuple[DeadLetter, ...]


def admit(logged: LoggedRecord, standing_of: Callable[[str], AgentStanding | None]) -> Admission:
    """Reads one record of the log. `standing_of` gives the registry's word on an agent's name."""
    record = logged.record
    if record is None:
        return _refused(logged, Rejected.BAD_HEADER, logged.fault or "the record's headers cannot be read")
    try:
        kind = check_header(record)
        _check_agent(record, logged.appended_at, standing_of(record.agent))
        if kind is RecordKind.EVENTS:
            decoded = decode_events(record)
            faults = tuple(
                dead_letter(logged, fault.index, fault.reason, fault.message, fault.data)
                for fault in decoded.faults
            )
            return Admission(Admitted(logged, record, events=decoded.events), faults)
        return Admission(_control(logged, record, kind), ())
    except WireError as error:
        return _refused(logged, error.reason, str(error))


def dead_letter(
    logged: LoggedRecord, event_index: int, reason: Rejected, message: str, data: bytes
) -> DeadLetter:
    agent = logged.record.agent if logged.record is not None else None
    return DeadLetter(
        logged.partition, logged.offset, event_index, agent, logged.appended_at, reason, message, data
    )


def _refused(logged: LoggedRecord, reason: Rejected, message: str) -> Admission:
    return Admission(None, (dead_letter(logged, WHOLE_RECORD, reason, message, logged.raw),))


def _check_agent(record: WireRecord, received_at: int, standing: AgentStanding | None) -> None:
    if standing is None:
        raise WireError(Rejected.UNKNOWN_AGENT, f"no agent is enrolled as {record.agent}")
    # What came before the revocation was the agent's word when it came.
    if standing.revoked_at is not None and received_at >= standing.revoked_at:
        raise WireError(Rejected.REVOKED_AGENT, f"agent {record.agent} is revoked")
    for key in standing.keys[:-1]:
        try:
            verify_signature(record, key)
        except WireError:
            continue
        return
    if not standing.keys:
        raise WireError(Rejected.UNKNOWN_AGENT, f"agent {record.agent} never enrolled a key")
    verify_signature(record, standing.keys[-1])


def _control(logged: LoggedRecord, record: WireRecord, kind: RecordKind) -> Admitted:
    content = unpack_content(record)
    try:
        if kind is RecordKind.HEARTBEAT:
            return Admitted(logged, record, heartbeat=decode_heartbeat(content))
        loss = decode_loss(content)
    except SchemaError as error:
        raise WireError(Rejected.BAD_CONTENT, str(error)) from error
    if (loss.first_seq, loss.count) != (record.first_seq, record.count):
        raise WireError(
            Rejected.COUNT_MISMATCH,
            f"header says {record.count} from {record.first_seq}, "
            f"the loss record {loss.count} from {loss.first_seq}",
        )
    return Admitted(logged, record, loss=loss)
