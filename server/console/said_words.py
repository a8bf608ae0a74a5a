"""What the program says beneath the console, in the viewer's language: its messages are English, and the
command line shows them as they are. A message that is not known here stays as it is.

Most are known by the English of phrases/refusals.toml and seen.toml (faults.toml of policies), with {…} where
values stand; what a page says more shortly than the command line stands here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Final

import msgspec

from server.console.channel_words import channel_name
from server.console.phrases import Language, chinese_files, phrase

if TYPE_CHECKING:
    from server.console.page import Ask


class Phrase(msgspec.Struct, frozen=True):
    """An English phrase of phrases/*.toml."""

    words: str


_DAY: Final = r"(?P<{}>\d{{4}}-\d\d-\d\d)"
_TWO_DAYS: Final = f"{_DAY.format('last')} is before the (?P<what>[a-z ]+) {_DAY.format('earlier')}"
_FIELDS: Final = {"start date": Phrase("Start date"), "notice date": Phrase("Notice date")}
_KNOWN: Final[Sequence[tuple[re.Pattern[str], Phrase]]] = [
    (re.compile(pattern), words)
    for pattern, words in (
        ("not a date: write it as 2026-11-28", Phrase("Not a date: write it as 2026-11-28.")),
        ("not a time of day: write it as 17:30", Phrase("Not a time of day: write it as 17:30.")),
        (r"there is no day (?P<day>\S+)", Phrase("There is no day {day}.")),
        (r"there is no time (?P<time>\S+)", Phrase("There is no time {time}.")),
        (r"year (?P<year>\d+) is not within .*", Phrase("The year {year} cannot be meant.")),
        ("the year needs four digits", Phrase("The year needs four digits.")),
        (
            "this is a spreadsheet's day number: .*",
            Phrase("This is a spreadsheet's day number: format the column as a date."),
        ),
        (
            r"can be read in two ways, (?P<one>\S+) or (?P<other>\S+): .*",
            Phrase("Can be read in two ways, {one} or {other}: write the year first, or choose the order."),
        ),
        (
            f"the last (?:working )?day {_TWO_DAYS}.*",
            Phrase("The last day {last} is before: {what} {earlier}."),
        ),
        ("the id is missing", Phrase("The id is missing.")),
        ("the account is missing: .*", Phrase("The account is missing: it says who this is.")),
        (
            "a spreadsheet rounded this number: .*",
            Phrase("A spreadsheet rounded this number: format it as text."),
        ),
        ("there is no last working day to go with it", Phrase("There is no last working day to go with it.")),
        (r"(?P<n>\d+) characters, more than (?P<most>\d+)", Phrase("{n} characters, more than {most}.")),
        ("holds a control character", Phrase("Holds a control character.")),
        ("not a word that is known: .*", Phrase("Not a word that is known here.")),
        ("not a time zone of the IANA database.*", Phrase("Not a time zone, such as Asia/Shanghai.")),
        (
            r"line (?P<line>\d+) \(id (?P<id>.+)\) has this account; that one counts",
            Phrase("Line {line} (id {id}) has this account; that one counts."),
        ),
        (
            r"line (?P<line>\d+) has the same id; that one counts",
            Phrase("Line {line} has the same id; that one counts."),
        ),
        (r"says what line (?P<line>\d+) says", Phrase("Says what line {line} says.")),
        (
            "this account belongs to (?P<id>.+), who is stored and keeps it",
            Phrase("This account belongs to {id}, who keeps it."),
        ),
        (
            "these accounts belong to several people: (?P<ids>.+)",
            Phrase("These accounts belong to several: {ids}."),
        ),
        (
            "cannot be matched: nobody has this account.*",
            Phrase("Cannot be matched: nobody has this account."),
        ),
        (
            "another person, most likely: .*",
            Phrase("Another person, most likely: this id is known by another name and other accounts."),
        ),
        ("no person with this id, account or name, .*", Phrase("Nobody has this id, account or name.")),
        ("managers go round: (?P<ids>.+)", Phrase("Managers go round: {ids}.")),
        ("named as their own manager, .*", Phrase("Named as their own manager, which counts as none.")),
        (
            r"flagged by hand with (?P<day>\S+) as the last day, which stands.*",
            Phrase("Flagged by hand with {day} as the last day, which stands."),
        ),
        (
            "no longer listed, and kept: the person is leaving, and nobody else has it",
            Phrase("No longer listed, and kept: the person is leaving, and nobody else has it."),
        ),
        (r"erased on (?P<day>\S+); .*", Phrase("Erased on {day}.")),
        (
            r"(?P<n>\d+) cells, but the header names (?P<width>\d+) columns",
            Phrase("{n} cells, but the header names {width} columns."),
        ),
        ("a quote is .*", Phrase("A quotation mark is not closed, or stands inside a cell.")),
        ("there are no rows below the header", Phrase("There are no rows below the header.")),
        ("the file is empty: .*", Phrase("The file is empty: its first line must name the columns.")),
        (
            "no column for the person's id or account .*",
            Phrase("No column is known as the id or the account: choose the columns below."),
        ),
        ("two columns both mean .*", Phrase("Two columns mean the same: choose the columns below.")),
        ("not a workbook that can be read.*", Phrase("Not a workbook that can be read.")),
        (
            "neither text nor an XLSX workbook: .*",
            Phrase("Neither text nor a workbook: save it as .xlsx or CSV."),
        ),
        (
            "the leaving date is that of HR's file: .*",
            Phrase("The date is that of HR's file: correct it, or import it."),
        ),
        ("nobody flagged this person", Phrase("Nobody flagged this person.")),
        (
            "somebody changed this person meanwhile: .*",
            Phrase("Somebody changed this person meanwhile: correct it instead."),
        ),
        ("it is too late to undo it: .*", Phrase("It is too late to undo it: correct it instead.")),
        (
            r"(?P<n>\d+) of the (?P<what>accounts|devices|secrets) (?:is|are) open: a note has to say why",
            Phrase("{n} are still open: a note has to say why."),
        ),
        (
            r"(?P<n>\d+) alerts? (?:is|are) open: .*",
            Phrase("{n} alerts are open: close them, or a note has to say why."),
        ),
        ("no last working day is known yet", Phrase("No last working day is known yet.")),
        (
            r"import (?P<import>\d+) cannot be undone: (?P<n>[\d,]+) of its people were changed since: .*",
            Phrase("{n} of its people were changed since."),
        ),
    )
]


_AS_RAISED: Final = ("refusals.toml", "seen.toml")
_FAULTS: Final = ("faults.toml",)
_OF_EVENTS: Final = re.compile(
    r"(?P<line>.+) \((?P<n>[\d,]+) of (?P<all>[\d,]+) events(?:, with (?P<programs>.+))?\)", re.DOTALL
)
_GUESSED: Final = re.compile(r"(?P<fault>.+); did you mean (?P<near>.+)\?", re.DOTALL)
_GUESS: Final = Phrase("{fault}; did you mean {near}?")
_PART: Final = Phrase("({n} of {all} events)")
_PART_OF_PROGRAMS: Final = Phrase("({n} of {all} events, with {programs})")
_VALUE: Final = re.compile(r"\\\{(\w+)\\\}")


def said(ask: Ask, message: str) -> str:
    return said_in(ask.look.language, message)


def said_in(language: Language, message: str) -> str:
    """In English as the program has it."""
    if language == "en":
        return message
    for pattern, known in _KNOWN:
        if found := pattern.fullmatch(message):
            values = found.groupdict()
            if values.get("what") in _FIELDS:
                values["what"] = phrase(_FIELDS[values["what"]].words, language)
            return phrase(known.words, language, **values)
    return _known_by(_AS_RAISED, message, language) or message


def fault_in(language: Language, message: str) -> str:
    """A fault of a policy's text; what readers of YAML and Sigma say beyond what is known stays English."""
    if language == "en":
        return message
    if found := _GUESSED.fullmatch(message):
        near = found["near"].replace(" or ", " 或 ")
        return phrase(_GUESS.words, language, fault=fault_in(language, found["fault"]), near=near)
    return _known_by(_FAULTS, message, language) or message


def _known_by(files: Sequence[str], message: str, language: Language) -> str | None:
    whole, patterns = _patterns(files)
    if message in whole:
        return phrase(message, language)
    for pattern, words in patterns:
        if found := pattern.fullmatch(message):
            values = {name: _value(name, value, language) for name, value in found.groupdict().items()}
            return phrase(words, language, **values)
    return None


def seen_in(language: Language, line: str) -> str:
    """What could not be seen: words of collectors, several with "; " between them, and of how many events."""
    if language == "en":
        return line
    tail = ""
    if found := _OF_EVENTS.fullmatch(line):
        line = found["line"]
        words = _PART if found["programs"] is None else _PART_OF_PROGRAMS
        tail = phrase(words.words, language, **found.groupdict())
    whole = said_in(language, line)
    if whole == line:
        whole = "；".join(said_in(language, each) for each in line.split("; "))
    return whole + tail


def _value(name: str, value: str, language: Language) -> str:
    """Values that are words themselves."""
    known = _WORDS.get(name)
    return value if known is None else known(language, value)


def _collector(language: Language, name: str) -> str:
    return channel_name(name, partial(phrase, language=language))


def _reasons(language: Language, told: str) -> str:
    """ "too many files wait 12, the queue overflowed 3": without the numbers' places lost."""
    parts = [part.rpartition(" ") for part in re.split(r"(?<=\d), ", told)]
    return "；".join(f"{said_in(language, words)} {n}" if words else n for words, _, n in parts)


def _of_yaml(language: Language, told: str) -> str:
    """ "while parsing a block mapping, did not find expected key"."""
    context, comma, problem = told.partition(", ")
    if not comma or not context.startswith("while "):
        return fault_in(language, told)
    return f"{fault_in(language, context)}，{fault_in(language, problem)}"


_WORDS: Final[Mapping[str, Callable[[Language, str], str]]] = {
    "fault": fault_in,
    "yaml": _of_yaml,
    "why": seen_in,
    "reason": said_in,
    "kind": said_in,
    "state": said_in,
    "collector": _collector,
    "reasons": _reasons,
}


@cache
def _patterns(files: Sequence[str]) -> tuple[frozenset[str], list[tuple[re.Pattern[str], str]]]:
    """(Those without values, those with: the one that says most before another that fits too.)"""
    known = [words for file, phrases in chinese_files().items() if file in files for words in phrases]
    with_values = [words for words in known if "{" in words]
    with_values.sort(key=lambda words: (-len(re.sub(r"\{\w+\}", "", words)), words))
    patterns = [(re.compile(_VALUE.sub(_shape, re.escape(words)), re.DOTALL), words) for words in with_values]
    return frozenset(known) - frozenset(with_values), patterns


def _shape(place: re.Match[str]) -> str:
    """An agent and a collector are one word each: what stands before it is a sentence of its own."""
    shape = r"\S+" if place[1] in ("agent", "collector") else ".+?"
    return f"(?P<{place[1]}>{shape})"
