"""What is measured of a subject's day: the registry of measures, by activity.

An activity is what is done (a channel is which collector saw it); each activity has a forest of its own.
A subject-day of an activity is one whole number >= 0 a measure, in the registry's order. All are sums over
the subject's events of the day, so they do not depend on the order of arrival or on batches. A novelty
counts places (devices, hosts, addresses, destinations) that the subject used for the first time that day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec

DayType = Literal["work", "off"]
"""By the company's calendar, in the subject's own time zone; make-up working days are work."""
Unit = Literal["bytes", "count"]

MEGABYTE: Final = 1_000_000
VALUE_MAX: Final = 10**15
"""A day counts at most so much of anything (a petabyte): 115 such days still add up in 64 bits."""


class Measure(msgspec.Struct, frozen=True):
    name: str
    activity: str
    unit: Unit = "count"
    novelty: bool = False
    volume: bool = False
    """Its sums over 7 and 28 days count too."""
    slow: bool = False
    """Watched for drift over months."""

    @property
    def key(self) -> str:
        return f"{self.activity}.{self.name}"


MEASURES: Final = (
    Measure("bytes", "removable_storage", "bytes", volume=True, slow=True),
    Measure("files", "removable_storage"),
    Measure("new_devices", "removable_storage", novelty=True),
    Measure("bytes", "messaging", "bytes", volume=True, slow=True),
    Measure("files", "messaging"),
    Measure("bytes", "cloud", "bytes", volume=True, slow=True),
    Measure("files", "cloud"),
    Measure("new_destinations", "cloud", novelty=True),
    Measure("bytes", "mail", "bytes", volume=True, slow=True),
    Measure("messages", "mail"),
    Measure("personal_messages", "mail"),
    Measure("upload_bytes", "web_upload", "bytes", volume=True, slow=True),
    Measure("uploads", "web_upload"),
    Measure("new_destinations", "web_upload", novelty=True),
    Measure("queries", "database"),
    Measure("rows", "database", volume=True, slow=True),
    Measure("export_bytes", "database", "bytes", volume=True),
    Measure("sensitive_reads", "files", volume=True, slow=True),
    Measure("reads", "files", slow=True),
    Measure("deletions", "files"),
    Measure("archives", "files"),
    Measure("renames", "files"),
    Measure("logins", "logins"),
    Measure("off_hours", "logins"),
    Measure("hosts", "logins"),
    Measure("failures", "logins"),
    Measure("new_hosts", "logins", novelty=True),
    Measure("new_addresses", "logins", novelty=True),
    Measure("actions", "application"),
    Measure("sensitive_actions", "application"),
    Measure("code_bytes", "code", "bytes", volume=True, slow=True),
    Measure("pages", "printing", volume=True, slow=True),
    Measure("screenshots", "screenshots"),
)


def _by_activity() -> dict[str, tuple[Measure, ...]]:
    activities = dict.fromkeys(measure.activity for measure in MEASURES)
    return {name: tuple(m for m in MEASURES if m.activity == name) for name in activities}


ACTIVITIES: Final[Mapping[str, tuple[Measure, ...]]] = _by_activity()
CARRIED_BY: Final[Mapping[tuple[str, str], str]] = {
    ("removable_storage", "bytes"): "files",
    ("messaging", "bytes"): "files",
    ("cloud", "bytes"): "files",
    ("mail", "bytes"): "messages",
    ("web_upload", "upload_bytes"): "uploads",
}
"""By (activity, bytes): what counts the same acts; where one is 0 the other is."""
SLOW: Final = tuple(measure for measure in MEASURES if measure.slow)


def measured_day(activity: str, values: Mapping[str, int]) -> tuple[int, ...]:
    """One day of an activity in the registry's order; what is not named is 0, nothing is above VALUE_MAX.

    Raises ValueError on an unknown activity or measure and on negative or broken numbers.
    """
    measures = ACTIVITIES.get(activity)
    if measures is None:
        raise ValueError(f"activity {activity!r} is none of {', '.join(ACTIVITIES)}")
    names = [measure.name for measure in measures]
    for name, value in values.items():
        if name not in names:
            raise ValueError(f"{activity} has no measure {name!r}, it has {', '.join(names)}")
        if type(value) is not int or value < 0:
            raise ValueError(f"{activity}.{name} is {value!r}, not a whole number >= 0")
    return tuple(min(values.get(name, 0), VALUE_MAX) for name in names)


def added(day: Sequence[int], more: Sequence[int]) -> tuple[int, ...]:
    """The running day after another event; stops at VALUE_MAX, so that no backup job overflows it."""
    return tuple(min(a + b, VALUE_MAX) for a, b in zip(day, more, strict=True))
