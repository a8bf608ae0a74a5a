"""An agent's spool at work, until it is killed: `python -m tests.power_loss.spool_forever FOLDER`.

Appends, and lets go of what is older than a while, as the shipper does. Says `appended N` and `let-go N` when
the spool has promised it, and `refused N` after a refused append, which it repeats.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from agent.spool import Spool, SpoolUnavailable
from agent.spool_segment import NewEntry

BEHIND = 300
SEGMENT = 64 << 10


def entry(number: int) -> NewEntry:
    data = f'{{"n":{number},'.ljust(100 + number * 37 % 1500, "x").encode()
    return NewEntry("removable_storage", 1_000 + number, data, cursor=str(number))


def _say(word: str, number: int) -> None:
    sys.stdout.write(f"{word} {number}\n")
    sys.stdout.flush()


def main() -> None:
    spool = Spool(Path(sys.argv[1]), max_bytes=64 << 20, segment_bytes=SEGMENT)
    refused = 0
    _say("opened", spool.stats().next_seq)
    while True:
        first = spool.stats().next_seq
        count = 1 + first % 23
        try:
            spool.append([entry(n) for n in range(first, first + count)])
            _say("appended", first + count - 1)
            spool.read(-1, max_events=50)
            if first % 5 == 0 and first > BEHIND:
                spool.acknowledge(first - BEHIND)
                _say("let-go", first - BEHIND)
        except SpoolUnavailable:
            refused += 1
            _say("refused", refused)
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
