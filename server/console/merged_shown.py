"""Alerts that were merged into one, as its page lists them: by pseudonym."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from server.alerts.severity import severity_of
from server.console.page import Ask
from server.console.queue_words import family_word
from server.people.pseudonyms import candidate, known_pseudonyms, pseudonym_key
from server.triage.reading import parts_shown


class MergedShown(msgspec.Struct, frozen=True):
    id: int
    pseudonym: str
    family_word: str
    score: int
    severity: str
    last_time: int
    version: int


def merged_shown(connection: Connection, alert_id: int, ask: Ask) -> list[MergedShown]:
    parts = parts_shown(connection, alert_id)
    if not parts:
        return []
    shown = known_pseudonyms(connection, [part.subject for part in parts])
    key = pseudonym_key(connection)
    return [
        MergedShown(
            part.id,
            shown.get(part.subject) or candidate(key, part.subject),
            family_word(part.family, ask.text),
            part.score,
            severity_of(part.score).value,
            part.last_time,
            part.triage_version,
        )
        for part in parts
    ]
