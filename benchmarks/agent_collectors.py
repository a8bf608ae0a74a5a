"""What each collector costs the machine, and all together: CPU and memory (PSS), at rest and while files
change.

python -m benchmarks.agent_collectors [--rest SECONDS] [--busy SECONDS] [--only NAME …] [--json FILE]

The real `leaver-agent run`, enrolled at a real server, with its child processes (the reader of openings, the
labeller, journalctl). First without any collector, then with each alone, then with all. At rest; then one
program, of somebody who is not root, does about 1,000 small-file operations a second (create and write,
overwrite, rename, delete) on the watched drive; then the same in a home that `uploads` and `sync_folders`
watch. Logs of servers are there, and nothing is written to them: what reading them costs is measured by
database_statements, login_reading and mail_reading. Hashing and labels are off in the first part, as the
limits are meant, and on in the last line.

A busy machine makes CPU seconds dearer (caches, clock): "(writer)" compares with the program that writes. Who
listens to process events pays for each process that anybody starts meanwhile: "starts/s".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from agent.collector_registry import COLLECTORS
from benchmarks.agent_footprint import BUSY_CPU, OPERATIONS_A_SECOND, REST_CPU, REST_MEGABYTES, WRITER
from benchmarks.running_pair import (
    RunningAgent,
    pss_megabytes,
    running_agent,
    running_server,
    tree,
    watched_folder,
)
from tests.server.up.up_process import UpProcess

_WRITER_UID = 20_501
# The interpreter itself may lie where only root comes.
_AS_SOMEBODY = f"import os, sys, time, pathlib; os.setgid({_WRITER_UID}); os.setuid({_WRITER_UID})\n"
_SHORT_LIVED = 200
_SETTLED_SECONDS = 8.0
NONE, DEFAULT, ALL, WITH_HASHES = "(none)", "(by default)", "(all)", "(all, hashing, labels)"
_STORAGE = "removable_storage"


class Cost(msgspec.Struct, frozen=True):
    """Shares of one core; PSS in MB, of the agent and of its child processes. `busy`: on the drive."""

    collectors: str
    rest: float
    drive: float
    drive_of_writer: float
    home: float
    home_of_writer: float
    megabytes: float
    megabytes_children: float
    megabytes_busy: float
    starts_a_second: float
    states: dict[str, str]


class _Place(msgspec.Struct, frozen=True):
    """Where the agent looks: the drive, a home, and logs that nobody writes to."""

    drive: Path
    home: Path
    logs: Path

    def settings(self, name: str, *, reading: bool) -> str:
        """Lines of one collector's table, switched on."""
        hashing = "" if reading else "hash_max_bytes = 0\nlabels = false\n"
        own = {
            "access_log": (
                f'[[collectors.access_log.sources]]\nname = "shop"\npath = "{self.logs}/access.log"\n'
                'format = "combined"\nrules = [{ action = "a", activity = "read", path = "/a" }]\n'
            ),
            "export_folders": f'folders = ["{self.home}/exports"]\n{hashing}',
            "logins": f'source = "log_file"\nlog_file = "{self.logs}/auth.log"\n',
            "mail": (
                f'own_domains = ["a.example"]\narchive = "{self.logs}/mail"\nlog = "{self.logs}/mail.log"\n'
            ),
            "mariadb": f'audit_log = "{self.logs}/audit.log"\nslow_log = "{self.logs}/slow.log"\n',
            "postgresql": f'log = "{self.logs}/postgresql-*.json"\n',
            "printing": f'page_log = "{self.logs}/page_log"\n',
            _STORAGE: f'extra_mounts = ["{self.drive}"]\n{hashing}',
            "sync_folders": (
                f'homes = ["{self.home.parent}"]\nextra = {{dropbox = ["{self.home}/Dropbox"]}}\n{hashing}'
            ),
            "uploads": f'folders = ["{self.home.parent}"]\n{hashing}',
        }
        return f"[collectors.{name}]\nenabled = true\n{own.get(name, '')}"


def process_starts() -> int:
    """Of processes and threads on this machine since its start."""
    lines = Path("/proc/stat").read_text("ascii").splitlines()
    return int(next(line for line in lines if line.startswith("processes ")).split()[1])


def _write(folder: Path, seconds: float) -> tuple[float, float]:
    """(operations a second, CPU seconds of the writer)."""
    folder.mkdir()
    os.chown(folder, _WRITER_UID, _WRITER_UID)
    arguments = [str(folder), str(seconds), str(OPERATIONS_A_SECOND), str(_SHORT_LIVED)]
    command = [sys.executable, "-I", "-c", _AS_SOMEBODY + WRITER, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    rate, cpu = map(float, done.stdout.split())
    return rate, cpu


def _busy(agent: RunningAgent, folder: Path, seconds: float, at_rest: float) -> tuple[float, float]:
    """(share of a core, of the writer's CPU time), with what is left to do afterwards, as far as that is more
    than what it does at rest."""
    before = agent.cpu_seconds()
    _, writer = _write(folder, seconds)
    time.sleep(_SETTLED_SECONDS)
    used = agent.cpu_seconds() - before - at_rest * _SETTLED_SECONDS
    return used / seconds, used / writer


def cost(agent: RunningAgent, what: str, place: _Place, rest: float, busy: float) -> Cost:
    pid = agent.process.pid
    before, begun, started = agent.cpu_seconds(), time.monotonic(), process_starts()
    time.sleep(rest)
    at_rest = (agent.cpu_seconds() - before) / rest
    memory = [pss_megabytes(process) for process in tree(pid)]
    name = what.strip("()").replace(" ", "").replace(",", "-")
    drive, drive_of_writer = _busy(agent, place.drive / name, busy, at_rest)
    home, home_of_writer = _busy(agent, place.home / name, busy, at_rest)
    status = agent.status()
    return Cost(
        collectors=what,
        rest=at_rest,
        drive=drive,
        drive_of_writer=drive_of_writer,
        home=home,
        home_of_writer=home_of_writer,
        megabytes=memory[0],
        megabytes_children=sum(memory[1:]),
        megabytes_busy=sum(map(pss_megabytes, tree(pid))),
        starts_a_second=(process_starts() - started) / (time.monotonic() - begun),
        states={} if status is None else {c.name: c.state for c in status.heartbeat.collectors},
    )


@contextmanager
def _places(folder: Path) -> Iterator[_Place]:
    folder.chmod(0o711)
    home, logs = folder / "home" / "writer", folder / "logs"
    (home / "Dropbox").mkdir(parents=True)
    (logs / "mail" / "new").mkdir(parents=True)
    for each in ("cur", "tmp"):
        (logs / "mail" / each).mkdir()
    names = ("access.log", "auth.log", "mail.log", "audit.log", "slow.log", "postgresql-1.json", "page_log")
    for name in names:
        (logs / name).touch()
    with watched_folder(folder, 512) as (drive, _):
        drive.parent.chmod(0o711)
        drive.chmod(0o755)
        yield _Place(drive, home, logs)


def measured(only: Sequence[str], rest: float, busy: float) -> Iterator[Cost]:
    names = [kind.name for kind in COLLECTORS]
    default = [kind.name for kind in COLLECTORS if getattr(kind.config_type()(), "enabled", False)]
    runs = [(NONE, [], False), *((name, [name], False) for name in names)]
    runs += [(DEFAULT, default, False), (ALL, names, False)]
    runs.append((WITH_HASHES, names, True))
    with (
        tempfile.TemporaryDirectory(prefix="leaver-collectors-") as made,
        running_server(Path(made)) as server,
        _places(Path(made)) as place,
    ):
        for number, (what, on, reading) in enumerate(runs):
            if only and what not in only:
                continue
            yield _run(server, Path(made), number, what, on, place, rest, busy, reading=reading)


def _run(
    server: UpProcess,
    folder: Path,
    number: int,
    what: str,
    on: Sequence[str],
    place: _Place,
    rest: float,
    busy: float,
    *,
    reading: bool,
) -> Cost:
    own = folder / f"agent-{number}"
    own.mkdir()
    off = [kind.name for kind in COLLECTORS if kind.name not in on]
    tables = [place.settings(name, reading=reading) for name in on]
    tables += [f"[collectors.{name}]\nenabled = false\n" for name in off]
    with running_agent(
        server, own, None, "\n".join(tables), name=f"collectors-{number}", running=on
    ) as agent:
        time.sleep(_SETTLED_SECONDS)
        return cost(agent, what, place, rest, busy)


@click.command()
@click.option("--rest", default=30.0, show_default=True, help="Seconds at rest, each.")
@click.option("--busy", default=20.0, show_default=True, help="Seconds of file operations, twice each.")
@click.option("--only", multiple=True, help=f"A collector, {NONE}, {DEFAULT!r}, {ALL} or {WITH_HASHES!r}.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(rest: float, busy: float, only: tuple[str, ...], json_file: Path | None) -> None:
    """Print what each collector costs, alone and together."""
    click.echo(
        f"{'':<22} {'at rest':>8} {'drive':>7} {'(writer)':>8} {'home':>7} {'(writer)':>8}"
        f" {'MB':>5} {'+children':>9} {'MB busy':>7} {'starts/s':>8}"
    )
    costs = []
    for c in measured(only, rest, busy):
        costs.append(c)
        click.echo(
            f"{c.collectors:<22} {c.rest:>8.2%} {c.drive:>7.1%} {c.drive_of_writer:>8.2f} {c.home:>7.1%}"
            f" {c.home_of_writer:>8.2f} {c.megabytes:>5.0f} {c.megabytes_children:>9.0f}"
            f" {c.megabytes_busy:>7.0f} {c.starts_a_second:>8.0f}"
        )
        for name, state in c.states.items():
            if state != "running":
                click.echo(f"{'':<22} {name} is {state}")
    click.echo(f"limits: at rest {REST_CPU:.0%} and {REST_MEGABYTES} MB, busy without hashing {BUSY_CPU:.0%}")
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    click.echo(f"load of the machine: {load} on {os.cpu_count()} cores")
    if json_file is not None:
        json_file.write_text(json.dumps([msgspec.to_builtins(c) for c in costs], indent=1) + "\n")


if __name__ == "__main__":
    main()
