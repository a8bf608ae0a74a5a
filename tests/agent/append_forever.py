"""Appends to the spool named on the command line, and prints the last accepted number after each append."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.spool import Spool
from agent.spool_segment import NewEntry


def main() -> None:
    spool = Spool(Path(sys.argv[1]), max_bytes=64 << 20, segment_bytes=64 << 10)
    while True:
        first = spool.stats().next_seq
        batch = [
            NewEntry("removable_storage", n, f'{{"n":{n},'.ljust(100 + n % 900, "x").encode())
            for n in range(first, first + 1 + first % 7)
        ]
        spool.append(batch)
        sys.stdout.write(f"{first + len(batch) - 1}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
