"""What the agent itself costs this machine, as the kernel counts it. A look takes about a millisecond."""

from __future__ import annotations

import msgspec
import psutil


class Footprint(msgspec.Struct, frozen=True):
    """`memory_bytes`: proportional (PSS: pages that it shares with others count in part), where the kernel
    tells it, else resident."""

    cpu_seconds: float
    memory_bytes: int


def own_footprint() -> Footprint | None:
    """This process's. None where /proc does not tell."""
    try:
        process = psutil.Process()
        times = process.cpu_times()
        return Footprint(round(times.user + times.system, 2), _memory(process))
    except (psutil.Error, OSError):
        return None


def _memory(process: psutil.Process) -> int:
    try:
        proportional: int = process.memory_full_info().pss
    except (psutil.Error, OSError, AttributeError):
        resident: int = process.memory_info().rss
        return resident
    return proportional
