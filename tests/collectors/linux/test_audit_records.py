"""Joining audit records: odd names, interleaved acts, late questions, bounded tables. No kernel needed."""

from __future__ import annotations

import os

from collectors.linux import audit_records
from collectors.linux.audit_records import KEPT_MS, PATH, SYSCALL, AuditRecords
from collectors.linux.process_identity import Who

STICK = os.makedev(8, 17)
INO = 20922
T = 1_732_246_314_123


def records() -> AuditRecords:
    table = AuditRecords()
    table.set_devices({STICK: STICK})
    return table


def syscall(  # one record, as the kernel writes it
    serial: int,
    *,
    pid: int = 21384,
    uid: int = 1501,
    exe: str = '"/usr/bin/cp"',
    at_ms: int = T,
    ok: str = "yes",
) -> bytes:
    return (
        f"audit({at_ms // 1000}.{at_ms % 1000:03}:{serial}): arch=c000003e syscall=257 success={ok} exit=4 "
        f"a0=ffffff9c a1=7ffd a2=c1 a3=1a4 items=2 ppid=21382 pid={pid} auid=1000 uid={uid} gid=1501 "
        f"euid=0 suid=0 fsuid=0 egid=0 sgid=0 fsgid=0 tty=pts0 ses=3 comm={exe} exe={exe} "
        f'subj=unconfined key="leaver-removable-1-1"'
    ).encode()


def path(serial: int, name: str, *, inode: int = INO, device: str = "08:11", kind: str = "CREATE") -> bytes:
    return (
        f"audit(1732246314.123:{serial}): item=1 name={name} inode={inode} dev={device} mode=0100644 ouid=0 "
        f"ogid=0 rdev=00:00 nametype={kind} cap_fp=0 cap_fi=0 cap_fe=0 cap_fver=0 cap_frootid=0"
    ).encode()


def act(table: AuditRecords, serial: int, name: str = '"/m/a"', *, inode: int = INO, pid: int = 21384,
        uid: int = 1501, exe: str = '"/usr/bin/cp"', at_ms: int = T) -> None:  # fmt: skip
    table.feed(SYSCALL, syscall(serial, pid=pid, uid=uid, exe=exe, at_ms=at_ms))
    table.feed(PATH, path(serial, name, inode=inode))


def test_writer_of_a_file_is_found_by_inode_by_path_and_by_process() -> None:
    table = records()
    act(table, 1)
    cp = Who(uid=1501, user_name=None, exe="/usr/bin/cp", pid=21384, auid=1000, source="audit")
    assert table.find(21384, "?", (STICK, INO), T, of_file=True) == (cp, True)
    assert table.find(21384, "/m/a", None, T, of_file=True) == (cp, True)
    assert table.find(21384, "/m/a", None, T) == (cp, False)
    assert table.find(21384, "/m/other", None, T) == (cp, False)
    assert table.find(0, "/m/a", None, T) == (cp, True)
    # Who closed it is a child that inherited the open file: its opener is the best that is known.
    assert table.find(99, "?", (STICK, INO), T) == (cp, True)
    assert table.find(99, "?", (STICK, 1), T) == (None, False)


def test_interleaved_acts_are_told_apart_by_their_serial_number() -> None:
    table = records()
    table.feed(SYSCALL, syscall(1, pid=10, uid=100))
    table.feed(SYSCALL, syscall(2, pid=20, uid=200))
    table.feed(PATH, path(2, '"/m/b"', inode=2))
    table.feed(PATH, path(1, '"/m/a"', inode=1))
    first, second = table.find(10, "/m/a", (STICK, 1), T)[0], table.find(20, "/m/b", (STICK, 2), T)[0]
    assert first is not None
    assert second is not None
    assert (first.uid, second.uid) == (100, 200)


def test_names_with_spaces_and_beyond_ascii_come_in_hexadecimal() -> None:
    table = records()
    name = "/m/Kündigung für Émile.txt".encode() + b"\xff"
    program = "/opt/my tools/copy (deleted)"
    act(table, 1, name.hex().upper(), exe=program.encode().hex().upper())
    who, exact = table.find(0, os.fsdecode(name), None, T)
    assert exact
    assert who is not None
    assert who.exe == "/opt/my tools/copy"


def test_relative_name_is_known_by_inode_only() -> None:
    table = records()
    act(table, 1, '"a"')
    assert table.find(0, "/m/a", None, T) == (None, False)
    assert table.find(0, "a", None, T) == (None, False)
    assert table.find(0, "?", (STICK, INO), T)[1]


def test_what_failed_or_lies_on_another_device_is_not_kept() -> None:
    table = records()
    table.feed(SYSCALL, syscall(1, ok="no"))
    table.feed(PATH, path(1, '"/m/a"'))
    table.feed(SYSCALL, syscall(2))
    table.feed(PATH, path(2, '"/home/a"', device="fe:00"))
    assert table.find(21384, "/m/a", (STICK, 12), T) == (None, False)
    assert table.find(21384, "/home/a", (os.makedev(0xFE, 0), 12), T) == (None, False)


def test_file_on_btrfs_is_found_by_the_number_that_stat_shows() -> None:
    table = AuditRecords()
    table.set_devices({STICK: os.makedev(0, 55)})
    act(table, 1)
    assert table.find(0, "?", (os.makedev(0, 55), INO), T)[1]


def test_late_question_names_who_acted_then_not_who_came_after() -> None:
    table = records()
    act(table, 1, uid=100, pid=10)
    act(table, 2, uid=200, pid=20, at_ms=T + 5000)
    act(table, 3, uid=300, pid=10, at_ms=T + 9000)
    # One writer back is remembered, no further: nobody is named rather than the wrong one.
    assert [_uid(table, 0, T + ms) for ms in (1, 6000, 9000)] == [None, 200, 300]
    assert [_uid(table, 10, T + ms) for ms in (1, 9000)] == [100, 300]
    assert _uid(table, 10, T - 5000) is None


def test_process_that_writes_many_files_is_known_for_the_first_one_after_the_last() -> None:
    table = records()
    for number in range(1000):
        act(table, number, f'"/m/{number}"', inode=number, at_ms=T + number)
    assert _uid(table, 21384, T) == 1501
    assert table.find(21384, "?", (STICK, 0), T, of_file=True)[1]


def test_set_user_id_program_acts_for_its_caller_and_a_service_of_root_for_whom_it_serves() -> None:
    table = records()
    act(table, 1, uid=1501, pid=10)
    assert _uid(table, 10, T) == 1501
    table.feed(SYSCALL, syscall(2, uid=0, pid=11).replace(b"fsuid=0", b"fsuid=1502"))
    table.feed(PATH, path(2, '"/m/a"'))
    assert _uid(table, 11, T) == 1502


def test_entries_expire() -> None:
    table = records()
    act(table, 1)
    assert _uid(table, 21384, T + KEPT_MS) == 1501
    assert _uid(table, 21384, T + KEPT_MS + 1) is None


def test_tables_are_bounded_and_what_had_to_go_is_counted() -> None:
    table = records()
    for number in range(audit_records.MOST_FILES + 3):
        act(table, number, f'"/m/{number}"', inode=number, pid=number)
    assert table.dropped["audit_file_evicted"] == 3
    assert (
        table.dropped["audit_process_evicted"] == audit_records.MOST_FILES + 3 - audit_records.MOST_PROCESSES
    )
    assert table.find(0, "?", (STICK, 2), T) == (None, False)
    assert table.find(0, "?", (STICK, 3), T)[1]
    newest = audit_records.MOST_FILES + 2
    for kept, found in ((audit_records.MOST_PATHS, False), (audit_records.MOST_PATHS - 1, True)):
        assert table.find(0, f"/m/{newest - kept}", None, T)[1] is found
    for kept, found in ((audit_records.MOST_PROCESSES, False), (audit_records.MOST_PROCESSES - 1, True)):
        assert (table.find(newest - kept, "?", None, T)[0] is not None) is found


def test_acts_whose_names_do_not_come_are_let_go() -> None:
    table = records()
    for serial in range(audit_records.MOST_PENDING + 1):
        table.feed(SYSCALL, syscall(serial))
    for serial in (0, 1):
        table.feed(PATH, path(serial, f'"/m/{serial}"', inode=serial + 100))
    assert table.find(0, "/m/0", None, T) == (None, False)
    assert table.find(0, "/m/1", None, T)[1]


def test_garbage_is_counted_or_let_go_and_the_rest_is_kept() -> None:
    table = records()
    for text in (b"", b"audit(", b"audit(x.y:1): ", b"audit(1.2:3", b"\xff" * 100, syscall(5)[:40]):
        for kind in (SYSCALL, PATH):
            table.feed(kind, text)
    table.feed(SYSCALL, syscall(7))
    table.feed(PATH, b"audit(1732246314.123:7): item=0 name=(null) nametype=UNKNOWN")
    table.feed(PATH, path(7, "ABC"))
    act(table, 8)
    assert table.dropped["audit_record_unreadable"] >= 4
    assert table.find(0, "/m/a", None, T)[1]


def _uid(table: AuditRecords, pid: int, at_ms: int) -> int | None:
    who = table.find(pid, "/m/a", (STICK, INO), at_ms)[0]
    return None if who is None else who.uid
