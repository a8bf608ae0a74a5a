"""Server and brokers are away while an endpoint reports 100 events a second; then they come back.

    python -m tests.soak.outage [--hours 1] [--log KIND] [--real-time] [--agent-quota N] [--hung SECONDS]

The real agent writes its spool while nothing answers; then the same spool goes to a real `leaver up`, over
each of the logs in turn. Every event must be stored once, byte for byte. The events' own times span the
hours; they are written as fast as the disk takes them, or, with --real-time, when their time has come. With
--hung the broker is there and stopped (SIGSTOP) for so many seconds in the middle of the flow instead.
Exit code 1 where an event is lost, doubled or changed.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from tests.soak.busy_outcome import Stored, read_stored
from tests.soak.busy_site import AGENT, Log, Plan, Site, open_site
from tests.soak.endpoint import Endpoint
from tests.soak.installation import prepare_data

HOUR_MS = 3_600_000
SILENCE_SECONDS = 300.0
_LOOK_SECONDS = 0.5
_TELL_SECONDS = 15.0
_FLOW_SECONDS = 15

Say = Callable[[str], None]


class Written(msgspec.Struct, frozen=True):
    """While nothing answered. `spool_bytes`: the most that the spool took."""

    seconds: float
    agent_cpu_s: float
    spool_bytes: int


class Replayed(msgspec.Struct, frozen=True):
    """`seconds`: from the server's being ready (or the broker's going on) until the `events` that had waited
    were stored."""

    log: Log
    quota: int
    events: int
    seconds: float
    agent_cpu_s: float
    server_cpu_s: float
    broker_cpu_s: float
    spool_bytes_after: int
    stored: Stored


class Result(msgspec.Struct, frozen=True):
    events: int
    span_s: float
    real_time: bool
    written: Written
    replayed: list[Replayed]


def write_backlog(site: Site, say: Say) -> Written:
    """Until the agent has everything in its spool."""
    began, told, peak = time.monotonic(), 0.0, 0
    site.endpoint.start()
    while True:
        time.sleep(_LOOK_SECONDS)
        assert site.endpoint.running, "the agent has ended"
        peak = max(peak, site.endpoint.spool_bytes())
        status = site.endpoint.status()
        waiting = 0 if status is None else status.heartbeat.backlog_events
        seconds = time.monotonic() - began
        if seconds - told > _TELL_SECONDS:
            told = seconds
            say(f"  {seconds:>6.0f} s: {waiting:>9,} events in the spool, {peak / 1e6:>7,.1f} MB")
        if waiting >= site.plan.events:
            break
    assert status is not None
    assert status.heartbeat.lost_events == 0, f"{status.heartbeat.lost_events} events did not fit"
    assert status.shipping.shipped_events == 0, status.shipping
    return Written(seconds, site.cpu_seconds()["agent"], peak)


def replay(site: Site, say: Say) -> Replayed:
    """Server and broker are back; until all that the spool held is stored."""
    if not site.endpoint.running:
        site.endpoint.start()
    agent_before = site.cpu_seconds()["agent"]
    site.come_back()
    began = time.monotonic()
    before = site.cpu_seconds()
    _until_stored(site, site.plan.events, say)
    seconds = time.monotonic() - began
    after = site.cpu_seconds()
    left = _let_spool_go(site.endpoint)
    site.installation.stop()
    say("  looking at every stored event")
    stored = read_stored(
        site.installation.data,
        AGENT,
        events=site.plan.events,
        first_time=site.first_time,
        every_ms=site.plan.every_ms,
    )
    return Replayed(
        site.log,
        site.plan.quota,
        site.plan.events,
        seconds,
        after["agent"] - agent_before,
        after["server"] - before["server"],
        after["broker"] - before["broker"],
        left,
        stored,
    )


def _until_stored(site: Site, events: int, say: Say) -> None:
    began = changed_at = time.monotonic()
    before, told = -1, 0.0
    while (stored := site.installation.stored()) < events:
        now = time.monotonic()
        if stored != before:
            before, changed_at = stored, now
        assert now - changed_at < SILENCE_SECONDS, f"only {stored} of {events} events came"
        if now - began - told > _TELL_SECONDS:
            told = now - began
            say(f"  {told:>6.0f} s: {stored:>9,} of {events:,} events stored")
        time.sleep(_LOOK_SECONDS)


def _let_spool_go(endpoint: Endpoint) -> int:
    """Its size when all is acknowledged: the one segment that is being written."""
    deadline = time.monotonic() + 60
    while True:
        status = endpoint.status()
        if status is not None and status.heartbeat.backlog_events == 0:
            return endpoint.spool_bytes()
        assert time.monotonic() < deadline, "the agent does not know that all is stored"
        time.sleep(0.2)


def run_outage(root: Path, logs: list[Log], plan: Plan, say: Say) -> Result:
    """One backlog, replayed over each of `logs`."""
    prepared = root / "prepared"
    say("a sample company with 60 days of history and a model")
    prepare_data(prepared)
    span = plan.events * plan.every_ms
    replayed: list[Replayed] = []
    kept = root / "spool"
    written: Written | None = None
    first_time = 0
    for log in logs:
        if not first_time:
            now = time.time_ns() // 1_000_000
            # Enrolling takes a while before the first event may happen.
            first_time = now + 15_000 if plan.real_time else now - span
        with open_site(root / log, prepared, log, plan, first_time) as site:
            site.begin()
            if written is None:
                say(f"{plan.events:,} events while nothing answers, to go over {log}")
                written = write_backlog(site, say)
                say(
                    f"  written in {written.seconds:.0f} s; spool {written.spool_bytes / 1e6:,.1f} MB, "
                    f"{written.spool_bytes / plan.events:.1f} bytes an event"
                )
                if len(logs) > 1:
                    site.endpoint.stop()
                    shutil.copytree(site.endpoint.state_dir / "spool", kept)
            else:
                own = site.endpoint.state_dir / "spool"
                shutil.rmtree(own, ignore_errors=True)
                shutil.copytree(kept, own)
            say(f"all comes back: {log}")
            replayed.append(replay(site, say))
            echo_replay(replayed[-1], plan.events, say)
    assert written is not None
    return Result(plan.events, span / 1000, plan.real_time, written, replayed)


def run_hung(root: Path, plan: Plan, hung_s: float, say: Say) -> Result:
    """The broker answers nobody for `hung_s` seconds while events go on; then it answers again."""
    prepared = root / "prepared"
    say("a sample company with 60 days of history and a model")
    prepare_data(prepared)
    first_time = time.time_ns() // 1_000_000 + 30_000
    with open_site(root / "kafka", prepared, "kafka", plan, first_time) as site:
        assert site.broker is not None
        site.installation.start_server()
        site.endpoint.start()
        began = time.monotonic()
        _until_stored(site, _FLOW_SECONDS * 1000 // plan.every_ms, say)
        say(f"the broker hangs for {hung_s:.0f} s")
        site.broker.pause()
        peak, stopped_at = 0, time.monotonic()
        while time.monotonic() - stopped_at < hung_s:
            time.sleep(_LOOK_SECONDS)
            peak = max(peak, site.endpoint.spool_bytes())
        before, cpu = site.installation.stored(), site.cpu_seconds()
        assert before < plan.events
        written = Written(time.monotonic() - began, cpu["agent"], peak)
        site.broker.resume()
        resumed_at = time.monotonic()
        happened = min((time.time_ns() // 1_000_000 - first_time) // plan.every_ms, plan.events)
        _until_stored(site, happened, say)
        caught_up = time.monotonic() - resumed_at
        say(f"  all of before is stored {caught_up:.1f} s after it went on")
        _until_stored(site, plan.events, say)
        after = site.cpu_seconds()
        left = _let_spool_go(site.endpoint)
        site.installation.stop()
        stored = read_stored(
            site.installation.data, AGENT, events=plan.events, first_time=first_time, every_ms=plan.every_ms
        )
        used = {name: after[name] - cpu[name] for name in cpu}
        found = Replayed(
            "kafka",
            plan.quota,
            happened - before,
            caught_up,
            used["agent"],
            used["server"],
            used["broker"],
            left,
            stored,
        )
    echo_replay(found, plan.events, say)
    return Result(plan.events, plan.events * plan.every_ms / 1000, True, written, [found])


def echo_replay(r: Replayed, events: int, say: Say) -> None:
    s = r.stored
    say(
        f"  {r.log}: {s.events:,} of {events:,} stored, {s.missing} lost, {s.twice} doubled, "
        f"{s.changed} changed; {s.findings} findings, {s.dead} dead letters"
    )
    say(
        f"  {r.events:,} had waited, caught up in {r.seconds:.1f} s, {r.events / r.seconds:,.0f} events/s; "
        f"{s.duplicates:,} came again and counted once; spool afterwards {r.spool_bytes_after / 1e6:.1f} MB"
    )
    say(f"  CPU seconds: agent {r.agent_cpu_s:.1f}, server {r.server_cpu_s:.1f}, broker {r.broker_cpu_s:.1f}")


@click.command()
@click.option("--hours", type=click.FloatRange(0.001, 100), default=1.0, show_default=True)
@click.option("--rate", type=click.IntRange(1, 1000), default=100, show_default=True, help="Events a second.")
@click.option("--log", "logs", type=click.Choice(["kafka", "https"]), multiple=True, help="Both by default.")
@click.option("--real-time", is_flag=True, help="The outage takes as long as it says.")
@click.option(
    "--agent-quota",
    "quota",
    type=click.IntRange(10, 1_000_000),
    default=2000,
    show_default=True,
    help="limits.agent_events_per_second of the server, for HTTPS.",
)
@click.option("--hung", type=click.FloatRange(1, 3600), help="The broker hangs for so many seconds instead.")
@click.option("--folder", type=click.Path(path_type=Path), help="Keeps everything there.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(
    hours: float,
    rate: int,
    logs: tuple[Log, ...],
    real_time: bool,
    quota: int,
    hung: float | None,
    folder: Path | None,
    json_file: Path | None,
) -> None:
    """An endpoint's events through an outage: nothing lost, nothing doubled, and how long it takes."""
    every_ms = 1000 // rate
    with tempfile.TemporaryDirectory(prefix="leaver-outage-") as temporary:
        root = folder or Path(temporary)
        if hung is not None:
            events = round((hung + 3 * _FLOW_SECONDS) * 1000 / every_ms)
            result = run_hung(root, Plan(events, every_ms, True, quota), hung, click.echo)
        else:
            events = round(hours * HOUR_MS / every_ms)
            wanted = list(logs) or ["kafka", "https"]
            result = run_outage(root, wanted, Plan(events, every_ms, real_time, quota), click.echo)
    if json_file is not None:
        json_file.write_text(json.dumps(msgspec.to_builtins(result), indent=1) + "\n", encoding="utf-8")
    if any(replayed.stored.faults(events) for replayed in result.replayed):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
