"""The records that agents signed, with their public keys: whoever has the pack can check them again.

A record is signed as a whole, so it also holds what else happened at its endpoint within the same seconds.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import Connection, select

from event_schema.wire import WireError, decode_events
from server.alerts.evidence_blocks import EventBlock, range_blocks
from server.enrich.who import WhoIsWho, is_nobodys
from server.evidence_pack.archive import ArchiveWriter
from server.evidence_pack.scope import Scope, portions
from server.evidence_pack.sight import subjects_of
from server.evidence_pack.verifier import RECORDS
from server.evidence_seal import read_seal
from server.store.database import Database
from server.store.tables import agent_keys, seal_keys

_PORTION = 2000


class HeldRecords(msgspec.Struct, frozen=True):
    """`others`: people and accounts of nobody that they tell of beside those of the alerts."""

    blocks: int
    others: int


def write_records(
    database: Database,
    scope: Scope,
    archive: ArchiveWriter,
    step: Callable[[int], None],
    *,
    who: WhoIsWho,
) -> HeldRecords:
    """`step`: told how many events are done."""
    written: set[int] = set()
    subjects: set[str] = set()
    with archive.entry(RECORDS, packed=False) as lines:
        for part in portions(scope.whole, _PORTION):
            with database.read() as connection:
                for wanted in part:
                    for block in range_blocks(connection, wanted):
                        if block.id not in written:
                            written.add(block.id)
                            lines.line(_record(connection, block))
                            subjects |= _subjects(block, who)
            step(0)
    with database.read() as connection:
        keys = {
            "agents": _agent_keys(connection, sorted({each.agent for each in scope.whole})),
            "seals": {
                row.key_id: bytes(row.public_key).hex() for row in connection.execute(select(seal_keys))
            },
        }
    archive.add("blocks/keys.json", msgspec.json.format(msgspec.json.encode(keys), indent=1))
    return HeldRecords(len(written), len(subjects - subjects_of(scope.alerts)))


def _subjects(block: EventBlock, who: WhoIsWho) -> set[str]:
    try:
        events = decode_events(block.record).events
    except WireError:
        # It goes into the pack as it is, and its proof says that it is damaged.
        return set()
    return {who.who(each, each.time).subject for each in events if each is not None and not is_nobodys(each)}


def _record(connection: Connection, block: EventBlock) -> dict[str, Any]:
    seal = read_seal(connection, block.id)
    told: dict[str, Any] = {
        "agent": block.agent,
        "epoch": block.epoch,
        "first_seq": block.first_seq,
        "count": block.count,
        "signature": base64.b64encode(block.signature).decode(),
        "value": base64.b64encode(block.value).decode(),
    }
    if seal is not None:
        told["seal"] = {
            **msgspec.structs.asdict(seal),
            "seal": base64.b64encode(seal.seal).decode(),
        }
    return told


def _agent_keys(connection: Connection, agents: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {agent: [] for agent in agents}
    for start in range(0, len(agents), 500):
        some = agent_keys.c.agent.in_(agents[start : start + 500])
        for row in connection.execute(select(agent_keys.c.agent, agent_keys.c.public_key).where(some)):
            found[row.agent].append(bytes(row.public_key).hex())
    return found
