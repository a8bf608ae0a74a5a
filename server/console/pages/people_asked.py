"""What an address of the people pages asks for, and words that several of them say."""

from __future__ import annotations

from datetime import date
from typing import Final
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import ImmutableMultiDict

from event_schema.channels import CHANNELS
from event_schema.leaver_fields import PersonStatus
from server.console.channel_words import ORDER
from server.console.charts.svg import Text
from server.profiles.profile import MONTH_DAYS, Months, Span
from server.profiles.standing_now import StandingNow

MONTHS: Final[tuple[Months, ...]] = (1, 3, 6)
DAY_ZERO: Final = date(1970, 1, 1).toordinal()


class RangeAsked(msgspec.Struct, frozen=True):
    """`until`: days since 1970-01-01; None: today."""

    months: Months = 3
    until: int | None = None
    channel: str = ""
    above: bool = False

    def query(self, **changes: object) -> str:
        """As it stands in an address, with these changes."""
        asked = msgspec.structs.replace(self, **changes)
        pairs: list[tuple[str, str]] = []
        if asked.months != 3:
            pairs.append(("months", str(asked.months)))
        if asked.until is not None:
            pairs.append(("until", day_date(asked.until).isoformat()))
        if asked.channel:
            pairs.append(("channel", asked.channel))
        if asked.above:
            pairs.append(("above", "1"))
        return urlencode(pairs)

    def channels(self) -> tuple[str, ...]:
        return (self.channel,) if self.channel else ORDER


def read_range(query: ImmutableMultiDict[str, str]) -> RangeAsked:
    """A link may be old or made up: what cannot be read counts as not asked for."""
    months: Months = next((each for each in MONTHS if str(each) == query.get("months")), 3)
    channel = query.get("channel", "")
    return RangeAsked(
        months,
        _day(query.get("until", "")),
        channel if channel in CHANNELS else "",
        query.get("above") == "1",
    )


def earlier(asked: RangeAsked, span: Span) -> RangeAsked | None:
    """Half a range further back; None: no more is told."""
    if span.is_earliest:
        return None
    return msgspec.structs.replace(asked, until=span.known - asked.months * MONTH_DAYS // 2)


def later(asked: RangeAsked, span: Span) -> RangeAsked | None:
    """Half a range on; None: today is shown."""
    if span.known >= span.today:
        return None
    until = span.known + asked.months * MONTH_DAYS // 2
    return msgspec.structs.replace(asked, until=None if until >= span.today else until)


def next_channel(asked: RangeAsked) -> str:
    """All, then one after the other."""
    round_of = ("", *ORDER)
    return round_of[(round_of.index(asked.channel) + 1) % len(round_of)]


def day_date(day: int) -> date:
    """Of days since 1970-01-01, within what a calendar has."""
    return date.fromordinal(min(max(day + DAY_ZERO, 1), date.max.toordinal()))


def _day(text: str) -> int | None:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found.toordinal() - DAY_ZERO if 1990 <= found.year < 2200 else None


def leaver_words(standing: StandingNow, text: Text) -> str:
    """Of a badge: "last day in 6 d". Empty: stays."""
    left = standing.days_left
    if standing.status is PersonStatus.NOTICE:
        if left is None:
            return text("on notice")
        return text("last day today") if left <= 0 else text("last day in {n} d", n=left)
    if standing.status is PersonStatus.LEFT:
        return text("left") if left is None or left >= 0 else text("left {n} d ago", n=-left)
    return ""


def status_words(status: PersonStatus, text: Text) -> str:
    """In the viewer's language."""
    names = {
        PersonStatus.ACTIVE: text("employed"),
        PersonStatus.NOTICE: text("on notice"),
        PersonStatus.LEFT: text("left"),
        PersonStatus.UNKNOWN: text("not declared"),
    }
    return names[status]
