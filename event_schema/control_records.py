"""What an agent says besides events: that it lives (heartbeat), and what it had to drop (loss).

Control records of the wire format (wire.py), not OCSF events. A heartbeat takes no sequence number;
a loss record covers the numbers of the events that are gone, so that the sequence has no gap.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, TypeVar

import msgspec
import orjson
from msgspec import Meta

from event_schema.errors import SchemaError
from event_schema.struct_base import Count, Milliseconds, Name, Word, purpose

CONTROL_BYTES_MAX = 64 * 1024
CLOCK_STEPS_MAX = 8
Detail = Annotated[str, Meta(max_length=4096)]


class LossReason(StrEnum):
    SPOOL_FULL = "spool_full"
    SPOOL_CORRUPT = "spool_corrupt"
    SPOOL_LOST = "spool_lost"
    TOO_LARGE = "too_large"
    """A broker or a proxy on the way refused the event alone."""


class Loss(Word, frozen=True):
    """Events first_seq … first_seq+count-1 were dropped by the agent and will never come."""

    reason: Annotated[LossReason, purpose("why they were dropped")]
    first_seq: Annotated[Count, purpose("which events are gone")]
    count: Annotated[int, purpose("how many events are gone", ge=1)]
    first_time: Annotated[Milliseconds | None, purpose("time of the first event that is gone")] = None
    last_time: Annotated[Milliseconds | None, purpose("time of the last event that is gone")] = None


class CollectorState(Word, frozen=True):
    """How one collector of the agent is doing."""

    name: Annotated[Name, purpose("which collector")]
    state: Annotated[
        Literal["starting", "running", "restarting", "unsupported", "stopped"], purpose("what cannot be seen")
    ]
    observed: Annotated[Count, purpose("events seen since the agent started")]
    restarts: Annotated[Count, purpose("how often it failed since the agent started")]
    dropped: Annotated[dict[str, int], purpose("observations it could not keep, by reason", max_length=64)]
    detail: Annotated[Detail | None, purpose("what it uses, or why it does not run")] = None

    days_watched: Annotated[
        tuple[int, ...],
        purpose("days on which its silence means that nothing happened; UTC days since 1970, at most 90"),
    ] = ()


class ClockStep(Word, frozen=True):
    """The machine's clock was set."""

    first_seq: Annotated[Count, purpose("the first event that is dated by the new time")]
    change_ms: Annotated[int, purpose("how far the clock was set, to correct the events before it")]


class Heartbeat(Word, frozen=True):
    """Sent about every 15 s, and at start and stop."""

    sent_at: Annotated[Milliseconds, purpose("the agent's clock, to correct its events' times")]
    version: Annotated[Name, purpose("which agents are out of date")]
    next_seq: Annotated[Count, purpose("shows whether events are missing")]
    backlog_events: Annotated[Count, purpose("how far the agent is behind")]
    backlog_bytes: Annotated[Count, purpose("how full the agent's disk buffer is")]
    lost_events: Annotated[Count, purpose("how many events the agent had to drop in all")]
    collectors: Annotated[tuple[CollectorState, ...], purpose("what the agent can see", max_length=64)]
    oldest_unsent: Annotated[Milliseconds | None, purpose("time of the oldest event not yet sent")] = None
    stopping: Annotated[bool | None, purpose("the agent was stopped in good order")] = None
    failed_reports: Annotated[
        Count, purpose("how often the agent failed to say how it is: a fault of its own")
    ] = 0
    clock_steps: Annotated[
        tuple[ClockStep, ...],
        purpose("when the machine's clock was set since the agent started", max_length=CLOCK_STEPS_MAX),
    ] = ()
    cpu_seconds: Annotated[
        Annotated[float, Meta(ge=0, le=1e12)] | None,
        purpose("what the agent costs the machine: seconds of a core since it started"),
    ] = None
    settings_version: Annotated[
        Count | None, purpose("which of the installation's settings the agent uses")
    ] = None
    settings_problem: Annotated[Detail | None, purpose("why it does not use newer settings")] = None
    memory_bytes: Annotated[Count | None, purpose("what the agent costs the machine")] = None


def encode_control(record: Loss | Heartbeat) -> bytes:
    return orjson.dumps(msgspec.to_builtins(record))


def decode_loss(data: bytes) -> Loss:
    """Raises SchemaError that names the field."""
    return _decode(data, _loss_decoder)


def decode_heartbeat(data: bytes) -> Heartbeat:
    """Raises SchemaError that names the field."""
    return _decode(data, _heartbeat_decoder)


Control = TypeVar("Control", Loss, Heartbeat)

_loss_decoder = msgspec.json.Decoder(Loss)
_heartbeat_decoder = msgspec.json.Decoder(Heartbeat)


def _decode(data: bytes, decoder: msgspec.json.Decoder[Control]) -> Control:
    if len(data) > CONTROL_BYTES_MAX:
        raise SchemaError(f"control record is {len(data)} bytes, more than {CONTROL_BYTES_MAX}")
    try:
        return decoder.decode(data)
    except UnicodeDecodeError as error:
        raise SchemaError(f"control record is not UTF-8 at byte {error.start}") from error
    except msgspec.DecodeError as error:
        raise SchemaError(f"control record: {error}") from error
