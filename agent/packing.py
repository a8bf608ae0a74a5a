"""From spooled items to signed wire records, in the order of their numbers. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.spool_reader import SpooledEvent, SpoolItem
from event_schema.control_records import Heartbeat, Loss, encode_control
from event_schema.wire import EVENTS_PER_RECORD_MAX, RecordKind, WireRecord, pack_control, pack_events

CONTENT_BYTES = 1_000_000
"""Events of one record before compression: even what does not compress stays under the wire's 1 MiB."""


class Signer:
    """An agent's name, epoch and key: what every record carries."""

    def __init__(self, key: Ed25519PrivateKey, agent: str, epoch: str) -> None:
        self._key, self._agent, self._epoch = key, agent, epoch

    def records(self, items: Sequence[SpoolItem]) -> list[WireRecord]:
        """Every item in exactly one record."""
        made: list[WireRecord] = []
        run: list[SpooledEvent] = []
        size = 0
        for item in items:
            if isinstance(item, Loss):
                self._close(run, made)
                made.append(self._loss(item))
                run, size = [], 0
                continue
            full = len(run) >= EVENTS_PER_RECORD_MAX or size + len(item.data) > CONTENT_BYTES
            if run and (full or run[-1].seq + 1 != item.seq):
                self._close(run, made)
                run, size = [], 0
            run.append(item)
            size += len(item.data) + 1
        self._close(run, made)
        return made

    def heartbeat(self, heartbeat: Heartbeat, next_on_log: int) -> WireRecord:
        """`next_on_log`: the number that comes next on the log, after what was shipped before."""
        return pack_control(
            self._key,
            agent=self._agent,
            kind=RecordKind.HEARTBEAT,
            epoch=self._epoch,
            first_seq=next_on_log,
            count=0,
            content=encode_control(heartbeat),
        )

    def _close(self, run: list[SpooledEvent], made: list[WireRecord]) -> None:
        if run:
            data = [event.data for event in run]
            made.append(
                pack_events(
                    self._key, agent=self._agent, epoch=self._epoch, first_seq=run[0].seq, events=data
                )
            )

    def _loss(self, loss: Loss) -> WireRecord:
        return pack_control(
            self._key,
            agent=self._agent,
            kind=RecordKind.LOSS,
            epoch=self._epoch,
            first_seq=loss.first_seq,
            count=loss.count,
            content=encode_control(loss),
        )
