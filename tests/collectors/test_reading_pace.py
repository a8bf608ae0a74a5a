"""The lane that all hashing and labelling has together."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.file_changes import facts_of
from collectors.file_hashing import FileHasher, HashJob
from collectors.file_labelling import FileLabelling, LabelJob
from collectors.labels import LabelSettings
from collectors.linux.beneath import Root
from collectors.reading_pace import ReadingPace


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0.001, 0.05)), min_size=1, max_size=60))
def test_however_many_read_together_they_stay_below_the_share(work: list[tuple[int, float]]) -> None:
    """Each of four goes on when its rest is over, and works for so long by a clock of its own core."""
    now = 0.0
    pace = ReadingPace(lambda: now)
    free, used = [0.0] * 4, 0.0
    for who, seconds in work:
        now = max(now, free[who] + seconds)
        rest = pace.rest_s(seconds, 0.25)
        assert rest >= seconds * 3 - 1e-9
        free[who] = now + rest
        used += seconds
    # Each one's first piece of work may fall together with the others'.
    assert used <= 0.25 * max(free) + 4 * 0.05


def test_who_reads_alone_rests_for_its_own_work_only() -> None:
    now = 100.0
    pace = ReadingPace(lambda: now)
    assert pace.rest_s(0.01, 0.25) == pytest.approx(0.03)
    now += 60
    assert pace.rest_s(0.01, 1.0) == pytest.approx(0.0)


def test_two_hashers_and_a_labeller_use_one_share_between_them(tmp_path: Path) -> None:
    """CPU time against the time that went by: each of them alone would take the whole share."""
    text, large = tmp_path / "text", tmp_path / "large"
    text.write_bytes(bytes(range(32, 127)) * 400_000)
    with large.open("wb") as file:
        file.truncate(120 << 20)
    root = Root(str(tmp_path))
    pace = ReadingPace()
    hashers = [FileHasher(0.2, 1 << 30, pace=pace) for _ in range(2)]
    labelling = FileLabelling(LabelSettings(cpu_share=0.2, cpu_seconds=0.3), pace=pace)
    began = time.monotonic()
    try:
        jobs = [HashJob(root, str(large), facts_of(large.stat())) for _ in hashers]
        label_job = LabelJob(root, str(text), facts_of(text.stat()))
        labelling.submit(label_job)
        for hasher, job in zip(hashers, jobs, strict=True):
            hasher.submit(job)
        while any(job.result is None for job in jobs) or label_job.result is None:
            assert time.monotonic() - began < 60
            time.sleep(0.01)
        wall = time.monotonic() - began
        used = sum(hasher.cpu_seconds for hasher in hashers) + 0.3
    finally:
        labelling.close()
        for hasher in hashers:
            hasher.close()
    assert all(job.result is not None and job.result.sha256 for job in jobs)
    assert label_job.result is not None
    assert label_job.result.labels is not None
    assert used <= 0.2 * wall + 0.1
