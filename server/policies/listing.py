"""Rules and exceptions as `leaver policy list` and `show` tell of them: state, version, what they did."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import msgspec
from sqlalchemy import Connection, func, select

from event_schema.struct_base import Milliseconds
from policies.errors import PolicyError
from policies.exceptions import ParsedException
from policies.rule_file import (
    SHIPPED_RULES,
    ParsedText,
    RuleText,
    good_texts,
    parse_once,
    policy_of,
    read_folder,
)
from server.policies.versions import Origin, PolicyVersion, UnknownPolicy, change_of, current_versions
from server.store.tables import hidden_hits, rule_days

HITS_DAYS = 30
_DAY_MS = 86_400_000
_BEGINNING_MIN = 4

State = Literal["on", "off", "gone", "faulty", "ended"]


class RuleRow(msgspec.Struct, frozen=True):
    """`hits`, `people`: of the last HITS_DAYS days; `people` counts subjects. `changed`: it is not what this
    version of Leaver ships under the id. `outside_budget`: it alerts however many alerts there are."""

    id: str
    title: str
    state: State
    level: str
    family: str
    outside_budget: bool
    version: int
    hash: str
    origin: Origin
    changed: bool
    saved_at: Milliseconds
    saved_by: str
    file: str
    tags: tuple[str, ...]
    hits: int
    people: int
    exceptions: tuple[str, ...]


class ExceptionRow(msgspec.Struct, frozen=True):
    """`until`: exclusive. `hidden`: hits, of all days that are kept. `preview`: as it was counted before it
    was saved."""

    id: str
    title: str
    state: State
    rules: tuple[str, ...]
    owner: str
    reason: str
    until: Milliseconds
    version: int
    hash: str
    origin: Origin
    hidden: int
    last_hidden_at: Milliseconds | None
    preview: dict[str, Any] | None


class Listing(msgspec.Struct, frozen=True):
    """`faults`: of versions that this Leaver cannot run."""

    rules: tuple[RuleRow, ...]
    exceptions: tuple[ExceptionRow, ...]
    faults: tuple[PolicyError, ...]


def held_versions(connection: Connection) -> dict[str, PolicyVersion]:
    """What holds; before the first `leaver up` the shipped rules, as their version 0."""
    return current_versions(connection) or {
        each.rule_id: each for each in map(_unpublished, shipped_texts().values())
    }


def shipped_texts() -> dict[str, ParsedText]:
    """By id."""
    texts, _ = read_folder(SHIPPED_RULES)
    return {each.rule_id: each for each in map(parse_once, texts) if each.rule_id is not None}


def find_version(held: Iterable[PolicyVersion], given: str) -> PolicyVersion:
    """By id or how it begins, by file (with or without its ending) or title. Raises UnknownPolicy, which says
    what may have been meant."""
    wanted = given.strip().casefold()
    versions = list(held)
    for step in range(3):
        found = [each for each in versions if wanted in _names(each, step, len(wanted))]
        if len(found) == 1:
            return found[0]
        if found:
            several = ", ".join(sorted(each.rule_id for each in found)[:5])
            raise UnknownPolicy(f"{given!r} is said of {len(found)}: {several}; give the id")
    known = {Path(each.file).stem: each.title for each in versions if each.kind != "exception"}
    near = get_close_matches(wanted, known, n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; see leaver policy list"
    raise UnknownPolicy(f"no rule or exception has the id, file or title {given!r}{hint}")


def _names(version: PolicyVersion, step: int, letters: int) -> set[str]:
    """What it may be called, the surest first: its id, its file and title, how its id begins."""
    match step:
        case 0:
            return {version.rule_id}
        case 1:
            return {version.file.casefold(), Path(version.file).stem.casefold(), version.title.casefold()}
        case _:
            return {version.rule_id[:letters]} if letters >= _BEGINNING_MIN else set()


def policy_listing(connection: Connection, *, now: int, counted: bool = True) -> Listing:
    """now: ms UTC. `counted`: False leaves the rules' hits and people at 0."""
    held = held_versions(connection)
    parsed = _parsed(held)
    runs, faults = _running(held, parsed)
    shipped = {rule_id: each.text.hash for rule_id, each in shipped_texts().items()}
    hits = _hits(connection, now // _DAY_MS - HITS_DAYS) if counted else {}
    exceptions = _exceptions(connection, held, parsed, runs, now)
    rules = [
        _rule_row(version, parsed.get(version.rule_id), version.rule_id in runs, shipped, hits, exceptions)
        for version in held.values()
        if version.kind != "exception"
    ]
    order = ("critical", "high", "medium", "low", "informational", "")
    rules.sort(key=lambda row: (row.family, order.index(row.level), row.title))
    return Listing(tuple(rules), exceptions, tuple(faults))


def exception_rows(connection: Connection, *, now: int, runs: Collection[str]) -> tuple[ExceptionRow, ...]:
    """The exceptions of a listing. `runs`: ids of what is good and in use."""
    held = {key: each for key, each in held_versions(connection).items() if each.kind == "exception"}
    return _exceptions(connection, held, _parsed(held), runs, now)


def _parsed(held: Mapping[str, PolicyVersion]) -> dict[str, ParsedText]:
    return {
        each.rule_id: parse_once(RuleText(each.file, each.text, each.number))
        for each in held.values()
        if each.text is not None
    }


def _running(
    held: Mapping[str, PolicyVersion], parsed: Mapping[str, ParsedText]
) -> tuple[set[str], list[PolicyError]]:
    """Ids of what is good and in use; what is wrong with the others."""
    used, others = (
        [parsed[rule_id] for rule_id, each in held.items() if rule_id in parsed and each.runs is runs]
        for runs in (True, False)
    )
    good, faults = good_texts(used, others)
    return {each.rule_id for each in good if each.rule_id is not None}, faults


def _exceptions(
    connection: Connection,
    held: Mapping[str, PolicyVersion],
    parsed: Mapping[str, ParsedText],
    runs: Collection[str],
    now: int,
) -> tuple[ExceptionRow, ...]:
    """Those that end first come first."""
    hidden = _hidden(connection)
    rows = [
        _exception_row(each.parsed, held[rule_id], rule_id in runs, hidden, now)
        for rule_id, each in parsed.items()
        if isinstance(each.parsed, ParsedException)
    ]
    return tuple(sorted(rows, key=lambda row: row.until))


def _unpublished(text: ParsedText) -> PolicyVersion:
    change = change_of(text, "shipped")
    fields = msgspec.structs.asdict(change)
    return PolicyVersion(
        **fields,
        id=0,
        number=0,
        hash=text.text.hash,
        saved_at=0,
        saved_by="",
        reason="",
    )


def _state(version: PolicyVersion, runs: bool) -> State:
    if version.text is None:
        return "gone"
    if not version.enabled:
        return "off"
    return "on" if runs else "faulty"


def _rule_row(
    version: PolicyVersion,
    text: ParsedText | None,
    runs: bool,
    shipped: dict[str, str],
    hits: dict[str, tuple[int, int]],
    exceptions: Sequence[ExceptionRow],
) -> RuleRow:
    policy = policy_of(text) if text is not None else None
    number, people = hits.get(version.rule_id, (0, 0))
    return RuleRow(
        id=version.rule_id,
        title=version.title,
        state=_state(version, runs),
        level=policy.level if policy is not None else "",
        family=policy.family if policy is not None else "",
        outside_budget=policy is not None and policy.always_alerts,
        version=version.number,
        hash=version.hash,
        origin=version.origin,
        changed=version.rule_id in shipped and shipped[version.rule_id] != version.hash,
        saved_at=version.saved_at,
        saved_by=version.saved_by,
        file=version.file,
        tags=policy.tags if policy is not None else (),
        hits=number,
        people=people,
        exceptions=tuple(row.id for row in exceptions if version.rule_id in row.rules and row.state == "on"),
    )


def _exception_row(
    parsed: ParsedException,
    version: PolicyVersion,
    runs: bool,
    hidden: dict[str, tuple[int, int]],
    now: int,
) -> ExceptionRow:
    state = _state(version, runs)
    number, last = hidden.get(version.rule_id, (0, 0))
    return ExceptionRow(
        id=version.rule_id,
        title=parsed.title,
        state="ended" if state == "on" and parsed.until <= now else state,
        rules=parsed.rules,
        owner=parsed.owner,
        reason=parsed.reason,
        until=parsed.until,
        version=version.number,
        hash=version.hash,
        origin=version.origin,
        hidden=number,
        last_hidden_at=last or None,
        preview=version.preview,
    )


def _hits(connection: Connection, since: int) -> dict[str, tuple[int, int]]:
    """(hits, subjects) by rule. since: local day."""
    query = (
        select(
            rule_days.c.rule_id,
            func.sum(rule_days.c.hits).label("hits"),
            func.count(rule_days.c.subject.distinct()).label("people"),
        )
        .where(rule_days.c.day >= since)
        .group_by(rule_days.c.rule_id)
    )
    return {row.rule_id: (int(row.hits), int(row.people)) for row in connection.execute(query)}


def _hidden(connection: Connection) -> dict[str, tuple[int, int]]:
    """(hits, time of the last) by exception."""
    query = select(
        hidden_hits.c.exception_id,
        func.sum(hidden_hits.c.hits).label("hits"),
        func.max(hidden_hits.c.last_time).label("last"),
    ).group_by(hidden_hits.c.exception_id)
    return {row.exception_id: (int(row.hits), row.last) for row in connection.execute(query)}
