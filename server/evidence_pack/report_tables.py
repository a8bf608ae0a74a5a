"""Tables of the report: a heading that every page repeats, cells that take any text."""

from __future__ import annotations

from collections.abc import Sequence

from reportlab.lib.units import mm
from reportlab.platypus import Paragraph, Table, TableStyle

from event_schema.leaver_fields import PersonStatus
from server.alerts.view_types import Who
from server.evidence_pack.report_text import LINE, LONGEST, QUIET, TINT, marked_up, paragraph, styles
from server.evidence_pack.report_words import word

_LINES = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("BACKGROUND", (0, 0), (-1, 0), TINT),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), 2.5),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2.5),
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 2),
    ]
)
_FACTS = TableStyle(
    [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
        ("TEXTCOLOR", (0, 0), (0, -1), QUIET),
    ]
)


def plain_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float], *, longest: int = LONGEST
) -> Table:
    """`widths`: millimetres."""
    cell = styles()["cell"]
    body = [[Paragraph(marked_up(text, longest), cell) for text in row] for row in rows]
    head = [paragraph(each, "strong") for each in heads]
    table = Table([head, *body], colWidths=[each * mm for each in widths], repeatRows=1, splitInRow=1)
    table.setStyle(_LINES)
    return table


def facts_table(rows: Sequence[tuple[str, str]], *, longest: int = 1200) -> Table:
    """What is told on the left, what it is on the right."""
    body = [[paragraph(name, "quiet"), paragraph(text, "small", longest=longest)] for name, text in rows]
    table = Table(body, colWidths=[42 * mm, 134 * mm], splitInRow=1)
    table.setStyle(_FACTS)
    return table


def who_words(who: Who, language: str) -> str:
    """As unmasked, or by pseudonym."""
    named = f"{who.name} ({who.pseudonym})" if who.name else who.pseudonym
    accounts = ", ".join(who.accounts[:5])
    return " · ".join(part for part in (named, accounts, who.department, _status(who, language)) if part)


def _status(who: Who, language: str) -> str:
    days = who.days_to_last_day
    if who.status is PersonStatus.LEFT and days is not None:
        return word(language, "left", days=-days)
    if who.status is PersonStatus.NOTICE:
        return word(language, "notice") if days is None else word(language, "last_day", days=days)
    return ""
