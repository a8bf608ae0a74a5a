"""A process that observes places and prints each observation as JSON [cursor, event], to be killed by tests.

Arguments: the cursor to resume from (or "-"), then the places.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

import msgspec

from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.ocsf_objects import Host, HostType


def main() -> None:
    """The program: see the module."""
    resume, *places = sys.argv[1:]
    config = RemovableStorageConfig(extra_mounts=tuple(places), settle_s=0.4)
    collector = RemovableStorageCollector(config, Host(hostname="laptop-1", type_id=HostType.LAPTOP), "0")
    ready = False
    for turn in collector.observe(None if resume == "-" else resume, threading.Event()):
        lines: list[Any] = [] if ready else ["ready"]
        ready = True
        if turn is not None:
            lines.append([turn.cursor, msgspec.to_builtins(turn.event)])
        for line in lines:
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
