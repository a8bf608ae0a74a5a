"""A real server and a real agent on this machine: `leaver up` and `leaver-agent run`, over HTTPS."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
import psutil

from agent.status_file import AgentStatus, StatusUnreadable, read_status
from benchmarks.copy_completeness import drive
from tests.server.up.up_process import UpProcess, leaver

START_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class RunningAgent:
    """An enrolled agent that watches `target`; None: `settings` are all there is."""

    def __init__(
        self,
        server: UpProcess,
        folder: Path,
        target: Path | None,
        settings: str,
        name: str,
        running: Sequence[str] = (),
    ) -> None:
        self.state_dir = folder / "agent"
        config = folder / "agent.toml"
        if target is not None:
            settings = f'[collectors.removable_storage]\nextra_mounts = ["{target}"]\n{settings}'
        config.write_text(f'[agent]\nstate_dir = "{self.state_dir}"\n\n{settings}')
        program = Path(sys.executable).parent / "leaver-agent"
        made = leaver("agents", "enrol", name, "--json", data=server.data)
        line = json.loads(made.stdout)["line"]
        subprocess.run(
            [program, "enrol", "--config", config],
            input=line,
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        with (folder / "agent.log").open("w") as log:
            self.process = subprocess.Popen([program, "run", "--config", config], stdout=log, stderr=log)
        wait_until("the agent watches", lambda: self._watches(target, running))

    def _watches(self, target: Path | None, running: Sequence[str]) -> bool:
        status = self.status()
        if status is None:
            return False
        states = status.heartbeat.collectors
        if target is None:
            return {each.name for each in states if each.state == "running"} >= set(running)
        return any(each.state == "running" and str(target) in (each.detail or "") for each in states)

    def status(self) -> AgentStatus | None:
        try:
            return read_status(self.state_dir)
        except StatusUnreadable:
            return None

    def cpu_seconds(self) -> float:
        """With its child processes, those that ended too."""
        total = 0.0
        for process in tree(self.process.pid):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def pss_megabytes(self) -> float:
        """With its child processes."""
        return sum(map(pss_megabytes, tree(self.process.pid)))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def tree(pid: int) -> list[psutil.Process]:
    """The agent and all its child processes."""
    try:
        agent = psutil.Process(pid)
        return [agent, *agent.children(recursive=True)]
    except psutil.NoSuchProcess as error:
        raise click.ClickException("the agent has ended") from error


def pss_megabytes(process: psutil.Process) -> float:
    """Proportional share of memory: what shared libraries cost is divided among those who use them."""
    try:
        return float(process.memory_full_info().pss) / (1 << 20)
    except psutil.NoSuchProcess:
        return 0.0


def cpu_seconds(pid: int) -> float:
    """User and system time of a living process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def running_server(folder: Path) -> Iterator[UpProcess]:
    server = UpProcess(folder / "data")
    try:
        yield server
    finally:
        server.terminate()
        server.close()


@contextmanager
def running_agent(
    server: UpProcess,
    folder: Path,
    target: Path | None,
    settings: str = "",
    *,
    name: str = "benchmark",
    running: Sequence[str] = (),
) -> Iterator[RunningAgent]:
    """`settings`: more lines of [collectors.removable_storage]. Without `target` all of them, and `running`
    names the collectors that are waited for."""
    agent = RunningAgent(server, folder, target, settings, name, running)
    try:
        yield agent
    finally:
        agent.stop()


@contextmanager
def watched_folder(folder: Path, megabytes: int) -> Iterator[tuple[Path, str]]:
    """(where to copy to, what it is): a drive on a loop device for root, else a plain folder."""
    if os.geteuid() == 0:
        with drive(folder, "ext4", megabytes) as target:
            yield target, "ext4 on a loop device"
    else:
        target = folder / "stick"
        target.mkdir()
        yield target, "a plain folder"


def wait_until(what: str, condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise click.ClickException(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.1)
