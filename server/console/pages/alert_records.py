"""An alert's raw records and the download of its evidence, without names."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
from starlette.responses import Response

from server import audit
from server.accounts.views_recorded import note_view
from server.alerts.event_ranges import EventRange
from server.alerts.evidence import stored_events
from server.alerts.evidence_blocks import alert_ranges
from server.alerts.evidence_tally import EvidenceEvent
from server.api.errors import ApiError
from server.console.alert_shown import open_alert
from server.console.page import Ask, Console, Page
from server.people.roles import Right

_KEY: Final = re.compile(r"(H-[0-9A-HJKMNP-TV-Z]{6})\.([0-9a-f]{1,16})\.(\d{1,18})")
_NO_EVENT: Final = "there is no such event of this alert, or it is no longer stored"


def raw(console: Console, ask: Ask) -> Response:
    """GET /alerts/{id}/evidence/{key}"""
    alert_id = int(ask.path["id"])
    opened = open_alert(console, ask, alert_id)
    note_view(console, ask, f"alert:{alert_id}")
    asked = _KEY.fullmatch(ask.path["key"])
    found: EvidenceEvent | None = None
    if asked is not None:
        with console.database.read() as connection:
            wanted = _range_of(alert_ranges(connection, alert_id), asked, opened.sight.agent)
            if wanted is not None:
                found = next(iter(stored_events(connection, [wanted], [])), None)
    if found is None:
        raise ApiError(404, "not_found", _NO_EVENT)
    view = opened.sight.event(found)
    plain: dict[str, Any] = {"agent": view.agent, "epoch": view.epoch, "seq": view.seq, **view.event}
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
    template = "alert/_raw.html" if ask.fragment else "alert/raw.html"
    return ask.page(template, raw=text, alert_id=alert_id)


def _range_of(ranges: list[EventRange], asked: re.Match[str], shown: Any) -> EventRange | None:
    """The one event, where it is of the alert. `shown`: an agent's name as the viewer sees it."""
    label, epoch, seq = asked[1], asked[2], int(asked[3])
    for each in ranges:
        if each.epoch == epoch and each.first_seq <= seq <= each.last_seq and shown(each.agent) == label:
            return EventRange(each.agent, epoch, seq, seq)
    return None


def export(console: Console, ask: Ask) -> Response:
    """POST /alerts/{id}/evidence.jsonl: a row an event, without a name; who took it is on the record, so
    that no link of others' brings a row about."""
    alert_id = int(ask.path["id"])
    opened = open_alert(console, ask, alert_id, evidence=True, named=False)
    assert opened.bundle is not None
    mask = opened.mask
    lines = [msgspec.json.encode(mask.shown(mark)) for mark in opened.bundle.marks]
    with console.database.begin() as connection:
        audit.append(
            connection,
            at=ask.now,
            actor=ask.viewer.actor,
            action="alert.export",
            object=f"alert:{alert_id}",
            detail={"events": len(lines), "all": opened.bundle.listed_all},
        )
    content = b"".join(line + b"\n" for line in lines)
    return ask.download(content, f"alert-{alert_id}-evidence.jsonl", "application/jsonl")


PAGES = [
    Page("GET", "/alerts/{id:int}/evidence/{key}", Right.SEE_ALERTS, raw),
    Page("POST", "/alerts/{id:int}/evidence.jsonl", Right.SEE_ALERTS, export),
]
