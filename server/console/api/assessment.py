"""The draft of an impact assessment for programs: what the page and its Markdown say."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.console.api_calls import ApiCall
from server.console.page import Ask, Console
from server.console.pages.transparency import sections_now
from server.console.phrases import Language, phrase
from server.people.roles import Right
from server.transparency.assessment import Listed, Said, Section, Tabled, open_points
from server.transparency.assessment import Open as OpenPoint
from server.transparency.words import Words

Kind = Literal["said", "to_be_filled_in", "listed", "tabled"]
Line = tuple[str, ...]


class AssessmentQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    language: Language = "en"


class BlockAnswer(msgspec.Struct, frozen=True):
    """`text`: of what is said or to be filled in. `items`: of a list. `head`, `rows`: of a table."""

    kind: Kind
    text: str = ""
    items: Line = ()
    head: Line = ()
    rows: tuple[Line, ...] = ()


class SectionAnswer(msgspec.Struct, frozen=True):
    title: str
    blocks: tuple[BlockAnswer, ...]


class AssessmentAnswer(msgspec.Struct, frozen=True):
    """A draft for people, not advice. `open_points`: what only the company knows."""

    sections: tuple[SectionAnswer, ...]
    open_points: Annotated[int, Meta(ge=0)]


def draft(console: Console, ask: Ask, query: AssessmentQuery, _body: None) -> AssessmentAnswer:
    sections = sections_now(console, ask)
    return AssessmentAnswer(tuple(_section(each, query.language) for each in sections), open_points(sections))


def _section(section: Section, language: Language) -> SectionAnswer:
    def said(words: Words) -> str:
        return words.said(lambda text, /, **values: phrase(text, language, **values))

    def line(some: tuple[Words, ...]) -> Line:
        return tuple(map(said, some))

    def block(each: Said | OpenPoint | Listed | Tabled) -> BlockAnswer:
        match each:
            case Said():
                return BlockAnswer("said", text=said(each.text))
            case OpenPoint():
                return BlockAnswer("to_be_filled_in", text=said(each.question))
            case Listed():
                return BlockAnswer("listed", items=line(each.items))
            case Tabled():
                return BlockAnswer("tabled", head=line(each.head), rows=tuple(map(line, each.rows)))

    return SectionAnswer(said(section.title), tuple(map(block, section.blocks)))


API = [
    ApiCall(
        "GET",
        "/api/v1/transparency/assessment",
        Right.SEE_FLEET,
        draft,
        AssessmentAnswer,
        "The draft of an impact assessment",
        query=AssessmentQuery,
    ),
]
