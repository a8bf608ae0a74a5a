"""What became of a busy endpoint's events: each of them looked at, in the memory of one byte an event."""

from __future__ import annotations

from pathlib import Path

import msgspec
import zstandard
from sqlalchemy import Connection, func, select

from agent.host import this_host
from agent.version import agent_version
from event_schema.codec import encode_event
from event_schema.wire import WireRecord, unpack_content
from server.commands.opening import open_installation
from server.store.tables import agent_epochs, agent_findings, dead_letters, event_blocks
from tests.soak.busy_script import busy_event

_BYTES_OF_ALL_BELOW = 1_000_000
_BYTES_OF_EVERY = 41
"""Of larger runs, so many events apart: making an event anew takes longer than storing it did."""


class Stored(msgspec.Struct, frozen=True):
    """`missing`: numbers that no block holds. `changed`: of those compared byte for byte (`compared`).
    `accounted`: as the server says it; `lost`: as it says it, too."""

    events: int
    missing: int
    twice: int
    compared: int
    changed: int
    accounted: list[str]
    duplicates: int
    lost: int
    dead: int
    findings: int

    def faults(self, events: int) -> bool:
        """Whether anything is not as it should be."""
        bad = self.missing or self.twice or self.changed or self.lost or self.dead or self.findings
        return bool(bad) or self.events != events or self.accounted != [f"0-{events - 1}"]


def read_stored(data: Path, agent: str, *, events: int, first_time: int, every_ms: int) -> Stored:
    """The server may be running or not."""
    with open_installation(data) as installation, installation.database.read() as connection:
        seen, changed, compared = _look(connection, agent, events, first_time, every_ms)
        epochs = connection.execute(select(agent_epochs).where(agent_epochs.c.agent == agent)).all()
        return Stored(
            events=sum(1 for times in seen if times),
            missing=seen.count(0),
            twice=sum(1 for times in seen if times > 1),
            compared=compared,
            changed=changed,
            accounted=[row.seen for row in epochs],
            duplicates=sum(row.duplicates for row in epochs),
            lost=sum(row.lost for row in epochs),
            dead=_count(connection, dead_letters),
            findings=_count(connection, agent_findings),
        )


def _look(
    connection: Connection, agent: str, events: int, first_time: int, every_ms: int
) -> tuple[bytearray, int, int]:
    """How often each number is stored, how many events are not as they happened, and of how many."""
    seen = bytearray(events)
    changed = compared = 0
    step = 1 if events < _BYTES_OF_ALL_BELOW else _BYTES_OF_EVERY
    host, version = this_host(agent), agent_version()
    raw_list = msgspec.json.Decoder(list[msgspec.Raw])
    query = select(event_blocks).where(event_blocks.c.agent == agent).execution_options(yield_per=100)
    for row in connection.execute(query):
        known = raw_list.decode(zstandard.decompress(row.leaver))
        record = WireRecord(
            row.agent, "1", "events", row.epoch, row.first_seq, len(known), row.signature, row.value
        )
        found = raw_list.decode(unpack_content(record))
        for number, (event, leaver) in enumerate(zip(found, known, strict=True), start=row.first_seq):
            if bytes(leaver) == b"null":
                continue
            # A byte counts no further, and twice is wrong enough.
            seen[number] = min(seen[number] + 1, 2)
            if number % step == 0:
                compared += 1
                made = busy_event(number, first_time + number * every_ms, host, version)
                changed += bytes(event) != encode_event(made)
    return seen, changed, compared


def _count(connection: Connection, table: object) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]
