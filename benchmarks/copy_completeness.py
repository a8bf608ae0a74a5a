"""How completely the collector sees copies: thirteen workloads under each watcher, and who it says copied.

    python -m benchmarks.copy_completeness [--files 5000] [--big-mb 512] [--only fid --only exfat]

Needs root. Columns: acts that must be reported; missed: no event for them at all; renamed: reported, but
not as that act under that name; extra: events nobody expected; user and program: events that name the
right ones; CPU seconds of the whole watching process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
import msgspec

from benchmarks.copy_workloads import WORKLOADS, Acts, Size, make_source, prepare, run_as
from collectors.removable_storage import RemovableStorageCollector, RemovableStorageConfig
from event_schema.ocsf_events import FileActivity, FileSystemActivity
from event_schema.ocsf_objects import Host, HostType

USER: Final = 61_502
_QUIET_S: Final = 3.0
_MAKE: Final = {"ext4": "mkfs.ext4 -q -F", "exfat": "mkfs.exfat", "ntfs": "mkntfs -q -F -f"}
# FUSE drives belong to one user, as a desktop mounts them.
_MOUNT: Final = {
    "ext4": "mount",
    "exfat": f"mount.exfat-fuse -o uid={USER},gid={USER}",
    "ntfs": f"ntfs-3g -o uid={USER},gid={USER}",
}


_COLUMNS: Final = (
    "watcher",
    "workload",
    "expected",
    "missed",
    "renamed",
    "extra",
    "events",
    "user",
    "program",
    "hashed",
    "cpu_s",
)


class Setting(msgspec.Struct, frozen=True):
    """A file system, whether it is watched as a mount, and whether files are hashed."""

    kind: str
    as_mount: bool
    hashing: bool


SETTINGS: Final = {
    "fid": Setting("ext4", True, False),
    "fid+hash": Setting("ext4", True, True),
    "watchdog": Setting("ext4", False, False),
    "exfat-fuse": Setting("exfat", True, False),
    "ntfs-3g": Setting("ntfs", True, False),
}


class Seen(msgspec.Struct):
    """One event, as the watching process prints it."""

    act: tuple[str, ...]
    uid: str | None
    program: str | None
    hashed: bool


@contextmanager
def drive(folder: Path, kind: str, megabytes: int) -> Iterator[Path]:
    """A fresh file system of this kind on a loop device, which anybody may write to."""
    image, target = folder / f"{kind}.img", folder / kind
    with image.open("wb") as file:
        file.truncate(megabytes << 20)
    target.mkdir(exist_ok=True)
    made = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    device = made.stdout.strip()
    try:
        subprocess.run([*_MAKE[kind].split(), device], check=True, stdout=subprocess.DEVNULL)
        subprocess.run([*_MOUNT[kind].split(), device, target], check=True)
        if kind == "ext4":
            target.chmod(0o1777)
        try:
            yield target
        finally:
            subprocess.run(["umount", target], check=True)
    finally:
        subprocess.run(["losetup", "-d", device], check=True)
        image.unlink()


def watch(target: str, hashing: bool) -> None:
    """The watching process: one JSON line an event, until its standard input ends; then its CPU time."""
    config = RemovableStorageConfig(extra_mounts=(target,), hash_max_bytes=1 << 40 if hashing else 0)
    host = Host(hostname="benchmark", type_id=HostType.LAPTOP)
    collector = RemovableStorageCollector(config, host, "0")
    stop = threading.Event()
    threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    began: float | None = None
    for turn in collector.observe(None, stop):
        if turn is None:
            if began is None:
                click.echo(collector.detail())
                began = time.process_time()
        elif isinstance(turn.event, FileSystemActivity):
            event = turn.event
            act = [FileActivity(event.activity_id).name.lower(), str(event.file.path)]
            if event.file_result is not None:
                act.append(str(event.file_result.path))
            user, process = event.actor.user, event.actor.process
            seen = Seen(
                act=tuple(act),
                uid=None if user is None else user.uid,
                program=None if process is None else process.name,
                hashed=event.file.hashes is not None,
            )
            click.echo(msgspec.json.encode(seen))
    used = time.process_time() - (began or 0.0)
    click.echo(json.dumps({"cpu": used, "dropped": dict(collector.dropped())}))


def _stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


class Watching:
    """The watching process, and what it printed so far."""

    def __init__(self, target: Path, hashing: bool) -> None:
        self.seen: list[Seen] = []
        self.cpu_s = 0.0
        self.dropped: dict[str, int] = {}
        self._last = time.monotonic()
        self._ready = threading.Event()
        command = [sys.executable, "-m", "benchmarks.copy_completeness", "--watch", str(target)]
        self._process = subprocess.Popen(
            [*command, "--hashing"] if hashing else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parent.parent,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._ready.wait(30):
            raise click.ClickException("the watching process does not start")

    def finish(self) -> None:
        """Waits until nothing more comes, and ends the process."""
        self._last = time.monotonic()
        while time.monotonic() < self._last + _QUIET_S:
            time.sleep(0.1)
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(30)
        self._reader.join()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._last = time.monotonic()
            if not self._ready.is_set():
                self._ready.set()
            elif line.startswith(b'{"cpu"'):
                end = json.loads(line)
                self.cpu_s, self.dropped = end["cpu"], end["dropped"]
            else:
                self.seen.append(msgspec.json.decode(line, type=Seen))


def row(setting: str, workload: str, expected: Acts, watching: Watching) -> dict[str, object]:
    """The table's row."""
    wanted = Counter(expected)
    got = Counter(seen.act for seen in watching.seen)
    known_paths = {path for act in got for path in act[1:]}
    not_exact = wanted - got
    missed = sum(count for act, count in not_exact.items() if act[-1] not in known_paths)
    return {
        "watcher": setting,
        "workload": workload,
        "expected": sum(wanted.values()),
        "missed": missed,
        "renamed": sum(not_exact.values()) - missed,
        "extra": sum((got - wanted).values()),
        "user": sum(seen.uid == str(USER) for seen in watching.seen),
        "program": sum(_is_right(workload, seen.program) for seen in watching.seen),
        "events": sum(got.values()),
        "hashed": sum(seen.hashed for seen in watching.seen),
        "cpu_s": round(watching.cpu_s, 2),
        "dropped": watching.dropped,
    }


_PROGRAMS: Final = {
    **dict.fromkeys(("bigcp", "cpr", "proc1"), "cp"),
    "rsync": "rsync",
    "tar": "tar",
    "mvin": "mv",
}


def _is_right(workload: str, program: str | None) -> bool:
    return program is not None and program.startswith(_PROGRAMS.get(workload, "python"))


@click.command(help=__doc__)
@click.option("--files", default=5_000, help="Small files in the large workloads.")
@click.option("--big-mb", default=512, help="Size of the one big file.")
@click.option("--only", multiple=True, type=click.Choice(list(SETTINGS)), help="Only these watchers.")
@click.option("--workload", multiple=True, type=click.Choice(list(WORKLOADS)), help="Only these workloads.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of a table.")
@click.option("--watch", "watch_target", hidden=True)
@click.option("--hashing", is_flag=True, hidden=True)
def main(
    files: int,
    big_mb: int,
    only: tuple[str, ...],
    workload: tuple[str, ...],
    as_json: bool,
    watch_target: str | None,
    hashing: bool,
) -> None:
    if watch_target is not None:
        watch(watch_target, hashing)
        return
    size = Size(files, big_mb << 20)
    if not as_json:
        click.echo(" ".join(f"{column:>10}" for column in _COLUMNS))
    with tempfile.TemporaryDirectory(prefix="leaver-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_source(folder / "source", size)
        for setting in only or SETTINGS:
            how = SETTINGS[setting]
            with drive(folder, how.kind, 2 * big_mb + 1024) as mounted:
                target = mounted
                if not how.as_mount:
                    target = mounted / "folder"
                    target.mkdir()
                    target.chmod(0o1777)
                for each in workload or WORKLOADS:
                    prepare(each, target, folder / "source", USER if how.kind == "ext4" else None)
                    watching = Watching(target, how.hashing)
                    try:
                        expected = run_as(each, target, folder / "source", size, USER)
                    except subprocess.CalledProcessError:
                        # exFAT has no hard links.
                        click.echo(f"{setting:>10} {each:>10} cannot be done on this file system", err=True)
                        continue
                    finally:
                        watching.finish()
                    result = row(setting, each, expected, watching)
                    if as_json:
                        click.echo(json.dumps(result))
                    else:
                        click.echo(" ".join(f"{result[column]!s:>10}" for column in _COLUMNS))
                    if watching.dropped:
                        click.echo(f"{'':>21} dropped: {watching.dropped}", err=True)


if __name__ == "__main__":
    main()
