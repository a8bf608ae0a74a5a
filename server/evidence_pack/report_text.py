"""Text for the report: whatever stands in names and paths, it is drawn as text, and fits.

Latin letters are drawn in Helvetica and Chinese in STSong, a font that every PDF reader knows, so none is
embedded. What neither has, and what would steer the direction of writing, stands as its code: <U+202E>.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, Literal
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_LEFT
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Paragraph

CHINESE: Final = "STSong-Light"
LATIN, BOLD, MONO = "Helvetica", "Helvetica-Bold", "Courier"
LONGEST: Final = 240
PROSE_LONGEST: Final = 4000
INK, QUIET, LINE, ACCENT, TINT = (
    colors.HexColor(each) for each in ("#1b2430", "#5b6675", "#c9d1da", "#b3361b", "#f3f5f8")
)

Style = Literal["title", "heading", "subheading", "body", "small", "cell", "strong", "quiet", "mono"]


@lru_cache(maxsize=1)
def styles() -> dict[str, ParagraphStyle]:
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE))

    def made(name: str, size: float, font: str = LATIN, **more: Any) -> ParagraphStyle:
        own: dict[str, Any] = {"fontName": font, "fontSize": size, "leading": size * 1.35}
        own |= {"textColor": INK, "alignment": TA_LEFT, "splitLongWords": 1}
        return ParagraphStyle(name, **{**own, **more})

    return {
        "title": made("title", 24, BOLD, spaceAfter=4),
        "heading": made("heading", 15, BOLD, spaceBefore=12, spaceAfter=6),
        "subheading": made("subheading", 10.5, BOLD, spaceBefore=9, spaceAfter=3),
        "body": made("body", 9.5, spaceAfter=3),
        "small": made("small", 8),
        "cell": made("cell", 7.5),
        "strong": made("strong", 7.5, BOLD),
        "quiet": made("quiet", 8, textColor=QUIET),
        "mono": made("mono", 7.5, MONO),
    }


def paragraph(text: str, style: Style = "body", *, longest: int = LONGEST) -> Paragraph:
    return Paragraph(marked_up(text, longest), styles()[style])


def marked_up(text: str, longest: int = LONGEST) -> str:
    """As the paragraph's own markup, in which nothing of the text means anything."""
    shown = "".join(map(_shown, shortened(text, longest)))
    runs = groupby(shown, _is_latin)
    return "".join(
        escape("".join(run)) if latin else f'<font name="{CHINESE}">{escape("".join(run))}</font>'
        for latin, run in runs
    )


def plain(text: str, longest: int = LONGEST) -> str:
    """For what is drawn letter by letter."""
    return "".join(map(_shown, shortened(text, longest)))


def shortened(text: str, longest: int) -> str:
    """Its beginning and end, and how much is left out between them."""
    if len(text) <= longest:
        return text
    left = f" … ({len(text) - longest:,} …) "
    part = max(1, longest // 2)
    return text[:part] + left + text[-part:]


def moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


@lru_cache(maxsize=5000)
def _shown(letter: str) -> str:
    if letter in "\n\t":
        return " "
    category = unicodedata.category(letter)
    if (
        category[0] == "C"
        or category in ("Zl", "Zp", "Mn", "Me")
        or not (_is_latin(letter) or _is_chinese(letter))
    ):
        return f"<U+{ord(letter):04X}>"
    return letter


@lru_cache(maxsize=5000)
def _is_latin(letter: str) -> bool:
    try:
        letter.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _is_chinese(letter: str) -> bool:
    try:
        letter.encode("gbk")
    except UnicodeEncodeError:
        return False
    return True
