"""A real server on loopback, and machines that are enrolled with it: for the agent's tests."""

from __future__ import annotations

from pathlib import Path

from agent.enrolment import EnrolmentLine, enrol
from agent.identity import Identity
from agent.server_client import Timeouts
from event_schema.wire import WireRecord
from server.api.app import create_app
from server.api.https_server import HttpsServer
from tests.server.api.running_server import RunningServer

SHORT = Timeouts(connect_seconds=3.0, answer_seconds=5.0)


def line_for(server: RunningServer, name: str) -> EnrolmentLine:
    return EnrolmentLine(server.url, server.authority.fingerprint, server.invite(name))


def enrolled(server: RunningServer, state_dir: Path, name: str = "host-1") -> Identity:
    return enrol(line_for(server, name), state_dir, replace=False, timeouts=SHORT)


def stop_https(server: RunningServer) -> None:
    server.https.stop()
    assert server.https.join(10)


def start_https(server: RunningServer) -> None:
    """Listens again where it did before, with the same log and database."""
    server.https = HttpsServer(
        create_app(server.service),
        server.url.removeprefix("https://"),
        server.pki.ensure_server(server.authority, server.config.listen),
        connections=200,
    )
    server.https.start()


def all_logged(server: RunningServer) -> list[WireRecord]:
    """Every record on the server's log, however many."""
    found: list[WireRecord] = []
    position = 0
    while entries := server.log.read({0: position}, max_records=500, timeout=0):
        found += [entry.record for entry in entries if entry.record is not None]
        position = entries[-1].offset + 1
    return found
