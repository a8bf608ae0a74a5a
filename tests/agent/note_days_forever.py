"""Notes a day after the other, until it is killed. Arguments: folder, owner, first day."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from agent.identity import AgentFacts, HttpsLog
from agent.watched_days import DAY_MS, WatchedDays

ALWAYS = AgentFacts("host-1", "https://siem.example:8443", HttpsLog(), 0, 2**62)


def main() -> None:
    watched = WatchedDays(Path(sys.argv[1]), sys.argv[2])
    for day in count(int(sys.argv[3])):
        watched.look(["removable_storage"], ALWAYS, now=day * DAY_MS)
        sys.stdout.write(f"{day}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
