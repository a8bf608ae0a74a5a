"""Certificates that ended while everything was off: who comes back by itself, and who needs a new line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.chain import Chain, now, until
from tests.faults.conftest import MakeChain
from tests.faults.machine_clock import DAY, MachineClock

pytestmark = pytest.mark.long


def _off_for(days: int, tmp_path: Path, make_chain: MakeChain) -> tuple[Chain, MachineClock]:
    """Server and endpoint were used, and started again so many days later. Certificates live for 90."""
    clock, chain = MachineClock(tmp_path), make_chain(tmp_path)
    chain.start_server(clock.environment)
    chain.enrol()
    chain.start_agent(clock.environment)
    chain.allow(20)
    chain.wait_for_all(20)
    chain.stop_agent()
    chain.stop_server()
    clock.set(days * DAY)
    chain.start_server(clock.environment)
    chain.start_agent(clock.environment)
    chain.allow(40)
    return chain, clock


def test_after_a_hundred_days_off_server_and_agent_renew_their_certificates_by_themselves(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    chain, _clock = _off_for(100, tmp_path, make_chain)
    # All that is stored is old by the new time, and retention waits for somebody who confirms it.
    chain.wait_for_all(40)

    def until_when() -> int:
        status = chain.agent_status()
        return 0 if status is None else status.certificate_until

    until("the agent has another", lambda: until_when() > now() + 180 * DAY * 1000)


def test_after_the_grace_an_agent_says_that_it_needs_a_new_line_and_keeps_its_events_until_it_has_one(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    chain, clock = _off_for(130, tmp_path, make_chain)

    def told() -> str:
        status = chain.agent_status()
        return "" if status is None else chain.problem(at=status.written_at)

    until("it says so", lambda: told().startswith("its certificate ended on "))
    assert "leaver-agent enrol --replace" in told()
    assert "too long ago to renew it: enrol the machine anew" in chain.agent_log()
    assert len(chain.stored().copies) == 20
    chain.stop_agent()
    chain.enrol_anew(clock.environment)
    chain.start_agent(clock.environment)
    chain.wait_for_all(40)
