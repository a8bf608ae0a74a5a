"""Where a person stands at any time: active, on notice, left. A pure function of employments and flag.

- Left: every employment that had begun has ended. Last day and last minute are still worked; without a last
  minute the day counts to its end, where the person is.
- Employments that touch (the next one starts on the day after the last, or before) are one stay: nobody
  leaves in between, and a last minute between them means nothing.
- On notice: every employment of the stay that is not over is ending: its notice day has come, or, where
  nobody said one, its last day is at most NOTICE_LOOK_BACK_DAYS away. Who leaves one of two jobs stays.
- Else active; also who has not begun yet, and who has no employment on record.

A flag ends the stay that is open on its day (or, where all ended before, the last one) on that day.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import msgspec

from event_schema.leaver_fields import PersonStatus
from server.people.facts import Employment, LeaverFlag
from server.people.local_time import end_of_day, end_of_minute, first_moment

NOTICE_LOOK_BACK_DAYS = 90
"""Where only the last working day is known, notice counts from this many days before it: the window in
which published cases of taking data along lie (shared facts: look-back 0-90 days)."""

EVER = -(2**62)
NEVER = 2**62

Standing = tuple[PersonStatus, int | None]
"""Status, and the last day that it is about: the coming one, or of who left the past one."""


class Timeline(msgspec.Struct, frozen=True):
    """Standings by the moments (ms UTC, rising) from which they hold; the first one always held."""

    starts: tuple[int, ...]
    standings: tuple[Standing, ...]

    def at(self, time: int) -> Standing:
        return self.standings[self.number(time)]

    def number(self, time: int) -> int:
        """Which of the standings it is."""
        if len(self.starts) == 1:
            return 0
        return max(0, bisect_right(self.starts, time) - 1)


ALWAYS_ACTIVE = Timeline((EVER,), ((PersonStatus.ACTIVE, None),))


class _Span(msgspec.Struct, frozen=True):
    """An employment in moments. `notice`: from when it is ending; NEVER: it is not."""

    begin: int
    end: int
    notice: int
    last_day: int | None


def timeline(employments: Sequence[Employment], flag: LeaverFlag | None, time_zone: str) -> Timeline:
    """All standings of a person."""
    known = flagged(employments, flag)
    if all(each.last_day is None and each.notice_day is None for each in known):
        return ALWAYS_ACTIVE
    spans = [_span(each, known, time_zone) for each in known]
    moments = sorted({EVER, *(m for s in spans for m in (s.begin, s.end, s.notice) if EVER < m < NEVER)})
    starts: list[int] = []
    standings: list[Standing] = []
    for moment in moments:
        standing = _standing(spans, moment)
        if not standings or standing != standings[-1]:
            starts.append(moment)
            standings.append(standing)
    return Timeline(tuple(starts), tuple(standings))


def flagged(employments: Sequence[Employment], flag: LeaverFlag | None) -> tuple[Employment, ...]:
    """The employments as a flag leaves them."""
    if flag is None:
        return tuple(employments)
    known = tuple(employments) or (Employment(),)
    on_the_day = [
        each
        for each in known
        if (each.start_day is None or each.start_day <= flag.last_day)
        and (each.last_day is None or each.last_day >= flag.last_day)
    ]
    if not on_the_day:
        begun = [each for each in known if each.start_day is None or each.start_day <= flag.last_day]
        on_the_day = sorted(begun, key=lambda each: each.last_day or 0)[-1:]
    return tuple(_cut(each, flag) if each in on_the_day else each for each in known)


def _cut(employment: Employment, flag: LeaverFlag) -> Employment:
    # HR's notice date may be later than the day on which the person is to be gone.
    said = [
        day for day in (employment.notice_day, flag.notice_day) if day is not None and day <= flag.last_day
    ]
    return msgspec.structs.replace(
        employment,
        notice_day=min(said) if said else None,
        last_day=flag.last_day,
        last_minute=flag.last_minute,
        leaving_type=flag.leaving_type or employment.leaving_type,
    )


def _span(employment: Employment, all_of_them: Sequence[Employment], time_zone: str) -> _Span:
    begin, end, notice = EVER, NEVER, NEVER
    if employment.start_day is not None:
        begin = first_moment(time_zone, employment.start_day)
    last = employment.last_day
    if last is not None:
        if employment.last_minute is None or _goes_on(employment, last, all_of_them):
            end = end_of_day(time_zone, last)
        else:
            end = end_of_minute(time_zone, last, employment.last_minute)
        notice = first_moment(time_zone, last - NOTICE_LOOK_BACK_DAYS)
    if employment.notice_day is not None:
        notice = first_moment(time_zone, employment.notice_day)
    return _Span(begin, end, min(notice, end), last)


def _goes_on(employment: Employment, last: int, all_of_them: Sequence[Employment]) -> bool:
    """Whether another employment holds after its last day."""
    return any(
        (other.start_day is None or other.start_day <= last + 1)
        and (other.last_day is None or other.last_day > last)
        for other in all_of_them
        if other is not employment
    )


def _standing(spans: Sequence[_Span], moment: int) -> Standing:
    begun = [span for span in spans if span.begin <= moment]
    if not begun:
        return PersonStatus.ACTIVE, None
    stay = [span for span in begun if moment < span.end]
    if not stay:
        return PersonStatus.LEFT, max(span.last_day or 0 for span in begun)
    for span in sorted((s for s in spans if s.begin > moment), key=lambda s: s.begin):
        if span.begin <= max(other.end for other in stay):
            stay.append(span)
    if any(moment < span.notice for span in stay):
        return PersonStatus.ACTIVE, None
    days = [span.last_day for span in stay]
    return PersonStatus.NOTICE, None if None in days else max(day for day in days if day is not None)
