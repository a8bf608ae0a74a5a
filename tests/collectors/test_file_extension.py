"""What counts as a file's extension, the same in every channel."""

from __future__ import annotations

import pytest

from collectors.file_extension import extension_of


@pytest.mark.parametrize(
    ("name", "extension"),
    [
        ("Plan.PDF", "pdf"),
        ("archive.tar.gz", "gz"),
        ("README", None),
        (".bashrc", None),
        ("..x", None),
        ("name.", None),
        ("a." + "x" * 16, "x" * 16),
        ("a." + "x" * 17, None),
        ("a.\x1b[2J", "\\x1b[2j"),
    ],
)
def test_a_short_part_behind_the_last_dot_is_the_extension(name: str, extension: str | None) -> None:
    assert extension_of(name) == extension
