"""Where collectors stood when they were switched off: what is done from then on is not to be collected.

A log keeps it all. Without this, a collector that is switched on again after a month would go on where it
stood, and tell the month in which nobody wanted to know. `switched-off.json` in the state folder (JSON):

    {"logins": SHA-256 of the cursor that no longer counts}

The spool may still have that cursor; any later one is of after the collector was switched on again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.spool_files import replace_file

FILE = "switched-off.json"
_BYTES_MAX = 1 << 20

_log = logging.getLogger(__name__)


class SwitchedOff:
    """`cursor`: of a collector, as the spool has it. `note` is one thread's; `resume_from` anybody's."""

    def __init__(self, state_dir: Path, cursor: Callable[[str], str | None]) -> None:
        self._state_dir, self._cursor = state_dir, cursor
        self._void = _read(state_dir / FILE)

    def resume_from(self, name: str) -> str | None:
        """None: from now on."""
        cursor = self._cursor(name)
        return None if cursor is None or self._void.get(name) == _digest(cursor) else cursor

    def note(self, name: str, cursor: str | None) -> None:
        """The collector does not run from now on; `cursor`: where it stood."""
        if cursor is None or self._void.get(name) == _digest(cursor):
            return
        self._void = {**self._void, name: _digest(cursor)}
        try:
            replace_file(self._state_dir / FILE, msgspec.json.encode(self._void))
        except OSError:
            # It is noted again at the next start, if the collector is still off by then.
            _log.error("cannot write which collectors are switched off", exc_info=True)


def _digest(cursor: str) -> str:
    return hashlib.sha256(cursor.encode()).hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_BYTES_MAX), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        _log.error("cannot read which collectors were switched off", exc_info=True)
        return {}
