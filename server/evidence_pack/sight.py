"""What the readers of a pack may see: everything through masks, or as it is, where names were unmasked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from server.alerts.act_words import act_of
from server.alerts.evidence_tally import EvidenceEvent
from server.alerts.queries import Alert
from server.enrich.amounts import amounts_of
from server.people.directory import Directory
from server.people.masking import Masker
from server.people.pseudonyms import names_to_hide, person_subject, shown_names
from server.people.text_mask import text_mask
from server.policies.masked_text import text_mask as rule_mask
from server.store.database import Database

PSEUDONYMS_MAX = 10_000
_PSEUDONYM = re.compile(rb"(?<![0-9A-Za-z])[PA]-[0-9A-HJKMNP-TV-Z]{5,14}(?![0-9A-Za-z])")


class PackSight:
    """Of one pack. `unmasked`: with names."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        alerts: Sequence[Alert],
        accounts: Iterable[tuple[str, str]],
        *,
        unmasked: bool,
    ) -> None:
        self._database = database
        self.unmasked = unmasked
        self.subjects = tuple(_subjects(alerts))
        own_accounts = tuple(accounts)
        people = {each.removeprefix("person:") for each in self.subjects if each.startswith("person:")}
        at = max((alert.last_time for alert in alerts), default=0)
        for account, host in own_accounts:
            owner = directory.person_by_account(account, host, at)
            people |= {owner.id} if owner else set()
        every = dict.fromkeys([*self.subjects, *(person_subject(each) for each in sorted(people))])
        known = {each for each in every if _is_known(directory, each)} | set(self.subjects)
        key, self.shown = shown_names(database, known)
        with database.read() as connection:
            names = names_to_hide(connection, people)
        self._masker = Masker(
            directory,
            key,
            self.shown,
            names={each: names.get(each, "") for each in people},
            accounts=own_accounts,
            at=at,
        )
        self._prose = text_mask(database)

    def prose(self, text: str) -> str:
        """What somebody typed."""
        return text if self.unmasked else self._prose.text(text)

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

    def agent(self, name: str) -> str:
        return name if self.unmasked else self._masker.host(name)

    def event(self, found: EvidenceEvent, alerts: Sequence[int]) -> dict[str, Any]:
        """A line of evidence.jsonl."""
        if self.unmasked:
            event = {**msgspec.to_builtins(found.event), "leaver": msgspec.to_builtins(found.leaver)}
        else:
            event = self._masker.event(found.event, found.leaver)
        return {
            "alerts": list(alerts),
            "agent": self.agent(found.agent),
            "epoch": found.epoch,
            "seq": found.seq,
            "time": found.time,
            "act": act_of(found.event),
            "bytes": amounts_of(found.event).bytes,
            "event": event,
        }


def pseudonyms_in(data: bytes) -> set[str]:
    """Of people and accounts."""
    return {found.decode() for found in _PSEUDONYM.findall(data)}


def _is_known(directory: Directory, subject: str) -> bool:
    return directory.person(subject.removeprefix("person:")) is not None


def _subjects(alerts: Sequence[Alert]) -> dict[str, None]:
    found: dict[str, None] = {}
    for alert in alerts:
        found[alert.subject] = None
        for person_id in (alert.account_owner, alert.suspected_actor):
            if person_id is not None:
                found[person_subject(person_id)] = None
        led = (each for trait in alert.traits for each in (trait.leads_to, trait.through))
        found.update((subject, None) for subject in led if subject is not None)
    return found
