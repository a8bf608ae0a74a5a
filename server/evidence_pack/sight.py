"""What the readers of a pack may see: everything through masks, or as it is, where names were unmasked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from server.alerts.evidence_tally import EvidenceEvent
from server.alerts.queries import Alert
from server.alerts.sight import Sight
from server.alerts.view_types import Unmasking
from server.people.directory import Directory
from server.people.pseudonyms import person_subject
from server.policies.masked_text import text_mask as rule_mask
from server.store.database import Database

PSEUDONYMS_MAX = 10_000
_SHORT, _TEXTS_KEPT = 200, 20_000
_PSEUDONYM = re.compile(rb"(?<![0-9A-Za-z])[PA]-[0-9A-HJKMNP-TV-Z]{5,14}(?![0-9A-Za-z])")


class PackSight(Sight):
    """Of one pack. `unmasking` puts on record whose names it shows, before it does."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        alerts: Sequence[Alert],
        accounts: Iterable[tuple[str, str]],
        unmasking: Unmasking | None,
    ) -> None:
        # Events repeat nearly all of their texts, and a look at each takes longer than all else.
        self._seen: dict[str, str] = {}
        super().__init__(database, directory, alerts, accounts, unmasking)
        self._database = database
        self.unmasked = unmasking is not None
        self.concerned = tuple(sorted({self.masker.subject(each) for each in subjects_of(alerts)}))
        """Pseudonyms of those whom the alerts are about."""
        led = {each for alert in alerts for trait in alert.traits for each in (trait.leads_to, trait.through)}
        self.told_of = sorted({*self.concerned, *(self.masker.subject(each) for each in led if each)})
        """With those to whom traits lead."""

    def prose(self, text: str) -> str:
        known = self._seen.get(text)
        if known is not None:
            return known
        masked = super().prose(text)
        if len(text) <= _SHORT:
            if len(self._seen) >= _TEXTS_KEPT:
                self._seen.clear()
            self._seen[text] = masked
        return masked

    def typed(self, value: Any) -> Any:
        """As `prose`, of all texts in a plain value."""
        match value:
            case str():
                return self.prose(value)
            case dict():
                return {key: self.typed(item) for key, item in value.items()}
            case list() | tuple():
                return [self.typed(item) for item in value]
            case _:
                return value

    def rules(self, texts: Sequence[str]) -> Callable[[str], str]:
        """For texts and titles of rules."""
        return str if self.unmasked else rule_mask(self._database, texts)

    def line(self, found: EvidenceEvent, alerts: Sequence[int]) -> dict[str, Any]:
        """A line of evidence.jsonl."""
        return {"alerts": list(alerts), **msgspec.structs.asdict(self.event(found))}


def pseudonyms_in(data: bytes) -> set[str]:
    """Of people and accounts."""
    return {found.decode() for found in _PSEUDONYM.findall(data)}


def subjects_of(alerts: Sequence[Alert]) -> set[str]:
    """Whom they are about, whose the accounts were, and who else is suspected."""
    named = {
        person_subject(each)
        for alert in alerts
        for each in (alert.account_owner, alert.suspected_actor)
        if each
    }
    return {alert.subject for alert in alerts} | named
