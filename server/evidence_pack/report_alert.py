"""An alert's pages in the report: why, what stands out, telling events, what was not seen, the verdict."""

from __future__ import annotations

from typing import Any

from reportlab.lib.units import mm
from reportlab.platypus import Flowable, Spacer

from event_schema.byte_size import byte_size
from server.accounts.audit_words import actor_words
from server.alerts.view_types import AlertDetail, DestinationView, EventView
from server.commands.evidence_rows import evidence_row
from server.console.act_words import act_word, label_word
from server.evidence_pack.report_pictures import WhyBars
from server.evidence_pack.report_tables import facts_table, plain_table, who_words
from server.evidence_pack.report_text import PROSE_LONGEST, moment, paragraph
from server.evidence_pack.report_words import known, row_words, share_title, text_of, unseen, word

_LINES_MAX = 40
_DESTINATIONS = 10
_WIDTHS = [29, 14, 16, 61, 24, 18, 14]


def alert_pages(detail: AlertDetail, language: str) -> list[Flowable]:
    alert = detail.alert
    sentence = alert.sentence.get(language) or alert.sentence.get("en", "")
    heading = f"{word(language, 'alert')} {alert.id} · {word(language, 'score')} {alert.score}"
    titles = [(share, share_title(share, language)) for share in detail.shares]
    return [
        paragraph(heading, "heading"),
        paragraph(sentence, longest=1000),
        facts_table(_facts(detail, language)),
        paragraph(word(language, "why", score=alert.score), "subheading"),
        WhyBars(titles, alert.score),
        *_stands_out(detail, language),
        *_evidence(detail, language),
        *_not_seen(detail, language),
        paragraph(word(language, "proof"), "subheading"),
        *[paragraph(each) for each in _proof(detail, language)],
        *_verdict(detail, language),
    ]


def _facts(detail: AlertDetail, language: str) -> list[tuple[str, str]]:
    alert, evidence = detail.alert, detail.evidence
    rows = [(word(language, "who"), who_words(alert.who, language))]
    if alert.account_owner is not None and alert.account_owner != alert.who:
        rows.append(("", who_words(alert.account_owner, language)))
    rows += [("", trait.words.get(language) or trait.words.get("en", "")) for trait in alert.traits[:8]]
    rows.append((word(language, "span"), f"{moment(alert.first_time)} – {moment(alert.last_time)}"))
    for number, each in enumerate(evidence.destinations[:_DESTINATIONS]):
        rows.append((word(language, "where_to") if not number else "", _destination(each)))
    if evidence.labels:
        text = text_of(language)
        labels = ", ".join(f"{count:,} {label_word(label, text)}" for label, count in evidence.labels.items())
        rows.append((word(language, "holds"), labels))
    if evidence.fidelity:
        sure = ", ".join(f"{count:,} {known(language, each)}" for each, count in evidence.fidelity.items())
        rows.append((word(language, "sure"), sure))
    return rows


def _destination(found: DestinationView) -> str:
    device: dict[str, Any] = found.device or {}
    maker = " ".join(str(device[part]) for part in ("vendor_name", "model") if device.get(part))
    name = found.remote or maker or str(device.get("name") or "?")
    single = device.get("serial_number") or device.get("uid") or ""
    volume = f" “{found.volume}”" if found.volume else ""
    return f"{name} {single}{volume}: {found.files:,}, {byte_size(found.bytes)}"


def _stands_out(detail: AlertDetail, language: str) -> list[Flowable]:
    words = detail.explanation.get(language) or detail.explanation.get("en")
    if words is None:
        return []
    lines = [*words.stands_out, *words.rising, *words.check, words.normal, *words.calmed, *words.not_watched]
    told = [paragraph(f"• {line}", longest=600) for line in lines if line]
    return [paragraph(word(language, "stands_out"), "subheading"), *told[:_LINES_MAX]] if told else []


def _evidence(detail: AlertDetail, language: str) -> list[Flowable]:
    found = detail.evidence
    counts = word(
        language,
        "evidence_counts",
        total=f"{found.total:,}",
        files=f"{found.files:,}",
        size=byte_size(found.bytes),
        shown=f"{len(found.largest):,}",
    )
    heads = [word(language, key) for key in ("time", "act", "size", "what", "program", "hash", "sure")]
    rows = [_row(each, language) for each in found.largest]
    return [
        paragraph(word(language, "evidence"), "subheading"),
        paragraph(counts),
        *([plain_table(heads, rows, _WIDTHS)] if rows else []),
    ]


def _row(found: EventView, language: str) -> list[str]:
    size, what, program, digest = evidence_row(found, row_words(language))
    fidelity = (found.event["leaver"].get("evidence") or {}).get("fidelity", "")
    act = act_word(found.act, text_of(language))
    return [moment(found.time), act, size, what, program, digest, known(language, fidelity)]


def _not_seen(detail: AlertDetail, language: str) -> list[Flowable]:
    found = detail.evidence
    lines = [unseen(line, language) for line in found.not_seen]
    if found.missing:
        lines.append(word(language, "purged", missing=f"{found.missing:,}"))
    if found.damaged:
        lines.append(word(language, "damaged", count=len(found.damaged)))
    told = [paragraph(f"• {line}", longest=600) for line in lines[:_LINES_MAX]]
    nothing = [paragraph(word(language, "all_seen"))]
    return [paragraph(word(language, "not_seen"), "subheading"), *(told or nothing)]


def _proof(detail: AlertDetail, language: str) -> list[str]:
    proof = detail.proof
    counts = {"events": f"{proof.events:,}", "blocks": f"{proof.blocks:,}"}
    if proof.good:
        lines = [word(language, "proof_good", **counts)]
    else:
        told = {"events": counts["events"], "missing": f"{proof.missing:,}", "bad": len(proof.bad)}
        lines = [word(language, "proof_bad", **told)]
    if proof.sealed:
        lines.append(word(language, "sealed", count=f"{proof.sealed:,}"))
    return lines


def _verdict(detail: AlertDetail, language: str) -> list[Flowable]:
    alert = detail.alert
    lines = [word(language, "not_judged")]
    if alert.verdict is not None and alert.closed_at is not None:
        by = actor_words(alert.closed_by or "", text_of(language))
        lines = [f"{known(language, alert.verdict)} · {by} · {moment(alert.closed_at)}"]
        if alert.reason:
            lines.append(alert.reason)
    return [
        paragraph(word(language, "judged"), "subheading"),
        *[paragraph(line, longest=PROSE_LONGEST) for line in lines],
        Spacer(1, 2 * mm),
    ]
