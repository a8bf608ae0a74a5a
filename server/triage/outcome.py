"""What came of a change to alerts: which were changed, which not, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

BULK_MAX: Final = 400
"""Alerts at once."""


class TooMany(ValueError):
    """None, or more alerts than BULK_MAX were named."""


class Why(StrEnum):
    """An alert was not changed because …"""

    UNKNOWN = "unknown"
    CLOSED = "closed"
    """Somebody closed it: `by`, `verdict`."""
    CHANGED = "changed"
    """Somebody changed it since it was shown: `by`, `verb`."""
    GREW = "grew"
    """More came since it was shown: `before` → `after` events, `low` → `high` points, with its parts."""
    MERGED = "merged"
    """It is a part of alert `into`."""
    NOT_CLOSED = "not_closed"
    NOT_OPEN = "not_open"
    """It is held."""
    NOT_MERGED = "not_merged"
    NOT_ASLEEP = "not_asleep"
    OPENED_SINCE = "opened_since"
    """There is alert `alert` about the same person and policy family, which is not closed."""
    JUDGED_SINCE = "judged_since"
    """A later verdict counts the same days."""
    UNDONE = "undone"
    GONE = "gone"
    """What it would be undone to is no longer there: alert `alert` is gone, closed, or a part itself."""
    HAS_PARTS = "has_parts"
    """Alerts were merged into it since."""
    WITH_MAIN = "with_main"
    """Alert `alert`, which belongs to it, could not be."""
    FULL = "full"
    """It has as many notes as it may have: `most`."""
    NOT_REACHED = "not_reached"
    """The database failed before it was its turn."""
    NO_CASE = "no_case"
    """`message` says why it cannot go into the case."""


MESSAGES: Final[Mapping[Why, str]] = {
    Why.UNKNOWN: "There is no alert {id}.",
    Why.CLOSED: "Alert {id} was closed by {by} as {verdict}.",
    Why.CHANGED: "Alert {id} was changed by {by} meanwhile.",
    Why.GREW: "Alert {id} grew since you looked: {before} → {after} events, {low} → {high} points.",
    Why.MERGED: "Alert {id} is merged into alert {into}.",
    Why.NOT_CLOSED: "Alert {id} is not closed.",
    Why.NOT_OPEN: "Alert {id} is held, not open.",
    Why.NOT_MERGED: "Alert {id} is not merged into another.",
    Why.NOT_ASLEEP: "Alert {id} is not snoozed.",
    Why.OPENED_SINCE: "Alert {alert} about the same was opened since alert {id} was closed.",
    Why.JUDGED_SINCE: "What alert {id} was closed with was judged again since.",
    Why.UNDONE: "Alert {id} was undone before.",
    Why.GONE: "Alert {alert}, to which alert {id} belonged, is no longer there for it.",
    Why.HAS_PARTS: "Other alerts were merged into alert {id} since.",
    Why.WITH_MAIN: "Alert {id} stays as it is, because alert {alert} does.",
    Why.FULL: "Alert {id} has {most} notes, the most that it may have.",
    Why.NOT_REACHED: "Alert {id} is as it was: the database did not answer any more. Do it again.",
    Why.NO_CASE: "Alert {id} cannot go into the case: {message}",
}
"""In English, which is the phrases' key; `id` and the refusal's values stand in them."""


class Refused(msgspec.Struct, frozen=True):
    """`values`: what the message says beside the number."""

    id: int
    why: Why
    values: dict[str, str | int] = {}

    @property
    def message(self) -> str:
        return MESSAGES[self.why].format(id=self.id, **self.values)


class Outcome(msgspec.Struct, frozen=True):
    """`done`: as they were asked for, also those that were so already. `changed`: those that look different
    now, with the parts that went along and main alerts that have others. `group`: to undo all of it at once;
    none: nothing to undo."""

    verb: str
    done: tuple[int, ...]
    refused: tuple[Refused, ...] = ()
    changed: tuple[int, ...] = ()
    group: int | None = None


class Shown(msgspec.Struct, frozen=True):
    """What was shown of an alert with its parts. last_time: ms UTC."""

    events: int
    score: int
    last_time: int

    def with_part(self, part: Shown) -> Shown:
        return Shown(
            self.events + part.events, max(self.score, part.score), max(self.last_time, part.last_time)
        )

    def grew(self, now: Shown) -> bool:
        return now.events > self.events or now.score > self.score or now.last_time > self.last_time


class Change(msgspec.Struct, frozen=True):
    """What is common to all verbs: who changes which alerts, and when. `versions`, `shown`: what was shown of
    them, where the change shall not go through otherwise; the latter for verbs that end it. at: ms UTC."""

    actor: str
    at: int
    alerts: tuple[int, ...]
    versions: Mapping[int, int] = {}
    shown: Mapping[int, Shown] = {}
    group: int | None = None
    """What it is undone with, where the act began in an earlier transaction (in_turns.py)."""

    def __post_init__(self) -> None:
        if not 1 <= len(self.alerts) <= BULK_MAX:
            raise TooMany(f"{len(self.alerts)} alerts were named, not 1 to {BULK_MAX}")


def user_of(actor: str) -> str:
    """As people are told who did something: "user:omar" is omar."""
    return actor.removeprefix("user:")
