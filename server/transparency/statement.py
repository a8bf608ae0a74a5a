"""The statement for the people who are watched: everything that is collected, why, how long it stays, who
sees it, and what is never collected.

Made from what runs: the fields from the program's own types, the collectors from the endpoints' settings,
the times from the server's, who sees what from people/roles.py. Nothing in it is written by hand twice.
"""

from __future__ import annotations

from typing import Final

import msgspec
from sqlalchemy import Connection

from event_schema.channel_facts import CHANNEL_FACTS
from event_schema.field_registry import FieldSpec, control_fields, field_registry
from server.config import RetentionConfig, ServerConfig
from server.evidence_pack.stored import KEPT_DAYS
from server.evidence_pack.stored import KEPT_DAYS as PACKS_DAYS
from server.people.roles import Right, Role, may
from server.transparency.collectors_on import Running, running_collectors
from server.transparency.words import Words, words

NEVER: Final[tuple[str, ...]] = (
    "the content of files, messages and mails",
    "subjects of mails and names of their recipients",
    "keystrokes",
    "the screen, the camera, the microphone",
    "command lines and their arguments",
    "which web pages somebody reads, and query strings of addresses",
    "titles of print jobs",
    "values in database statements, and results",
    "where somebody is",
    "private devices that run no agent",
)
FROM_HR: Final[tuple[tuple[str, str], ...]] = (
    ("id and name", "to know whose accounts and machines these are; the name shows only after unmasking"),
    ("accounts", "to know who acted"),
    ("machines and devices handed out", "to know who acted, and what has to come back"),
    ("department, job and manager", "to compare with people who do similar work, and whom to ask"),
    ("time zone", "to tell working hours where the person is"),
    ("start, notice and last working day", "what leaves shortly before or after a last day weighs more"),
    ("kind of leaving and of employment", "to know which rules of a leaving hold"),
    ("notes of HR and sign-offs", "who did what about a leaving; seen by HR and administrators"),
)
RIGHTS: Final[dict[Right, str]] = {
    Right.SEE_NAMES: "sees people, accounts and machines by name",
    Right.SEE_LEAVERS: "sees who leaves when, and what is still open",
    Right.SEE_LAST_USE: "sees that an account was used after its person left",
    Right.SEE_ALERTS: "sees alerts and their evidence",
    Right.UNMASK: "may take off a pseudonym: one person, with a reason, for an hour, on the record",
    Right.FLAG_LEAVERS: "may say that somebody leaves",
    Right.CHANGE_HOLDINGS: "may close accounts and note machines that came back",
    Right.TRIAGE: "judges alerts",
    Right.SEE_POLICIES: "sees the rules",
    Right.MAKE_EXCEPTIONS: "may except somebody or something from a rule",
    Right.CHANGE_POLICIES: "may change the rules",
    Right.SEE_FLEET: "sees agents and their machines",
    Right.MANAGE_ACCOUNTS: "manages who signs in",
    Right.SEE_AUDIT: "reads the record of who saw and did what",
}


class Field(msgspec.Struct, frozen=True):
    """`names`: its value can give a person away; analysts see a pseudonym there. `by`: titles of the
    collectors that fill it."""

    path: str
    purpose: str
    names: bool
    by: tuple[str, ...] = ()


class Collector(msgspec.Struct, frozen=True):
    name: str
    title: str
    sees: str
    why: str
    is_on: bool
    by_default: bool
    labels: bool


class Kept(msgspec.Struct, frozen=True):
    """`days` None: as `until` says."""

    what: str
    days: int | None
    until: str | None
    setting: str | None = None


class WhoSees(msgspec.Struct, frozen=True):
    role: Role
    sees: tuple[str, ...]
    not_this: tuple[str, ...]


class Statement(msgspec.Struct, frozen=True):
    """`seen`: fields that collectors which run fill. `derived`: what the server adds. `of_agents`: what
    agents say of themselves. `contact`: empty where nobody set one."""

    collectors: tuple[Collector, ...]
    seen: tuple[Field, ...]
    derived: tuple[Field, ...]
    of_agents: tuple[Field, ...]
    from_hr: tuple[tuple[str, str], ...]
    never: tuple[str, ...]
    kept: tuple[Kept, ...]
    access: tuple[WhoSees, ...]
    contact: str
    settings_say: Words


def statement(connection: Connection, config: ServerConfig) -> Statement:
    """As of the connection's snapshot. Reads settings and heartbeats alone."""
    running = running_collectors(connection)
    return Statement(
        collectors=tuple(
            Collector(name, facts.title, facts.sees, facts.why, each.is_on, each.by_default, each.labels)
            for name, each in running.items()
            for facts in (CHANNEL_FACTS[name],)
        ),
        seen=tuple(_seen(running)),
        derived=tuple(_field(spec) for spec in field_registry().values() if spec.path.startswith("leaver.")),
        of_agents=tuple(_field(spec) for spec in control_fields()),
        from_hr=FROM_HR,
        never=NEVER,
        kept=kept(config.retention),
        access=access(),
        contact=config.company.privacy_contact,
        settings_say=words(
            "{n} of {all} collectors run.",
            n=sum(each.is_on for each in running.values()),
            all=len(running),
        ),
    )


def kept(retention: RetentionConfig) -> tuple[Kept, ...]:
    """How long what stays."""
    events, alerts = retention.events_days, retention.alerts_days
    return (
        Kept(
            "events as the endpoints sent them, and what was worked out from them",
            events,
            None,
            "events_days",
        ),
        Kept("alerts, counted from their closing; open ones stay", alerts, None, "alerts_days"),
        Kept(
            "sums by person, activity and day, from which models learn what is usual",
            retention.activity_days,
            None,
            "activity_days",
        ),
        Kept(
            "who used which machine, device, address and account, counted from the last time",
            retention.uses_days,
            None,
            "uses_days",
        ),
        Kept("cases and what was noted in them, counted from their closing", alerts, None, "alerts_days"),
        Kept("evidence packs that were made of cases", PACKS_DAYS, None),
        Kept("cases with notes and verdicts, counted from their closing", alerts, None, "alerts_days"),
        Kept("packs of evidence on the server, counted from their making", KEPT_DAYS, None),
        Kept("what HR said before a correction", alerts, None, "alerts_days"),
        Kept("people, their names, dates, accounts and machines", None, "until they are erased"),
        Kept(
            "digests that keep late events of erased people out",
            retention.erased_accounts_days,
            None,
            "erased_accounts_days",
        ),
        Kept("the record of who saw and did what, by pseudonym", None, "for good"),
    )


def access() -> tuple[WhoSees, ...]:
    """Who sees and may what, by role."""
    return tuple(
        WhoSees(
            role,
            tuple(said for right, said in RIGHTS.items() if may(role, right)),
            tuple(RIGHTS[right] for right in (Right.SEE_NAMES, Right.SEE_ALERTS) if not may(role, right)),
        )
        for role in Role
    )


def _seen(running: dict[str, Running]) -> list[Field]:
    by: dict[str, list[str]] = {}
    specs: dict[str, FieldSpec] = {}
    for name, each in running.items():
        if each.is_on:
            facts = CHANNEL_FACTS[name]
            for spec in facts.fields(labels=each.labels):
                by.setdefault(spec.path, []).append(facts.title)
                specs[spec.path] = spec
    return [_field(specs[path], tuple(by[path])) for path in field_registry() if path in specs]


def _field(spec: FieldSpec, by: tuple[str, ...] = ()) -> Field:
    return Field(spec.path, spec.purpose, spec.names_person, by)
