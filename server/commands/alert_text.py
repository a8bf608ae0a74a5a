"""How the command line shows alerts to people: the queue, and one alert with its proof."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analytics.told_explanation import ExplanationWords
from event_schema.byte_size import byte_size
from server.alerts.below_views import NotAlertedView
from server.alerts.proof import EvidenceProof
from server.alerts.queries import Verdict
from server.alerts.view_types import AlertDetail, AlertView, EvidenceView, ShareView
from server.commands.alert_words import (
    counted,
    destination_words,
    label_words,
    local_time,
    moment,
    printable,
    score_text,
    shown_name,
    status_words,
    time_span,
    who_words,
    zone_of,
)
from server.commands.calmed_words import calmed_words
from server.commands.evidence_rows import evidence_row
from server.commands.explanation_text import stands_out, sure_words
from server.commands.tables import WIDTH_PIPED, age, span

EVIDENCE_MAX = 10_000
"""Most events that `leaver alerts show --evidence` takes."""
_BAR_CELLS = 40
_TRAITS_SHOWN = 8
_ACTS = {
    "create": ("file written", "files written"),
    "update": ("file changed", "files changed"),
    "rename": ("renamed", "renamed"),
    "delete": ("deleted", "deleted"),
    "connect": ("device in", "devices in"),
    "disconnect": ("device out", "devices out"),
    "print": ("print job", "print jobs"),
    "start": ("program started", "programs started"),
    "upload": ("upload", "uploads"),
    "sync": ("file put into a synced folder", "files put into synced folders"),
    "mail": ("mail", "mails"),
    "login": ("login", "logins"),
    "login refused": ("login refused", "logins refused"),
    "logout": ("logout", "logouts"),
    "logout refused": ("logout refused", "logouts refused"),
    "account switch": ("account switch", "account switches"),
    "account switch refused": ("account switch refused", "account switches refused"),
    "act": ("act in an application", "acts in applications"),
    "query": ("query", "queries"),
    "export": ("export", "exports"),
}


def queue_text(found: list[AlertView], now: int) -> RenderableType:
    """A table, an alert a row: who, and under it what, which needs the width."""
    found = printable(found, list[AlertView])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=True)
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("who, and what", overflow="fold", ratio=1)
    table.add_column("last seen", justify="right", no_wrap=True)
    for alert in found:
        words = Text(shown_name(alert.who)).append(f" · {status_words(alert.who)}", style="dim")
        if alert.account_owner is not None and alert.account_owner != alert.who:
            words.append(f" · account of {shown_name(alert.account_owner)}", style="dim")
        words.append("\n" + alert.sentence.get("en", ""))
        if alert.verdict:
            words.append(f"\nclosed as {alert.verdict}: {alert.reason}", style="dim")
        if triaged := _triaged(alert, now):
            words.append(f"\n{triaged}", style="dim")
        table.add_row(str(alert.id), score_text(alert.score), words, age(alert.last_time, now))
    return table


def _triaged(alert: AlertView, now: int) -> str:
    """What people did with it that is not judged yet."""
    told = [f"{alert.owner}'s" if alert.owner else ""]
    told += [f"merged into alert {alert.merged_into}" if alert.merged_into is not None else ""]
    if alert.snoozed_until is not None and alert.snoozed_until > now:
        told.append(f"snoozed for {span(alert.snoozed_until - now)}, or until something new comes")
    return " · ".join(filter(None, told))


def detail_text(detail: AlertDetail, *, is_stored: bool = True) -> RenderableType:
    """One alert on one page. `is_stored`: commands can do more with it."""
    detail = printable(detail, AlertDetail)
    alert = detail.alert
    title = Text.assemble(
        "Alert ",
        (str(alert.id), "bold"),
        " · score ",
        score_text(alert.score),
        f" · {alert.status} · {alert.family}",
    )
    parts: list[RenderableType] = [title, "", Text(alert.sentence.get("en", ""), style="bold"), ""]
    if detail.held:
        parts += [Text(detail.held["en"]), ""]
    parts.append(Padding(_facts(detail), (0, 0, 0, 2)))
    parts += [
        "",
        Text("Why ", style="bold").append(str(alert.score)),
        _indented(_bars(detail.shares, _versions(detail))),
    ]
    words = detail.explanation.get("en", ExplanationWords())
    if strange := stands_out(words):
        points = Text(f"  {words.points}" if words.points else "", style="dim not bold")
        parts += ["", Text("Stands out", style="bold").append(points), _indented(strange)]
    parts += [
        "",
        _evidence_title(detail.evidence, zone_of(alert)),
        _indented(_evidence_table(detail, zone_of(alert), is_stored=is_stored)),
    ]
    parts += ["", _proof_line(detail.proof), _not_seen(detail)]
    parts += _next_steps(alert) if is_stored else ()
    return Group(*parts)


def _facts(detail: AlertDetail) -> Table:  # noqa: PLR0912
    alert = detail.alert
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    grid.add_row("who", who_words(alert.who))
    if alert.account_owner is not None and alert.account_owner != alert.who:
        grid.add_row("account of", who_words(alert.account_owner))
    others = alert.account_owner is not None and alert.account_owner != alert.who
    if alert.suspected_actor is not None and (others or alert.suspected_actor != alert.who):
        grid.add_row("suspected", who_words(alert.suspected_actor))
    for index, trait in enumerate(alert.traits[:_TRAITS_SHOWN]):
        grid.add_row("" if index else "because", trait.words.get("en", trait.kind))
    if len(alert.traits) > _TRAITS_SHOWN:
        grid.add_row("", f"… and {len(alert.traits) - _TRAITS_SHOWN} more")
    if alert.looked_back_at is not None:
        when = moment(alert.looked_back_at, zone_of(alert))
        grid.add_row("found", f"by looking back, under what HR said by {when}")
    judged = detail.earlier and alert.looked_back_at is None
    without = ", without what was judged before" if judged else ""
    grid.add_row("what", _amount(detail.evidence) + without)
    if detail.evidence.labels:
        grid.add_row("holds", label_words(detail.evidence.labels))
    for index, system in enumerate(detail.evidence.systems[:5]):
        did = f"{system.name}: {counted(system.events, 'act')}"
        told = did if system.items in (0, system.events) else f"{did} on {counted(system.items, 'record')}"
        grid.add_row("" if index else "in", told)
    for index, destination in enumerate(detail.evidence.destinations[:5]):
        grid.add_row("" if index else "where to", destination_words(destination))
    if len(detail.evidence.destinations) > 5:
        grid.add_row("", f"… and {len(detail.evidence.destinations) - 5} more")
    if sure := sure_words(detail.evidence.fidelity):
        grid.add_row("how sure", sure)
    hosts = sorted({event.event["device"]["hostname"] for event in detail.evidence.largest})
    if hosts:
        grid.add_row("from", ", ".join(hosts[:5]) + (" …" if len(hosts) > 5 else ""))
    grid.add_row("when", time_span(alert.first_time, alert.last_time, zone_of(alert)))
    for earlier in detail.earlier:
        at = moment(earlier.closed_at, zone_of(alert))
        told = f"alert {earlier.id} of these days was closed as {earlier.verdict} on {at}"
        grid.add_row("before", f"{told}; its events are not repeated here")
    if alert.verdict and alert.closed_at is not None:
        closed = f"{moment(alert.closed_at, zone_of(alert))} as {alert.verdict} by {alert.closed_by}"
        grid.add_row("closed", f"{closed}: {alert.reason}")
    if calmed := calmed_words(detail.facts):
        grid.add_row("calms", calmed)
    return grid


def _amount(evidence: EvidenceView) -> str:
    what = counted(evidence.files, "file") if evidence.files else counted(evidence.total, "event")
    return f"{what}, {byte_size(evidence.bytes)}" if evidence.files or evidence.bytes else what


def _bars(shares: tuple[ShareView, ...], fired: dict[str, str]) -> Table:
    """A bar for each share, beginning where the one before ends: one sees that they add up. `fired`: which
    versions of the rules."""
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold", max_width=WIDTH_PIPED - _BAR_CELLS - 12)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    reached = 0
    for share in shares:
        title = Text(share.title).append(fired.get(share.source, ""), style="dim")
        table.add_row(title, _bar(reached, reached + share.points, "red"), str(share.points))
        reached += share.points
    table.add_row(Text("together", style="dim"), _bar(0, reached, "dim"), Text(str(reached), style="bold"))
    return table


def _versions(detail: AlertDetail) -> dict[str, str]:
    """By rule: " v3 9f2c1a4b", the versions that fired and how their texts' hashes begin."""
    return {
        rule["id"]: "".join(f" v{each['number']} {each['hash'][:8]}" for each in rule.get("versions", ()))
        for rule in detail.facts.get("rules", ())
    }


def _bar(first: int, last: int, style: str) -> Text:
    """From point `first` to point `last` of 100, in half cells."""
    start, end = (round(points * _BAR_CELLS * 2 / 100) for points in (first, last))
    bar = Text(" " * (start // 2))
    halves = "▐" if start % 2 and end > start else ""
    full = end // 2 - (start + 1) // 2
    bar.append(halves + "█" * max(full, 0) + ("▌" if end % 2 and end > start else ""), style=style)
    return bar if end > start else bar.append("▏", style=style)


def _evidence_title(evidence: EvidenceView, zone: str) -> Text:
    acts = [counted(n, *_ACTS.get(act, (act, act))) for act, n in evidence.acts.items()]
    title = Text("Evidence", style="bold").append(f"  {counted(evidence.total, 'event')}", style="not bold")
    title.append(f": {', '.join(acts)}" if acts else "", style="dim not bold")
    return title.append(f"; times in {zone}", style="dim not bold")


def _evidence_table(detail: AlertDetail, zone: str, *, is_stored: bool) -> RenderableType:
    evidence = detail.evidence
    shown = evidence.largest
    if not shown:
        return Text("no events", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("time", no_wrap=True)
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("with", no_wrap=True)
    table.add_column("sha-256", no_wrap=True)
    for event in shown:
        table.add_row(local_time(event.time, zone).strftime("%m-%d %H:%M:%S"), *evidence_row(event))
    rest = evidence.not_shown
    if rest <= 0:
        return table
    word = "more file" if evidence.files == evidence.total else "further event"
    wanted = min(evidence.total, EVIDENCE_MAX)
    how = f": leaver alerts show {detail.alert.id} --evidence {wanted}" if is_stored else ""
    size = evidence.bytes - sum(event.bytes for event in shown)
    return Group(table, Text(f"… and {counted(rest, word)}, {byte_size(size)}{how}", style="dim"))


def _proof_line(proof: EvidenceProof) -> Text:
    counts = f"{counted(proof.events, 'event')}, {counted(proof.blocks, 'signed block')}"
    line = Text("Proof", style="bold").append(f"     {counts}, ", style="not bold")
    if proof.good:
        words = "all good" if proof.sealed or proof.erased else "all signatures good"
        line.append(words, style="green not bold")
    if proof.erased:
        words = f"\n          {counted(proof.erased, 'event')} gone with days that were erased"
        line.append(words, style="not bold")
    if proof.good and not proof.sealed:
        return line
    if proof.good:
        blocks = counted(proof.sealed, "block")
        words = (
            f"\n          events were erased from {blocks}; there the agent's signature holds for"
            "\n          what it sent (the digest was kept), and this installation's seal for what is left"
        )
        return line.append(words, style="not bold")
    if proof.erased:
        line.append("\n          ")
    if proof.missing:
        line.append(f"{counted(proof.missing, 'event')} without a good signature", style="red not bold")
    elif not proof.bad:
        line.append("nothing to check", style="red not bold")
    for bad in proof.bad[:5]:
        line.append(f"\n          block {bad.block} of {bad.agent}: {bad.message}", style="red not bold")
    return line


def _not_seen(detail: AlertDetail) -> Table:
    evidence = detail.evidence
    words = detail.explanation.get("en", ExplanationWords())
    unreadable = (f"unreadable: {text}" for text in evidence.damaged)
    said = [*words.not_watched, *evidence.not_seen, *unreadable]
    if evidence.missing:
        said.append(f"{counted(evidence.missing, 'event')} no longer stored")
    if not evidence.read_all:
        said.append(f"only the first {evidence.total:,} events were read")
    return _labelled("Not seen", said or ["nothing known to be missing"])


def _next_steps(alert: AlertView) -> list[RenderableType]:
    """What can be done with this alert, as commands to copy."""
    lines = []
    if alert.who.id is None and not alert.who.accounts:
        lines.append(f'leaver alerts show {alert.id} --unmask {alert.who.pseudonym} --reason "…"')
    if alert.status != "closed":
        lines.append(f'leaver alerts close {alert.id} --verdict VERDICT --reason "…"')
        lines.append(f"  VERDICT: {', '.join(Verdict)}")
    return ["", _labelled("Next", lines)] if lines else []


def below_text(found: list[NotAlertedView]) -> RenderableType:
    """A table, a day a row: who, and under it what stood out and why it is no alert."""
    found = printable(found, list[NotAlertedView])
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", expand=True)
    table.add_column("day", no_wrap=True)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("strange", justify="right", no_wrap=True)
    table.add_column("who, and what", overflow="fold", ratio=1)
    table.add_column("alert", justify="right", no_wrap=True)
    for each in found:
        words = Text(shown_name(each.who)).append(f" · {status_words(each.who)}", style="dim")
        words.append(f"\n{each.stood_out['en'] or 'nothing by itself'}")
        if each.family:
            words.append(f" ({each.family})", style="dim")
        words.append(f"\n{each.words['en']}", style="dim")
        held = "" if each.held is None else str(each.held)
        table.add_row(each.day, score_text(each.score), f"{each.strength:.1f}", words, held)
    return table


def _labelled(label: str, lines: list[str]) -> Table:
    """The label, in bold, before the first line; the others under it."""
    grid = Table.grid()
    grid.add_column(style="bold", width=10, no_wrap=True)
    grid.add_column(overflow="fold")
    for index, line in enumerate(lines):
        grid.add_row("" if index else label, line)
    return grid


def _indented(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 2))
