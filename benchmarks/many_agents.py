"""A thousand agents at one server, and what a flooding one does to a quiet one. HTTPS, real programs.

python -m benchmarks.many_agents [--agents 1000] [--seconds 20]

`leaver up` is a process of its own, so its CPU time is its own. Agents are real ones without collectors:
a spool on disk, a shipper with its own key over its own TLS connection, its own thread; a few hundred to a
process. A quiet agent and a flooding one each have a process to themselves.
"""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click

from agent.enrolment import EnrolmentLine, enrol
from agent.packing import Signer
from agent.shippers.https import HttpsShipper
from agent.shipping import Shipping, Way
from agent.spool import Spool
from agent.spool_segment import NewEntry
from benchmarks.running_pair import cpu_seconds, wait_until
from event_schema.codec import encode_event
from event_schema.control_records import Heartbeat
from server.agents.registry import create_token
from server.commands.opening import open_installation, system_clock
from tests.server.pipeline.endpoint import copied_file
from tests.server.up.scraping import samples, scrape
from tests.server.up.up_process import UpProcess

EVENTS_EACH = 20
FLOOD_BATCH = 1000
FLOOD_BACKLOG_MAX = 50_000
PROCESSES = 4
LOOK_SECONDS = 0.002


class OneAgent:
    def __init__(self, line: EnrolmentLine, folder: Path, name: str) -> None:
        self._spool = Spool(folder / name / "spool")
        identity = enrol(line, folder / name / "state", replace=False)
        way = Way(Signer(identity.key, name, self._spool.epoch), HttpsShipper(identity))
        self.shipping = Shipping(self._spool, way, self._heartbeat, lambda same: same, clock=system_clock)

    def observe(self, number: int) -> None:
        now = system_clock()
        entry = NewEntry("removable_storage", now, encode_event(copied_file(now, name="report.xlsx")))
        self._spool.append([entry] * number)

    def backlog(self) -> int:
        return self._spool.stats().backlog_events

    def latency(self) -> float:
        """Seconds from an event on the disk here to the server's word that it has it."""
        self.observe(1)
        begun = time.perf_counter()
        while self.backlog():
            time.sleep(LOOK_SECONDS)
        return time.perf_counter() - begun

    def _heartbeat(self, stopping: bool) -> Heartbeat:
        stats = self._spool.stats()
        return Heartbeat(
            sent_at=system_clock(),
            version="0.1.0",
            next_seq=stats.next_seq,
            backlog_events=stats.backlog_events,
            backlog_bytes=stats.backlog_bytes,
            lost_events=stats.lost_events,
            collectors=(),
            stopping=stopping or None,
        )


class Agents:
    """Some agents in this process; its methods are called by name from the parent."""

    def __init__(self, lines: Sequence[tuple[str, EnrolmentLine]], folder: Path) -> None:
        self._lines, self._folder = lines, folder
        self._agents: list[OneAgent] = []

    def enrol(self) -> float:
        begun = time.perf_counter()
        with ThreadPoolExecutor(8) as threads:
            self._agents = list(
                threads.map(lambda named: OneAgent(named[1], self._folder, named[0]), self._lines)
            )
        return time.perf_counter() - begun

    def ship(self, events_each: int) -> float:
        """All at once; returns when the server has everything."""
        for agent in self._agents:
            agent.observe(events_each)
        begun = time.perf_counter()
        for agent in self._agents:
            agent.shipping.start()
        while any(agent.backlog() for agent in self._agents):
            time.sleep(0.02)
        return time.perf_counter() - begun

    def latencies(self, seconds: float) -> list[float]:
        end = time.perf_counter() + seconds
        found = []
        while time.perf_counter() < end:
            found.append(self._agents[0].latency())
            # Long enough after the last one that it goes at once, as a lone event does.
            time.sleep(1.1)
        return found

    def flood(self, seconds: float) -> int:
        """As much as the spool takes; returns how many events the server took meanwhile."""
        (agent,) = self._agents
        before = agent.shipping.state().shipped_events
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            if agent.backlog() < FLOOD_BACKLOG_MAX:
                agent.observe(FLOOD_BATCH)
            else:
                time.sleep(0.01)
        return agent.shipping.state().shipped_events - before


def serve(lines: Sequence[tuple[str, EnrolmentLine]], folder: Path, channel: Connection) -> None:
    agents = Agents(lines, folder)
    while (asked := channel.recv()) is not None:
        name, argument = asked
        method: Callable[..., Any] = getattr(agents, name)
        channel.send(method(*argument))


class Child:
    """A process with some agents."""

    def __init__(self, lines: Sequence[tuple[str, EnrolmentLine]], folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self._channel, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(lines, folder, theirs), daemon=True)
        self._process.start()

    def ask(self, method: str, *arguments: float) -> None:
        self._channel.send((method, arguments))

    def answer(self) -> Any:
        return self._channel.recv()

    def call(self, method: str, *arguments: float) -> Any:
        self.ask(method, *arguments)
        return self.answer()

    def stop(self) -> None:
        self._process.kill()
        self._process.join()


class Server:
    """`leaver up`, its CPU time, and how far its pipeline is behind."""

    def __init__(self, data: Path, rate: int) -> None:
        data.mkdir(exist_ok=True)
        address = "127.0.0.1:0"
        if (data / "port").exists():
            address = f"127.0.0.1:{(data / 'port').read_text()}"
        (data / "server.toml").write_text(
            f'[listen]\naddress = "{address}"\n[limits]\nagent_events_per_second = {rate}\n'
            f"agent_events_at_once = {10 * rate}\n"
        )
        self.up = UpProcess(data)
        (data / "port").write_text(self.up.url.rpartition(":")[2])
        token = self.up.said("token")
        if token is not None:
            (data / "token").write_text(token)
        self._token = (data / "token").read_text()
        self._behind = 0.0

    def cpu(self) -> float:
        return cpu_seconds(self.up.process.pid)

    def megabytes(self) -> float:
        with self.up.client() as client:
            return samples(scrape(client, self._token))["process_resident_memory_bytes", ()] / 1e6

    def is_through(self) -> bool:
        with self.up.client() as client:
            return samples(scrape(client, self._token))["leaver_lag_records", ()] == 0

    def farthest_behind(self, stop: threading.Event) -> None:
        self._behind = 0.0
        with self.up.client() as client:
            while not stop.wait(1.0):
                now = samples(scrape(client, self._token))["leaver_oldest_waiting_seconds", ()]
                self._behind = max(self._behind, now)

    @property
    def behind(self) -> float:
        return self._behind

    def lines(self, names: Sequence[str]) -> list[tuple[str, EnrolmentLine]]:
        fingerprint = (self.up.said("CA") or "").removeprefix("sha256:")
        with open_installation(self.up.data) as installation, installation.database.begin() as connection:
            tokens = [create_token(connection, name, now=system_clock(), actor="benchmark") for name in names]
        return [
            (name, EnrolmentLine(self.up.url, fingerprint, token))
            for name, token in zip(names, tokens, strict=True)
        ]

    def stop(self) -> None:
        self.up.terminate()
        self.up.close()


def many(server: Server, folder: Path, number: int, seconds: float) -> list[Child]:
    """The thousand: enrolment, all at once, at rest."""
    lines = server.lines([f"desk-{n:04}" for n in range(number)])
    children = [Child(lines[part::PROCESSES], folder / f"agents-{part}") for part in range(PROCESSES)]
    cpu = server.cpu()
    _report("enrolled", number, max(_all(children, "enrol")), server.cpu() - cpu)
    cpu, begun = server.cpu(), time.perf_counter()
    durable = max(_all(children, "ship", EVENTS_EACH))
    wait_until("the pipeline is through", server.is_through, 600)
    _report(f"first {EVENTS_EACH} events each", number, durable, server.cpu() - cpu)
    click.echo(f"  worked through by the pipeline after {time.perf_counter() - begun:>8.1f} s")
    cpu = server.cpu()
    time.sleep(seconds)
    used = (server.cpu() - cpu) / seconds
    click.echo(f"  at rest, heartbeats every 15 s: {used:.1%} of a core, {server.megabytes():.0f} MB")
    return children


def _all(children: list[Child], method: str, *arguments: float) -> list[float]:
    for child in children:
        child.ask(method, *arguments)
    return [child.answer() for child in children]


def _report(what: str, agents: int, seconds: float, cpu: float) -> None:
    click.echo(
        f"  {what:<24} {seconds:>8.1f} s  server {cpu:>6.1f} CPU s, {1000 * cpu / agents:>5.1f} ms an agent"
    )


def quiet(what: str, server: Server, child: Child, flood: Child | None, seconds: float) -> None:
    stop = threading.Event()
    watch = threading.Thread(target=server.farthest_behind, args=(stop,))
    watch.start()
    cpu = server.cpu()
    if flood is not None:
        flood.ask("flood", seconds)
    found = sorted(child.call("latencies", seconds))
    taken = flood.answer() if flood is not None else 0
    stop.set()
    watch.join()
    p95 = found[max(0, round(0.95 * len(found)) - 1)]
    click.echo(
        f"  {what:<24} {1000 * statistics.median(found):>8.0f} {1000 * p95:>8.0f} {1000 * found[-1]:>8.0f}"
        f" {taken / seconds:>12,.0f} {server.behind:>10.1f} {(server.cpu() - cpu) / seconds:>9.0%}"
    )


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--agents", type=click.IntRange(4, 5000), default=1000, show_default=True)
@click.option("--seconds", type=click.IntRange(5, 600), default=20, show_default=True, help="Each phase.")
def main(agents: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = Server(folder / "data", 2000)
        children: list[Child] = []
        try:
            click.echo(f"{agents} agents at once, {PROCESSES} processes")
            children += many(server, folder, agents, float(seconds))
            lone, flood = (
                Child([line], folder / line[0]) for line in server.lines(["quiet-one", "flooding-one"])
            )
            children += [lone, flood]
            for child in (lone, flood):
                child.call("enrol")
                child.call("ship", 1)
            click.echo("a lone event's way, from the agent's disk to the server's word that it has it, in ms")
            click.echo(
                f"  {'':<24} {'median':>8} {'p95':>8} {'longest':>8} {'flood, ev/s':>12}"
                f" {'behind, s':>10} {'CPU':>9}"
            )
            quiet("no flood", server, lone, None, seconds)
            quiet("flood, quota 2,000/s", server, lone, flood, seconds)
            wait_until("the pipeline is through", server.is_through, 600)
            server.stop()
            server = Server(folder / "data", 1_000_000)
            time.sleep(5)
            quiet("flood, no quota", server, lone, flood, seconds)
        finally:
            for child in children:
                child.stop()
            server.stop()


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.many_agents")
