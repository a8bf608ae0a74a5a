"""What people did with an alert, and what they wrote, in one list of words."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from event_schema.struct_base import Milliseconds
from server.alerts.history import NOTE, PART, Step
from server.console.page import Ask
from server.console.queue_words import verdict_word
from server.triage.reading import Note
from server.triage.undoing import UNDO_MS

SERVER = "server"


class HistoryLine(msgspec.Struct, frozen=True):
    """`text`: as it was typed; it is masked before it is shown."""

    at: Milliseconds
    who: str
    words: str
    text: str
    note: bool
    group: int | None = None
    """Withdraws it, for as long as the viewer may."""
    on_alerts: int = 1
    """From so many, on which it was put at once."""


def history_lines(steps: Iterable[Step], notes: Iterable[Note], ask: Ask) -> list[HistoryLine]:
    """The latest first."""
    lines = [
        HistoryLine(step.at, _who(step.actor, ask), _words(step, ask), step.reason or "", note=False)
        for step in steps
    ]
    lines += [
        HistoryLine(
            note.at,
            _who(note.actor, ask),
            ask.text("wrote"),
            note.text,
            note=True,
            group=note.undo_group if is_own(note, ask) else None,
            on_alerts=note.on_alerts,
        )
        for note in notes
    ]
    return sorted(lines, key=lambda line: -line.at)


def is_own(note: Note, ask: Ask) -> bool:
    """Whether the viewer wrote it, and may still take it back."""
    return note.actor == ask.viewer.actor and ask.now - note.at <= UNDO_MS


def _who(actor: str, ask: Ask) -> str:
    kind, _, name = actor.partition(":")
    return ask.text("The server") if actor == SERVER else name if kind in ("user", "cli") else actor


def _words(step: Step, ask: Ask) -> str:
    after = {name: values[1] for name, values in step.changes.columns.items()}
    match step.verb:
        case "assign":
            owner = after.get("owner")
            return ask.text("gave it to {owner}", owner=owner) if owner else ask.text("gave it back")
        case "close":
            verdict = verdict_word(str(after.get("verdict", "")), ask.text)
            return ask.text("closed it as {verdict}", verdict=verdict)
        case "merge":
            if part := after.get(PART):
                return ask.text("merged alert {n} into it", n=part)
            return ask.text("merged it into alert {n}", n=after.get("merged_into"))
        case "unmerge" if PART in after:
            return ask.text("took alert {n} out of it", n=step.changes.columns[PART][0])
        case _:
            withdrawn = NOTE in step.changes.columns
            words = {
                "snooze": ask.text("snoozed it"),
                "wake": ask.text("woke it"),
                "reopen": ask.text("reopened it"),
                "unmerge": ask.text("took it out of the alert that it was merged into"),
                "undo": ask.text("withdrew a note") if withdrawn else ask.text("undid the last change"),
                "escalate": ask.text("escalated it"),
            }
            return words.get(step.verb, step.verb)
