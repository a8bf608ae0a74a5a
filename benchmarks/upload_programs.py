"""Uploads with real programs: acts done, found, and found right in each respect; what an act costs the agent.

python -m benchmarks.upload_programs [--acts N] [--program NAME…] [--json FILE]

Someone who is not root sends files of 40 kB to servers on this machine (HTTP, HTTPS, OpenSSH, WebDAV): N with
each program, the browser half as many. Found: files told at all. Right user, program, file (path and size),
destination (address and port) and bytes sent (no less than the file): each counted by itself, and all of them
together. CPU is the agent's and its reader's, in seconds for 1,000 acts. Needs root.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from benchmarks.upload_completeness import cpu_of, own_cpu
from event_schema.ocsf_transfer_events import FileHostingActivity
from tests.collectors.chromium_upload import upload_with_chromium
from tests.collectors.upload_lab import SSH_OPTIONS, USER, UploadLab, free_port, wait_for_port, watching

_FILE_BYTES = 40_000
Send = Callable[[list[Path]], None]


class Row(msgspec.Struct):
    """Of one program."""

    program: str
    acts: int
    found: int = 0
    user: int = 0
    executable: int = 0
    file: int = 0
    destination: int = 0
    size: int = 0
    right: int = 0
    exact: int = 0
    likely: int = 0
    possible: int = 0
    others: int = 0
    """Events of what was none of these acts, or told twice."""
    cpu_s: float = 0.0
    """For 1,000 acts."""


def curl(lab: UploadLab) -> tuple[int, Send]:
    port = lab.web()
    return port, lambda files: _each(lab, files, "curl", "-sT", "{}", f"http://127.0.0.1:{port}/x")


def wget(lab: UploadLab) -> tuple[int, Send]:
    port = lab.web()
    url = f"http://127.0.0.1:{port}/x"
    return port, lambda files: _each(lab, files, "wget", "-qO", "/dev/null", "--post-file", "{}", url)


def scp(lab: UploadLab) -> tuple[int, Send]:
    port, key = lab.ssh()
    options = [*SSH_OPTIONS, "-i", str(key), "-P", str(port)]
    target = f"root@127.0.0.1:{_taken(lab)}/"
    return port, lambda files: _each(lab, files, "scp", "-q", *options, "{}", target)


def sftp(lab: UploadLab) -> tuple[int, Send]:
    port, key = lab.ssh()
    taken = _taken(lab)

    def send(files: list[Path]) -> None:
        batch = lab.own / "batch"
        batch.write_text("".join(f"put {file} {taken}/\n" for file in files))
        lab.run("sftp", "-q", *SSH_OPTIONS, "-i", key, "-P", str(port), "-b", batch, "root@127.0.0.1")

    return port, send


def rsync(lab: UploadLab) -> tuple[int, Send]:
    port, key = lab.ssh()
    shell = " ".join(["ssh", *SSH_OPTIONS, "-i", str(key), "-p", str(port)])
    target = f"root@127.0.0.1:{_taken(lab)}/"
    return port, lambda files: _once(lab, "rsync", "-e", shell, *map(str, files), target)


def rclone(lab: UploadLab) -> tuple[int, Send]:
    port = free_port()
    lab.start("rclone", "serve", "webdav", _taken(lab), "--addr", f"127.0.0.1:{port}")
    wait_for_port(port)
    url = f"http://127.0.0.1:{port}"
    return port, lambda files: _once(
        lab, "rclone", "copy", files[0].parent, ":webdav:up", "--webdav-url", url
    )


def chromium(lab: UploadLab) -> tuple[int, Send]:
    port = lab.web(certificate=lab.certificate())
    return port, lambda files: upload_with_chromium(lab, f"https://127.0.0.1:{port}/", *files)


PROGRAMS = {each.__name__: each for each in (curl, wget, scp, sftp, rsync, rclone, chromium)}


def measure(program: str, acts: int) -> Row:
    """Sends, and looks at what was told."""
    with UploadLab() as lab:
        files = [lab.file(f"plan{number:03d}.pdf", _FILE_BYTES) for number in range(acts)]
        port, send = PROGRAMS[program](lab)
        with watching(collector := lab.collector()) as observing:
            reader = 0 if collector._openings is None else collector._openings.reader_pid
            before = own_cpu() + cpu_of(reader)
            send(files)
            lab.wait(observing, acts, seconds=40)
            cpu = own_cpu() + cpu_of(reader) - before
            time.sleep(1)
            events = lab.uploads(observing)
    row = _counted(Row(program, acts), events, {str(file) for file in files}, port)
    row.cpu_s = cpu / acts * 1000
    return row


def _counted(row: Row, events: list[FileHostingActivity], files: set[str], port: int) -> Row:
    seen: Counter[str] = Counter()
    for event in events:
        path = event.file.path or ""
        seen[path] += 1
        if path not in files or seen[path] > 1:
            row.others += 1
            continue
        user, process, place = event.actor.user, event.actor.process, event.dst_endpoint
        respects = {
            "user": user is not None and user.uid == str(USER),
            "executable": process is not None and process.name == row.program,
            "file": event.file.size == _FILE_BYTES,
            "destination": place is not None and (place.ip, place.port) == ("127.0.0.1", port),
            "size": (event.unmapped.transfer.bytes_sent or 0) >= _FILE_BYTES,
        }
        fidelity = event.unmapped.evidence.fidelity
        for name in ("found", fidelity, *(name for name, is_right in respects.items() if is_right)):
            setattr(row, name, getattr(row, name) + 1)
        row.right += all(respects.values())
    return row


def _each(lab: UploadLab, files: list[Path], *words: str) -> None:
    for file in files:
        lab.run(*(str(file) if word == "{}" else word for word in words))


def _once(lab: UploadLab, *words: str | Path) -> None:
    lab.run(*words)


def _taken(lab: UploadLab) -> Path:
    folder = lab.folder / "taken"
    folder.mkdir()
    return folder


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--acts", default=30, show_default=True, type=click.IntRange(2, 1_000))
@click.option("--program", "programs", multiple=True, type=click.Choice([*PROGRAMS]), help="default: all")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def main(acts: int, programs: tuple[str, ...], json_file: Path | None) -> None:
    rows = []
    heads = ("acts", "found", "user", "program", "file", "dest.", "size", "all right", "other events")
    click.echo(f"{'':<9} " + " ".join(f"{head:>9}" for head in heads) + "  exact likely poss.  CPU s/1,000")
    for program in programs or PROGRAMS:
        row = measure(program, acts // 2 if program == "chromium" else acts)
        rows.append(row)
        counts = (
            row.acts, row.found, row.user, row.executable, row.file, row.destination, row.size, row.right,
            row.others,
        )  # fmt: skip
        click.echo(
            f"{row.program:<9} "
            + " ".join(f"{count:>9}" for count in counts)
            + f"  {row.exact:>5} {row.likely:>6} {row.possible:>5} {row.cpu_s:>13.1f}"
        )
    total = sum(row.acts for row in rows)
    click.echo(f"all right: {sum(row.right for row in rows)} of {total}")
    if json_file is not None:
        json_file.write_text(json.dumps(msgspec.to_builtins(rows), indent=2))


if __name__ == "__main__":
    main()
