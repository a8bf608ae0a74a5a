"""One policy: what it is for, its text with an editor for administrators, and what is wrong with a text while
it is typed."""

from __future__ import annotations

import uuid

import msgspec
from starlette.responses import Response

from policies.errors import PolicyErrors
from policies.rule_file import RuleText, parse_once, policy_of
from server.api.errors import ApiError
from server.console.page import Ask, Console, Page
from server.console.policies.changing import FORM_BYTES, NEW, held_version, own_id, problems_of, text_of
from server.console.policies.filters import techniques
from server.console.policies.header import header_of
from server.console.policies.sight import sight_of
from server.console.policies.words import Words
from server.dry_runs.gate import checked_text
from server.dry_runs.stored_runs import DryRun, UnknownDryRun, find_run
from server.people.roles import Right
from server.policies.versions import current_versions

_BLANK = """\
title: What it finds, in a few words
id: {rule_id}
status: test
description: Who does what, and why it matters.
logsource:
  product: leaver
  service: removable_storage
detection:
  selection:
    class_uid: 1001
    file.ext: xlsx
  condition: selection
level: medium
leaver:
  family: removable_storage_copy
  runbook: What the analyst does first.
tests:
  firing:
    - name: a spreadsheet
      record: file_copied
      with: {{file.ext: xlsx}}
  silent:
    - name: a picture
      record: file_copied
"""


def policy(console: Console, ask: Ask) -> Response:
    """GET /policies/{rule}"""
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        found = held_version(connection, ask.path["rule"])
    tried = _tried(console, ask) if sight.changes else None
    text = found.text or ""
    if tried is not None and tried.rule_id == found.rule_id:
        text = tried.text
    about = policy_of(parse_once(RuleText(found.file, found.text, found.number))) if found.text else None
    said = [about.description, about.runbook] if about is not None else ["", ""]
    held = msgspec.structs.replace(found, text=text)
    shown, description, runbook = sight.text_of(held, *said)
    head = header_of(console, ask, sight, found)
    return ask.page(
        "policies/policy.html",
        head=head,
        text=shown,
        description=description,
        runbook=[line for line in runbook.splitlines() if line.strip()],
        # What runs has none.
        problems=_problems(console, ask, found.rule_id, text)
        if sight.changes and (text != found.text or head.state == "faulty")
        else [],
        sight=sight,
        say=Words(ask.text),
        is_new=False,
        action=f"/policies/{found.rule_id}",
        base=found.number,
        techniques=techniques(about.tags) if about is not None else [],
    )


def new(console: Console, ask: Ask) -> Response:
    """GET /policies/new"""
    tried = _tried(console, ask)
    text = tried.text if tried is not None and not tried.base else _BLANK.format(rule_id=uuid.uuid4())
    return ask.page(
        "policies/policy.html",
        head=None,
        text=text,
        description="",
        runbook=[],
        problems=[],
        sight=sight_of(console, ask.viewer),
        say=Words(ask.text),
        is_new=True,
        action=f"/policies/{NEW}",
        base=0,
        techniques=[],
    )


def _tried(console: Console, ask: Ask) -> DryRun | None:
    """The dry run whose text is to be edited on."""
    number = ask.query.get("run", "")[:10]
    if not (number.isascii() and number.isdigit()):
        return None
    with console.database.read() as connection:
        try:
            return find_run(connection, int(number))
        except UnknownDryRun:
            return None


def check(console: Console, ask: Ask) -> Response:
    """POST /policies/{rule}/check: what is wrong with the text, as a part of the page."""
    problems = _problems(console, ask, ask.path["rule"].lower(), text_of(ask))
    return ask.fragment_of("policies/_problems.html", problems=problems)


def _problems(console: Console, ask: Ask, rule_id: str, text: str) -> list[object]:
    with console.database.read() as connection:
        held = current_versions(connection)
    before = held.get(rule_id)
    if before is None and rule_id != NEW:
        raise ApiError(404, "not_found", ask.text("There is no such policy, version or person."))
    file = before.file if before is not None else f"{NEW}.yml"
    try:
        checked_text(text, own_id(rule_id, text), file=file, held=held, now=ask.now)
    except PolicyErrors as errors:
        return list(problems_of(errors.errors, file, ask.look.language))
    return []


PAGES = [
    Page("GET", "/policies/new", Right.CHANGE_POLICIES, new),
    Page("GET", "/policies/{rule}", Right.SEE_POLICIES, policy),
    Page("POST", "/policies/{rule}/check", Right.CHANGE_POLICIES, check, form_limit=FORM_BYTES),
]
