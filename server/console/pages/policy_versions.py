"""Every version of a policy: who, when, why, and what it changed; any of them can be gone back to."""

from __future__ import annotations

import difflib
from typing import Final

import msgspec
from starlette.responses import Response

from server.console.page import Ask, Console, Page
from server.console.policies.changing import held_version
from server.console.policies.header import header_of
from server.console.policies.sight import Sight, sight_of
from server.console.policies.words import Words
from server.people.roles import Right
from server.policies.versions import PolicyVersion, versions_of_rule

SHOWN: Final = 30
"""Versions on a page, the newest first."""
_DIFF_LINES: Final = 400


class DiffLine(msgspec.Struct, frozen=True):
    """`sign`: + - or a space; @ where lines are left out, with the number of the next one."""

    sign: str
    text: str


class ShownVersion(msgspec.Struct, frozen=True):
    """`reason`: as the viewer may read it. `diff`: against the version before. `cut`: it has more lines."""

    version: PolicyVersion
    reason: str
    state: str
    diff: tuple[DiffLine, ...]
    cut: bool


def versions(console: Console, ask: Ask) -> Response:
    """GET /policies/{rule}/versions"""
    sight = sight_of(console, ask.viewer)
    with console.database.read() as connection:
        held = held_version(connection, ask.path["rule"])
        found = versions_of_rule(connection, held.rule_id)
    before = ask.query.get("before", "")
    if before.isdecimal():
        found = [each for each in found if each.number <= int(before[:10])]
    published = ask.query.get("published", "")
    return ask.page(
        "policies/versions.html",
        head=header_of(console, ask, sight, held),
        sight=sight,
        say=Words(ask.text),
        versions=_shown(sight, found),
        held=held,
        following=found[SHOWN].number if len(found) > SHOWN else 0,
        published=int(published[:10]) if published.isdecimal() else 0,
    )


def _shown(sight: Sight, found: list[PolicyVersion]) -> list[ShownVersion]:
    part = found[: SHOWN + 1]
    texts = sight.texts([each.text or "" for each in part])
    reasons = sight.prose(*(each.reason for each in part))
    shown = []
    for at, each in enumerate(part[:SHOWN]):
        earlier = texts[at + 1] if at + 1 < len(texts) else None
        lines = _diff(earlier, texts[at])
        state = "gone" if each.text is None else "on" if each.enabled else "off"
        shown.append(
            ShownVersion(each, reasons[at], state, tuple(lines[:_DIFF_LINES]), len(lines) > _DIFF_LINES)
        )
    return shown


def _diff(before: str | None, after: str) -> list[DiffLine]:
    """Empty where there is nothing before it, or nothing differs."""
    if before is None:
        return []
    lines = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    return [DiffLine(line[:1], _first_line(line) if line[:1] == "@" else line[1:]) for line in lines]


def _first_line(hunk: str) -> str:
    """11 of @@ -10,5 +11,6 @@."""
    return hunk.partition("+")[2].partition(" ")[0].partition(",")[0]


PAGES = [Page("GET", "/policies/{rule}/versions", Right.SEE_POLICIES, versions)]
