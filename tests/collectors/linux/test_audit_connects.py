"""Who connects, beside drives that are watched: each record reaches the one that asked for it."""

from __future__ import annotations

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collectors.linux import audit_rules
from collectors.linux.audit import AuditSource
from collectors.linux.audit_connects import AuditConnects, ConnectFact
from tests.collectors.linux.real_mounts import needs_root

_ACTS = """
import os, socket, sys
os.chdir(sys.argv[1])
os.setgid(20502), os.setuid(20502)
for number in range(300):
    with open(str(number), "w") as file:
        file.write("a")
socket.socket().connect_ex(("127.0.0.1", 9))
print(os.getpid())
"""


pytestmark = [pytest.mark.root, needs_root]


def test_what_is_written_on_a_watched_drive_does_not_come_to_the_one_who_asks_for_connects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As in an agent's process: other tests in this one watched drives before.
    monkeypatch.setattr(audit_rules, "_instances", itertools.count(1))
    folder = tmp_path / "drive"
    folder.mkdir()
    folder.chmod(0o777)
    drives, connects = AuditSource(), AuditConnects(1000)
    try:
        drives.watch(str(folder))
        done = subprocess.run(
            [sys.executable, "-I", "-c", _ACTS, str(folder)], check=True, capture_output=True, text=True
        )
        pid = int(done.stdout)
        facts: list[ConnectFact] = []
        end = time.monotonic() + 20
        while not any(fact.pid == pid for fact in facts) and time.monotonic() < end:
            facts += connects.read()
            drives.pump()
            time.sleep(0.02)
        (fact,) = [fact for fact in facts if fact.pid == pid]
        assert (fact.address, fact.port, fact.uid) == ("127.0.0.1", 9, 20_502)
        # Others on this machine may have rules of their own.
        assert not [record for record in connects._pending.values() if f" pid={pid} ".encode() in record]
    finally:
        connects.close()
        drives.close()
