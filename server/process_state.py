"""What the running `leaver up` tells other commands: `up.json` in the data directory.

Rewritten atomically every few seconds; true only while the lock is held and `at` is recent.
"""

from __future__ import annotations

import msgspec

from event_schema.struct_base import Milliseconds
from server.data_directory import DataDirectory, write_private
from server.supervision import PartState

_BYTES_MAX = 1 << 20
STALE_AFTER = 30_000


class LastDrop(msgspec.Struct, frozen=True):
    """What retention did last. `rows` by table, without those of which none went."""

    at: Milliseconds
    rows: dict[str, int]


class ProcessState(msgspec.Struct, frozen=True):
    """`parts` by name: https, pipeline, housekeeping, training. `requests` by
    "METHOD route status". `next_drop_at`: when old data goes next, `last_drop`: what went last. `held_back`:
    agents that sent too much lately, and how many requests of each were refused."""

    pid: int
    since: Milliseconds
    at: Milliseconds
    address: str
    parts: dict[str, PartState]
    requests: dict[str, int]
    next_drop_at: Milliseconds | None = None
    held_back: dict[str, int] = {}
    last_drop: LastDrop | None = None


def write_process_state(directory: DataDirectory, state: ProcessState) -> None:
    write_private(directory.state_path, msgspec.json.encode(state))


def read_process_state(directory: DataDirectory, *, now: int) -> ProcessState | None:
    """None where no `leaver up` runs, or it does not say anything any more."""
    if not directory.is_running():
        return None
    try:
        with directory.state_path.open("rb") as file:
            state = msgspec.json.decode(file.read(_BYTES_MAX), type=ProcessState)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    return state if now - state.at < STALE_AFTER else None
