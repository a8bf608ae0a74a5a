"""Alerts as analysts see them: pseudonyms instead of names, unless unmasked with a reason on the record.

The console, the API and the command line show these, so that masking happens in one place. Without
`unmasking` no value that names a person is in a view (what counts as one: server/people/masking.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import select

from analytics.risk import ANOMALY_SOURCE, SLOW_SOURCE
from server.alerts.act_words import act_of
from server.alerts.blind_spots import BlindSpot, blind_spots
from server.alerts.evidence import evidence
from server.alerts.evidence_tally import Destination, Evidence, EvidenceEvent
from server.alerts.explained import explained
from server.alerts.held_words import held_words
from server.alerts.proof import EvidenceProof, verify_evidence
from server.alerts.queries import Alert, StatusFilter, earlier_alerts, get_alert, list_alerts
from server.alerts.ranking import HELD
from server.alerts.trait_words import trait_words
from server.alerts.traits import AlertTrait
from server.alerts.view_types import (
    AlertDetail,
    AlertView,
    DestinationView,
    EventView,
    EvidenceView,
    ShareView,
    TraitView,
    Unmasking,
    Who,
)
from server.enrich.amounts import amounts_of
from server.people.directory import Directory, PersonRecord, load_directory
from server.people.masking import Masker
from server.people.pseudonyms import Unmasked, names_to_hide, person_subject, shown_names, unmask
from server.store.database import Database
from server.store.tables import rule_days

EVIDENCE_SHOWN = 20
_SHARE_WORDS: Final = {
    ANOMALY_SOURCE: {"en": "Unusual for the person and among peers", "zh": "与本人平常及同组人员相比异常"},
    SLOW_SOURCE: {
        "en": "Rising for weeks against the months before",
        "zh": "与此前数月相比，数周以来持续上升",
    },
}


def alert_views(
    database: Database,
    status: StatusFilter = "open",
    limit: int = 100,
    *,
    unmasking: Unmasking | None = None,
    directory: Directory | None = None,
) -> list[AlertView]:
    """The queue, highest score first. `directory` where the caller keeps a current one."""
    with database.read() as connection:
        found = list_alerts(connection, status, limit)
        known = directory or load_directory(connection)
    sight = _Sight(database, known, found, (), unmasking)
    return [sight.alert(alert) for alert in found]


def alert_detail(
    database: Database,
    alert_id: int,
    *,
    unmasking: Unmasking | None = None,
    directory: Directory | None = None,
    evidence_limit: int = EVIDENCE_SHOWN,
) -> AlertDetail:
    """Everything about one alert. Raises UnknownAlert."""
    with database.read() as connection:
        alert = get_alert(connection, alert_id)
        known = directory or load_directory(connection)
        proven = evidence(connection, alert_id, evidence_limit)
        proof = verify_evidence(connection, alert_id)
        proven = msgspec.structs.replace(proven, missing=max(0, proven.missing - proof.erased))
        unseen = blind_spots(connection, alert_id)
        earlier = earlier_alerts(connection, alert)
        held = held_words(connection, alert_id) if alert.status == HELD else {}
        titles = {
            row.rule_id: row.title
            for row in connection.execute(
                select(rule_days.c.rule_id, rule_days.c.title)
                .where(rule_days.c.subject == alert.subject)
                .order_by(rule_days.c.day)
            )
        }
    sight = _Sight(database, known, [alert], proven.accounts, unmasking)
    return AlertDetail(
        alert=sight.alert(alert),
        shares=tuple(share_view(each.source, each.points, each.share, titles) for each in alert.shares),
        facts=sight.plain(alert.facts),
        policy_version=alert.policy_version,
        model_id=alert.model_id,
        evidence=sight.evidence(proven, unseen),
        proof=sight.proof(proof),
        explanation=explained(alert.facts, held=alert.status == HELD),
        earlier=tuple(earlier),
        held=held,
    )


def share_view(source: str, points: int, share: float, titles: Mapping[str, str]) -> ShareView:
    """`titles`: of rules."""
    words = _SHARE_WORDS.get(source, {})
    return ShareView(source, words.get("en") or titles.get(source, source), points, share, words)


def _shown(who: Who | None) -> str | None:
    return None if who is None else who.name or who.pseudonym


class _Sight:
    """What one reader may see of some alerts: through a masker, or names where they were unmasked."""

    def __init__(
        self,
        database: Database,
        directory: Directory,
        found: Sequence[Alert],
        accounts: Iterable[tuple[str, str]],
        unmasking: Unmasking | None,
    ) -> None:
        self._directory = directory
        own_accounts = tuple(accounts)
        subjects: dict[str, None] = {}
        for alert in found:
            subjects[alert.subject] = None
            for person_id in (alert.account_owner, alert.suspected_actor):
                if person_id is not None:
                    subjects[person_subject(person_id)] = None
            led = (each for trait in alert.traits for each in (trait.leads_to, trait.through))
            subjects.update((subject, None) for subject in led if subject is not None)
        key, shown = shown_names(database, subjects)
        people = {subject.removeprefix("person:") for subject in subjects if subject.startswith("person:")}
        at = max((alert.last_time for alert in found), default=0)
        for account, host in own_accounts:
            owner = directory.person_by_account(account, host, at)
            people |= {owner.id} if owner else set()
        with database.read() as connection:
            names = names_to_hide(connection, people)
        self._masker = Masker(
            directory,
            key,
            shown,
            names={person_id: names.get(person_id, "") for person_id in people},
            accounts=own_accounts,
            at=at,
        )
        self._unmasked: dict[str, Unmasked] | None = None
        if unmasking is not None:
            with database.begin() as connection:
                self._unmasked = {
                    subject: unmask(
                        connection,
                        pseudonym,
                        actor=unmasking.actor,
                        at=unmasking.at,
                        reason=unmasking.reason,
                    )
                    for subject, pseudonym in shown.items()
                }

    def alert(self, alert: Alert) -> AlertView:
        return AlertView(
            id=alert.id,
            status=alert.status,
            score=alert.score,
            family=alert.family,
            who=self._who(alert.subject, alert.last_time),
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
            reason=self.plain(alert.reason),
            closed_at=alert.closed_at,
            closed_by=alert.closed_by,
            looked_back_at=alert.looked_back_at,
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
            largest=tuple(map(self._event, proven.events)),
            not_shown=proven.total - len(proven.events),
            not_seen=(*self.plain(list(proven.gaps)), *map(self._blind_spot, unseen)),
            missing=proven.missing,
            damaged=proven.damaged,
            read_all=proven.read_all,
        )

    def proof(self, proof: EvidenceProof) -> EvidenceProof:
        bad = tuple(msgspec.structs.replace(block, agent=self._agent(block.agent)) for block in proof.bad)
        return msgspec.structs.replace(proof, bad=bad)

    def plain(self, value: Any) -> Any:
        return value if self._unmasked is not None else self._masker.plain(value)

    def _event(self, found: EvidenceEvent) -> EventView:
        if self._unmasked is not None:
            event = {**msgspec.to_builtins(found.event), "leaver": msgspec.to_builtins(found.leaver)}
        else:
            event = self._masker.event(found.event, found.leaver)
        return EventView(
            self._agent(found.agent),
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
            if self._unmasked is None:
                device = self._masker.device(destination.device)
        return DestinationView(
            device,
            self.plain(destination.volume),
            self.plain(destination.remote),
            destination.files,
            destination.bytes,
        )

    def _agent(self, name: str) -> str:
        return name if self._unmasked is not None else self._masker.host(name)

    def _blind_spot(self, spot: BlindSpot) -> str:
        detail = self.plain(spot.detail).replace(spot.agent, self._agent(spot.agent))
        return f"agent {self._agent(spot.agent)}, {spot.kind.replace('_', ' ')}: {detail}"

    def _trait(self, trait: AlertTrait, at: int) -> TraitView:
        value = trait.value
        if value is not None and self._unmasked is None:
            value = self._masker.trait(trait.kind, value)
        leads_to = None if trait.leads_to is None else self._who(trait.leads_to, at)
        through = None if trait.through is None else self._who(trait.through, at)
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
        return None if person_id is None else self._who(person_subject(person_id), at)

    def _who(self, subject: str, at: int) -> Who:
        person: PersonRecord | None = None
        if subject.startswith("person:"):
            person = self._directory.person(subject.removeprefix("person:"))
        status, days = self._directory.status_at(person, at)
        unmasked = self._unmasked[subject] if self._unmasked is not None else None
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
