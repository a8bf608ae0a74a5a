"""A correlator's state as bytes, and back.

    b"leaver correlations 2\\n"     magic, with the version of the format
    MessagePack array:
      newest    ms or nil: the time of the newest event that waited
      arrivals  how many events ever waited
      counts    map: see Counts
      kept      array of [fingerprint, groups]; groups: array, the longest quiet first, of
                [group key, [complete_from, quiet_until, entries, days]]; entries: array by (time, event) of
                [time, event, mask, values, carried, fired, day, note, late]; days (of a window of whole
                days): array of [day, events, first, last, fired, total as text, number of values, digests of
                values, events (see EventSpans.kept), late]
      waiting   array of [time, event, arrival, shares]; shares: array of [fingerprint, group key, entry]

Parts are found again by the correlation's fingerprint: a correlation that counts something else now starts
anew, the others go on where they were. Aggregates are made again from the entries.
"""

from __future__ import annotations

import heapq
from typing import Final

import msgspec

from policies.correlation.correlator import Correlator, Counts, GroupKey, Share, new_window
from policies.correlation.event_spans import EventId
from policies.correlation.group_window import Entry, Kept

_MAGIC: Final = b"leaver correlations 2\n"


class StateError(ValueError):
    """Bytes that are no state of this version."""


class _Group(msgspec.Struct, array_like=True, frozen=True):
    key: GroupKey
    kept: Kept


class _WaitingShare(msgspec.Struct, array_like=True, frozen=True):
    fingerprint: str
    key: GroupKey
    entry: Entry


class _Waiting(msgspec.Struct, array_like=True, frozen=True):
    time: int
    event: EventId
    arrival: int
    shares: list[_WaitingShare]


class _State(msgspec.Struct, array_like=True, frozen=True):
    newest: int | None
    arrivals: int
    counts: Counts
    kept: list[tuple[str, list[_Group]]]
    waiting: list[_Waiting]


def save_state(correlator: Correlator) -> bytes:
    prints = [correlation.fingerprint for correlation in correlator.correlations]
    kept = [
        (
            prints[number],
            [_Group(key, window.kept()) for key, window in groups.items()],
        )
        for number, groups in enumerate(correlator.groups)
    ]
    waiting = [
        _Waiting(
            time,
            event,
            arrival,
            [_WaitingShare(prints[share.correlation], share.group, share.entry) for share in shares],
        )
        for time, event, arrival, shares in sorted(correlator.waiting, key=lambda each: each[:3])
    ]
    state = _State(correlator.newest, correlator.arrivals, correlator.counts, kept, waiting)
    return _MAGIC + msgspec.msgpack.encode(state)


def restore_state(correlator: Correlator, saved: bytes) -> None:
    """Into a correlator that has seen nothing yet. Raises StateError."""
    if not saved.startswith(_MAGIC):
        raise StateError("this is no state of correlations, or one of another version")
    try:
        state = msgspec.msgpack.decode(memoryview(saved)[len(_MAGIC) :], type=_State)
    except (msgspec.DecodeError, RecursionError) as error:
        raise StateError(f"the state of correlations is damaged: {error}") from error
    number_of = {each.fingerprint: at for at, each in enumerate(correlator.correlations)}
    for fingerprint, groups in state.kept:
        number = number_of.get(fingerprint)
        if number is None:
            continue
        for group in groups:
            window = new_window(correlator.correlations[number])
            window.restore(group.kept)
            correlator.groups[number][tuple(group.key)] = window
    for each in state.waiting:
        shares = [
            Share(number_of[share.fingerprint], tuple(share.key), share.entry)
            for share in each.shares
            if share.fingerprint in number_of
        ]
        if shares:
            heapq.heappush(correlator.waiting, (each.time, each.event, each.arrival, shares))
    correlator.newest, correlator.arrivals, correlator.counts = state.newest, state.arrivals, state.counts
    correlator.count_entries()
