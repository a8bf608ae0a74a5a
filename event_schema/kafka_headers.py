"""A record on Kafka: key, record headers and value, and back (wire.py says what they mean).

Key: the agent's name in ASCII; it alone chooses the partition (murmur2, the default of every Kafka
client), so that one agent's records stay in order whoever appends them. Headers: schema, kind, epoch,
first_seq, count (ASCII), signature (64 bytes), each exactly once. Other headers are ignored: brokers'
tools and proxies may add tracing headers, and nothing is read from them.
"""

from __future__ import annotations

from collections.abc import Sequence

from event_schema.wire import VALUE_BYTES_MAX, WireRecord

TOPIC = "leaver.events"
HEADERS = ("schema", "kind", "epoch", "first_seq", "count", "signature")
NUMBER_DIGITS_MAX = 19


class HeaderFault(ValueError):
    """Key, headers and value do not make a WireRecord. The message names the header."""


def to_kafka(record: WireRecord) -> tuple[bytes, list[tuple[str, bytes]], bytes]:
    """Key, headers and value of a record."""
    headers = [
        ("schema", record.schema.encode()),
        ("kind", record.kind.encode()),
        ("epoch", record.epoch.encode()),
        ("first_seq", b"%d" % record.first_seq),
        ("count", b"%d" % record.count),
        ("signature", record.signature),
    ]
    return record.agent.encode(), headers, record.value


def from_kafka(
    key: bytes | None, headers: Sequence[tuple[str, bytes | None]], value: bytes | None
) -> WireRecord:
    """The record. Raises HeaderFault. Whether the fields mean anything is wire.check_header's question."""
    if value is None:
        raise HeaderFault("there is no value")
    if len(value) > VALUE_BYTES_MAX:
        raise HeaderFault(f"value is {len(value)} bytes, more than {VALUE_BYTES_MAX}")
    found: dict[str, bytes] = {}
    for name, content in headers:
        if name not in HEADERS:
            continue
        if name in found:
            raise HeaderFault(f"header {name} is there twice")
        if content is None:
            raise HeaderFault(f"header {name} has no value")
        found[name] = content
    for name in HEADERS:
        if name not in found:
            raise HeaderFault(f"header {name} is missing")
    if len(found["signature"]) > 64:
        raise HeaderFault(f"header signature is {len(found['signature'])} bytes, not 64")
    return WireRecord(
        agent=_text("key", key or b"", 64),
        schema=_text("schema", found["schema"], 8),
        kind=_text("kind", found["kind"], 16),
        epoch=_text("epoch", found["epoch"], 16),
        first_seq=_number("first_seq", found["first_seq"]),
        count=_number("count", found["count"]),
        signature=found["signature"],
        value=value,
    )


def _text(name: str, content: bytes, longest: int) -> str:
    place = name if name == "key" else f"header {name}"
    if not content:
        raise HeaderFault(f"{place} is empty")
    if len(content) > longest:
        raise HeaderFault(f"{place} is {len(content)} bytes, more than {longest}")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise HeaderFault(f"{place} is not ASCII: {content[:64]!r}") from None


def _number(name: str, content: bytes) -> int:
    # bytes.isdigit() knows only 0-9; int() alone would take "+1", " 1" and "1_0" too.
    if not content.isdigit() or len(content) > NUMBER_DIGITS_MAX or int(content) > 2**63 - 1:
        raise HeaderFault(f"header {name} is no decimal number below 2^63: {content[:32]!r}")
    return int(content)
