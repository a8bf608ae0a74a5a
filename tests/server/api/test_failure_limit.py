"""Failures by address: counted for a minute, IPv6 by network, in bounded memory."""

from __future__ import annotations

from server.api.failure_limit import ADDRESSES_MAX, FailureLimit


class _Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_address_waits_until_its_oldest_failure_is_a_minute_old() -> None:
    time = _Time()
    limit = FailureLimit(3, monotonic=time)
    for _ in range(3):
        assert limit.wait_seconds("10.0.0.1") == 0
        limit.failed("10.0.0.1")
        time.now += 10
    assert limit.wait_seconds("10.0.0.1") == 30
    assert limit.wait_seconds("10.0.0.2") == 0
    time.now += 29.5
    assert limit.wait_seconds("10.0.0.1") == 1
    time.now += 0.5
    assert limit.wait_seconds("10.0.0.1") == 0
    limit.failed("10.0.0.1")
    assert limit.wait_seconds("10.0.0.1") == 10


def test_one_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() -> None:
    limit = FailureLimit(1, monotonic=_Time())
    limit.failed("2001:db8::1")
    assert limit.wait_seconds("2001:db8::ffff:2") > 0
    assert limit.wait_seconds("2001:db8:0:1::1") == 0
    limit.failed("::ffff:10.0.0.1")
    assert limit.wait_seconds("10.0.0.1") > 0


def test_memory_is_bounded_and_the_latest_failures_are_remembered() -> None:
    limit = FailureLimit(1, monotonic=_Time())
    for number in range(ADDRESSES_MAX + 10):
        limit.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(limit._failures) == ADDRESSES_MAX
    assert limit.wait_seconds("10.0.0.1") == 0
    last = ADDRESSES_MAX + 9
    assert limit.wait_seconds(f"10.{last >> 16}.{last >> 8 & 255}.{last & 255}") > 0
