"""A process that appends three records at a time to an embedded log and prints the last number that was
acknowledged, until someone kills it. `python -m tests.server.log.append_forever PATH FIRST`"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from server.log.embedded import EmbeddedLog
from tests.server.log.log_contract import record


def main() -> None:
    log = EmbeddedLog(Path(sys.argv[1]), lambda: 0)
    number = int(sys.argv[2])
    while True:
        log.append([record("a", number + step, size=20_000) for step in range(3)])
        number += 3
        click.echo(number - 1)


if __name__ == "__main__":
    main()
