"""How long an opener waits for whoever has to answer, and whether a process still runs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

WAIT_S = 1.0
"""Longest time that an opener may wait."""
HELD_S = 0.05
"""Who waits for so long waited for somebody: an opening takes some microseconds."""
OPENER = """
import sys, time
print(flush=True)
sys.stdin.readline()
began = time.monotonic()
open(sys.argv[1]).close()
print(time.monotonic() - began, flush=True)
"""


def open_took(path: Path, before: Callable[[], None] = lambda: None) -> float:
    """How long another process waits to open the file; `before` is done right before it does."""
    words = [sys.executable, "-I", "-S", "-c", OPENER, str(path)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as opener:
        assert opener.stdout is not None
        opener.stdout.readline()
        before()
        try:
            told, _ = opener.communicate(b"\n", timeout=20)
        finally:
            opener.kill()
    return float(told)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def wait_for_end(pid: int) -> None:
    limit = time.monotonic() + 5
    while is_running(pid):
        assert time.monotonic() < limit
        time.sleep(0.02)
