"""Cases as one viewer sees them: what people typed is masked but for whom they unmasked."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from event_schema.struct_base import Milliseconds
from server.alerts.severity import severity_of
from server.api.errors import ApiError
from server.cases.reading import (
    PAGE_ROWS,
    CaseAlert,
    CaseLine,
    CasePlace,
    CaseStatus,
    case_alerts_of,
    case_entries,
    case_titles,
    count_cases,
    get_case,
    list_cases,
)
from server.cases.records import Case, CaseEntry, CaseRefused, UnknownCase
from server.console.charts.svg import Text
from server.console.page import Ask, Console
from server.console.queue_words import verdict_word
from server.console.said_words import said
from server.evidence_pack.stored import StoredPack, packs_of_case
from server.people.directory import people_version
from server.people.pseudonyms import shown_names
from server.people.text_mask import masked_prose
from server.people.unmaskings import live_grants

SEARCHED_MAX: Final = 2000
"""Titles that a search goes through, those of the cases changed last."""
FOUND_MAX: Final = 500
CHOICES_MAX: Final = 50
ENTRIES_SHOWN: Final = 500
TEXTS_KEPT: Final = 20_000
TEXT_KEPT: Final = 4000
TEXTS_SECONDS: Final = 60.0


class ShownCase(msgspec.Struct, frozen=True):
    """A case with its figures. `people`: how many subjects its alerts have."""

    id: int
    title: str
    status: str
    outcome: str | None
    reason: str | None
    owner: str | None
    opened_at: Milliseconds
    opened_by: str
    updated_at: Milliseconds
    closed_at: Milliseconds | None
    closed_by: str | None
    version: int
    alerts: int
    people: int
    score: int
    last_time: Milliseconds | None


class ShownAlert(msgspec.Struct, frozen=True):
    """An alert of a case."""

    id: int
    pseudonym: str
    family: str
    status: str
    score: int
    severity: str
    sentence: dict[str, str]
    events: int
    first_time: Milliseconds
    last_time: Milliseconds
    verdict: str | None
    closed_by: str | None
    added_at: Milliseconds
    added_by: str


class CasePage(msgspec.Struct, frozen=True):
    """`next`: the `after` of the next page. `searched_all`: no older title was left out of a search."""

    cases: tuple[ShownCase, ...]
    counts: dict[str, int]
    next: str | None
    searched_all: bool


class WholeCase(msgspec.Struct, frozen=True):
    case: ShownCase
    alerts: tuple[ShownAlert, ...]
    history: tuple[CaseEntry, ...]
    packs: tuple[StoredPack, ...]


class CaseFilter(msgspec.Struct, frozen=True):
    """`owner`: all, me, none, or somebody's name."""

    status: CaseStatus = "open"
    owner: str = "all"
    text: str = ""
    after: str = ""


class MaskedTexts:
    """Texts and what they look like masked, one for a listener: a search goes through thousands of titles.
    Kept for as long as the people stay the same, and a minute at most."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._version = -1
        self._until = 0.0
        self._known: dict[str, str] = {}

    def masked(self, texts: Sequence[str]) -> list[str]:
        with self._console.database.read() as connection:
            version = people_version(connection)
        with self._lock:
            if version != self._version or time.monotonic() > self._until or len(self._known) > TEXTS_KEPT:
                self._version, self._until = version, time.monotonic() + TEXTS_SECONDS
                self._known = {}
            known = self._known
        new = list(dict.fromkeys(text for text in texts if text not in known))
        found = dict(zip(new, masked_prose(self._console, new), strict=True)) if new else {}
        shown = [found[text] if text in found else known[text] for text in texts]
        with self._lock:
            known.update({text: masked for text, masked in found.items() if len(text) <= TEXT_KEPT})
        return shown


def case_page(console: Console, ask: Ask, wanted: CaseFilter, limit: int = PAGE_ROWS) -> CasePage:
    """A page of the list."""
    revealed = revealed_to(console, ask)
    owner = {"all": None, "none": None, "me": ask.viewer.user}.get(wanted.owner, wanted.owner)
    ids, all_searched = _found(console, wanted.text, revealed)
    with console.database.read() as connection:
        lines = list_cases(
            connection,
            wanted.status,
            owner=owner,
            unowned=wanted.owner == "none",
            ids=ids,
            after=_place(wanted.after),
            limit=limit + 1,
        )
        counts = count_cases(connection)
    more, lines = len(lines) > limit, lines[:limit]
    last = lines[-1].case if lines else None
    shown = _cases(console, lines, revealed)
    return CasePage(shown, counts, f"{last.updated_at}-{last.id}" if more and last else None, all_searched)


def whole_case(console: Console, ask: Ask, case_id: int) -> WholeCase:
    """Raises ApiError(404)."""
    revealed = revealed_to(console, ask)
    with console.database.read() as connection:
        try:
            case = get_case(connection, case_id)
        except UnknownCase:
            raise no_case(ask) from None
        alerts = case_alerts_of(connection, case_id)
        entries = case_entries(connection, case_id, ENTRIES_SHOWN)
    line = CaseLine(
        case,
        len(alerts),
        len({alert.subject for alert in alerts}),
        max((alert.score for alert in alerts), default=0),
        max((alert.last_time for alert in alerts), default=None),
    )
    (shown,) = _cases(console, [line], revealed)
    texts = _masked(console, [entry.text for entry in entries], revealed)
    history = [msgspec.structs.replace(entry, text=text) for entry, text in zip(entries, texts, strict=True)]
    packs = packs_shown(console, ask, case_id)
    return WholeCase(shown, _alerts(console, alerts), tuple(history), packs)


def revealed_to(console: Console, ask: Ask) -> frozenset[str]:
    """Subjects whose names the viewer may see now."""
    if ask.viewer.token is not None:
        return frozenset()
    with console.database.read() as connection:
        return frozenset(live_grants(connection, ask.viewer.actor, ask.now))


def no_case(ask: Ask) -> ApiError:
    return ApiError(404, "not_found", ask.text("There is no such case"))


def case_choices(console: Console) -> list[tuple[int, str]]:
    """Cases that alerts may go into: number and title as it may be shown."""
    with console.database.read() as connection:
        titles = case_titles(connection, CHOICES_MAX, is_open=True)
    return list(zip(titles, masked_prose(console, list(titles.values())), strict=True))


def refusal(ask: Ask, error: CaseRefused) -> ApiError:
    """In the viewer's words."""
    known = {
        "length": ask.text("Write 1 to {most} characters", **_only(error, "most")),
        "characters": ask.text("A character in it cannot be kept"),
        "not_in_it": ask.text("None of these alerts is in this case"),
        "open": ask.text("The case is open"),
        "changed": ask.text("Somebody changed this case meanwhile. Look at it again; your text is kept."),
        "names": ask.text("This pack holds names: say why you need it"),
    }
    if error.why == "closed":
        outcome = outcome_word(str(error.values["outcome"]), ask.text)
        who = str(error.values["who"])
        words = ask.text("It was closed as {outcome} by {who}. Reopen it first.", outcome=outcome, who=who)
    else:
        why = "; ".join(said(ask, each) for each in str(error).split("; "))
        words = known.get(error.why) or ask.text("That did not work: {why}", why=why)
    return ApiError(400 if error.why in ("length", "characters") else 409, f"case_{error.why}", words)


def outcome_word(outcome: str, text: Text) -> str:
    """As for alerts, and one word more."""
    return text("inconclusive") if outcome == "inconclusive" else verdict_word(outcome, text)


def _only(error: CaseRefused, name: str) -> dict[str, object]:
    return {name: error.values.get(name, "")}


def _found(console: Console, text: str, revealed: frozenset[str]) -> tuple[list[int] | None, bool]:
    """(numbers of cases whose title, as the viewer sees it, has all the words; None: all, no case was left
    out). A name that is masked is not found, so that no search confirms one."""
    words = text.casefold().split()
    if not words:
        return None, True
    with console.database.read() as connection:
        titles = case_titles(connection, SEARCHED_MAX + 1)
    numbers = list(titles)[:SEARCHED_MAX]
    masked = prose(console, [titles[each] for each in numbers], revealed)
    found = [
        each
        for each, title in zip(numbers, masked, strict=True)
        if all(word in title.casefold() or word.removeprefix("#") == str(each) for word in words)
    ]
    return found[:FOUND_MAX], len(titles) <= SEARCHED_MAX and len(found) <= FOUND_MAX


def _place(after: str) -> CasePlace | None:
    at, _, number = after.partition("-")
    if not (at.isascii() and at.isdigit() and number.isascii() and number.isdigit()):
        return None
    return CasePlace(int(at[:18]), int(number[:18]))


def _cases(console: Console, lines: Sequence[CaseLine], revealed: frozenset[str]) -> tuple[ShownCase, ...]:
    texts = _masked(
        console, [part for line in lines for part in (line.case.title, line.case.reason)], revealed
    )
    shown = []
    for number, line in enumerate(lines):
        own = msgspec.structs.asdict(_with(line.case, texts[2 * number] or "", texts[2 * number + 1]))
        shown.append(
            ShownCase(
                **own, alerts=line.alerts, people=line.people, score=line.score, last_time=line.last_time
            )
        )
    return tuple(shown)


def _with(case: Case, title: str, reason: str | None) -> Case:
    return msgspec.structs.replace(case, title=title, reason=reason)


def prose(console: Console, texts: Sequence[str], revealed: frozenset[str]) -> list[str]:
    """What people typed, as the viewer may read it."""
    if revealed:
        return masked_prose(console, texts, revealed)
    return console.made(MaskedTexts).masked(texts)


def packs_shown(console: Console, ask: Ask, case_id: int) -> tuple[StoredPack, ...]:
    """Raises ApiError(404)."""
    with console.database.read() as connection:
        try:
            get_case(connection, case_id)
        except UnknownCase:
            raise no_case(ask) from None
        packs = packs_of_case(connection, case_id)
    reasons = _masked(console, [pack.reason for pack in packs], revealed_to(console, ask))
    told = (msgspec.structs.replace(pack, reason=text) for pack, text in zip(packs, reasons, strict=True))
    return tuple(told)


def _masked(console: Console, texts: Iterable[str | None], revealed: frozenset[str]) -> list[str | None]:
    given = list(texts)
    masked = iter(prose(console, [text for text in given if text is not None], revealed))
    return [None if text is None else next(masked) for text in given]


def _alerts(console: Console, alerts: Sequence[CaseAlert]) -> tuple[ShownAlert, ...]:
    _, pseudonyms = shown_names(console.database, [alert.subject for alert in alerts])
    # Of a sequence a sentence names databases.
    sentences = [(alert, language, text) for alert in alerts for language, text in alert.sentence.items()]
    masked = prose(console, [text for _, _, text in sentences], frozenset())
    told: dict[int, dict[str, str]] = {}
    for (alert, language, _), text in zip(sentences, masked, strict=True):
        told.setdefault(alert.id, {})[language] = text
    return tuple(
        ShownAlert(
            id=alert.id,
            pseudonym=pseudonyms[alert.subject],
            family=alert.family,
            status=alert.status,
            score=alert.score,
            severity=severity_of(alert.score).value,
            sentence=told.get(alert.id, {}),
            events=alert.events,
            first_time=alert.first_time,
            last_time=alert.last_time,
            verdict=alert.verdict,
            closed_by=alert.closed_by,
            added_at=alert.added_at,
            added_by=alert.added_by,
        )
        for alert in alerts
    )
