"""Policies for programs: the list with what each found, one with its text, dry runs, publishing, exceptions.
What the caller's role may not see is left out as on the pages."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from event_schema.struct_base import Milliseconds
from policies.errors import PolicyErrors
from policies.rule_file import FILE_BYTES_MAX
from server.accounts.views_recorded import note_view
from server.api.errors import ApiError
from server.backtest.severity_changes import SeverityChanges
from server.console.api_calls import ApiCall, Nothing
from server.console.page import Ask, Console
from server.console.policies.changing import (
    Problem,
    Runner,
    held_version,
    problems_of,
    told,
)
from server.console.policies.filters import Filters, filtered, page_of
from server.console.policies.sheets import Sheets
from server.console.policies.sight import sight_of
from server.dry_runs.gate import Publishing, checked_text, publish_switch, publish_text
from server.dry_runs.running import DAYS, DAYS_MAX, Wanted
from server.dry_runs.stored_runs import Status, find_run, summary_of_run
from server.dry_runs.summary import TopPerson
from server.people.roles import Right
from server.policies.listing import ExceptionRow, State
from server.policies.versions import Kind, Origin, PolicyVersion, current_versions, versions_of_rule

Words = Annotated[str, Meta(max_length=200)]
Text = Annotated[str, Meta(max_length=FILE_BYTES_MAX)]
Reason = Annotated[str, Meta(min_length=1, max_length=1000)]
Whole = Annotated[int, Meta(ge=0, le=2**31 - 1)]


class PoliciesQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As the page's filters. `after`: id of the last policy of the page before."""

    q: Words = ""
    state: Literal["", "on", "off"] = ""
    channel: Words = ""
    tag: Words = ""
    show: Literal["", "noisy", "silent", "changed", "expiring"] = ""
    after: Words = ""


class PolicyAnswer(msgspec.Struct, frozen=True):
    """`alerts`: that began on each of the last 30 days, the oldest first. `precision`: of those that were
    judged. Both null where the policy is about somebody by name, for who may not see alerts."""

    id: str
    title: str
    kind: Kind
    state: State
    level: str
    family: str
    channels: tuple[str, ...]
    tags: tuple[str, ...]
    version: int
    changed: bool
    saved_at: Milliseconds
    saved_by: str
    alerts: tuple[int, ...] | None
    people: int | None
    precision: float | None
    exceptions: int
    expiring: int


class PoliciesAnswer(msgspec.Struct, frozen=True):
    """A hundred at a time, the noisiest first. `count`: all that fit. `counted_at`: when the figures were."""

    policies: tuple[PolicyAnswer, ...]
    count: int
    next_after: str | None
    counted_at: Milliseconds


class VersionAnswer(msgspec.Struct, frozen=True):
    """`text`: null where its file is gone. `hash`: of the text as it is kept, in SHA-256; null where the
    caller sees less of it, since a guess at the rest could be held against it."""

    number: int
    text: str | None
    hash: str | None
    enabled: bool
    origin: Origin
    saved_at: Milliseconds
    saved_by: str
    reason: str


class VersionsAnswer(msgspec.Struct, frozen=True):
    """The newest first, thirty at most; the first holds."""

    id: str
    kind: Kind
    versions: tuple[VersionAnswer, ...]


class ExceptionsAnswer(msgspec.Struct, frozen=True):
    """`hidden` is -1 where it is not told."""

    exceptions: tuple[ExceptionRow, ...]


class TextBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: Text


class ProblemsAnswer(msgspec.Struct, frozen=True):
    """`line` 0: of another policy, which is named."""

    problems: tuple[Problem, ...]


class DryRunBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`base`: the version that it is made from. Without `text`: the one that holds, to be switched."""

    base: Whole
    text: Text | None = None
    enabled: bool = True
    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = DAYS


class BegunAnswer(msgspec.Struct, frozen=True):
    run: int


class DryRunAnswer(msgspec.Struct, frozen=True):
    """Pairs are as it runs, and as tried. What it found is null until it is done, and where it is about
    somebody by name, for who may not see alerts."""

    run: int
    rule: str
    base: int
    status: Status
    alerts: tuple[int, int] | None = None
    people: tuple[int, int] | None = None
    confirmed: int | None = None
    confirmed_missed: int | None = None
    severities: SeverityChanges | None = None
    top: tuple[TopPerson, ...] | None = None


class PublishBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`run`: a dry run that ended well, of what is to be published."""

    base: Whole
    run: Annotated[int, Meta(ge=1, le=2**53)]
    reason: Reason


class PublishedAnswer(msgspec.Struct, frozen=True):
    version: int
    hash: str


def policies(console: Console, ask: Ask, query: PoliciesQuery, _body: None) -> PoliciesAnswer:
    sight = sight_of(console, ask.viewer)
    sheet = sight.sheet(console.made(Sheets).of.sheet(now=ask.now))
    wanted = Filters(query.q, query.state, query.channel, query.tag.lower(), query.show)
    found = filtered(sheet.rows, wanted)
    rows, following = page_of(found, query.after)
    shown = []
    for row in rows:
        rule, figures, tells = row.rule, row.figures, sight.tells(row.names_people)
        shown.append(
            PolicyAnswer(
                id=rule.id,
                title=rule.title,
                kind=row.kind,
                state=rule.state,
                level=rule.level,
                family=rule.family,
                channels=row.channels,
                tags=rule.tags,
                version=rule.version,
                changed=rule.changed,
                saved_at=rule.saved_at,
                saved_by=rule.saved_by,
                alerts=figures.days if tells else None,
                people=figures.people if tells else None,
                precision=figures.precision if tells else None,
                exceptions=row.exceptions,
                expiring=row.expiring,
            )
        )
    return PoliciesAnswer(tuple(shown), len(found), following or None, sheet.counted_at)


def versions(console: Console, ask: Ask, _query: Nothing, _body: None) -> VersionsAnswer:
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        held = held_version(connection, ask.path["rule"])
        found = versions_of_rule(connection, held.rule_id)[:30]
    texts = sight.texts([each.text or "" for each in found])
    reasons = sight.prose(*(each.reason for each in found))
    shown = (
        VersionAnswer(
            each.number,
            text if each.text is not None else None,
            each.hash if sight.names or text == each.text else None,
            each.enabled,
            each.origin,
            each.saved_at,
            each.saved_by,
            reason,
        )
        for each, text, reason in zip(found, texts, reasons, strict=True)
    )
    return VersionsAnswer(held.rule_id, held.kind, tuple(shown))


def exceptions(console: Console, ask: Ask, _query: Nothing, _body: None) -> ExceptionsAnswer:
    sight = sight_of(console, ask.viewer)
    sheet = console.made(Sheets).of.sheet(now=ask.now)
    with console.database.read() as connection:
        held = current_versions(connection)
    rows = [each for each in sheet.exceptions if each.state != "gone"]
    return ExceptionsAnswer(tuple(sight.exceptions(rows, held)))


def check(console: Console, ask: Ask, _query: Nothing, body: TextBody) -> ProblemsAnswer:
    with console.database.read() as connection:
        held = current_versions(connection)
        found = held_version(connection, ask.path["rule"])
    try:
        checked_text(body.text, found.rule_id, file=found.file, held=held, now=ask.now)
    except PolicyErrors as errors:
        return ProblemsAnswer(tuple(problems_of(errors.errors, found.file, ask.look.language)))
    return ProblemsAnswer(())


def begin_dry_run(console: Console, ask: Ask, _query: Nothing, body: DryRunBody) -> BegunAnswer:
    with console.database.read() as connection:
        found = held_version(connection, ask.path["rule"])
    text = body.text if body.text is not None else found.text or ""
    wanted = Wanted(found.rule_id, body.base, text, body.enabled, body.days)
    return BegunAnswer(
        told(console, ask, lambda: console.made(Runner).of.begin(wanted, actor=ask.viewer.actor))
    )


def dry_run(console: Console, ask: Ask, _query: Nothing, _body: None) -> DryRunAnswer:
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        run = told(console, ask, lambda: find_run(connection, ask.path["run"]))
        summary = summary_of_run(connection, run.id)
    answer = DryRunAnswer(run.id, run.rule_id, run.base, run.status)
    if summary is None or not sight.tells(summary.names_people):
        return answer
    note_view(console, ask, f"dry_run:{run.id}")
    report = summary.report
    return msgspec.structs.replace(
        answer,
        alerts=report.alerts,
        people=report.people,
        confirmed=report.leaks.found,
        confirmed_missed=report.leaks.now_missing,
        severities=report.severities,
        # Pseudonyms are for those who see no names.
        top=summary.top if sight.alerts else (),
    )


def publish(console: Console, ask: Ask, _query: Nothing, body: PublishBody) -> PublishedAnswer:
    with console.database.read() as connection:
        found = held_version(connection, ask.path["rule"])
        run = told(console, ask, lambda: find_run(connection, body.run))
    if run.rule_id != found.rule_id:
        raise ApiError(404, "not_found", "there is no such dry run of this policy")
    wanted, actor = Publishing(found.rule_id, body.base, body.reason), ask.viewer.actor

    def work() -> PolicyVersion:
        with console.database.begin() as connection:
            if run.text == found.text and run.enabled != found.enabled:
                return publish_switch(connection, wanted, enabled=run.enabled, actor=actor, now=ask.now)
            return publish_text(connection, wanted, run.text, actor=actor, now=ask.now)

    version = told(console, ask, work)
    return PublishedAnswer(version.number, version.hash)


_RULE = "/api/v1/policies/{rule}"
_BODY_BYTES = 7 * FILE_BYTES_MAX
"""A text whose characters are all escaped, and what stands beside it."""
API = [
    ApiCall(
        "GET",
        "/api/v1/policies",
        Right.SEE_POLICIES,
        policies,
        PoliciesAnswer,
        "Policies, the noisiest first",
        PoliciesQuery,
    ),
    ApiCall(
        "GET",
        "/api/v1/policies/exceptions",
        Right.SEE_POLICIES,
        exceptions,
        ExceptionsAnswer,
        "Exceptions and what each hid",
    ),
    ApiCall("GET", _RULE, Right.SEE_POLICIES, versions, VersionsAnswer, "A policy's versions and texts"),
    ApiCall(
        "POST",
        f"{_RULE}/check",
        Right.CHANGE_POLICIES,
        check,
        ProblemsAnswer,
        "What is wrong with a text; changes nothing",
        body=TextBody,
        body_limit=_BODY_BYTES,
    ),
    ApiCall(
        "POST",
        f"{_RULE}/dry-runs",
        Right.CHANGE_POLICIES,
        begin_dry_run,
        BegunAnswer,
        "Begins a dry run of a text, or of switching",
        body=DryRunBody,
        body_limit=_BODY_BYTES,
    ),
    ApiCall(
        "GET",
        "/api/v1/dry-runs/{run:int}",
        Right.SEE_POLICIES,
        dry_run,
        DryRunAnswer,
        "How far a dry run is, and what it found",
    ),
    ApiCall(
        "POST",
        f"{_RULE}/publish",
        Right.CHANGE_POLICIES,
        publish,
        PublishedAnswer,
        "Publishes what a dry run tried",
        body=PublishBody,
    ),
]
