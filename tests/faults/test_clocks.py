"""The clock of server or endpoint is set a year ahead or back, and right again, while events flow."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from server.data_directory import DataDirectory
from server.trusted_clock import read_kept
from tests.faults.chain import Chain, Stored, now, until
from tests.faults.conftest import MakeChain
from tests.faults.machine_clock import DAY, YEAR, MachineClock
from tests.server.up.up_process import leaver

pytestmark = pytest.mark.long

SLACK_MS = 3_000


def _assert_dated(found: Stored, files: range, began: int) -> None:
    """Each at about the time when it really happened."""
    wrong = {
        n: found.times[n] - began for n in files if not began - SLACK_MS <= found.times[n] <= now() + SLACK_MS
    }
    assert wrong == {}


def _kinds(chain: Chain) -> set[str]:
    return {kind for kind, _ in chain.findings()}


@pytest.mark.parametrize("leap", [YEAR, -YEAR], ids=["ahead", "back"])
def test_a_year_on_the_servers_clock_dates_nothing_wrong_and_deletes_nothing(
    tmp_path: Path, make_chain: MakeChain, leap: int
) -> None:
    clock, chain = MachineClock(tmp_path), make_chain(tmp_path)
    began = now()
    chain.start_server(clock.environment)
    chain.enrol()
    chain.start_agent()
    chain.allow(30)
    chain.wait_for_all(30)

    clock.set(leap)
    chain.allow(60)
    _assert_dated(chain.wait_for_all(60), range(60), began)
    until("it is told", lambda: "clock_leapt" in _kinds(chain))
    assert not {"clock_wrong", "agent_silent", "not_running"} & _kinds(chain)
    shown = leaver("status", data=chain.data)
    assert f"365.0 days {'ahead of' if leap > 0 else 'behind'} the time that the server goes by" in " ".join(
        shown.stdout.split()
    )
    # A server that starts with such a clock, and sweeps at once.
    chain.stop_server()
    chain.start_server(clock.environment)
    kind = "clock_unsure" if leap > 0 else "clock_leapt"
    until("it is told", lambda: kind in _kinds(chain))
    chain.allow(90)
    time.sleep(1)
    assert chain.stored().copies.keys() >= set(range(60))

    clock.set(0)
    _assert_dated(chain.wait_for_all(90), range(90), began)
    until("nothing is odd any more", lambda: not {"clock_leapt", "clock_unsure"} & _kinds(chain))
    # What was enrolled and issued meanwhile is good.
    assert chain.up is not None
    with chain.up.client() as client:
        assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("leap", [YEAR, -YEAR], ids=["ahead", "back"])
def test_a_year_on_the_endpoints_clock_is_corrected_and_told(
    tmp_path: Path, make_chain: MakeChain, leap: int
) -> None:
    clock, chain = MachineClock(tmp_path), make_chain(tmp_path)
    began = now()
    chain.start_server()
    chain.enrol()
    chain.start_agent(clock.environment)
    chain.allow(30)
    chain.wait_for_all(30)
    chain.allow(100_000)
    for seconds in (leap, 0):
        clock.set(seconds)
        time.sleep(2)
        stored = len(chain.stored().copies)
        until("events flow", lambda stored=stored: len(chain.stored().copies) > stored + 20)  # type: ignore[misc]
        assert "clock_wrong" in _kinds(chain)
    chain.allow(0)
    chain.stop_agent()
    files = max(chain.stored().copies) + 1
    _assert_dated(chain.wait_for_all(files), range(files), began)


def test_an_agent_that_starts_with_a_wrong_clock_says_so_and_sends_when_it_is_right(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    clock, chain = MachineClock(tmp_path), make_chain(tmp_path)
    chain.start_server()
    chain.enrol()
    clock.set(YEAR)
    chain.start_agent(clock.environment)
    chain.allow(20)

    def told() -> bool:
        status = chain.agent_status()
        return status is not None and "this machine's clock says 20" in (status.shipping.fault or "")

    until("it says that its clock and the certificate do not fit", told)
    clock.set(0)
    began = now()
    chain.allow(30)
    found = chain.wait_for_all(30)
    _assert_dated(found, range(20, 30), began - 60_000)


def test_a_leap_that_the_endpoints_share_is_followed_and_certificates_are_renewed(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    """As where all of it, a virtual machine, was asleep: nobody set a clock wrong."""
    clock, chain = MachineClock(tmp_path), make_chain(tmp_path)
    chain.start_server(clock.environment)
    chain.enrol()
    chain.start_agent(clock.environment)
    chain.allow(30)
    chain.wait_for_all(30)
    asleep = 100 * DAY
    clock.set(asleep)
    later = now() + asleep * 1000
    chain.allow(60)
    found = chain.wait_for_all(60, seconds=120)
    # Those of the first moments may have been taken by the time before.
    assert all(found.times[n] >= later - SLACK_MS for n in range(55, 60))
    until("it is followed", lambda: not {"clock_leapt", "clock_unsure"} & _kinds(chain))
    # For a server that starts before it has read all that was stamped until then.
    kept = DataDirectory(chain.data)
    until("the leap is kept", lambda: read_kept(kept).stamped_early is not None, 10)
    early = read_kept(kept).stamped_early
    assert early is not None
    assert abs(early.by - asleep * 1000) < SLACK_MS
    until("both are well", lambda: chain.problem(at=now() + asleep * 1000) == "", 120)
