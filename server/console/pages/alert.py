"""One alert: why, what proves it, what is like it, what people said and did with it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from starlette.responses import Response

from server.accounts.views_recorded import note_view
from server.alerts.history import history_of
from server.alerts.related import SimilarAlert, judged_before, similar_alerts
from server.alerts.severity import severity_of
from server.cases.reading import case_titles
from server.console.act_words import act_word, label_word, sure_word
from server.console.alert_evidence import Shown, shown_evidence
from server.console.alert_history import HistoryLine, history_lines
from server.console.alert_shown import Opened, open_alert, values_of
from server.console.cases_shown import CHOICES_MAX
from server.console.channel_words import channel_name
from server.console.ingest_watch import IngestWatch
from server.console.known_people import KnownPeople
from server.console.merged_shown import merged_shown
from server.console.page import Ask, Console, Page
from server.console.queue_words import family_word
from server.console.times_shown import second
from server.evidence_pack.custody import custody_of_alert
from server.people.pseudonyms import candidate, known_pseudonyms, pseudonym_key
from server.people.roles import Right
from server.people.text_mask import masked_prose
from server.triage.reading import notes_of

CUSTODY_MAX: Final = 50


class SimilarShown(msgspec.Struct, frozen=True):
    """As SimilarAlert, without the subject."""

    id: int
    alike: str
    pseudonym: str
    family_word: str
    score: int
    severity: str
    status: str
    verdict: str | None
    last_time: int


def show(console: Console, ask: Ask) -> Response:
    """GET /alerts/{id}"""
    alert_id = int(ask.path["id"])
    opened = open_alert(console, ask, alert_id, evidence=None)
    note_view(console, ask, f"alert:{alert_id}")
    values = values_of(console, ask, opened) | _evidence_values(console, ask, opened)
    ingest = console.made(IngestWatch).now()
    return ask.page("alert/page.html", ingest=ingest, **values, **_around(console, ask, opened))


def evidence(console: Console, ask: Ask) -> Response:
    """GET /alerts/{id}/evidence: the same part by itself, filtered by the address."""
    alert_id = int(ask.path["id"])
    opened = open_alert(console, ask, alert_id, evidence=True)
    note_view(console, ask, f"alert:{alert_id}")
    if not ask.fragment:
        return ask.redirect(f"/alerts/{alert_id}")
    values = {"alert": opened.view} | _evidence_values(console, ask, opened)
    return ask.fragment_of("alert/evidence.html", **values)


def _evidence_values(console: Console, ask: Ask, opened: Opened) -> dict[str, Any]:
    bundle = opened.bundle
    shown: Shown | None = None if bundle is None else shown_evidence(ask, opened)
    return {
        "shown": shown,
        "purged": bundle is not None and bundle.is_purged,
        "kept_days": console.config.retention.events_days,
        "proof": None if bundle is None else bundle.proof,
        "proven_at": None if bundle is None else bundle.proven_at,
        "second": lambda at: second(at, ask.zone, ask.look.language),
        "act_word": lambda act: act_word(act, ask.text),
        "label_word": lambda label: label_word(label, ask.text),
        "sure_word": lambda sure: sure_word(sure, ask.text),
        "channel_word": lambda channel: channel_name(channel, ask.text),
    }


def _around(console: Console, ask: Ask, opened: Opened) -> dict[str, Any]:
    """What stands beside the evidence."""
    alert, viewer = opened.stored, ask.viewer
    with console.database.read() as connection:
        people = console.made(KnownPeople)
        similar = similar_alerts(connection, alert, people.directory(connection))
        shown = known_pseudonyms(connection, [each.subject for each in similar])
        key = pseudonym_key(connection)
        before = judged_before(connection, alert)
        lines = history_lines(history_of(connection, alert.id), notes_of(connection, alert.id), ask)
        custody, more = custody_of_alert(connection, alert.id, limit=CUSTODY_MAX)
        merged = merged_shown(connection, alert.id, ask)
        cases = case_titles(connection, CHOICES_MAX, is_open=True)
    numbers, titles = list(cases), list(cases.values())
    masked = masked_prose(
        console,
        [*(line.text for line in lines), *(row.reason or "" for row in custody), *titles],
        opened.grants.keys(),
    )
    texts, masked = masked[: len(lines)], masked[len(lines) :]
    reasons, titles = masked[: len(custody)], masked[len(custody) :]
    history: list[HistoryLine] = [
        msgspec.structs.replace(line, text=text) for line, text in zip(lines, texts, strict=True)
    ]
    return {
        "before": before,
        "similar": [
            _similar(each, shown.get(each.subject) or candidate(key, each.subject), ask) for each in similar
        ],
        "history": history,
        "merged": merged,
        "custody": [
            msgspec.structs.replace(row, reason=reason) for row, reason in zip(custody, reasons, strict=True)
        ],
        "custody_more": more,
        "case_choices": list(zip(numbers, titles, strict=True)),
        "policy_version": alert.policy_version,
        "model_id": alert.model_id,
        "may_triage": viewer.may(Right.TRIAGE),
        "may_except": viewer.may(Right.MAKE_EXCEPTIONS),
        "may_unmask": viewer.may(Right.UNMASK) and viewer.session is not None,
        "unmask_back": f"/alerts/{alert.id}",
    }


def _similar(found: SimilarAlert, pseudonym: str, ask: Ask) -> SimilarShown:
    return SimilarShown(
        found.id,
        found.alike,
        pseudonym,
        family_word(found.family, ask.text),
        found.score,
        severity_of(found.score).value,
        found.status,
        found.verdict,
        found.last_time,
    )


PAGES = [
    Page("GET", "/alerts/{id:int}", Right.SEE_ALERTS, show),
    Page("GET", "/alerts/{id:int}/evidence", Right.SEE_ALERTS, evidence),
]
