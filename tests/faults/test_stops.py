"""Agent, server or PostgreSQL stand still (SIGSTOP) and go on: nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.chain import Chain, until
from tests.faults.conftest import MakeChain
from tests.postgres_server.server import PostgresServer

pytestmark = pytest.mark.long

STOP_SECONDS = float(os.environ.get("LEAVER_STOP_SECONDS", "7"))
"""Longer than every wait of the agent here (3 s). 60 is the minute."""


@contextmanager
def _stopped(*pids: int) -> Iterator[None]:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def test_an_agent_and_a_server_that_stand_still_in_turn_go_on_by_themselves(
    tmp_path: Path, make_chain: MakeChain
) -> None:
    chain = make_chain(tmp_path)
    up = chain.start_server()
    chain.enrol()
    chain.start_agent()
    assert chain.agent is not None
    chain.allow(50)
    chain.wait_for_all(50)
    chain.allow(100_000)
    with _stopped(up.process.pid):
        until("the agent tells it", lambda: chain.problem().startswith("nothing is sent"), 30)
        time.sleep(STOP_SECONDS - 3)
    until("it is well again", lambda: not chain.problem())
    with _stopped(chain.agent.pid):
        time.sleep(STOP_SECONDS)
    time.sleep(1)
    chain.allow(0)
    _all_stored(chain)


def test_a_postgresql_that_stands_still_with_all_its_sessions_is_waited_for(
    tmp_path: Path, make_chain: MakeChain, postgres_server: PostgresServer
) -> None:
    name = postgres_server.new_database(migrated=False)
    chain = make_chain(tmp_path, f'[database]\nurl = "{postgres_server.url(name)}"\n')
    chain.start_server()
    assert chain.up is not None
    chain.enrol()
    chain.start_agent()
    chain.allow(50)
    chain.wait_for_all(50)
    chain.allow(100_000)
    sessions = [child.pid for child in psutil.Process(postgres_server.pid).children()]
    with _stopped(postgres_server.pid, *sessions):
        time.sleep(STOP_SECONDS)
        with chain.up.client() as client:
            assert not _is_ready(client)
    chain.allow(0)
    _all_stored(chain)
    chain.close()
    postgres_server.drop_database(name)


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz", timeout=2).status_code == 200
    except httpx.TimeoutException:
        return False


def _all_stored(chain: Chain) -> None:
    def seen() -> int:
        status = chain.agent_status()
        return 0 if status is None or status.heartbeat.backlog_events else status.heartbeat.next_seq

    until("the spool is empty", lambda: seen() > 100)
    # Its last words: what it said before may be older than its last event.
    chain.stop_agent()
    status = chain.agent_status()
    assert status is not None
    chain.start_agent()
    chain.wait_for_all(status.heartbeat.next_seq)
