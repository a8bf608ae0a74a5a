"""An agent that floods is held to its quota, loses nothing by it, and takes nothing from others."""

from __future__ import annotations

import pytest

from server.api import agent_quota
from server.api.agent_quota import AT_ONCE_MAX, REQUEST_COST, AgentQuota
from server.api.errors import ApiError

BIG = 1 << 20
SMALL = 70_000


class Seconds:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def quota(seconds: Seconds) -> AgentQuota:
    return AgentQuota(100, 1000, monotonic=seconds)


def _send(quota: AgentQuota, agent: str, events: int) -> int:
    """0 when it was taken, else the seconds to wait."""
    try:
        with quota.one_request(agent, BIG if events else 500, SMALL):
            quota.take(agent, events)
    except ApiError as error:
        assert error.status == 429
        assert error.retry_after is not None
        return error.retry_after
    return 0


def test_over_any_time_no_more_comes_than_the_bucket_what_flows_in_and_one_request(
    quota: AgentQuota, seconds: Seconds
) -> None:
    taken = 0
    for _ in range(600):
        taken += 0 if _send(quota, "flood", 50) else 50
        seconds.now += 0.1
    assert 0.6 * (1000 + 60 * 100) <= taken <= 1000 + 60 * 100 + 50


def test_who_waits_as_long_as_it_is_asked_to_gets_through_with_any_request(
    quota: AgentQuota, seconds: Seconds
) -> None:
    for _ in range(5):
        assert _send(quota, "big", 5000) == 0
        wait = _send(quota, "big", 5000)
        assert 30 <= wait <= 60
        seconds.now += wait


def test_heartbeats_of_an_agent_that_floods_come_through_until_they_are_a_flood_themselves(
    quota: AgentQuota,
) -> None:
    while not _send(quota, "flood", 1000):
        pass
    beats = 0
    while not (wait := _send(quota, "flood", 0)):
        beats += 1
        assert beats < 1000
    assert beats > 10
    assert wait >= 1


def test_one_agents_flood_costs_another_nothing(quota: AgentQuota) -> None:
    while not _send(quota, "flood", 1000):
        pass
    assert _send(quota, "quiet", 100) == 0


def test_small_requests_have_a_price_too(quota: AgentQuota) -> None:
    sent = 0
    while not _send(quota, "chatter", 1):
        sent += 1
    assert sent <= 1000 / REQUEST_COST


def test_only_a_few_requests_of_an_agent_are_worked_on_at_once(quota: AgentQuota) -> None:
    held = [quota.one_request("a", BIG, SMALL) for _ in range(AT_ONCE_MAX)]
    for request in held:
        request.__enter__()
    assert _send(quota, "a", 1) == 1
    assert _send(quota, "b", 1) == 0
    for request in held:
        request.__exit__(None, None, None)
    assert _send(quota, "a", 1) == 0


def test_a_wait_is_never_longer_than_a_minute(seconds: Seconds) -> None:
    slow = AgentQuota(10, 1000, monotonic=seconds)
    assert _send(slow, "a", 200_000) == 0
    assert _send(slow, "a", 1) == 60


def test_buckets_that_filled_up_again_are_forgotten(
    quota: AgentQuota, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_quota, "AGENTS_MAX", 50)
    assert _send(quota, "flood", 5000) == 0
    for number in range(200):
        assert _send(quota, f"agent-{number}", 1) == 0
        seconds.now += 0.05
    assert len(quota._buckets) <= 52
    assert _send(quota, "flood", 1000) > 0, "one that owes is not forgotten"
