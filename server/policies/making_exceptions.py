"""Makes exceptions for the common cases: a person, an account, a machine, a device, a place. The one way for
the command line, the alert's page and the policies' page:

    found = prepare_exception(connection, wanted, rules, until=…, owner=…, reason=…, now=…)   # reads, counts
    keep_exception(connection, found, file=…, actor=…, reason=…, now=…)                       # writes

Counting what it would have hidden takes its time, so it is done before the write transaction.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import yaml
from sqlalchemy import Connection

from event_schema.field_registry import field_registry
from policies.errors import PolicyError, PolicyErrors
from policies.exception_file import LONGEST_DAYS
from policies.exceptions import ParsedException
from policies.rule_file import RuleText, parse_text, taken_over
from server.people.directory import load_directory
from server.people.pseudonyms import UnknownPseudonym, subject_of
from server.policies.preview import Preview, preview
from server.policies.versions import (
    PolicyVersion,
    UnknownPolicy,
    check_together,
    current_versions,
    save,
)

PREVIEW_DAYS = 30


_UNTIL = re.compile(r"(until\s*:\s*)['\"]?[0-9]{4}-[0-9]{2}-[0-9]{2}['\"]?")


class Wanted(msgspec.Struct, frozen=True):
    """What must all be true of an event for it to be hidden. `group`: a department, or a group of peers.
    `sha256`: of a file's content. `fields`: further ones, by dotted path."""

    person: str | None = None
    account: str | None = None
    host: str | None = None
    device: str | None = None
    destination: str | None = None
    group: str | None = None
    sha256: str | None = None
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def empty(self) -> bool:
        return self == Wanted()


class Prepared(msgspec.Struct, frozen=True):
    """An exception that is good among all that runs, and what it would have hidden. `told`: whether that may
    be told to those who see names: not where somebody's name is in it."""

    exception_id: str
    text: str
    parsed: ParsedException
    counted: Preview
    told: bool


def prepare_exception(
    connection: Connection,
    wanted: Wanted,
    rules: Sequence[PolicyVersion],
    *,
    until: datetime.date,
    owner: str,
    reason: str,
    now: int,
    by_pseudonym: bool = False,
    title: str | None = None,
    days: int = PREVIEW_DAYS,
) -> Prepared:
    """`rules`: that it is from. `by_pseudonym`: whoever asks named the person so. Reads only. now: ms UTC.

    Raises PolicyErrors, and ValueError where nothing says what is left out."""
    if wanted.empty:
        raise ValueError("say what is left out")
    held = current_versions(connection)
    named = [(each.rule_id, each.title) for each in rules]
    text = exception_text(wanted, named, until=until, owner=owner, reason=reason, title=title)
    parsed = taken_over(parse_text(RuleText("exception", text)), now)
    check_together(parsed, held)
    assert isinstance(parsed.parsed, ParsedException)
    counted = preview(connection, parsed.parsed, list(held.values()), now=now, days=days)
    told = not names_somebody(wanted, by_pseudonym=by_pseudonym)
    return Prepared(parsed.parsed.exception_id, text, parsed.parsed, counted, told)


def keep_exception(
    connection: Connection, prepared: Prepared, *, file: str, actor: str, reason: str, now: int
) -> PolicyVersion:
    """In use from now on. In a write transaction that is alone. Raises PolicyErrors, ValueError."""
    counted = msgspec.to_builtins(prepared.counted)
    return save(connection, prepared.text, file=file, actor=actor, reason=reason, now=now, preview=counted)


def extended(version: PolicyVersion, until: datetime.date) -> str:
    """The exception's text with another last day. Raises PolicyErrors, UnknownPolicy."""
    if version.kind != "exception" or version.text is None:
        raise UnknownPolicy(f"no exception has the id {version.rule_id}")
    document = parse_text(RuleText(version.file, version.text)).document
    at = document.lines.get(("leaver", "until"))
    lines = version.text.split("\n")
    changed = _UNTIL.sub(rf"\g<1>{until}", lines[at - 1], count=1) if at is not None else None
    if at is None or changed == lines[at - 1]:
        words = f"its last day is {until} already" if at is not None else "it says no last day"
        raise PolicyErrors((PolicyError(version.file, at or 1, words),))
    lines[at - 1] = str(changed)
    return "\n".join(lines)


def checked_last_day(given: str, now: int) -> datetime.date:
    """Raises ValueError, with words for whoever wrote it."""
    try:
        day = datetime.date.fromisoformat(given.strip())
    except ValueError as error:
        raise ValueError("write a day, as 2026-12-31") from error
    today = datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date()
    if not today <= day <= today + datetime.timedelta(days=LONGEST_DAYS):
        raise ValueError(f"it is not between today and {LONGEST_DAYS} days from now")
    return day


def person_by_pseudonym(connection: Connection, shown: str) -> str:
    """An id, never to be shown. Raises UnknownPseudonym."""
    kind, _, person_id = subject_of(connection, shown).partition(":")
    if kind != "person":
        raise UnknownPseudonym(f"{shown.strip()} is an account, not a person")
    return person_id


def person_by_any(connection: Connection, given: str) -> str:
    """An id that is known, by itself or by its pseudonym: for whoever may see names. Raises
    UnknownPseudonym."""
    if load_directory(connection).person(given.strip()) is not None:
        return given.strip()
    return person_by_pseudonym(connection, given)


def names_somebody(wanted: Wanted, *, by_pseudonym: bool) -> bool:
    """Whether what was given tells, without a pseudonym, who is meant."""
    specs = (field_registry().get(path.partition("|")[0]) for path, _ in wanted.fields)
    return (
        (wanted.person is not None and not by_pseudonym)
        or wanted.account is not None
        or any(spec is not None and spec.names_person for spec in specs)
    )


def exception_text(
    wanted: Wanted,
    rules: Sequence[tuple[str, str]],
    *,
    until: datetime.date,
    owner: str,
    reason: str,
    title: str | None = None,
    exception_id: str | None = None,
) -> str:
    """`rules`: (id, title). The title that is made names nobody. `exception_id`: else a new one."""
    selections = _selections(wanted)
    kinds = ", ".join(
        [*(each for each in selections if not each.startswith("field")), *(p for p, _ in wanted.fields)]
    )
    made = title or f"{rules[0][1]}: not of this {kinds}"
    document: dict[str, Any] = {
        "title": made,
        "id": exception_id or str(uuid.uuid4()),
        "logsource": {"product": "leaver"},
        "filter": {
            "rules": [rule_id for rule_id, _ in rules],
            **selections,
            "condition": f"not ({' and '.join(selections)})",
        },
        "leaver": {"owner": owner, "reason": reason, "until": until},
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)


def _selections(wanted: Wanted) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if wanted.person is not None:
        found["person"] = {"leaver.person.id": _plain(wanted.person)}
    if wanted.account is not None:
        found["account"] = _any_of(["actor.user.name", "user.name", "email.from"], wanted.account)
    if wanted.host is not None:
        found["host"] = {"device.hostname": _plain(wanted.host)}
    if wanted.device is not None:
        paths = ["unmapped.peripheral_device.uid", "peripheral_device.uid"]
        found["device"] = _any_of(paths, wanted.device)
    if wanted.destination is not None:
        place = _plain(wanted.destination)
        found["destination"] = [
            {"dst_endpoint.hostname": place},
            {"dst_endpoint.hostname|endswith": f".{place}"},
            {"dst_endpoint.svc_name": place},
            {"email.to|endswith": f"@{place}"},
        ]
    if wanted.group is not None:
        found["group"] = _any_of(["leaver.person.department", "leaver.person.peer_group"], wanted.group)
    if wanted.sha256 is not None:
        paths = ["file.hashes.value", "email.files.hashes.value"]
        found["content"] = _any_of(paths, wanted.sha256.strip().lower())
    for number, (path, value) in enumerate(wanted.fields, start=1):
        found[f"field{number}"] = {path: _typed(value)}
    return found


def _any_of(paths: Sequence[str], value: str) -> list[Mapping[str, str]]:
    return [{path: _plain(value)} for path in paths]


def _plain(value: str) -> str:
    """As it stands: * and ? and \\ mean themselves."""
    return value.replace("\\", "\\\\").replace("*", "\\*").replace("?", "\\?")


def _typed(value: str) -> Any:
    """Numbers and true and false as such; all else is Sigma's text, in which * and ? stand for others."""
    if value in ("true", "false"):
        return value == "true"
    return int(value) if value.lstrip("-").isdigit() else value
