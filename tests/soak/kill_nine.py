"""Kill -9 of agent and server, in turn, while events flow: what is stored must equal an undisturbed run.

    python -m tests.soak.kill_nine [--events 20000] [--kills 10] [--database KIND] [--seed 1] [--folder DIR]

On PostgreSQL that is killed too, in its turn; the undisturbed run is on SQLite, so that the two are compared.
Real `leaver up`, real agent, real enrolment and HTTPS; only the collector is scripted, so that both runs
see the same acts. Exit code 1 where anything differs that is not in outcome.py's short list.
"""

from __future__ import annotations

import contextlib
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from agent.host import this_host
from agent.version import agent_version
from event_schema.codec import encode_event
from tests.postgres_server.server import PostgresServer
from tests.soak.installation import AGENT, Installation, prepare_data
from tests.soak.outcome import Outcome, Place, read_outcome
from tests.soak.script import scripted_event

TURN_SECONDS = 1.5
"""So long do a turn's events take to happen, so that they are on their way when something dies."""
JITTER_SECONDS = 0.12
RECOVERY_SECONDS = 1.2
SILENCE_SECONDS = 120.0
_EXAMPLES = 3

Say = Callable[[str], None]


class Run(msgspec.Struct, frozen=True):
    outcome: Outcome
    seconds: float
    kills: int
    in_flow: int
    """Kills that came while events were on their way."""


class Line(msgspec.Struct, frozen=True):
    """A row of the comparison. `fault`: what differs, empty where all is well."""

    what: str
    undisturbed: int
    killed: int
    fault: str = ""


def run_script(
    folder: Path,
    prepared: Path,
    *,
    count: int,
    base_time: int,
    kills: int,
    seed: int,
    say: Say,
    postgres: PostgresServer | None = None,
) -> Run:
    """One run of the script on a copy of `prepared`, with `kills` kills of the agent, as many of the server,
    and of the database server if there is one. Ends when all is taken in and agent and server have stopped
    in good order."""
    began = time.monotonic()
    dice = random.Random(seed)
    victims = ("agent", "server") if postgres is None else ("agent", "server", "database")
    turns = len(victims) * kills
    pause_s = TURN_SECONDS * (turns + 1) / count if turns else 0.0
    installation = Installation(
        folder, prepared, count=count, base_time=base_time, pause_s=pause_s, postgres=postgres
    )
    in_flow = 0
    try:
        installation.start_server()
        installation.start_agent()
        for turn in range(turns):
            allowed = count * (turn + 1) // (turns + 1)
            before = installation.stored()
            installation.allow(allowed)
            _wait_for_moment(dice, installation, before, allowed)
            name = victims[turn % len(victims)]
            if name == "agent":
                installation.kill_agent()
            elif name == "server":
                installation.kill_server()
            elif postgres is not None:
                postgres.kill()
                # Nothing can be asked while it is away.
                postgres.start()
            stored = installation.stored()
            in_flow += stored < allowed
            say(f"  kill {turn + 1:>2} of {turns}: {name:<8}  {stored:>6,} of {allowed:>6,} events stored")
            if name == "agent":
                installation.start_agent()
            elif name == "server":
                installation.start_server()
        installation.allow(count)
        _wait_until_stored(installation, count)
        installation.stop()
        return Run(read_outcome(installation.data), time.monotonic() - began, turns, in_flow)
    finally:
        installation.abandon()


def _wait_for_moment(dice: random.Random, installation: Installation, before: int, allowed: int) -> None:
    """A quarter of the kills come while what was killed before is still recovering. Nearly half come when
    records have just reached the log: the answer, or the agent's note of it, is still on its way. The
    others come soon after the pipeline stored a random one of the turn's earlier events."""
    kind = dice.random()
    target = before + round((allowed - before) * dice.uniform(0.0, 0.6))
    if kind < 0.25:
        time.sleep(dice.uniform(0.0, RECOVERY_SECONDS))
    elif kind < 0.7:
        _wait_until_stored(installation, target)
        installation.wait_for_append(JITTER_SECONDS)
    else:
        _wait_until_stored(installation, target)
        time.sleep(dice.uniform(0.0, JITTER_SECONDS))


def _wait_until_stored(installation: Installation, count: int) -> None:
    before, changed_at = -1, time.monotonic()
    while (stored := installation.stored()) < count:
        if stored != before:
            before, changed_at = stored, time.monotonic()
        assert time.monotonic() - changed_at < SILENCE_SECONDS, f"only {stored} of {count} events came"
        time.sleep(0.02)


def compare(undisturbed: Outcome, killed: Outcome, *, count: int, base_time: int) -> list[Line]:
    """Both with each other, and both with the script."""
    lines = [
        Line("events", len(undisturbed.events), len(killed.events), _events_fault(undisturbed, killed)),
        Line(
            "events as scripted",
            _as_scripted(undisturbed, count, base_time),
            scripted := _as_scripted(killed, count, base_time),
            "" if scripted == count else f"{count - scripted} are not",
        ),
    ]
    lines += [
        Line(name, len(rows), len(killed.tables[name]), tables_fault(undisturbed, killed, name))
        for name, rows in undisturbed.tables.items()
    ]
    for what, nothing_in in (
        ("stored twice", lambda o: o.twice),
        ("numbers missing", _missing),
        ("lost", lambda o: range(o.lost)),
        ("dead letters", lambda o: o.dead),
        ("findings", lambda o: o.findings),
        ("left on the log", lambda o: range(o.lag)),
    ):
        first, second = nothing_in(undisturbed), nothing_in(killed)
        fault = f"{[*first, *second][:_EXAMPLES]}" if len(first) or len(second) else ""
        lines.append(Line(what, len(first), len(second), fault))
    lines.append(Line("came again, counted once", undisturbed.duplicates, killed.duplicates))
    return lines


def _events_fault(undisturbed: Outcome, killed: Outcome) -> str:
    places = sorted(undisturbed.events.keys() | killed.events.keys())
    differing = [p for p in places if undisturbed.events.get(p) != killed.events.get(p)]
    return f"{len(differing)} differ: {differing[:_EXAMPLES]}" if differing else ""


def tables_fault(first: Outcome, second: Outcome, name: str) -> str:
    """In words, which rows of a table differ; empty where they are equal."""
    rows, others = first.tables[name], second.tables[name]
    if rows == others:
        return ""
    differing = sorted(set(map(repr, rows)) ^ set(map(repr, others)))
    return f"{len(differing)} rows differ: {differing[:_EXAMPLES]}"


def _as_scripted(outcome: Outcome, count: int, base_time: int) -> int:
    """How many of the script's events are stored under their own number, byte for byte."""
    host, version = this_host(AGENT), agent_version()
    right = 0
    for number in range(count):
        place: Place = (AGENT, "epoch 1", number)
        stored = outcome.events.get(place)
        expected = encode_event(scripted_event(number, count, base_time, host, version))
        right += stored is not None and stored.event == expected
    return right


def _missing(outcome: Outcome) -> list[str]:
    """Epochs whose numbers are not one range from 0: there is a gap."""
    return [seen for epochs in outcome.epochs.values() for seen in epochs if not _is_whole(seen)]


def _is_whole(seen: str) -> bool:
    return seen == "" or (seen.startswith("0-") and "," not in seen)


def echo_lines(lines: list[Line], undisturbed: Run, killed: Run) -> None:
    width = max(len(line.what) for line in lines)
    click.echo(f"{'':<{width}}  undisturbed  {'killed':>11}")
    for line in lines:
        said = f"  DIFFERS: {line.fault}" if line.fault else ""
        click.echo(f"{line.what:<{width}}  {line.undisturbed:>11,}  {line.killed:>11,}{said}")
    click.echo(f"{'seconds':<{width}}  {undisturbed.seconds:>11.1f}  {killed.seconds:>11.1f}")


@click.command()
@click.option("--events", "count", type=click.IntRange(100, 1_000_000), default=20_000, show_default=True)
@click.option(
    "--kills", type=click.IntRange(1, 100), default=10, show_default=True, help="Of each of the two."
)
@click.option(
    "--database",
    type=click.Choice(["sqlite", "postgresql"]),
    default="sqlite",
    show_default=True,
    help="Of the killed run.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed, other moments.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Keeps both runs there (else a temporary folder)."
)
def main(count: int, kills: int, database: str, seed: int, folder: Path | None) -> None:
    """Kill agent and server with SIGKILL while events flow, and compare with an undisturbed run."""
    with tempfile.TemporaryDirectory(prefix="leaver-soak-") as temporary:
        root = folder or Path(temporary)
        prepared = root / "prepared"
        click.echo("a sample company with 60 days of history and a model")
        base_time = prepare_data(prepared)
        click.echo(f"{count:,} events undisturbed")
        undisturbed = run_script(
            root / "undisturbed",
            prepared,
            count=count,
            base_time=base_time,
            kills=0,
            seed=seed,
            say=click.echo,
        )
        whom = "the agent and of the server" if database == "sqlite" else "agent, server and PostgreSQL"
        click.echo(f"{count:,} events with {kills} × kill -9 of {whom}")
        with contextlib.ExitStack() as ends:
            postgres = None
            if database == "postgresql":
                postgres = PostgresServer()
                ends.callback(postgres.stop)
            killed = run_script(
                root / "killed",
                prepared,
                count=count,
                base_time=base_time,
                kills=kills,
                seed=seed,
                say=click.echo,
                postgres=postgres,
            )
        lines = compare(undisturbed.outcome, killed.outcome, count=count, base_time=base_time)
        echo_lines(lines, undisturbed, killed)
        faults = [line for line in lines if line.fault]
        if not killed.in_flow:
            click.echo("no kill came while events were on their way: nothing is proven", err=True)
        if faults or not killed.in_flow:
            raise SystemExit(1)
        click.echo(f"equal; {killed.in_flow} of {killed.kills} kills came while events were on their way")


if __name__ == "__main__":
    main()
