"""How sizes are written for people, everywhere: powers of 1000, "14.3 MB", two or three figures."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def byte_size(size: float) -> str:
    """A number of bytes in words."""
    index = 0
    while size >= 999.5 and index < len(_UNITS) - 1:
        size /= 1000
        index += 1
    decimals = 1 if index and size < 99.95 else 0
    return f"{size:.{decimals}f}".removesuffix(".0") + f" {_UNITS[index]}"
