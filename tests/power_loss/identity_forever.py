"""An agent's small files at work, until it is killed: `python -m tests.power_loss.identity_forever FOLDER`.

Renews its identity and notes a day, in turn. Says `asked N` when the N-th key is on disk, before anybody else
hears of it, `adopted N` when it is the agent's, `noted N` when day N is on record.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections import Counter
from pathlib import Path

from agent.identity import AgentFacts, HttpsLog, adopt_pending, pending_key
from agent.watched_days import DAY_MS, WatchedDays
from event_schema.request_signing import key_id

ALWAYS = AgentFacts("host-1", "https://siem.example:8443", HttpsLog(), 0, 2**62)
OWNER = "0" * 64


_said: Counter[str] = Counter()


def _asked() -> int:
    return _said["asked"]


def _say(word: str, number: int) -> None:
    sys.stdout.write(f"{word} {number}\n")
    sys.stdout.flush()
    _said[word] += 1


def _step(state: Path, number: int, watched: WatchedDays) -> None:
    """Raises OSError while the disk fails; then the next step comes with the next number."""
    key = pending_key(state)
    # A number for the key: what a test finds must be the one that was told.
    _say("asked", int(key_id(key.public_key()), 16))
    certificate = f"certificate {number}"
    adopt_pending(state, ALWAYS, certificate_pem=certificate, ca_pem="ca", kafka_secret=f"{number}")
    _say("adopted", number)
    watched.look(["removable_storage"], ALWAYS, now=number * DAY_MS)
    if not watched.unsaved:
        _say("noted", number)


def main() -> None:
    logging.disable()
    state = Path(sys.argv[1])
    watched = WatchedDays(state, OWNER, retry_seconds=0)
    number = 0
    while True:
        before = _asked()
        with contextlib.suppress(OSError):
            _step(state, number, watched)
        number += _asked() - before
        time.sleep(0.0005)


if __name__ == "__main__":
    main()
