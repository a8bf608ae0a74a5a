"""What the agent itself costs this machine, as the kernel counts it, with its child processes (the reader of
openings, the labeller, journalctl). A look takes about a millisecond for each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil


class Footprint(msgspec.Struct, frozen=True):
    """`cpu_seconds`: ended children too. `memory_bytes`: proportional (PSS: shared pages count in part),
    where the kernel tells it, else resident."""

    cpu_seconds: float
    memory_bytes: int


def own_footprint() -> Footprint | None:
    """None where /proc does not tell."""
    try:
        own = psutil.Process()
        times = own.cpu_times()
        cpu, memory = times.user + times.system + times.children_user + times.children_system, _memory(own)
    except (psutil.Error, OSError):
        return None
    for pid in _children():
        # It may end at any time.
        with contextlib.suppress(psutil.Error, OSError):
            child = psutil.Process(pid)
            spent = child.cpu_times()
            memory += _memory(child)
            cpu += spent.user + spent.system
    return Footprint(round(cpu, 2), memory)


def _children() -> Iterator[int]:
    """A child is its thread's. psutil would look through all of /proc: too much every few seconds."""
    for listed in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, listed.read_text("ascii").split())


def _memory(process: psutil.Process) -> int:
    try:
        proportional: int = process.memory_full_info().pss
    except (psutil.Error, OSError, AttributeError):
        resident: int = process.memory_info().rss
        return resident
    return proportional
