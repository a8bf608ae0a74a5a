"""Many small files: each costs little, and what they cost is told, so that labelling keeps to its share."""

from __future__ import annotations

from pathlib import Path

import psutil

from collectors.labels import Labeller, LabelSettings, label_file

FILES = 300


def test_the_time_of_small_files_is_told_too(tmp_path: Path) -> None:
    """Each is done before a rest within it would be due."""
    told: list[float] = []
    labeller = Labeller(LabelSettings(), told.append)
    try:
        small = tmp_path / "note.md"
        small.write_bytes(b"words of nobody\n" * 200)
        label_file(small, labeller)
        pid = labeller.pid()
        assert pid is not None
        before = psutil.Process(pid).cpu_times()
        told.clear()
        for _ in range(FILES):
            label_file(small, labeller)
        after = psutil.Process(pid).cpu_times()
    finally:
        labeller.rest()
    used = after.user + after.system - before.user - before.system
    assert len(told) == FILES
    # The kernel counts in ticks; what receives and sends is not told.
    assert 0.6 * used - 0.05 < sum(told) < used + 0.05
