"""The rules and exceptions that this process runs, as of one version of the set; others take their place when
somebody saved more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection

from event_schema.ocsf_events import Event
from policies.engine import PolicySet
from policies.exceptions import ExceptionSet, Sifted
from policies.rule_file import ParsedText, RuleText, load_policies, load_texts, parse_once
from server.policies.versions import PolicyVersion, current_versions, hashes

_logger = logging.getLogger("leaver.policies")


class RunningPolicies(msgspec.Struct, frozen=True):
    """`number`: set_version; 0: the shipped rules as they lie there. `hashes`: of all versions that ever
    were, by rule id and version."""

    policies: PolicySet
    exceptions: ExceptionSet = ExceptionSet()
    number: int = 0
    hashes: Mapping[tuple[str, int], str] = {}

    def judge(self, event: Event, leaver: Mapping[str, Any], *, at: int) -> Sifted:
        """Which rules fire, and what exceptions hide. `leaver`: plain. at: the event's time, ms UTC."""
        return self.exceptions.sift(self.policies.match_event(event, leaver), event, leaver, at=at)


@cache
def _shipped() -> PolicySet:
    return load_policies()


class PolicyLoader:
    """Keeps what it parsed: a change of one rule costs one rule."""

    def __init__(self) -> None:
        self._parsed: dict[tuple[str, int], ParsedText] = {}

    def load(self, connection: Connection, number: int) -> RunningPolicies:
        """`number`: set_version of the connection's snapshot. A rule that this version of Leaver cannot run
        is left out, and logged; the others run."""
        if not number:
            return RunningPolicies(_shipped())
        held = [each for each in current_versions(connection).values() if each.text is not None]
        self._parsed = {(each.rule_id, each.number): self._parse(each) for each in held}
        used, others = ([self._parse(each) for each in held if each.runs is runs] for runs in (True, False))
        loaded = load_texts(used, out_of_use=others)
        for error in loaded.errors:
            _logger.error("policy_left_out", extra={"file": error.file, "line": error.line})
        return RunningPolicies(loaded.policies, loaded.exceptions, number, hashes(connection))

    def _parse(self, version: PolicyVersion) -> ParsedText:
        found = self._parsed.get((version.rule_id, version.number))
        if found is not None:
            return found
        assert version.text is not None
        return parse_once(RuleText(version.file, version.text, version.number))
