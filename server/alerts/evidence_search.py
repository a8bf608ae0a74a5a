"""Lists an alert's evidence: filtered by what the viewer sees, a page at a time, in the order of time.

A text is looked for in what is shown, never in what is hidden: else whoever searches for a name would learn
from the number of rows whose it is.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Final

import msgspec

from event_schema.printable import printable_name
from server.alerts.evidence_marks import EvidenceMark, MarkMask, ShownMark

PAGE_ROWS: Final = 200
TEXT_CHARACTERS: Final = 200
CHOICES_MAX: Final = 40


class EvidenceFilter(msgspec.Struct, frozen=True):
    """What of the evidence is listed; empty: all. `since`, `until`: ms UTC, the latter exclusive."""

    channel: str = ""
    label: str = ""
    place: str = ""
    """A destination, volume or system as it is shown."""
    fidelity: str = ""
    since: int | None = None
    until: int | None = None
    text: str = ""

    @property
    def is_empty(self) -> bool:
        return self == EvidenceFilter()


class EvidencePage(msgspec.Struct, frozen=True):
    """`total`: rows that the filter finds; `bytes` of them. `next`: how many come before the next page."""

    rows: tuple[ShownMark, ...]
    first: int
    total: int
    bytes: int
    next: int | None


class Choices(msgspec.Struct, frozen=True):
    """What can be filtered by, the most frequent first, with its number of events."""

    channels: tuple[tuple[str, int], ...]
    labels: tuple[tuple[str, int], ...]
    places: tuple[tuple[str, int], ...]


def evidence_page(
    marks: Sequence[EvidenceMark],
    mask: MarkMask,
    wanted: EvidenceFilter,
    *,
    after: int = 0,
    limit: int = PAGE_ROWS,
) -> EvidencePage:
    """`after`: how many rows of the same filter come before. The evidence of one state does not move: what
    comes later has later times, and a page that is asked for anew begins at the same row."""
    text = _plain(wanted.text[:TEXT_CHARACTERS])
    sought = _Sought(text, mask)
    found = [mark for mark in marks if _fits(mark, mask, wanted) and (not text or sought.is_in(mark))]
    part = found[after : after + limit]
    return EvidencePage(
        tuple(map(mask.shown, part)),
        after,
        len(found),
        sum(mark.amount for mark in found),
        after + limit if after + limit < len(found) else None,
    )


def choices(marks: Iterable[EvidenceMark]) -> Choices:
    """Places as they are; `masked_choices` shows them."""
    channels: Counter[str] = Counter()
    labels: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for mark in marks:
        channels[mark.channel] += 1
        labels.update({label for label, _ in mark.labels})
        places.update(set(mark.places))
    return Choices(*(tuple(each.most_common(CHOICES_MAX)) for each in (channels, labels, places)))


def masked_choices(found: Choices, mask: MarkMask) -> Choices:
    """What looks alike is one."""
    places: Counter[str] = Counter()
    for place, number in found.places:
        places[mask.text(place)] += number
    return msgspec.structs.replace(found, places=tuple(places.most_common()))


def _fits(mark: EvidenceMark, mask: MarkMask, wanted: EvidenceFilter) -> bool:
    return not (
        (wanted.channel and mark.channel != wanted.channel)
        or (wanted.since is not None and mark.time < wanted.since)
        or (wanted.until is not None and mark.time >= wanted.until)
        or (wanted.fidelity and mark.fidelity != wanted.fidelity)
        or (wanted.label and all(label != wanted.label for label, _ in mark.labels))
        or (wanted.place and all(mask.text(place) != wanted.place for place in mark.places))
    )


class _Sought:
    """Whether any cell of a row holds the text, as it is shown. What rows share is looked at once."""

    def __init__(self, text: str, mask: MarkMask) -> None:
        self._text = text
        self._mask = mask
        self._known: dict[Hashable, bool] = {}

    def is_in(self, mark: EvidenceMark) -> bool:
        names = mark.names if mark.is_file else map(self._mask.text, mark.names)
        if any(self._text in _plain(printable_name(name)) for name in names):
            return True
        if mark.digest is not None and self._text in mark.digest:
            return True
        path = mark.path or ""
        folder = path[: max(path.rfind("/"), path.rfind("\\")) + 1]
        device = None if mark.device is None else (mark.device.uid, mark.device.name)
        shared = (mark.host, folder, mark.act, mark.places, mark.labels, mark.process, device)
        if shared not in self._known:
            self._known[shared] = self._is_in_shared(mark)
        return self._known[shared] or (bool(path) and self._text in _plain(self._mask.path(path, mark.host)))

    def _is_in_shared(self, mark: EvidenceMark) -> bool:
        shown = self._mask.shown(mark)
        labels = (label for label, _ in shown.labels)
        cells = (*shown.places, shown.act, shown.process, shown.device, shown.host, *labels)
        return any(self._text in _plain(cell) for cell in cells if cell)


def _plain(text: str) -> str:
    return text.casefold() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
