"""What somebody looks for in the queue, as it stands in its address. Pure.

A link may come from anywhere and be old: what cannot be read counts as not asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal, Protocol, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from event_schema.channels import CHANNELS
from server.alerts.severity import Severity
from server.store.column_types import WHOLE_MAX, is_storable

QueueStatus = Literal["open", "snoozed", "closed", "all"]
QueueSort = Literal["score", "last"]
TEXT_CHARACTERS: Final = 200
WORDS_MAX: Final = 8
NAME_CHARACTERS: Final = 64
ME: Final = "me"
NONE: Final = "none"
_STATUSES: Final = get_args(QueueStatus)
_SORTS: Final = get_args(QueueSort)


class Given(Protocol):
    """A query: Starlette's."""

    def get(self, key: str, default: str, /) -> str: ...
    def getlist(self, key: str, /) -> list[str]: ...


class QueueFilter(msgspec.Struct, frozen=True):
    """All of it together; the defaults are the queue as it opens."""

    status: QueueStatus = "open"
    severity: tuple[Severity, ...] = ()
    """Empty: all."""
    channel: str = ""
    leavers: bool = False
    following: bool = False
    """What the viewer follows."""
    policy: str = ""
    """A rule's id."""
    owner: str = ""
    """`me`, `none` or an account's name."""
    agent: str = ""
    """`H-…`, as endpoints are shown."""
    since: date | None = None
    """Days in the viewer's zone; `until` is the last one."""
    until: date | None = None
    text: str = ""
    sort: QueueSort = "score"

    @property
    def is_narrow(self) -> bool:
        """Whether more is asked for than a status and an order."""
        return self != QueueFilter(status=self.status, sort=self.sort)

    def words(self) -> list[str]:
        """What all must be found."""
        return self.text.casefold().split()[:WORDS_MAX]

    def between(self, zone: ZoneInfo) -> tuple[int, int]:
        """First and last ms of what was seen last."""
        first = 0 if self.since is None else _start(self.since, zone)
        last = WHOLE_MAX if self.until is None else _start(self.until + timedelta(days=1), zone) - 1
        return first, last

    def query(self) -> str:
        """As it stands in an address; empty where nothing differs from the queue as it opens."""
        return urlencode(list(self._pairs()))

    def _pairs(self) -> Iterable[tuple[str, str]]:
        plain = QueueFilter()
        if self.status != plain.status:
            yield "status", self.status
        yield from (("severity", each.value) for each in self.severity)
        for name in ("channel", "policy", "owner", "agent", "text"):
            if value := getattr(self, name):
                yield name, value
        if self.leavers:
            yield "leavers", "1"
        if self.following:
            yield "following", "1"
        if self.since is not None:
            yield "since", self.since.isoformat()
        if self.until is not None:
            yield "until", self.until.isoformat()
        if self.sort != plain.sort:
            yield "sort", self.sort


class Cursor(msgspec.Struct, frozen=True):
    """The last row of a page, in the page's order."""

    score: int
    last_time: int
    alert: int

    def text(self) -> str:
        return f"{self.score}.{self.last_time}.{self.alert}"


def read_cursor(text: str) -> Cursor | None:
    parts = text.split(".")
    whole = len(parts) == 3 and all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts)
    return Cursor(*map(int, parts)) if whole else None


def read_filter(query: Given) -> QueueFilter:
    status, sort, channel = query.get("status", ""), query.get("sort", ""), query.get("channel", "")
    severities = set(query.getlist("severity"))
    return QueueFilter(
        status=next((each for each in _STATUSES if each == status), "open"),
        severity=tuple(each for each in Severity if each.value in severities),
        channel=channel if channel in CHANNELS else "",
        leavers=query.get("leavers", "") == "1",
        following=query.get("following", "") == "1",
        policy=_word(query.get("policy", "")),
        owner=_word(query.get("owner", "")),
        agent=_word(query.get("agent", "")),
        since=_day(query.get("since", "")),
        until=_day(query.get("until", "")),
        text=_text(query.get("text", "")),
        sort=next((each for each in _SORTS if each == sort), "score"),
    )


def _word(value: str) -> str:
    """A name without what no name has."""
    return value if value.isprintable() and len(value) <= NAME_CHARACTERS and "," not in value else ""


def _text(value: str) -> str:
    return " ".join(value.split())[:TEXT_CHARACTERS] if is_storable(value) else ""


def _day(value: str) -> date | None:
    try:
        found = date.fromisoformat(value)
    except ValueError:
        return None
    return found if 1970 < found.year < 2200 else None


def _start(day: date, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, time(), zone).astimezone(UTC).timestamp() * 1000)
