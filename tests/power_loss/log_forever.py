"""The embedded log at work, until it is killed: `python -m tests.power_loss.log_forever FILE`.

Says `appended N` when the log has promised it, `trimmed N` before it lets go of what is below N, and
`refused N` after a refused append, which it repeats.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from server.log.contract import LogUnavailable
from server.log.embedded import EmbeddedLog
from tests.server.log.log_contract import record

BEHIND = 60


def _say(word: str, number: int) -> None:
    sys.stdout.write(f"{word} {number}\n")
    sys.stdout.flush()


def main() -> None:
    log = EmbeddedLog(Path(sys.argv[1]), lambda: 0)
    number, refused = log.end_offsets()[0], 0
    _say("opened", number)
    while True:
        try:
            log.append([record("a", number + step, size=9_000) for step in range(3)])
            number += 3
            _say("appended", number - 1)
            if number % 10 == 0 and number > BEHIND:
                _say("trimmed", number - BEHIND)
                log.trim({0: number - BEHIND})
        except LogUnavailable:
            refused += 1
            _say("refused", refused)
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
