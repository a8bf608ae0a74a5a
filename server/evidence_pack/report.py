"""The report: a pack for people, as PDF. Everything in it is in the other files too, and there in full."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, HRFlowable, PageBreak, SimpleDocTemplate, Spacer, Table

from server.accounts.audit_words import actor_words, object_words
from server.alerts.view_types import AlertDetail
from server.cases.records import Case, Verb
from server.evidence_pack.custody import CustodyRow
from server.evidence_pack.pack_request import PackRequest
from server.evidence_pack.report_alert import alert_pages
from server.evidence_pack.report_pictures import LanesPicture
from server.evidence_pack.report_tables import facts_table, plain_table, who_words
from server.evidence_pack.report_text import ACCENT, CHINESE, LATIN, QUIET, moment, paragraph
from server.evidence_pack.report_words import known, text_of, told, word
from server.evidence_pack.timeline import Timeline

CUSTODY_SHOWN = 400
HISTORY_SHOWN = 400
_MARGIN = 17 * mm
_PADDING = 6
"""Points that a page's frame keeps free inside."""
_CHUNK = 1 << 20


class ReportFacts(msgspec.Struct, frozen=True):
    """What is to be told, masked already."""

    case: Case | None
    history: Sequence[dict[str, Any]]
    alerts: Sequence[AlertDetail]
    timeline: Timeline
    custody: Sequence[CustodyRow]
    request: PackRequest
    fingerprint: str
    contents_digest: str
    head: tuple[int, str] | None


def write_report(facts: ReportFacts, scratch: Path, check: Callable[[], None]) -> Iterator[bytes]:
    """The file in parts. `scratch`: a folder for it meanwhile. `check`: raises where it is to stop."""
    language = facts.request.language
    with tempfile.TemporaryFile(dir=scratch) as file:
        title = _title(facts)
        document = SimpleDocTemplate(
            file,
            pagesize=A4,
            leftMargin=_MARGIN - _PADDING,
            rightMargin=_MARGIN - _PADDING,
            topMargin=_MARGIN,
            bottomMargin=20 * mm,
            title=title,
            author="Leaver",
            lang="zh-CN" if language == "zh" else "en",
            invariant=1,
        )
        document.build(
            _story(facts, check),
            canvasmaker=lambda *given, **more: _PagedCanvas(
                *given, language=language, foot=f"{title}  ·  sha256 {facts.contents_digest}", **more
            ),
        )
        file.seek(0)
        while part := file.read(_CHUNK):
            yield part


def _title(facts: ReportFacts) -> str:
    """Names nobody: it is shown in windows and lists of files."""
    language = facts.request.language
    about = (
        f"{word(language, 'alert')} {facts.alerts[0].alert.id}"
        if facts.case is None
        else f"{word(language, 'case')} {facts.case.id}"
    )
    return f"{word(language, 'title')} · {about}"


def _story(facts: ReportFacts, check: Callable[[], None]) -> list[Flowable]:
    language = facts.request.language
    story: list[Flowable] = [*_cover(facts), PageBreak()]
    story += [paragraph(word(language, "summary"), "heading"), _summary(facts)]
    story += [paragraph(word(language, "when"), "heading"), _lanes(facts), _caption(facts)]
    for detail in facts.alerts:
        check()
        story += [PageBreak(), *alert_pages(detail, language)]
    story += [PageBreak(), *_history(facts), *_custody(facts)]
    story.append(paragraph(word(language, "says"), "heading"))
    request = facts.request
    said = told(language, names=request.unmasking is not None, records=request.with_records)
    story += [paragraph(each, longest=2000) for each in said]
    return story


def _cover(facts: ReportFacts) -> list[Flowable]:
    language, case, request = facts.request.language, facts.case, facts.request

    def say(key: str, **values: object) -> str:
        return word(language, key, **values)

    unmasking = request.unmasking
    rows = [
        (say("made"), moment(request.at)),
        (say("by"), actor_words(request.made_by, text_of(language))),
        (
            say("contents"),
            say("counts", alerts=f"{len(facts.alerts):,}", events=f"{facts.timeline.events:,}"),
        ),
        (
            say("names"),
            say("pseudonyms") if unmasking is None else f"{say('unmasked')} {unmasking.reason}",
        ),
    ]
    if case is not None:
        outcome = known(language, case.outcome) if case.outcome else say("open")
        rows += [(say("outcome"), outcome), (say("owner"), case.owner or say("nobody"))]
    if facts.head is not None:
        rows.append((say("head"), f"{facts.head[0]:,} · {facts.head[1]}"))
    rows += [(say("digest"), f"sha256 {facts.contents_digest}"), (say("key"), f"sha256 {facts.fingerprint}")]
    title = [paragraph(case.title, "heading", longest=400)] if case is not None else []
    return [
        Spacer(1, 30 * mm),
        HRFlowable(width="100%", thickness=3, color=ACCENT, spaceAfter=14),
        paragraph(_title(facts), "title"),
        *title,
        Spacer(1, 8 * mm),
        facts_table(rows),
        Spacer(1, 8 * mm),
        paragraph(say("check"), "small", longest=1000),
    ]


def _summary(facts: ReportFacts) -> Table:
    language = facts.request.language
    heads = [word(language, key) for key in ("alert", "score", "who", "what", "span", "verdict")]
    rows = [
        [
            str(each.alert.id),
            str(each.alert.score),
            who_words(each.alert.who, language),
            each.alert.sentence.get(language) or each.alert.sentence.get("en", ""),
            f"{moment(each.alert.first_time)} – {moment(each.alert.last_time)}",
            known(language, each.alert.verdict),
        ]
        for each in facts.alerts
    ]
    return plain_table(heads, rows, [13, 12, 38, 66, 30, 17])


def _lanes(facts: ReportFacts) -> Flowable:
    return LanesPicture(facts.timeline, text_of(facts.request.language))


def _caption(facts: ReportFacts) -> Flowable:
    timeline, language = facts.timeline, facts.request.language
    words = word(language, "picture", first=moment(timeline.first), last=moment(timeline.last))
    return paragraph(f"{words} {word(language, 'times')}", "quiet")


def _history(facts: ReportFacts) -> list[Flowable]:
    language = facts.request.language
    text = text_of(language)
    if facts.case is None:
        return []
    rows = [
        [
            moment(each["at"]),
            actor_words(each["actor"], text),
            known(language, f"did_{each['verb']}"),
            " ".join(_changed(each, language)),
            ", ".join(map(str, each["alerts"][:20])) + (" …" if len(each["alerts"]) > 20 else ""),
            each["text"] or "",
        ]
        for each in facts.history[-HISTORY_SHOWN:]
    ]
    heads = [word(language, key) for key in ("time", "actor", "action")]
    heads += ["", word(language, "alert"), ""]
    table = plain_table(heads, rows, [28, 26, 18, 22, 22, 60], longest=1200)
    none = paragraph(word(language, "no_notes"))
    return [paragraph(word(language, "notes"), "heading"), table if rows else none]


def _changed(entry: dict[str, Any], language: str) -> Iterator[str]:
    """Before and after; what a case was closed as is a word."""
    is_outcome = entry["verb"] in (Verb.CLOSE, Verb.REOPEN)
    for part in (entry["before"], entry["after"]):
        if part:
            yield known(language, str(part)) if is_outcome else str(part)


def _custody(facts: ReportFacts) -> list[Flowable]:
    language = facts.request.language
    text = text_of(language)
    shown = facts.custody[-CUSTODY_SHOWN:]
    rows = [
        [
            f"{row.seq}{'*' if row.masked else ''}",
            moment(row.at),
            actor_words(row.actor, text),
            row.action,
            object_words(row.object, row.action, text),
            row.reason or "",
            row.fingerprint[:12],
        ]
        for row in shown
    ]
    heads = [
        "#",
        *(word(language, key) for key in ("time", "actor", "action", "object", "reason", "fingerprint")),
    ]
    left = len(facts.custody) - len(shown)
    more = [paragraph(word(language, "custody_more", count=f"{left:,}"), "quiet")] if left else []
    return [
        paragraph(word(language, "custody"), "heading"),
        plain_table(heads, rows, [12, 28, 28, 26, 26, 36, 20], longest=600),
        paragraph(word(language, "masked_mark"), "quiet"),
        *more,
    ]


class _PagedCanvas(Canvas):
    """With a foot that says how many pages there are, which is known at the end."""

    def __init__(self, *given: Any, language: str, foot: str, **more: Any) -> None:
        super().__init__(*given, **more)
        self._language = language
        self._foot = foot
        self._pages: list[dict[str, Any]] = []

    def showPage(self) -> None:
        self._pages.append(dict(self.__dict__))
        self._startPage()  # type: ignore[attr-defined]

    def save(self) -> None:
        for number, page in enumerate(self._pages, start=1):
            self.__dict__.update(page)
            self._draw_foot(number, len(self._pages))
            super().showPage()
        super().save()

    def _draw_foot(self, number: int, of: int) -> None:
        self.setFillColor(QUIET)
        self.setFont(CHINESE if self._language == "zh" else LATIN, 6.5)
        self.drawString(_MARGIN, 11 * mm, self._foot)
        self.drawRightString(A4[0] - _MARGIN, 11 * mm, word(self._language, "page", page=number, of=of))
