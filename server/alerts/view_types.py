"""What analysts get to see of alerts: the shape of `leaver alerts --json`, the API and the console."""

from __future__ import annotations

from typing import Any

import msgspec

from analytics.told_explanation import ExplanationWords
from event_schema.leaver_fields import PersonStatus
from event_schema.struct_base import Milliseconds
from server.alerts.evidence_tally import System
from server.alerts.proof import EvidenceProof


class Unmasking(msgspec.Struct, frozen=True):
    """The right to see names, for the audit trail: who, when, why."""

    actor: str
    at: int
    reason: str


class Who(msgspec.Struct, frozen=True, omit_defaults=True):
    """A subject or person. Status and days are those at the alert's last event, as known today."""

    pseudonym: str
    status: PersonStatus
    days_to_last_day: int | None = None
    department: str | None = None
    time_zone: str | None = None
    id: str | None = None
    """With `name` and `accounts` only where unmasked."""
    name: str | None = None
    accounts: tuple[str, ...] = ()


class ShareView(msgspec.Struct, frozen=True):
    """A part of the score; the points of all add up to it."""

    source: str
    """A rule's id, risk.ANOMALY_SOURCE or SLOW_SOURCE."""
    title: str
    points: int
    share: float
    """Exact, 0-1; all add up to 1."""
    words: dict[str, str] = {}
    """The title by language, of what is no rule."""


class TraitView(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why an alert is about whom it is about, a trait; as traits.AlertTrait, masked."""

    kind: str
    words: dict[str, str]
    """By language; the names in it are those of `leads_to` and `through`."""
    value: str | None = None
    leads_to: Who | None = None
    through: Who | None = None
    since: Milliseconds | None = None
    until: Milliseconds | None = None
    others: int | None = None
    events: int = 0


class AlertView(msgspec.Struct, frozen=True):
    """One alert as a line of the queue."""

    id: int
    status: str
    score: int
    family: str
    who: Who
    account_owner: Who | None
    suspected_actor: Who | None
    traits: tuple[TraitView, ...]
    sentence: dict[str, str]
    """By language; made without names."""
    events: int
    first_time: Milliseconds
    last_time: Milliseconds
    opened_at: Milliseconds
    updated_at: Milliseconds
    verdict: str | None
    reason: str | None
    closed_at: Milliseconds | None
    closed_by: str | None
    looked_back_at: Milliseconds | None = None
    """As in `Alert`, as are the next."""
    owner: str | None = None
    snoozed_until: Milliseconds | None = None
    merged_into: int | None = None


class EventView(msgspec.Struct, frozen=True):
    agent: str
    epoch: str
    seq: int
    time: Milliseconds
    act: str
    """As in `EvidenceView.acts`."""
    bytes: int
    """What it adds to `EvidenceView.bytes`."""
    event: dict[str, Any]
    """The event's fields, and `leaver` beside them."""


class DestinationView(msgspec.Struct, frozen=True):
    device: dict[str, Any] | None
    volume: str | None
    remote: str | None
    files: int
    bytes: int


class EvidenceView(msgspec.Struct, frozen=True):
    """`largest` are the events in full, ordered as `Evidence.events`: marked files and known exports, other
    labelled files, then by size. The counts are of all events that were read."""

    total: int
    files: int
    bytes: int
    acts: dict[str, int]
    destinations: tuple[DestinationView, ...]
    systems: tuple[System, ...]
    labels: dict[str, int]
    """As in `Evidence`."""
    fidelity: dict[str, int]
    """As in `Evidence`."""
    largest: tuple[EventView, ...]
    not_shown: int
    """Events that were read and are not in `largest`."""
    not_seen: tuple[str, ...]
    missing: int
    damaged: tuple[str, ...]
    read_all: bool


class EarlierAlert(msgspec.Struct, frozen=True):
    """A closed alert of the same subject and family with days of this one: its events are not among these."""

    id: int
    verdict: str
    closed_at: int


class AlertDetail(msgspec.Struct, frozen=True):
    alert: AlertView
    shares: tuple[ShareView, ...]
    facts: dict[str, Any]
    policy_version: str
    model_id: int | None
    evidence: EvidenceView
    proof: EvidenceProof
    explanation: dict[str, ExplanationWords] = {}
    """By language; empty where nothing is to be said beside the sentence."""
    held: dict[str, str] = {}
    """By language, why it is not alerted; empty: it is."""
    earlier: tuple[EarlierAlert, ...] = ()
    """The latest first."""
