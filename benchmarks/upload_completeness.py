"""How many uploads are found, how sure, and what watching costs: CPU of the agent, time added to an open.

python -m benchmarks.upload_completeness [--uploads N] [--way WAY…] [--json FILE]

Someone who is not root sends N files of 21 kB with one `curl -T` each to a web server on this machine, while
a thumbnailer (gdk-pixbuf), a backup (tar) and an indexer (Recoll), which have all read every file before,
read them again and again. Found: files told with the right path, user, program, address and bytes. "no audit"
leaves out the kernel's records of connects, as on systems whose audit rules are locked.

Added to an open: open and close of one file in a marked folder, and in one beside it, by a program of its
own; the smallest of five rounds, which a busy machine disturbs least. Needs root.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import click
import msgspec

from collectors import uploads
from collectors.contract import Unsupported
from collectors.linux.marked_folders import MarkedFolders
from collectors.linux.opened_files import OpenedFiles, Step
from event_schema.ocsf_transfer_events import FileHostingActivity
from tests.collectors.other_readers import OtherReaders, picture
from tests.collectors.upload_lab import USER, UploadLab

_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
_OPENS = """
import os, sys, time
rounds = []
for _ in range(5):
    begun = time.perf_counter()
    for _ in range(4000):
        os.close(os.open(sys.argv[1], os.O_RDONLY))
    rounds.append((time.perf_counter() - begun) / 4000 * 1e6)
sys.stdout.write(f"{min(rounds)}")
"""
WAYS = ("permission", "open", "permission, no audit", "open, no audit", "polling")


class Outcome(msgspec.Struct):
    """Of one way of watching."""

    way: str
    found: int
    exact: int
    likely: int
    possible: int
    others: int
    """Events of what was no upload, or with a wrong user, program or place."""
    agent_cpu_ms: float
    """Per upload, the reader's included."""
    curl_cpu_ms: float
    dropped: dict[str, int]
    """What the collector says it missed, by reason."""


def cpu_of(pid: int) -> float:
    """CPU seconds of a process; 0 is none."""
    if not pid:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS


def own_cpu() -> float:
    """CPU seconds of this one."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class _NoAudit:
    def __init__(self, first_user: int) -> None:
        raise Unsupported(f"left out (from uid {first_user})")


def measure(way: str, count: int) -> Outcome:
    """Sends, and looks at what was told."""
    step, _, without = way.partition(", ")
    audit = vars(uploads)["AuditConnects"]
    if without:
        vars(uploads)["AuditConnects"] = _NoAudit
    try:
        with UploadLab() as lab:
            return _measure(lab, way, step, count)
    finally:
        vars(uploads)["AuditConnects"] = audit


def _measure(lab: UploadLab, way: str, step: str, count: int) -> Outcome:
    port = lab.web()
    size = min(picture(lab, f"doc{number:04d}").stat().st_size for number in range(count))
    others = OtherReaders(lab)
    collector = lab.collector(step=step, window_s=10.0)
    stop, events = threading.Event(), list[FileHostingActivity]()

    def run() -> None:
        for observation in collector.observe(None, stop):
            if observation is not None and isinstance(observation.event, FileHostingActivity):
                events.append(observation.event)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(2)
    read = others.read_once()
    if set(read.values()) != {count}:
        raise click.ClickException(f"of {count} files the others read: {read}")
    reading = others.keep_reading()
    reader = 0 if collector._openings is None else collector._openings.reader_pid
    before, curl_before = own_cpu() + cpu_of(reader), resource.getrusage(resource.RUSAGE_CHILDREN)
    lab.run(
        "sh",
        "-c",
        f"for i in {lab.documents}/doc*; do curl -sT $i http://127.0.0.1:{port}/x; done",
        seconds=600,
    )
    curl_after = resource.getrusage(resource.RUSAGE_CHILDREN)
    for each in reading:
        each.kill()
    time.sleep(5)
    cpu = own_cpu() + cpu_of(reader) - before
    stop.set()
    thread.join()
    right = {event.file.name: event for event in events if _is_right(event, port, size)}
    sure = Counter(event.unmapped.evidence.fidelity for event in right.values())
    curl = curl_after.ru_utime + curl_after.ru_stime - curl_before.ru_utime - curl_before.ru_stime
    return Outcome(
        way, len(right), sure["exact"], sure["likely"], sure["possible"], len(events) - len(right),
        cpu / count * 1000, curl / count * 1000, dict(collector.dropped()),
    )  # fmt: skip


def _is_right(event: FileHostingActivity, port: int, size: int) -> bool:
    user, process, place = event.actor.user, event.actor.process, event.dst_endpoint
    return (
        user is not None
        and process is not None
        and place is not None
        and (user.uid, process.name, place.ip, place.port) == (str(USER), "curl", "127.0.0.1", port)
        and (event.unmapped.transfer.bytes_sent or 0) >= (event.file.size or 0) >= size
    )


def microseconds_of_an_open(step: Step | None) -> tuple[float, float]:
    """(in a marked folder, beside it)."""
    with UploadLab() as lab:
        file, beside = lab.file("marked"), lab.own / "beside"
        beside.write_bytes(b"x")
        files = None if step is None else OpenedFiles(step)
        folders = None if files is None else MarkedFolders([str(lab.homes)], files.mark, most=100)
        stop = threading.Event()

        def read() -> None:
            while files is not None and folders is not None and not stop.wait(0.01):
                folders.turn()
                files.read()

        thread = threading.Thread(target=read)
        thread.start()
        time.sleep(1)
        try:
            took = [
                float(
                    subprocess.run(
                        [sys.executable, "-I", "-S", "-c", _OPENS, path], capture_output=True, check=True
                    ).stdout
                )
                for path in (file, beside)
            ]
        finally:
            stop.set()
            thread.join()
            for source in (folders, files):
                if source is not None:
                    source.close()
    return took[0], took[1]


def seconds_to_mark(count: int) -> tuple[float, float]:
    """(CPU seconds, wall seconds) to mark so many folders."""
    with UploadLab() as lab:
        for number in range(count):
            (lab.documents / f"{number % 100}" / f"{number}").mkdir(parents=True)
        files = OpenedFiles("permission")
        before, begun = own_cpu(), time.monotonic()
        folders = MarkedFolders([str(lab.homes)], files.mark, most=10 * count)
        while not folders.is_complete:
            folders.turn()
            files.read()
            time.sleep(0.001)
        took = own_cpu() - before, time.monotonic() - begun
        folders.close()
        files.close()
    return took


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--uploads", "count", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.option("--way", "ways", multiple=True, type=click.Choice(WAYS), help="default: all")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def main(count: int, ways: tuple[str, ...], json_file: Path | None) -> None:
    """How many uploads are found, how sure, and what watching costs."""
    rows = []
    head = f"{'step':<22} {'found':>12} {'exact':>6} {'likely':>6} {'poss.':>6} {'wrong':>6}"
    click.echo(f"{head} {'agent ms':>9} {'curl ms':>8}")
    for way in ways or WAYS:
        row = measure(way, count)
        rows.append(row)
        found = f"{row.found} of {count}"
        click.echo(
            f"{row.way:<22} {found:>12} {row.exact:>6} {row.likely:>6} {row.possible:>6} {row.others:>6}"
            f" {row.agent_cpu_ms:>9.2f} {row.curl_cpu_ms:>8.2f}"
        )
        for reason, times in sorted(row.dropped.items()):
            click.echo(f"    {reason}: {times:,}")
    opens: dict[str, tuple[float, float]] = {}
    steps: tuple[tuple[str, Step | None], ...] = (
        ("nobody watches", None),
        ("open", "open"),
        ("permission", "permission"),
    )
    for name, step in steps:
        opens[name] = microseconds_of_an_open(step)
        click.echo(
            f"open and close, {name:<15} {opens[name][0]:6.1f} us   beside it {opens[name][1]:6.1f} us"
        )
    cpu, wall = seconds_to_mark(5_000)
    click.echo(f"marking 5,000 folders: {cpu:.2f} CPU s, {wall:.1f} s")
    if json_file is not None:
        json_file.write_text(json.dumps({"uploads": msgspec.to_builtins(rows), "opens": opens}, indent=2))


if __name__ == "__main__":
    main()
