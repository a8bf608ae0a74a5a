"""One sentence that a person would say about a copy to removable storage, and the features behind it."""

from __future__ import annotations

from typing import Literal

import msgspec

Language = Literal["en", "zh"]


class CopyFacts(msgspec.Struct, frozen=True):
    """What is known of the copies of one subject on one day. None is "not known"."""

    bytes: int
    files: int
    new_device: bool
    """To a device that the subject used for the first time on this day."""
    usual_bytes: float | None
    """Median of the subject's days with copies in the last 28; None if there is none."""
    days_since_last_copy: int | None
    """None: no copy within the days that are known."""
    known_days: int
    """Earlier days with data, up to 60."""
    peers_percentile: float | None
    """Share (0-100) of the peers' days with fewer bytes; 100 is more than any of them."""
    days_to_last_day: int | None
    """Negative after the last working day; None: not leaving, or not known."""
    person_known: bool
    """False: an account that belongs to nobody known."""


def sentence(facts: CopyFacts, language: Language = "en") -> str:
    """The sentence; gender-free, never a name in it."""
    raise NotImplementedError
