"""An alert's evidence for the page: lanes over time, the filtered table, what could not be seen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from markupsafe import Markup

from analytics.step_words import StepFacts
from server.alerts.evidence_bundle import AROUND_MS, Bundle
from server.alerts.evidence_marks import EvidenceMark
from server.alerts.evidence_search import (
    TEXT_CHARACTERS,
    Choices,
    EvidenceFilter,
    EvidencePage,
    evidence_page,
    masked_choices,
)
from server.api.errors import ApiError
from server.console.alert_shown import Opened
from server.console.channel_words import ORDER, channel_name
from server.console.charts.alert_lanes import AlertLane, Point, Step, alert_lanes
from server.console.page import Ask
from server.console.said_words import seen_in
from server.store.column_types import WHOLE_MAX

_DAY_MS: Final = 24 * 3_600_000
_FIDELITIES: Final = ("", "exact", "likely", "possible")
_WORD_CHARACTERS: Final = 600


class Shown(msgspec.Struct, frozen=True):
    """What the evidence's template takes."""

    page: EvidencePage
    choices: Choices
    wanted: EvidenceFilter
    lanes: Markup
    not_seen: tuple[str, ...]
    next_address: str


def asked_filter(ask: Ask) -> tuple[EvidenceFilter, int]:
    """From the address: the filter, and how many rows come before. Raises ApiError(400)."""
    query = ask.query
    fidelity = query.get("sure", "")
    if fidelity not in _FIDELITIES:
        raise ApiError(400, "bad_query", "query: sure is exact, likely or possible")
    wanted = EvidenceFilter(
        channel=query.get("channel", "")[:_WORD_CHARACTERS],
        label=query.get("label", "")[:_WORD_CHARACTERS],
        place=query.get("place", "")[:_WORD_CHARACTERS],
        fidelity=fidelity,
        since=_moment(query, "since"),
        until=_moment(query, "until"),
        text=query.get("text", "").strip()[:TEXT_CHARACTERS],
    )
    return wanted, _moment(query, "after") or 0


def _moment(query: Mapping[str, str], name: str) -> int | None:
    given = query.get(name, "")
    if not given:
        return None
    if not given.isascii() or not given.isdigit() or len(given) > 16 or int(given) > WHOLE_MAX:
        raise ApiError(400, "bad_query", f"query: {name} is a whole number of milliseconds or rows")
    return int(given)


def filter_query(wanted: EvidenceFilter, **changed: Any) -> str:
    """The filter as the address has it."""
    names = {"fidelity": "sure"}
    values = msgspec.structs.asdict(msgspec.structs.replace(wanted, **changed))
    return urlencode(
        {names.get(name, name): value for name, value in values.items() if value not in ("", None)}
    )


def shown_evidence(ask: Ask, opened: Opened) -> Shown:
    """`opened` with its bundle."""
    assert opened.bundle is not None
    wanted, after = asked_filter(ask)
    mask, bundle = opened.mask, opened.bundle
    page = evidence_page(bundle.marks, mask, wanted, after=after)
    query = filter_query(wanted)
    address = f"/alerts/{opened.view.id}"
    following = f"{address}?{query}{'&' if query else ''}after={page.next}" if page.next is not None else ""
    return Shown(
        page=page,
        choices=masked_choices(bundle.choices, mask),
        wanted=wanted,
        lanes=_lanes(ask, opened, bundle, wanted),
        not_seen=not_seen(opened, bundle, ask),
        next_address=following,
    )


def not_seen(opened: Opened, bundle: Bundle, ask: Ask) -> tuple[str, ...]:
    """What the evidence cannot tell, and why."""
    told = [*opened.sight.plain(list(bundle.evidence.gaps)), *map(opened.sight.blind_spot, bundle.unseen)]
    said = [seen_in(ask.look.language, line) for line in told]
    if bundle.evidence.missing:
        said.append(
            ask.text(
                "{n} event is no longer stored|{n} events are no longer stored", n=bundle.evidence.missing
            )
        )
    if bundle.evidence.damaged:
        n = len(bundle.evidence.damaged)
        said.append(ask.text("{n} block cannot be read|{n} blocks cannot be read", n=n))
    if not bundle.listed_all:
        n = len(bundle.marks)
        said.append(ask.text("only {n} of {all} events are listed", n=n, all=bundle.evidence.total))
    if not bundle.context_all:
        said.append(ask.text("not all other events around it are drawn"))
    return tuple(said)


def _lanes(ask: Ask, opened: Opened, bundle: Bundle, wanted: EvidenceFilter) -> Markup:
    first, last = opened.stored.first_time - AROUND_MS, opened.stored.last_time + AROUND_MS
    by_channel: dict[str, list[Point]] = {}
    for marks, own in ((bundle.marks, True), (bundle.context, False)):
        for mark in marks:
            by_channel.setdefault(mark.channel, []).append(Point(mark.time, mark.amount, own))
    for channel in opened.row.channels:
        by_channel.setdefault(channel, [])
    order = {channel: number for number, channel in enumerate(ORDER)}
    lanes = [
        AlertLane(
            channel,
            channel_name(channel, ask.text),
            tuple(points),
            tuple(_gaps(bundle.watched.get(channel), first, min(last, ask.now), ask.now)),
        )
        for channel, points in sorted(by_channel.items(), key=lambda each: order.get(each[0], len(order)))
    ]

    def link(channel: str, since: int, until: int) -> str:
        narrowed = filter_query(wanted, since=since, until=until, channel=channel or wanted.channel)
        return f"/alerts/{opened.view.id}?{narrowed}#evidence"

    return alert_lanes(
        lanes,
        first,
        last,
        ask.text,
        zone=ask.zone,
        link=link,
        steps=list(_steps(opened, bundle.marks)),
        chosen=(wanted.since, wanted.until),
    )


def _gaps(watched: frozenset[int] | None, first: int, last: int, now: int) -> Iterator[tuple[int, int]]:
    """Days (UTC) without a collector; of a channel of which nothing was ever told, nothing is said. Today's
    may not have been told yet: it is none where yesterday was watched."""
    if not watched:
        return
    today = now // _DAY_MS
    if today - 1 in watched:
        watched |= {today}
    begin: int | None = None
    for day in range(first // _DAY_MS, last // _DAY_MS + 1):
        if day in watched:
            if begin is not None:
                yield begin, day * _DAY_MS
            begin = None
        elif begin is None:
            begin = day * _DAY_MS
    if begin is not None:
        yield begin, last


def _steps(opened: Opened, marks: Sequence[EvidenceMark]) -> Iterator[Step]:
    """Of a sequence, on the lane of the event with which each began."""
    try:
        steps = msgspec.convert(opened.stored.facts.get("steps", ()), tuple[StepFacts, ...])
    except msgspec.ValidationError:
        return
    for step in steps:
        nearest = min(marks, key=lambda mark: abs(mark.time - step.time), default=None)
        if nearest is not None:
            yield Step(nearest.channel, step.time, opened.sight.prose(step.rule))
