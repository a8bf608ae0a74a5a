"""Every spooled item goes into exactly one record, within the wire's limits."""

from __future__ import annotations

import random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.packing import Signer
from agent.spool_reader import SpooledEvent, SpoolItem
from event_schema.codec import EVENT_BYTES_MAX
from event_schema.control_records import Loss, LossReason, decode_loss
from event_schema.wire import (
    EVENTS_PER_RECORD_MAX,
    VALUE_BYTES_MAX,
    RecordKind,
    check_header,
    unpack_content,
    verify_signature,
)

KEY = Ed25519PrivateKey.generate()
SIGNER = Signer(KEY, "host-1", "0123456789abcdef")


@st.composite
def item_lists(draw: st.DrawFn) -> list[SpoolItem]:
    items: list[SpoolItem] = []
    seq = draw(st.integers(0, 10))
    for _ in range(draw(st.integers(0, 12))):
        count = draw(st.integers(1, 450))
        if draw(st.booleans()):
            items.append(Loss(reason=LossReason.SPOOL_FULL, first_seq=seq, count=count))
        else:
            items += [SpooledEvent(n, n, b'{"n":%d}' % n) for n in range(seq, seq + count)]
        seq += count
    return items


@settings(deadline=None, max_examples=50)
@given(item_lists())
def test_records_cover_the_items_numbers_in_order_without_gap_or_overlap(items: list[SpoolItem]) -> None:
    records = SIGNER.records(items)
    covered: list[int] = []
    contents: dict[int, bytes] = {}
    for record in records:
        verify_signature(record, KEY.public_key())
        covered += range(record.first_seq, record.first_seq + record.count)
        if check_header(record) is RecordKind.EVENTS:
            assert record.count <= EVENTS_PER_RECORD_MAX
            parts = unpack_content(record)[1:-1].split(b",")
            contents |= dict(
                zip(range(record.first_seq, record.first_seq + record.count), parts, strict=True)
            )
        else:
            loss = decode_loss(unpack_content(record))
            assert (loss.first_seq, loss.count) == (record.first_seq, record.count)
    expected: list[int] = []
    for item in items:
        if isinstance(item, Loss):
            expected += range(item.first_seq, item.first_seq + item.count)
        else:
            expected.append(item.seq)
            assert contents[item.seq] == item.data
    assert covered == expected


def test_the_largest_events_that_do_not_compress_still_fit_their_records() -> None:
    chance = random.Random(1)
    alphabet = [chr(n) for n in range(0x20, 0x7F) if chr(n) not in '"\\']
    items: list[SpoolItem] = [
        SpooledEvent(n, 0, ('"' + "".join(chance.choices(alphabet, k=EVENT_BYTES_MAX - 2)) + '"').encode())
        for n in range(40)
    ]
    records = SIGNER.records(items)
    assert sum(record.count for record in records) == 40
    assert all(len(record.value) <= VALUE_BYTES_MAX for record in records)
