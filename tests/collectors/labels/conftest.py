"""One labeller for each module: starting its process takes half a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.labels import FileLabels, Labeller, LabelSettings, label_file

SETTINGS = LabelSettings(
    cpu_share=1.0,
    cpu_seconds=3.0,
    unpacked_bytes_max=32 << 20,
    keyword_lists={"projects": ("Phoenix", "凤凰计划"), "customers": ("Acme",)},
)

LabelBytes = Callable[[bytes], FileLabels]


@pytest.fixture(scope="module")
def labeller() -> Iterator[Labeller]:
    made = Labeller(SETTINGS)
    yield made
    made.rest()
    made.rest()


@pytest.fixture
def label(labeller: Labeller, tmp_path: Path) -> LabelBytes:
    """Labels a file with these bytes, in the confined process."""

    def of(data: bytes) -> FileLabels:
        path = tmp_path / "file"
        path.write_bytes(data)
        return label_file(path, labeller)

    return of
