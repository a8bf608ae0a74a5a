"""Ranges of sequence numbers, as sets: joined, cut out of each other, compared. Pure."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class EventRange(msgspec.Struct, frozen=True, order=True):
    """Sequence numbers first_seq … last_seq of one spool."""

    agent: str
    epoch: str
    first_seq: int
    last_seq: int

    @property
    def count(self) -> int:
        return self.last_seq - self.first_seq + 1


def joined(ranges: Iterable[EventRange]) -> list[EventRange]:
    """By agent, epoch and number; what overlaps or follows on is one."""
    merged: list[EventRange] = []
    for found in sorted(ranges):
        last = merged[-1] if merged else None
        if last is not None and _is_same_spool(last, found) and found.first_seq <= last.last_seq + 1:
            merged[-1] = msgspec.structs.replace(last, last_seq=max(last.last_seq, found.last_seq))
        else:
            merged.append(found)
    return merged


def without(ranges: Iterable[EventRange], others: Iterable[EventRange]) -> list[EventRange]:
    """What of `ranges` is in none of the others."""
    out = joined(others)
    left: list[EventRange] = []
    at = 0
    for found in joined(ranges):
        spool, first = (found.agent, found.epoch), found.first_seq
        while at < len(out) and (out[at].agent, out[at].epoch, out[at].last_seq) < (*spool, first):
            at += 1
        index = at
        while index < len(out) and (out[index].agent, out[index].epoch) == spool:
            other = out[index]
            if other.first_seq > found.last_seq:
                break
            if other.first_seq > first:
                left.append(EventRange(*spool, first, other.first_seq - 1))
            first = other.last_seq + 1
            index += 1
        if first <= found.last_seq:
            left.append(EventRange(*spool, first, found.last_seq))
    return left


def common(ranges: Iterable[EventRange], others: Iterable[EventRange]) -> list[EventRange]:
    """What is in both."""
    whole = joined(ranges)
    return without(whole, without(whole, others))


def _is_same_spool(one: EventRange, other: EventRange) -> bool:
    return (one.agent, one.epoch) == (other.agent, other.epoch)
