"""Reads one alert for a viewer: its row as in the queue, its people through the viewer's own unmaskings, and
why its score is what it is. The page and the queue's panel show the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, select

from analytics.risk import ANOMALY_SOURCE, SLOW_SOURCE
from analytics.told_explanation import ExplanationWords
from server.alerts.evidence_bundle import Bundle, Bundles
from server.alerts.evidence_marks import MarkMask
from server.alerts.explained import explained
from server.alerts.held_words import held_words
from server.alerts.queries import Alert, UnknownAlert, get_alert
from server.alerts.queue.rows import shipped_ids
from server.alerts.queue.views import QueueRowView
from server.alerts.ranking import HELD
from server.alerts.sight import Sight
from server.alerts.view_types import AlertView
from server.api.errors import ApiError
from server.console.charts.why_bars import WhyPart, why_bars
from server.console.known_people import KnownPeople
from server.console.page import Ask, Console
from server.console.queue_list import read_some
from server.console.queue_words import leaver_words, severity_word, standing_word, title_words, verdict_word
from server.console.slow_reads import SlowReads
from server.people.unmaskings import Grant, live_grants
from server.pipeline.activity_history import SOURCES
from server.store.tables import rule_days

NO_SUCH: Final = "there is no such alert"
QUICK_EVENTS: Final = 1_500
"""An alert of more events shows its evidence after the page, the first time."""
_STANDS_OUT_MAX: Final = 2
_NO_WORDS: Final = ExplanationWords()


class Opened(msgspec.Struct, frozen=True):
    """`view` is what may be shown; `stored` holds names. `bundle`: None where evidence is not read."""

    stored: Alert
    view: AlertView
    row: QueueRowView
    sight: Sight
    grants: dict[str, Grant]
    bundle: Bundle | None

    @property
    def mask(self) -> MarkMask:
        return MarkMask(self.sight.masker)


def open_alert(
    console: Console, ask: Ask, alert_id: int, *, evidence: bool | None = False, named: bool = True
) -> Opened:
    """`evidence`: whether it is read; None: where that is quick. `named`: with the names that the viewer
    unmasked; what leaves the console has none. Raises ApiError(404), for whatever cannot be seen."""
    row = read_some(console, ask, [alert_id]).get(alert_id)
    if row is None:
        raise ApiError(404, "not_found", NO_SUCH)
    with console.database.read() as connection:
        try:
            stored = get_alert(connection, alert_id)
        except UnknownAlert:
            raise ApiError(404, "not_found", NO_SUCH) from None
        directory = console.made(KnownPeople).directory(connection)
        grants = grants_of(connection, ask) if named else {}
        bundles = console.made(Bundles)
        if evidence is None:
            evidence = stored.events <= QUICK_EVENTS or bundles.is_kept(alert_id)
        bundle = None
        if evidence:
            few = stored.events <= QUICK_EVENTS or bundles.is_kept(alert_id)
            with nullcontext() if few else console.made(SlowReads).one():
                bundle = bundles.of(connection, stored, ask.now)
    accounts = () if bundle is None else bundle.evidence.accounts
    sight = Sight(console.database, directory, [stored], accounts, grants=grants)
    return Opened(stored, sight.alert(stored), row, sight, grants, bundle)


def grants_of(connection: Connection, ask: Ask) -> dict[str, Grant]:
    """What the viewer unmasked and may still see, by subject; a program never."""
    if ask.viewer.session is None:
        return {}
    return live_grants(connection, ask.viewer.actor, ask.now)


def summary_values(console: Console, ask: Ask, alert_id: int) -> dict[str, Any]:
    """For "alerts/_summary.html". Raises ApiError(404)."""
    return values_of(console, ask, open_alert(console, ask, alert_id))


def values_of(console: Console, ask: Ask, opened: Opened) -> dict[str, Any]:
    """What summary and page say alike."""
    row, view = opened.row, opened.view
    words = explained(opened.stored.facts, held=opened.stored.status == HELD)
    told = words.get(ask.look.language, words.get("en", _NO_WORDS))
    with console.database.read() as connection:
        held = held_words(connection, view.id) if view.status == HELD else {}
        channels = _channels_of_rules(connection, opened.stored)
    sentence = view.sentence.get(ask.look.language) or view.sentence.get("en", "")
    parts = _parts(opened, told, channels, ask)
    return {
        "alert": view,
        "row": row,
        "title": title_words(row.title, ask.text),
        "severity": row.severity.value,
        "severity_word": severity_word(row.severity, ask.text),
        "standing": standing_word(row, ask.text),
        "leaving": leaver_words(row.status, row.days_to_last_day, ask.text),
        "sentence": _sentence(opened, sentence),
        "why": why_bars(view.score, parts, ask.text),
        "why_parts": parts,
        "explained": told if told != _NO_WORDS else None,
        "held": held.get(ask.look.language, held.get("en", "")),
        "language": ask.look.language,
        "volume_days": int(opened.stored.facts.get("total", {}).get("days", 0)),
        "verdict_word": lambda verdict: verdict_word(verdict or "", ask.text),
        "people": shown_people(view),
        "until": {found.subject: found.until for found in opened.grants.values()},
        "grant_until": _until_by_pseudonym(opened),
    }


def _sentence(opened: Opened, sentence: str) -> str:
    """Of a sequence it names databases; a sentence of another version may name anything."""
    return opened.sight.prose(sentence) if "steps" in opened.stored.facts else sentence


def shown_people(view: AlertView) -> list[tuple[str, Any]]:
    """(role, who) of each person that the alert tells of, each once."""
    found: dict[str, tuple[str, Any]] = {view.who.pseudonym: ("who", view.who)}
    for role, who in (("owner", view.account_owner), ("suspect", view.suspected_actor)):
        if who is not None:
            found.setdefault(who.pseudonym, (role, who))
    for trait in view.traits:
        for who in (trait.leads_to, trait.through):
            if who is not None:
                found.setdefault(who.pseudonym, ("trait", who))
    return list(found.values())


def _until_by_pseudonym(opened: Opened) -> dict[str, int]:
    return {opened.sight.masker.subject(subject): found.until for subject, found in opened.grants.items()}


def _channels_of_rules(connection: Connection, alert: Alert) -> dict[str, str]:
    """By rule: the channel that it hit on."""
    query = select(rule_days.c.rule_id, rule_days.c.channel).where(rule_days.c.subject == alert.subject)
    return {row.rule_id: row.channel for row in connection.execute(query.distinct())}


def _parts(
    opened: Opened, told: ExplanationWords, channels: Mapping[str, str], ask: Ask
) -> Sequence[WhyPart]:
    """In the order of their weight; the points add up to the score."""
    facts = {str(rule["id"]): rule for rule in opened.stored.facts.get("rules", ())}
    parts = []
    for share in sorted(opened.stored.shares, key=lambda each: -each.points):
        rule = facts.get(share.source)
        detail, channel = "", channels.get(share.source, "")
        if share.source == ANOMALY_SOURCE:
            words = ask.text("Unusual for the person and among peers")
            detail = "; ".join(told.stands_out[:_STANDS_OUT_MAX])
            channel = _channel_of_activities(opened.stored.facts)
        elif share.source == SLOW_SOURCE:
            words = ask.text("Rising for weeks against the months before")
            detail = "; ".join(told.rising[:_STANDS_OUT_MAX])
        elif rule is not None:
            title = str(rule["title"])
            words = ask.text(title) if share.source in shipped_ids() else opened.sight.prose(title)
            detail = ask.text("{n} hit|{n} hits", n=int(rule["hits"]))
        else:
            words = ask.text("A policy that is gone")
        narrowed = f"?channel={channel}" if channel else ""
        parts.append(WhyPart(words, share.points, detail, f"/alerts/{opened.view.id}{narrowed}#evidence"))
    return parts


def _channel_of_activities(facts: Mapping[str, Any]) -> str:
    """The one channel that the strangest activity is seen on, where it is one."""
    for activity in facts.get("strange", ()):
        source = SOURCES.get(activity)
        if source is not None:
            own = {each for each in (*source.own, *source.company) if each in facts.get("channels", ())}
            return own.pop() if len(own) == 1 else ""
    return ""
