"""Writes logs and reads them with LogTail."""

from __future__ import annotations

from pathlib import Path

from collectors.log_tail import LogTail


def texts_of(tail: LogTail) -> list[str]:
    """All that is there. Twice at the end: what a rotation left is found after the end of the file."""
    found: list[str] = []
    ends = 0
    while ends < 2:
        found += [line.content.decode() for line in tail.take()]
        ends += tail.is_at_end
    return found


def write_to(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(line + "\n" for line in lines)
