"""How `leaver erase` says what would go, what went, and what is on the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.table import Table

from event_schema.printable import printable_name
from server.erasure.plan import Target
from server.erasure.record import Erasure
from server.people.dates import day_text

_WORDS = {
    "events": "events",
    "people": "person in the directory",
    "person_names": "name",
    "accounts": "accounts in the directory",
    "pseudonyms": "pseudonyms",
    "alerts": "alerts",
    "judged_days": "days with a verdict",
    "storage_days": "days of removable storage",
    "rule_days": "days with rule hits",
    "subject_devices": "devices",
    "subject_agents": "endpoints",
    "subject_events": "index rows",
    "dead_letters": "dead letters",
    "event_blocks": "signed blocks, whole",
    "blocks_rewritten": "signed blocks that hold events of others too: written anew, and sealed",
    "blocks_unreadable": "blocks that cannot be read: looked at by nobody, they go with retention",
    "blocks_looked_at": "signed blocks to look through",
    "people_led": "people whose manager is left empty",
    "alerts_blanked": "alerts of others in which the person is no longer named",
}


def counts_text(target: Target, rows: Mapping[str, int]) -> str:
    """What would go."""
    shown = printable_name(target.shown)
    if not target.plan.subjects and target.plan.first_day is None:
        return f"{shown} was erased on {_date(target.erased_at)}; nothing is kept."
    begun = "" if target.erasure is None else " (an erasure was begun before, and goes on)"
    what = "events of " if target.kind == "days" else f"{target.kind} "
    return "\n".join([f"To be erased, {what}{shown}{begun}:", *_lines(rows)])


def result_text(rows: Mapping[str, int], left: Sequence[str], waiting: int | None) -> str:
    """What went, and what is left."""
    lines = ["Erased:", *_lines(rows)] if rows else []
    if waiting:
        lines.append(
            f"{waiting:,} records wait on the log: what is to be erased there is dropped as it is read."
        )
    if left:
        lines += ["Still in files:", *(f"  {words}" for words in left)]
    lines.append("Out of reach: endpoints' own spools, backups, archived WAL.")
    return "\n".join(lines)


def erasures_table(found: Sequence[Erasure]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "kind", "begun", "finished", "events", "alerts", "about"):
        table.add_column(column, no_wrap=True, justify="right" if column in {"events", "alerts"} else "left")
    for erasure in found:
        finished = "not yet" if erasure.finished_at is None else _date(erasure.finished_at)
        if erasure.restored_at is not None:
            finished += f", taken back {_date(erasure.restored_at)}"
        table.add_row(
            str(erasure.id),
            erasure.kind,
            _date(erasure.begun_at),
            finished,
            f"{erasure.removed.get('events', 0):,}",
            f"{erasure.removed.get('alerts', 0):,}",
            _about(erasure),
        )
    return table


def _about(erasure: Erasure) -> str:
    if erasure.first_day is None or erasure.last_day is None:
        return (erasure.digest or "")[:16]
    return f"{day_text(erasure.first_day)} to {day_text(erasure.last_day)}"


def _lines(rows: Mapping[str, int]) -> list[str]:
    width = max((len(f"{count:,}") for count in rows.values()), default=0)
    lines = [f"  {rows[name]:>{width},}  {words}" for name, words in _WORDS.items() if rows.get(name)]
    return lines or ["  nothing"]


def _date(at: int | None) -> str:
    return "-" if at is None else datetime.fromtimestamp(at / 1000, UTC).date().isoformat()
