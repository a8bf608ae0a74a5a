"""The broker as the demo starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.long]

REPOSITORY = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "tests.kafka_broker", "--run"]


def start(scratch: Path, *arguments: str) -> tuple[subprocess.Popen[str], tuple[str, int]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        # What a killed starter leaves behind goes with the test's own folder.
        env={**os.environ, "TMPDIR": str(scratch)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    host, _, port = process.stdout.readline().strip().rpartition(":")
    return process, (host, int(port))


def wait_until_gone(address: tuple[str, int]) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(address, timeout=1).close()
        except OSError:
            return
        assert time.monotonic() < deadline, f"{address} still answers"
        time.sleep(0.1)


@pytest.mark.parametrize("how", ["standard input ends", "SIGTERM", "SIGKILL"])
def test_the_broker_runs_until_whoever_started_it_is_done(how: str, tmp_path: Path) -> None:
    # The demo's asks for certificates; one of the three is enough to see it start and end alike.
    process, address = start(tmp_path, *(["--pki", str(tmp_path)] if how == "SIGTERM" else []))
    socket.create_connection(address, timeout=5).close()
    if how == "standard input ends":
        assert process.stdin is not None
        process.stdin.close()
    else:
        process.send_signal(signal.Signals[how])
    code = process.wait(30)
    assert code == (-signal.SIGKILL if how == "SIGKILL" else 0)
    wait_until_gone(address)
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def test_without_java_it_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND,
        cwd=REPOSITORY,
        env={**os.environ, "PATH": str(tmp_path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "`java` is missing" in done.stderr
    assert "apt-get install default-jre-headless" in done.stderr
