"""What the chain made of one agent's records, as its database has it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from sqlalchemy import select

from event_schema.ocsf_events import FileSystemActivity
from event_schema.wire import WireRecord, decode_events
from server.commands.opening import open_installation
from server.store.tables import agent_epochs, agent_findings, dead_letters, event_blocks, log_positions

TAKEN_IN_SECONDS = 30.0


class OfAgent(msgspec.Struct, frozen=True):
    """`files`: name by sequence number. `findings`: (kind, detail, count, resolved) by kind."""

    files: dict[int, str]
    accounted: str
    duplicates: int
    dead: tuple[dict[str, Any], ...]
    findings: dict[str, tuple[str, int, bool]]

    @property
    def reasons(self) -> list[tuple[int, str]]:
        return [(letter["event_index"], letter["reason"]) for letter in self.dead]


def taken_in(data: Path, agent: str) -> OfAgent:
    """Waits until the pipeline has committed all that lies on the log now."""
    deadline = time.monotonic() + TAKEN_IN_SECONDS
    with open_installation(data) as installation:
        log = installation.open_log()
        end = log.end_offsets()[0]
        log.close()
        while True:
            with installation.database.read() as connection:
                done = connection.execute(select(log_positions.c.next_offset)).scalar_one()
                if done >= end:
                    break
            assert time.monotonic() < deadline, f"the pipeline stands at {done} of {end}"
            time.sleep(0.05)
        with installation.database.read() as connection:
            letters = select(dead_letters).where(dead_letters.c.agent == agent).order_by(dead_letters.c.id)
            odd = select(agent_findings).where(agent_findings.c.agent == agent)
            epochs = connection.execute(select(agent_epochs).where(agent_epochs.c.agent == agent)).all()
            blocks = connection.execute(select(event_blocks).where(event_blocks.c.agent == agent)).all()
            return OfAgent(
                files={seq: name for block in blocks for seq, name in _files(block._mapping).items()},
                accounted=" ".join(epoch.seen for epoch in epochs),
                duplicates=sum(epoch.duplicates for epoch in epochs),
                dead=tuple(dict(row._mapping) for row in connection.execute(letters)),
                findings={
                    row["kind"]: (row["detail"], row["count"], row["resolved_at"] is not None)
                    for row in (found._mapping for found in connection.execute(odd))
                },
            )


def _files(block: Any) -> dict[int, str]:
    """Stored events of a row of `event_blocks`: those for which enrichment left its words."""
    known = msgspec.json.decode(zstandard.decompress(block["leaver"]))
    record = WireRecord(
        block["agent"],
        "1",
        "events",
        block["epoch"],
        block["first_seq"],
        block["count"],
        block["signature"],
        block["value"],
    )
    found: dict[int, str] = {}
    for index, event in enumerate(decode_events(record).events):
        if known[index] is not None:
            assert isinstance(event, FileSystemActivity)
            found[block["first_seq"] + index] = event.file.name
    return found
