"""The program that answers fanotify, for real: nobody waits for it, whatever happens to it or the agent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.linux.marked_folders import MarkedFolders
from collectors.linux.open_reader import DEADLINE_S
from collectors.linux.opened_files import OpenedFile, OpenedFiles, Step
from collectors.linux.openings import MOST_ENDS, Openings
from tests.collectors.drives import Drive
from tests.collectors.linux.held_openers import HELD_S, WAIT_S, is_running, open_took, wait_for_end
from tests.collectors.linux.real_mounts import needs_root

pytestmark = [pytest.mark.root, needs_root]


@pytest.fixture
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="leaver-open-") as folder:
        Path(folder, "file").write_bytes(b"x" * 100)
        Path(folder, ".hidden").mkdir()
        yield Path(folder)


class Reading:
    """A reader with its marks."""

    def __init__(self, home: Path, step: Step, most: int = 1000) -> None:
        self.files = OpenedFiles(step)
        self.folders = MarkedFolders([str(home)], self.files.mark, most=most)
        self.seen: list[OpenedFile] = []
        self.until(lambda: self.folders.is_complete and len(self.folders) > 0 and not self.files.unconfirmed)

    def until(self, condition: Callable[[], bool], seconds: float = 10) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < limit, self.seen
            self.folders.turn()
            self.seen += self.files.read()
            time.sleep(0.01)

    def close(self) -> None:
        self.folders.close()
        self.files.close()


@pytest.fixture(params=["permission", "open"])
def reading(request: pytest.FixtureRequest, home: Path) -> Iterator[Reading]:
    opened = Reading(home, request.param)
    yield opened
    opened.close()


@pytest.fixture
def asking(home: Path) -> Iterator[Reading]:
    opened = Reading(home, "permission")
    yield opened
    opened.close()


def test_who_opened_what_is_told_with_size_and_program(reading: Reading, home: Path) -> None:
    reader = subprocess.Popen(["tail", "-f", home / "file"], stdout=subprocess.DEVNULL)
    try:
        reading.until(lambda: bool(reading.seen))
    finally:
        reader.kill()
        reader.wait()
    seen = reading.seen[0]
    assert (seen.pid, seen.path, seen.size, seen.written) == (reader.pid, str(home / "file"), 100, False)
    assert seen.inode == (home / "file").stat().st_ino
    assert abs(seen.at_ms - time.time() * 1000) < 10_000
    assert (seen.executable, seen.uid, seen.parent) == (str(Path("/usr/bin/tail").resolve()), 0, os.getpid())


def test_writing_is_told_apart_from_reading(reading: Reading, home: Path) -> None:
    subprocess.run(["sh", "-c", f"echo more >> {home}/file"], check=True)
    reading.until(lambda: any(each.written for each in reading.seen))


def test_folders_that_come_later_are_marked_and_hidden_ones_are_not(reading: Reading, home: Path) -> None:
    (home / "later" / "deeper").mkdir(parents=True)
    reading.until(lambda: len(reading.folders) == 3)
    (home / "later" / "deeper" / "new").write_bytes(b"x")
    (home / ".hidden" / "secret").write_bytes(b"x")
    moved = home.parent / f"{home.name}-moved"
    (moved / "within").mkdir(parents=True)
    moved.rename(home / "moved")
    reading.until(lambda: len(reading.folders) == 5)
    (home / "moved" / "within" / "new").write_bytes(b"x")
    for path in home.rglob("new"):
        subprocess.run(["cat", path], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cat", home / ".hidden" / "secret"], check=True, stdout=subprocess.DEVNULL)
    reading.until(lambda: sum(not each.written and each.size > 0 for each in reading.seen) >= 2)
    assert not any("secret" in each.path for each in reading.seen)


def test_hostile_names_links_and_fifos_do_no_harm(reading: Reading, home: Path) -> None:
    names = [b"new\nline", b"\xff\xfe\x80", b"\x1b[31mred", b"(deleted) (deleted)", b"n" * 255]
    for name in names:
        Path(os.fsdecode(os.fsencode(home) + b"/" + name)).write_bytes(b"x")
    (home / "loop").symlink_to(home)
    (home / "self").symlink_to("self")
    os.mkfifo(home / "fifo")
    for name in names:
        subprocess.run([b"cat", os.fsencode(home) + b"/" + name], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["timeout", "0.2", "cat", home / "fifo"], check=False)
    reading.until(lambda: {os.fsencode(each.path).rpartition(b"/")[2] for each in reading.seen} >= set(names))
    assert reading.files.fileno() >= 0


def test_what_others_serve_is_not_marked_also_when_it_is_mounted_later(home: Path) -> None:
    files = OpenedFiles("permission")
    folders = MarkedFolders([str(home)], files.mark, most=100)
    try:
        with Drive(home, "ntfs") as drive:
            (Path(drive.target) / "folder").mkdir()
            limit = time.monotonic() + 10
            while not folders.is_complete:
                assert time.monotonic() < limit
                folders.turn()
                files.read()
            assert folders.unsafe == {"fuseblk"}
            assert len(folders) == 1
    finally:
        folders.close()
        files.close()


def test_the_number_of_folders_is_bounded_and_what_is_left_out_is_counted(home: Path) -> None:
    for number in range(30):
        (home / f"folder{number}").mkdir()
    opened = Reading(home, "open", most=10)
    try:
        assert len(opened.folders) == 10
        assert opened.folders.dropped()["folders_over_the_limit"] == 21
    finally:
        opened.close()


def test_a_stopped_responder_is_killed_by_the_kernel_and_openers_go_on(asking: Reading, home: Path) -> None:
    took: list[float] = []
    # A busy machine may come to the opening only when the responder is gone already: then nobody waits.
    while len(took) < 5 and max(took, default=0.0) < HELD_S:
        took.append(open_took(home / "file", lambda: os.kill(asking.files.pid, signal.SIGSTOP)))
        asking.until(lambda: asking.files.fileno() < 0)
        assert asking.files.dropped()["reader_ended"] == len(took)
        asking.files.start()
        asking.folders.restart()
        asking.until(lambda: asking.folders.is_complete and len(asking.folders) > 0)
    assert HELD_S < max(took) < WAIT_S
    subprocess.run(["cat", home / "file"], check=True, stdout=subprocess.DEVNULL)
    asking.until(lambda: any(each.path.endswith("/file") for each in asking.seen))


def test_a_killed_responder_holds_nobody_up(asking: Reading, home: Path) -> None:
    assert open_took(home / "file", lambda: os.kill(asking.files.pid, signal.SIGKILL)) < WAIT_S
    asking.until(lambda: asking.files.fileno() < 0)


def test_many_openers_that_wait_for_a_stopped_responder_all_go_on(asking: Reading, home: Path) -> None:
    os.kill(asking.files.pid, signal.SIGSTOP)
    began = time.monotonic()
    waiting = [subprocess.Popen(["cat", home / "file"], stdout=subprocess.DEVNULL) for _ in range(20)]
    assert [each.wait(20) for each in waiting] == [0] * 20
    assert time.monotonic() - began < DEADLINE_S + WAIT_S + 2


AGENT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from collectors.linux.marked_folders import MarkedFolders
from collectors.linux.opened_files import OpenedFiles
files = OpenedFiles("permission")
folders = MarkedFolders([sys.argv[2]], files.mark, most=1000)
while not folders.is_complete or not len(folders):
    folders.turn(); files.read(); time.sleep(0.01)
time.sleep(0.1); files.read()
print(files.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def agent(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """An agent that never reads what it is told, and its responder."""
    root = str(Path(__file__).parents[3])
    process = subprocess.Popen([sys.executable, "-c", AGENT, root, str(home)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    responder = int(process.stdout.readline())
    yield process, responder
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_stopped_agent_holds_nobody_up_however_much_is_opened(
    agent: tuple[subprocess.Popen[bytes], int], home: Path
) -> None:
    assert open_took(home / "file", lambda: os.kill(agent[0].pid, signal.SIGSTOP)) < WAIT_S
    # More than the socket between them takes.
    program = "import sys\nfor n in range(40000): open(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-I", "-S", "-c", program, home / "file"], check=True, timeout=60)
    assert open_took(home / "file") < WAIT_S
    assert is_running(agent[1])


def test_a_stopped_agent_with_a_stopped_responder_holds_nobody_up(
    agent: tuple[subprocess.Popen[bytes], int], home: Path
) -> None:
    def stop_both() -> None:
        for pid in (agent[0].pid, agent[1]):
            os.kill(pid, signal.SIGSTOP)

    assert open_took(home / "file", stop_both) < WAIT_S
    # The opener had to wait for the kernel to end it.
    wait_for_end(agent[1])


def test_the_responder_ends_with_a_killed_agent(
    agent: tuple[subprocess.Popen[bytes], int], home: Path
) -> None:
    assert open_took(home / "file", agent[0].kill) < WAIT_S
    wait_for_end(agent[1])


LEASED = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print(flush=True)
time.sleep(600)
"""


def test_a_lease_that_somebody_holds_and_fifos_do_not_make_the_responder_wait(
    asking: Reading, home: Path
) -> None:
    (home / "leased").write_bytes(b"x")
    os.mkfifo(home / "fifo")
    words = [sys.executable, "-I", "-S", "-c", LEASED, str(home / "leased")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        waiting = [
            subprocess.Popen(["cat", home / name], stderr=subprocess.DEVNULL) for name in ("leased", "fifo")
        ]
        try:
            asking.until(lambda: asking.files.dropped().get("openings_untold", 0) > 0 or bool(asking.seen))
            time.sleep(2 * DEADLINE_S)
            assert open_took(home / "file") < WAIT_S
            asking.until(lambda: any(each.path.endswith("/file") for each in asking.seen))
            assert "reader_ended" not in asking.files.dropped()
        finally:
            for each in (*waiting, holder):
                each.kill()
                each.wait()


def test_what_a_process_has_become_is_told_not_what_it_was(reading: Reading, home: Path) -> None:
    script = (
        f"import os; open('{home}/file').close(); os.execv('/usr/bin/tail', ['tail', '-f', '{home}/file'])"
    )
    process = subprocess.Popen([sys.executable, "-I", "-S", "-c", script], stdout=subprocess.DEVNULL)
    tail = str(Path("/usr/bin/tail").resolve())
    try:
        reading.until(lambda: any(each.executable == tail for each in reading.seen))
    finally:
        process.kill()
        process.wait()
    assert {each.pid for each in reading.seen} == {process.pid}


def test_a_reader_that_the_kernel_ends_again_and_again_goes_on_without_holding_anybody_up(home: Path) -> None:
    openings = Openings("permission", [str(home)], 1000, 1000)
    seen: list[OpenedFile] = []

    def until(condition: Callable[[], bool]) -> None:
        limit = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < limit, openings.describe()
            openings.look_after()
            seen.extend(openings.read())
            time.sleep(0.01)

    try:
        ended = 0
        while ended < MOST_ENDS:
            until(lambda: openings.reader_pid != 0 and not openings.is_walking)
            assert openings.step == "permission"
            os.kill(openings.reader_pid, signal.SIGKILL)
            until(lambda: openings.reader_pid == 0)
            ended += 1
        until(lambda: openings.reader_pid != 0 and not openings.is_walking)
        assert openings.step == "open"
        assert "ended too often" in openings.reasons["openings by permission events"]
        seen.clear()
        subprocess.run(["cat", home / "file"], check=True, stdout=subprocess.DEVNULL)
        until(lambda: bool(seen))
    finally:
        openings.close()


def test_a_responder_without_the_rights_of_its_service_says_what_it_lacks(home: Path) -> None:
    opened = OpenedFiles("permission")
    assert opened.weaknesses() == []
    opened.close()
    root = str(Path(__file__).parents[3])
    script = (
        f"import sys; sys.path.insert(0, {root!r})\n"
        "from collectors.linux.opened_files import OpenedFiles\n"
        "files = OpenedFiles('permission'); print('; '.join(files.weaknesses())); files.close()"
    )
    lacking = ["setpriv", "--bounding-set", "-ipc_lock,-sys_nice,-sys_resource"]
    done = subprocess.run(
        ["prlimit", "--memlock=65536:65536", *lacking, sys.executable, "-c", script],
        check=True, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert "RestrictRealtime=" in done.stdout
    assert "LimitMEMLOCK=" in done.stdout


def test_the_responder_imports_nothing_that_is_not_its_own() -> None:
    text = (Path(__file__).parents[3] / "collectors" / "linux" / "open_reader.py").read_text("utf-8")
    assert "from collectors" not in text
    assert "import collectors" not in text


def test_a_program_that_a_shell_opens_a_file_for_is_told_as_what_it_has_become(
    asking: Reading, home: Path
) -> None:
    (home / "out").write_bytes(b"x" * 50)  # An opening of an empty file is not told.
    program = "import os, sys; os.write(1, open(sys.argv[1], 'rb').read()); sys.stdin.read()"
    command = f'exec >> {home}/out; exec {sys.executable} -I -S -c "{program}" {home}/file'
    child = subprocess.Popen(["/bin/bash", "-c", command], stdin=subprocess.PIPE)

    def of_child(*, written: bool) -> list[OpenedFile]:
        return [each for each in asking.seen if each.pid == child.pid and each.written == written]

    try:
        asking.until(lambda: len(of_child(written=False)) >= 2)
        child.communicate(timeout=10)
        asking.until(lambda: bool(of_child(written=True)))
    finally:
        child.kill()
    names = {Path(each.path).name: Path(each.executable or "").name for each in of_child(written=False)}
    assert names == {"out": "bash", "file": Path(sys.executable).resolve().name}
    (closed,) = of_child(written=True)
    # It closed the file by ending: no path any more, mostly still a name.
    assert closed.name is None or closed.name.startswith("python")
    assert (closed.executable, closed.path, closed.size) == (None, f"{home}/out", 150)
