"""One run of the script, undisturbed or with kill -9 in turn of whatever takes part, while events flow.

Real `leaver up`, real workers, real agents, real enrolment, and the log and the database that are asked for;
only the collectors are scripted, so that all runs see the same acts.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tests.kafka_broker.broker import KafkaBroker
from tests.postgres_server.server import PostgresServer
from tests.soak.endpoint import Endpoint
from tests.soak.installation import GATE, SESSION_SECONDS, Installation
from tests.soak.outcome import Outcome, read_outcome
from tests.soak.script import phase_ends

AGENTS = ("soak-1", "soak-2", "soak-3", "soak-4", "soak-5", "soak-6")
TURN_SECONDS = 1.5
"""So long do a turn's events take to happen, so that they are on their way when something dies."""
JITTER_SECONDS = 0.12
RECOVERY_SECONDS = 1.2
AWAY_SECONDS = 2.0
"""At most so long are broker and database away."""
SILENCE_SECONDS = 120.0
_OUTSIDE_EVERY = 5
"""In one round of so many broker and database are killed, too."""
_TAKEN_OVER_SHARE = 0.25
"""Of the killed workers, those that stay away until others have their partitions."""

Say = Callable[[str], None]


class Course(msgspec.Struct, frozen=True):
    """How a run goes. `kills`: rounds; in each, each kind of process is killed once. No log or database
    server: the built-in ones. `workers`: beside `leaver up`, on Kafka and PostgreSQL only."""

    count: int
    base_time: int
    kills: int = 0
    seed: int = 1
    agents: int = 1
    workers: int = 0
    kafka: KafkaBroker | None = None
    postgres: PostgresServer | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return AGENTS[: self.agents]


class Run(msgspec.Struct, frozen=True):
    """`kills`: by what was killed. `in_flow`: of them, while events were on their way. `again`: batches that
    workers did again because another one had changed the same person, since each last started."""

    outcome: Outcome
    seconds: float
    kills: dict[str, int]
    in_flow: int
    again: int


def run_script(folder: Path, prepared: Path, course: Course, *, say: Say) -> Run:
    """On a copy of `prepared`. Ends when all is taken in and everything has stopped in good order."""
    began = time.monotonic()
    dice = random.Random(course.seed)
    victims = list(_victims(course, dice))
    installation = installed(folder, prepared, course, turns=len(victims))
    kills: Counter[str] = Counter()
    in_flow = before = 0
    try:
        installation.start()
        for endpoint in installation.endpoints:
            endpoint.start()
        for turn, victim in enumerate(victims):
            allowed = course.count * (turn + 1) // (len(victims) + 1)
            before = _go_on(installation, course, before, allowed)
            _wait_for_moment(dice, installation, before, allowed)
            name, revive = _kill(dice, installation, victim)
            stored = installation.stored()
            kills[victim] += 1
            in_flow += stored < allowed
            which = f"kill {turn + 1:>3} of {len(victims)}: {name:<8}"
            say(f"  {which}  {stored:>7,} of {allowed:>7,} events stored")
            revive()
            before = stored
        _go_on(installation, course, before, course.count)
        _wait_until_stored(installation, course.count)
        again = sum(row[0] for row in installation.ask("SELECT conflicts FROM workers"))
        installation.stop()
        seconds = time.monotonic() - began
        return Run(read_outcome(installation.data), seconds, dict(kills), in_flow, again)
    finally:
        installation.abandon()


def _victims(course: Course, dice: random.Random) -> Iterator[str]:
    for number in range(course.kills):
        ours = ["agent", "server", *(["worker"] if course.workers else [])]
        if number % _OUTSIDE_EVERY == 0:
            ours += ["broker"] if course.kafka is not None else []
            ours += ["database"] if course.postgres is not None else []
        dice.shuffle(ours)
        yield from ours


def installed(
    folder: Path, prepared: Path, course: Course, *, turns: int = 0, data: Path | None = None
) -> Installation:
    """With the script's endpoints. `turns`: the flow is slowed down so that it takes that many."""
    folder.mkdir(parents=True)
    gate = folder / GATE
    pause_s = TURN_SECONDS * (turns + 1) * course.agents / course.count if turns else 0.0
    endpoints = [
        Endpoint(
            folder,
            name,
            module="scripted_agent",
            collector=(
                f"[collectors.script]\ncount = {course.count}\nbase_time = {course.base_time}\n"
                f'place = {place}\nplaces = {course.agents}\ngate = "{gate}"\npause_s = {pause_s}\n'
            ),
        )
        for place, name in enumerate(course.names)
    ]
    return Installation(
        folder,
        prepared,
        endpoints,
        data=data,
        postgres=course.postgres,
        kafka=course.kafka,
        partitions=len(AGENTS),
        workers=course.workers,
    )


def _go_on(installation: Installation, course: Course, before: int, allowed: int) -> int:
    """Allows so many events, a phase only when the one before is stored. Returns what is stored by then, at
    least."""
    for end in phase_ends(course.count):
        if installation.allowed <= end < allowed:
            installation.allow(end)
            _wait_until_stored(installation, end)
            before = end
    installation.allow(allowed)
    return before


def _kill(dice: random.Random, installation: Installation, victim: str) -> tuple[str, Callable[[], None]]:
    """What was killed, and how it comes back."""
    if victim == "agent":
        endpoint = dice.choice(installation.endpoints)
        endpoint.kill()
        return endpoint.name, endpoint.start
    if victim == "server":
        installation.kill_server()
        return victim, installation.start_server
    if victim == "worker":
        name = dice.choice(list(installation.workers))
        installation.kill_worker(name)
        if dice.random() < _TAKEN_OVER_SHARE:
            time.sleep(SESSION_SECONDS + 1.5)
        return name, lambda: installation.start_worker(name)
    outside = installation.kafka if victim == "broker" else installation.postgres
    assert outside is not None
    outside.kill()
    time.sleep(dice.uniform(0.0, AWAY_SECONDS))
    outside.start()
    return victim, lambda: None


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
