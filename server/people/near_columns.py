"""Header names that are not read and are almost those of columns: with a slip in `last workng day` nobody's
leaving is taken over, and nobody notices. Pure.

Chinese names are too short to tell a slip from another word, so only names in Latin letters are looked at.
"""

from __future__ import annotations

import difflib
from typing import Final

import msgspec

from server.people.hr_columns import COLUMN_OF, Column, Table, header_key

LEAVING: Final[frozenset[Column]] = frozenset(
    {"start_date", "notice_date", "last_working_day", "end_date", "last_hour", "leaving_type"}
)
"""Columns without which nobody is known to leave: a slip in one of them stops a file."""
_CUTOFF: Final = 0.88
"""As difflib measures likeness. `termination code` is 0.87 like `termination date`."""
_SUFFIX_MAX: Final = 2
"""What is longer than a known name by more is another column: `termination reason code`."""
_SHORTEST: Final = 6
_NAMES: Final = [name for name in COLUMN_OF if name.isascii() and len(name) >= _SHORTEST]


class NearMiss(msgspec.Struct, frozen=True):
    """A header name that is not read, and the column that it may mean."""

    header: str
    column: Column


def near_misses(table: Table) -> tuple[NearMiss, ...]:
    """Of columns that the file does not have otherwise."""
    found = ((name, _nearest(header_key(name))) for name in table.ignored_columns)
    return tuple(
        NearMiss(name, column) for name, column in found if column is not None and column not in table.columns
    )


def _nearest(key: str) -> Column | None:
    if not key.isascii() or len(key) < _SHORTEST:
        return None
    near = difflib.get_close_matches(key, _NAMES, n=1, cutoff=_CUTOFF)
    if not near or (key.startswith(near[0]) and len(key) - len(near[0]) > _SUFFIX_MAX):
        return None
    return COLUMN_OF[near[0]]
