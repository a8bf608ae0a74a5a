"""What an explanation says, as it is kept and shown: apart from what makes it, which needs the models."""

from __future__ import annotations

import msgspec


class ExplanationWords(msgspec.Struct, frozen=True):
    """In one language. What there is nothing to say of is empty."""

    points: str = ""
    """How strange the day was, and the drift, of 100."""
    stands_out: tuple[str, ...] = ()
    """The day's strongest measures, strongest first."""
    rising: tuple[str, ...] = ()
    """What rose over weeks."""
    check: tuple[str, ...] = ()
    """How much of the surprise goes away without these; an unusual combination."""
    normal: str = ""
    """The smallest change that would have made the day normal, scored again."""
    calmed: tuple[str, ...] = ()
    """What counts as usual because it was judged harmless."""
    not_watched: tuple[str, ...] = ()
