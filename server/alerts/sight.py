"""What one reader may see of some alerts: pseudonyms, and the names of those whom they unmasked.

A name is seen per person: an alert of which one person is unmasked still hides all others. What people typed
(`prose`) is held against everybody whom the installation knows (server/people/text_mask.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from server.alerts.act_words import act_of
from server.alerts.blind_spots import BlindSpot
from server.alerts.evidence_tally import Destination, Evidence, EvidenceEvent
from server.alerts.proof import EvidenceProof
from server.alerts.queries import Alert
from server.alerts.trait_words import trait_words
from server.alerts.traits import AlertTrait
from server.alerts.view_types import (
    AlertView,
    DestinationView,
    EventView,
    EvidenceView,
    TraitView,
    Unmasking,
    Who,
)
from server.enrich.amounts import amounts_of
from server.people.directory import Directory, PersonRecord
from server.people.masking import Masker
from server.people.pseudonyms import former_names, names_to_hide, person_subject, shown_names, unmask
from server.people.text_mask import text_mask
from server.people.unmaskings import Grant
from server.store.database import Database


def _shown(who: Who | None) -> str | None:
    return None if who is None else who.name or who.pseudonym


class Sight:
    """Of these alerts. `unmasking` shows all of their people and the events as they came, each person on the
    record; `grants`, by subject, shows those whom the reader unmasked before."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        found: Sequence[Alert],
        accounts: Iterable[tuple[str, str]],
        unmasking: Unmasking | None = None,
        *,
        grants: Mapping[str, Grant] | None = None,
    ) -> None:
        self._directory = directory
        self._grants = dict(grants or {})
        self._everybody = text_mask(database)
        own_accounts = tuple(accounts)
        subjects: dict[str, None] = {}
        for alert in found:
            subjects[alert.subject] = None
            for person_id in (alert.account_owner, alert.suspected_actor):
                if person_id is not None:
                    subjects[person_subject(person_id)] = None
            led = (each for trait in alert.traits for each in (trait.leads_to, trait.through))
            subjects.update((subject, None) for subject in led if subject is not None)
        # Whoever is not known (any more) gets no row for being read.
        key, shown = shown_names(database, [each for each in subjects if self._is_known(each)])
        people = {subject.removeprefix("person:") for subject in subjects if subject.startswith("person:")}
        at = max((alert.last_time for alert in found), default=0)
        for account, host in own_accounts:
            owner = directory.person_by_account(account, host, at)
            people |= {owner.id} if owner else set()
        with database.read() as connection:
            names = names_to_hide(connection, people)
            former = former_names(connection, people)
        self._masker = Masker(
            directory,
            key,
            shown,
            names={person_id: names.get(person_id, "") for person_id in people},
            former=former,
            accounts=own_accounts,
            at=at,
            revealed=self._grants.keys(),
            everybody=self.prose,
        )
        self._whole = unmasking is not None
        if unmasking is not None:
            with database.begin() as connection:
                for subject, pseudonym in shown.items():
                    known = unmask(
                        connection,
                        pseudonym,
                        actor=unmasking.actor,
                        at=unmasking.at,
                        reason=unmasking.reason,
                    )
                    self._grants[subject] = Grant(subject, unmasking.at, known.name, known.accounts)

    def _is_known(self, subject: str) -> bool:
        kind, _, rest = subject.partition(":")
        return kind != "person" or self._directory.person(rest) is not None

    @property
    def masker(self) -> Masker:
        return self._masker

    def alert(self, alert: Alert) -> AlertView:
        return AlertView(
            id=alert.id,
            status=alert.status,
            score=alert.score,
            family=alert.family,
            who=self.who(alert.subject, alert.last_time),
            account_owner=self._person(alert.account_owner, alert.last_time),
            suspected_actor=self._person(alert.suspected_actor, alert.last_time),
            traits=tuple(self._trait(trait, alert.last_time) for trait in alert.traits),
            # Of a sequence it names the databases that were read.
            sentence=self.plain(alert.sentence) if "steps" in alert.facts else alert.sentence,
            events=alert.events,
            first_time=alert.first_time,
            last_time=alert.last_time,
            opened_at=alert.opened_at,
            updated_at=alert.updated_at,
            verdict=alert.verdict,
            reason=None if alert.reason is None else self.prose(alert.reason),
            closed_at=alert.closed_at,
            closed_by=alert.closed_by,
            looked_back_at=alert.looked_back_at,
            owner=alert.owner,
            snoozed_until=alert.snoozed_until,
            merged_into=alert.merged_into,
        )

    def evidence(self, proven: Evidence, unseen: list[BlindSpot]) -> EvidenceView:
        return EvidenceView(
            total=proven.total,
            files=proven.files,
            bytes=proven.bytes,
            acts=proven.acts,
            destinations=tuple(map(self._destination, proven.destinations)),
            systems=tuple(
                msgspec.structs.replace(each, name=self.plain(each.name)) for each in proven.systems
            ),
            labels=proven.labels,
            fidelity=proven.fidelity,
            largest=tuple(map(self.event, proven.events)),
            not_shown=proven.total - len(proven.events),
            not_seen=(*self.plain(list(proven.gaps)), *map(self.blind_spot, unseen)),
            missing=proven.missing,
            damaged=proven.damaged,
            read_all=proven.read_all,
        )

    def proof(self, proof: EvidenceProof) -> EvidenceProof:
        bad = tuple(msgspec.structs.replace(block, agent=self.agent(block.agent)) for block in proof.bad)
        return msgspec.structs.replace(proof, bad=bad)

    def plain(self, value: Any) -> Any:
        return value if self._whole else self._masker.plain(value)

    def prose(self, text: str) -> str:
        """What somebody typed, without the names of all others than those who are unmasked."""
        return text if self._whole else self._everybody.text(text, self._grants.keys())

    def event(self, found: EvidenceEvent) -> EventView:
        if self._whole:
            event = {**msgspec.to_builtins(found.event), "leaver": msgspec.to_builtins(found.leaver)}
        else:
            event = self._masker.event(found.event, found.leaver)
        return EventView(
            self.agent(found.agent),
            found.epoch,
            found.seq,
            found.time,
            act_of(found.event),
            amounts_of(found.event).bytes,
            event,
        )

    def _destination(self, destination: Destination) -> DestinationView:
        device: dict[str, Any] | None = None
        if destination.device is not None:
            device = msgspec.to_builtins(destination.device)
            if not self._whole:
                device = self._masker.device(destination.device)
        return DestinationView(
            device,
            self.plain(destination.volume),
            self.plain(destination.remote),
            destination.files,
            destination.bytes,
        )

    def agent(self, name: str) -> str:
        return name if self._whole else self._masker.host(name)

    def blind_spot(self, spot: BlindSpot) -> str:
        detail = self.plain(spot.detail).replace(spot.agent, self.agent(spot.agent))
        return f"agent {self.agent(spot.agent)}, {spot.kind.replace('_', ' ')}: {detail}"

    def _trait(self, trait: AlertTrait, at: int) -> TraitView:
        value = trait.value
        if value is not None and not self._whole:
            value = self._masker.trait(trait.kind, value)
        leads_to = None if trait.leads_to is None else self.who(trait.leads_to, at)
        through = None if trait.through is None else self.who(trait.through, at)
        return TraitView(
            kind=trait.kind,
            words=trait_words(
                trait,
                value=value,
                leads_to=_shown(leads_to),
                through=_shown(through),
                time_zone=None if leads_to is None else leads_to.time_zone,
            ),
            value=value,
            leads_to=leads_to,
            through=through,
            since=trait.since,
            until=trait.until,
            others=trait.others,
            events=trait.events,
        )

    def _person(self, person_id: str | None, at: int) -> Who | None:
        return None if person_id is None else self.who(person_subject(person_id), at)

    def who(self, subject: str, at: int) -> Who:
        person: PersonRecord | None = None
        if subject.startswith("person:"):
            person = self._directory.person(subject.removeprefix("person:"))
        status, days = self._directory.status_at(person, at)
        unmasked = self._grants.get(subject)
        return Who(
            pseudonym=self._masker.subject(subject),
            status=status,
            days_to_last_day=days,
            department=person.department if person else None,
            time_zone=person.time_zone if person else None,
            id=person.id if person and unmasked else None,
            name=unmasked.name if unmasked else None,
            accounts=unmasked.accounts if unmasked else (),
        )
