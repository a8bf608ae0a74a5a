"""What the running `leaver up` tells other commands: `up.json` in the data directory.

Rewritten atomically every few seconds; true only while the lock is held and `at` is recent.
"""

from __future__ import annotations

import time

import msgspec

from event_schema.struct_base import Milliseconds
from server.data_directory import DataDirectory, write_private
from server.supervision import PartState
from server.trusted_clock import ClockState

_BYTES_MAX = 1 << 20
STALE_AFTER = 30_000


class LastDrop(msgspec.Struct, frozen=True):
    """What retention did last. `rows` by table, without those of which none went."""

    at: Milliseconds
    rows: dict[str, int]


class ProcessState(msgspec.Struct, frozen=True):
    """`parts` by name: https, pipeline, housekeeping, training. `requests` by
    "METHOD route status". `next_drop_at`: when old data goes next, `last_drop`: what went last. `held_back`:
    agents that sent too much lately, and how many requests of each were refused. `steady`: `at` in ms since
    the machine booted. `waits_for`: what the pipeline waits for, and why. `hr_folder_fault`: why HR's
    watched folder does not work."""

    pid: int
    since: Milliseconds
    at: Milliseconds
    address: str
    parts: dict[str, PartState]
    requests: dict[str, int]
    next_drop_at: Milliseconds | None = None
    held_back: dict[str, int] = {}
    last_drop: LastDrop | None = None
    steady: int = 0
    clock: ClockState = ClockState()
    waits_for: tuple[str, str] | None = None
    hr_folder_fault: str | None = None

    def now(self) -> int:
        """By the clock that this process goes by."""
        return self.at + steady_ms() - self.steady


def steady_ms() -> int:
    """Since this machine booted, its sleep included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def write_process_state(directory: DataDirectory, state: ProcessState) -> None:
    write_private(directory.state_path, msgspec.json.encode(state))


def read_process_state(directory: DataDirectory) -> ProcessState | None:
    """None where no `leaver up` runs, or it does not say anything any more."""
    if not directory.is_running():
        return None
    try:
        with directory.state_path.open("rb") as file:
            state = msgspec.json.decode(file.read(_BYTES_MAX), type=ProcessState)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    # Not by the machine's clock, which may have leapt since it was written.
    return state if 0 <= steady_ms() - state.steady < STALE_AFTER else None
