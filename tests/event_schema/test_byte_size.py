"""Sizes read the same wherever they stand: in alerts, on both command lines, in findings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from event_schema.byte_size import byte_size

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (14_300_000, "14.3 MB"), (3e15, "3 PB")],
)
def test_sizes_are_in_powers_of_1000(size: float, text: str) -> None:
    assert byte_size(size) == text


def test_no_program_writes_sizes_in_another_way() -> None:
    other_units = re.compile(r"\} ?(KB|kB|MB|GB|[KMG]iB)\b")
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for folder in ("agent", "analytics", "collectors", "policies", "server")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if (match := other_units.search(path.read_text(encoding="utf-8")))
    ]
    assert found == []
