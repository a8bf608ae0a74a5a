"""The kernel's audit system, for real: what Leaver asks of it, gives back, and leaves to others."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.contract import Unsupported
from collectors.linux import audit
from collectors.linux.audit import AuditSource
from collectors.linux.audit_control import (
    PROCTITLE,
    AuditControl,
    AuditStatus,
    key_of,
    quiet_mark_of,
    rule_for_writes_below,
)
from collectors.linux.audit_rules import BACKLOG_RECORDS, KEY, TROUBLE_S, check_status
from collectors.linux.process_identity import Who
from tests.collectors.linux.real_mounts import LoopMount, needs_root

pytestmark = [pytest.mark.root, needs_root]

AS_ANOTHER = ("setpriv", "--reuid=60123", "--regid=60123", "--clear-groups")


@pytest.fixture
def stick() -> Iterator[LoopMount]:
    # pytest's own folders are closed to other users.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with LoopMount(Path(folder), "Stick für Émile") as mount:
            yield mount


@pytest.fixture
def control() -> Iterator[AuditControl]:
    opened = AuditControl()
    yield opened
    opened.close()


@pytest.fixture
def source() -> Iterator[AuditSource]:
    opened = AuditSource()
    yield opened
    opened.close()


def write_as_another(stick: LoopMount, name: str) -> None:
    subprocess.run([*AS_ANOTHER, "cp", "/etc/hostname", f"{stick.target}/{name}"], check=True)


def found(source: AuditSource, path: str) -> Who | None:
    """What the source knows of the path, within two seconds."""
    deadline = time.monotonic() + 2
    while True:
        source.pump()
        who, _ = source.records.find(0, path, None, time.time_ns() // 1_000_000)
        if who is not None or time.monotonic() > deadline:
            return who
        select.select([source.fileno()], [], [], 0.05)


def leaver_rules(control: AuditControl) -> list[bytes]:
    """Rules of this process's sources, in the kernel."""
    rules = control.list_rules()
    return [
        rule
        for rule in rules
        if (key_of(rule) or "").startswith(f"{KEY}-{os.getpid()}-")
        or ((mark := quiet_mark_of(rule)) is not None and mark.pid == os.getpid())
    ]


def test_writer_below_a_watched_mount_is_known_without_auditd(stick: LoopMount, source: AuditSource) -> None:
    source.watch(stick.target)
    write_as_another(stick, "Liste (1) ü.csv")
    who = found(source, f"{stick.target}/Liste (1) ü.csv")
    assert who is not None
    assert (who.uid, who.exe, who.source) == (60123, "/usr/bin/cp", "audit")
    inode = Path(stick.target, "Liste (1) ü.csv").stat()
    now = time.time_ns() // 1_000_000
    inode_id = (inode.st_dev, inode.st_ino)
    assert source.records.find(who.pid, "?", inode_id, now, of_file=True) == (who, True)
    assert source.dropped() == {}


def test_removal_and_rename_are_recorded_as_well(stick: LoopMount, source: AuditSource) -> None:
    source.watch(stick.target)
    for name in ("a", "b"):
        Path(stick.target, name).write_bytes(b"x")
        os.chown(f"{stick.target}/{name}", 60123, 60123)
    subprocess.run([*AS_ANOTHER, "mv", f"{stick.target}/a", f"{stick.target}/renamed"], check=True)
    subprocess.run([*AS_ANOTHER, "rm", f"{stick.target}/b"], check=True)
    mover, remover = found(source, f"{stick.target}/renamed"), found(source, f"{stick.target}/b")
    assert mover is not None
    assert (mover.uid, mover.exe) == (60123, "/usr/bin/mv")
    deadline = time.monotonic() + 2
    while (remover is None or remover.uid == 0) and time.monotonic() < deadline:
        remover = found(source, f"{stick.target}/b")
    assert remover is not None
    assert (remover.uid, remover.exe) == (60123, "/usr/bin/rm")


def test_reading_and_writing_elsewhere_are_not_recorded(
    stick: LoopMount, tmp_path: Path, source: AuditSource
) -> None:
    source.watch(stick.target)
    Path(tmp_path, "elsewhere").write_bytes(b"x")
    Path(stick.target, "first").write_bytes(b"x")
    Path(stick.target, "first").read_bytes()
    Path(stick.target, "last").write_bytes(b"x")
    assert found(source, f"{stick.target}/last") is not None
    assert source.records.find(0, f"{tmp_path}/elsewhere", None, time.time_ns() // 1_000_000) == (None, False)
    assert found(source, f"{stick.target}/first") is not None


def test_close_gives_back_all_that_was_changed(stick: LoopMount, control: AuditControl) -> None:
    before, rules_before = control.status(), control.list_rules()
    source = AuditSource()
    assert control.status() == before
    source.watch(stick.target)
    assert control.status().enabled == 1
    assert control.status().backlog_limit >= BACKLOG_RECORDS
    assert len(leaver_rules(control)) == 2
    source.close()
    source.close()
    assert leaver_rules(control) == []
    if not rules_before and not control.list_rules():
        after = control.status()
        assert (after.enabled, after.backlog_limit) == (before.enabled, before.backlog_limit)


def test_rules_of_others_stay_and_keep_auditing_on(stick: LoopMount, control: AuditControl) -> None:
    enabled_before = control.status().enabled
    theirs = rule_for_writes_below(os.fsencode(stick.target), "somebody-else")
    control.add_rule(theirs)
    try:
        source = AuditSource()
        source.watch(stick.target)
        # Their rule matches first, so the records carry their key.
        write_as_another(stick, "x")
        who = found(source, f"{stick.target}/x")
        source.close()
        assert who is not None
        assert who.uid == 60123
        assert "somebody-else" in [key_of(rule) for rule in control.list_rules()]
        assert control.status().enabled == 1
    finally:
        control.delete_rule(theirs)
        if not control.list_rules():
            control.set_enabled(enabled_before)


@pytest.mark.parametrize("next_watches", [True, False])
def test_what_a_killed_agent_left_is_cleared_up_by_the_next(
    stick: LoopMount, control: AuditControl, next_watches: bool
) -> None:
    before, rules_before = control.status(), control.list_rules()
    code = (
        "import sys, time; from collectors.linux.audit import AuditSource\n"
        "source = AuditSource(); source.watch(sys.argv[1]); print('ready', flush=True); time.sleep(60)"
    )
    killed = subprocess.Popen([sys.executable, "-c", code, stick.target], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"ready\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    left = f"{KEY}-{killed.pid}-1"
    assert left in [key_of(rule) for rule in control.list_rules()]
    source = AuditSource()
    if next_watches:
        source.watch(stick.target)
    else:
        source.clear_up()
    try:
        rules = control.list_rules()
        assert left not in [key_of(rule) for rule in rules]
        assert killed.pid not in [mark.pid for rule in rules if (mark := quiet_mark_of(rule)) is not None]
        if not next_watches and not rules_before and not rules:
            assert control.status().enabled == before.enabled
    finally:
        source.close()
    if not rules_before and not control.list_rules():
        assert control.status().enabled == before.enabled


@pytest.mark.parametrize("watch_is_first", [True, False])
def test_leaver_agent_watch_that_ends_leaves_auditing_to_the_agent_that_runs(
    stick: LoopMount, control: AuditControl, tmp_path: Path, watch_is_first: bool
) -> None:
    before, rules_before = control.status(), control.list_rules()
    config = tmp_path / "agent.toml"
    config.write_text(
        f'[agent]\nstate_dir = "{tmp_path}"\n\n'
        f'[collectors.removable_storage]\nextra_mounts = ["{stick.target}"]\n'
    )
    running = AuditSource()
    if not watch_is_first:
        running.watch(stick.target)
    program = [str(Path(sys.executable).parent / "leaver-agent"), "watch", "--config", str(config)]
    watching = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert watching.stdout is not None
    try:
        assert watching.stdout.readline().startswith(b"TIME")
        of_watch = f"{KEY}-{watching.pid}-1"
        assert of_watch in [key_of(rule) for rule in control.list_rules()]
        running.watch(stick.target)
        watching.terminate()
        assert watching.wait(10) == 0
        assert of_watch not in [key_of(rule) for rule in control.list_rules()]
        assert control.status().enabled == 1
        assert len(leaver_rules(control)) == 2
        write_as_another(stick, "afterwards")
        who = found(running, f"{stick.target}/afterwards")
        assert who is not None
        assert (who.uid, who.exe) == (60123, "/usr/bin/cp")
    finally:
        watching.kill()
        watching.communicate()
        running.close()
    if not rules_before and not control.list_rules():
        assert control.status().enabled == before.enabled


def test_rule_that_somebody_removes_is_put_back_while_the_stick_is_mounted(
    stick: LoopMount, control: AuditControl, source: AuditSource
) -> None:
    source.watch(stick.target)
    rule = next(rule for rule in leaver_rules(control) if key_of(rule) is not None)
    control.delete_rule(rule)
    deadline = time.monotonic() + 2
    while source.repair_wait_s() is None and time.monotonic() < deadline:
        source.pump()
    assert source.repair_wait_s() is not None
    source.repair()
    assert source.dropped()["audit_rule_put_back"] == 1
    assert source.trouble() is None
    write_as_another(stick, "again")
    assert found(source, f"{stick.target}/again") is not None


def test_unmounting_takes_the_rule_along_and_is_no_trouble(
    stick: LoopMount, control: AuditControl, source: AuditSource
) -> None:
    source.watch(stick.target)
    write_as_another(stick, "x")
    stick.unmount()
    source.pump()
    source.repair()
    source.unwatch(stick.target)
    source.unwatch(stick.target)
    assert not [rule for rule in leaver_rules(control) if key_of(rule) is not None]
    assert found(source, f"{stick.target}/x") is not None
    assert (source.trouble(), source.dropped()) == (None, {})


def test_command_lines_are_not_even_made_by_the_kernel(stick: LoopMount, source: AuditSource) -> None:
    source.watch(stick.target)
    everything = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 9)
    everything.bind((0, 0))
    everything.setsockopt(270, 1, 1)
    # Room (SO_RCVBUFFORCE) for what others on the machine do meanwhile.
    everything.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
    everything.settimeout(0.5)
    for number in range(5):
        write_as_another(stick, f"secret-argument-{number}")
    kinds = set()
    try:
        while True:
            kinds.add(struct.unpack_from("=IH", everything.recv(16_384))[1])
    except TimeoutError:
        everything.close()
    assert 1300 in kinds
    assert PROCTITLE not in kinds


def test_overflow_of_the_socket_is_counted_and_reading_goes_on(
    stick: LoopMount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "SOCKET_BYTES", 32_768)
    source = AuditSource()
    source.watch(stick.target)
    try:
        # Another agent that ends just now switches auditing off for a moment: write until it shows.
        deadline = time.monotonic() + 20
        while "audit_socket_overflow" not in source.dropped() and time.monotonic() < deadline:
            for number in range(500):
                Path(stick.target, str(number)).write_bytes(b"x")
            while source.pump():
                pass
        assert source.dropped()["audit_socket_overflow"] >= 1
        after: list[bool] = []
        while not any(after) and time.monotonic() < deadline + 10:
            Path(stick.target, f"after{len(after)}").write_bytes(b"x")
            after.append(found(source, f"{stick.target}/after{len(after)}") is not None)
        assert any(after)
    finally:
        source.close()


@pytest.mark.parametrize(("enabled", "failure"), [(2, 1), (1, 2)])
def test_locked_rules_and_a_system_that_halts_on_a_loss_are_left_alone(enabled: int, failure: int) -> None:
    with pytest.raises(Unsupported, match=r"auditctl -[ef] 2"):
        check_status(AuditStatus(enabled=enabled, failure=failure, daemon_pid=1, backlog_limit=64, lost=0))


def test_without_the_capability_it_says_what_is_missing() -> None:
    code = (
        "from collectors.linux import audit, proc_events\nfrom collectors.contract import Unsupported\n"
        "for check in (audit.check, proc_events.check):\n"
        "    try: check()\n"
        "    except Unsupported as reason: print(reason)"
    )
    dropped = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", sys.executable, "-c", code]
    said = subprocess.run(dropped, check=True, capture_output=True, text=True).stdout.splitlines()
    assert "CAP_AUDIT_CONTROL" in said[0]
    assert "CAP_NET_ADMIN" in said[1]
    audit.check()


def test_auditing_switched_off_by_somebody_is_told_and_respected_until_it_is_on_again(
    stick: LoopMount, control: AuditControl
) -> None:
    now = [0.0]
    source = AuditSource(monotonic=lambda: now[0])
    source.watch(stick.target)
    control.set_enabled(0)
    try:
        deadline = time.monotonic() + 2
        while source.repair_wait_s() is None and time.monotonic() < deadline:
            source.pump()
        source.repair()
        assert source.trouble() == "somebody switched auditing off"
        assert control.status().enabled == 0
        assert source.repair_wait_s() == TROUBLE_S
    finally:
        control.set_enabled(1)
    now[0] += TROUBLE_S
    assert source.repair_wait_s() == 0.0
    source.repair()
    assert (source.trouble(), source.repair_wait_s()) == (None, None)
    source.close()
