"""The draft as Markdown, for people to go on writing in a document of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from server.transparency.assessment import Block, Listed, Open, Said, Section, Tabled
from server.transparency.words import Say, Words

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_[]<>|#"})


def markdown(title: str, sections: Iterable[Section], say: Say) -> str:
    """In the language of `say`."""
    lines = [f"# {_plain(title)}", ""]
    for section in sections:
        lines += [f"## {_said(section.title, say)}", ""]
        for block in section.blocks:
            lines += [*_block(block, say), ""]
    return "\n".join(lines)


def _block(block: Block, say: Say) -> Iterator[str]:
    match block:
        case Said(text):
            yield _said(text, say)
        case Open(question):
            # A box to tick, as task lists have it.
            yield f"- [ ] **{_plain(say('To be filled in'))}:** {_said(question, say)}"
        case Listed(items):
            yield from (f"- {_said(item, say)}" for item in items)
        case Tabled(head, rows):
            yield _row(head, say)
            yield "|" + "---|" * len(head)
            yield from (_row(row, say) for row in rows)


def _row(cells: Sequence[Words], say: Say) -> str:
    return "| " + " | ".join(_said(cell, say) for cell in cells) + " |"


def _said(words: Words, say: Say) -> str:
    return _plain(words.said(say))


def _plain(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)
