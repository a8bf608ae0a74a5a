"""Windows of correlations made anew: with acts through accounts of others, and with days that they lack."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from policies.engine import PolicySet
from server.pipeline.subject_state import CORRELATED
from server.pipeline.worker import PipelineWorker
from server.store.tables import correlation_groups, rule_days
from tests.server.enrich.people_who_left import act
from tests.server.look_back.company import STAYS, TODAY, archive, enrolled, flag, take_over
from tests.server.look_back.outcomes import look_back, looking_back, rows
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.correlated import correlation, rule
from tests.server.pipeline.endpoint import Endpoint

pytestmark = pytest.mark.databases("sqlite")

ACTED = "00000000-0000-4000-8000-000000000021"
OFTEN = "00000000-0000-4000-8000-000000000022"
HOUR = 3_600_000


def _policies() -> PolicySet:
    acted = rule(ACTED, "acted", {"leaver.suspect.days_since_left|gte": 1})
    about_suspect = msgspec.structs.replace(acted.policy, about="suspect")
    often = {"type": "event_count", "rules": ["acted"], "timespan": "7d", "condition": {"gte": 3}}
    return PolicySet(
        [msgspec.structs.replace(acted, policy=about_suspect)], [correlation(OFTEN, "often", often, 7)]
    )


def _of_alice(server: Server) -> dict[str, Any]:
    found = [row for row in rows(server, rule_days) if row["subject"] == "person:E1"]
    groups = [row for row in rows(server, correlation_groups) if row["subject"] == "person:E1"]
    return {"rules": found, "groups": groups}


@pytest.mark.parametrize("neighbours", [50, 0])
def test_acts_through_a_colleagues_account_are_in_them_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, neighbours: int
) -> None:
    monkeypatch.setattr("server.look_back.neighbours.NEIGHBOURS_MAX", neighbours)
    policies, endpoint = _policies(), Endpoint("laptop-1")
    enrolled(server, [endpoint])
    take_over(server, "id,accounts,manager\nE2,boris,\nE1,alice,E2\n")
    flag(server, TODAY - 60, notice=TODAY - 70)
    own = [act("alice", NOW - n * DAY, device="phone-1", ip="198.51.100.7") for n in (89, 85, 80)]
    his = [act("boris", NOW - n * DAY, device="pc-2", ip="198.51.100.8") for n in (89, 70, 40, 3)]
    hers = [act("boris", NOW - n * HOUR, device="phone-1", ip="198.51.100.7") for n in (5, 4, 3)]
    server.log.append([endpoint.record(own + his), endpoint.record(hers)])
    worker = PipelineWorker(server.database, server.log, clock=server.clock, policies=policies)
    while worker.step(0).records:
        pass
    before = _of_alice(server)
    assert {row["channel"] for row in before["rules"]} == {"access_log~", CORRELATED}
    assert before["groups"]
    flag(server, TODAY - 60, notice=TODAY - 71)
    assert look_back(server, policies) == 1
    assert _of_alice(server) == before


def test_days_before_those_that_are_looked_back_at_are_not_taken_for_quiet_ones(server: Server) -> None:
    copied = rule(ACTED, "acted", {"file.name|endswith": ".zip"})
    seldom = {"type": "event_count", "rules": ["acted"], "timespan": "7d", "condition": {"lt": 2}}
    policies, endpoint = PolicySet([copied], [correlation(OFTEN, "seldom", seldom, 7)]), Endpoint("desk-1")
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    server.log.append([endpoint.record([archive(NOW - n * DAY) for n in (8, 3)])])
    worker = PipelineWorker(server.database, server.log, clock=server.clock, policies=policies)
    while worker.step(0).records:
        pass
    before = [(row["channel"], row["day"]) for row in rows(server, rule_days)]
    assert (CORRELATED, TODAY - 3) not in before
    flag(server)
    assert looking_back(server, policies=policies, days=5).step() == 1
    assert [(row["channel"], row["day"]) for row in rows(server, rule_days)] == before
