"""Numbers and sizes as people read them."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


def size(octets: int | None) -> str:
    """Decimal units, three digits: `4.1 GB`."""
    if octets is None:
        return "–"
    value, unit = float(octets), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = 1 if unit and value < 99.95 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def number(count: int | None) -> str:
    """With thin spaces between thousands."""
    return "–" if count is None else f"{count:,}".replace(",", "\u202f")
