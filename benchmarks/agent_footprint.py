"""What the agent costs the machine: share of one core and memory (PSS), at rest and while files change.

python -m benchmarks.agent_footprint [--rest SECONDS] [--busy SECONDS] [--json FILE]

The real `leaver-agent run`, enrolled at a real server on the same machine, whose own cost is not counted.
Collectors as they are by default; their child processes count.
At rest: it watches an empty drive, and sends its heartbeats. Busy: one program writes small files at about
1,000 operations a second (create and write, overwrite, rename, delete: 250 each). Elsewhere: on the
machine's own disk, while the empty drive is watched. No hashing: on the drive; each file lives for 0.8 s, so
that its four operations are one event. Files stay: each lives for eight seconds and is two events. Hashing:
the same, with it on as shipped (at most a quarter of one core); the difference is what hashing costs.

"of the writer" compares with the CPU time of the program that writes, which a busy machine slows down too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import click
import msgspec

from benchmarks.running_pair import RunningAgent, running_agent, running_server, watched_folder

OPERATIONS_A_SECOND = 1000
REST_CPU, REST_MEGABYTES, BUSY_CPU = 0.01, 60, 0.05
_SETTLED_SECONDS = 12.0
"""The agent writes its status every few seconds."""
_OBSERVED = ""
WRITER = """
import sys, time
from pathlib import Path
folder, seconds, rate = Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
done, begun = 0, time.monotonic()
kept = int(sys.argv[4])
while time.monotonic() - begun < seconds:
    number = done // 4
    path = folder / f"{number % 50:02}"
    path.mkdir(exist_ok=True)
    file = path / f"note-{number}.txt"
    file.write_bytes(b"a" * 2000)
    file.write_bytes(b"b" * 3000)
    file.rename(renamed := file.with_suffix(".md"))
    if number >= kept:
        old = number - kept
        (folder / f"{old % 50:02}" / f"note-{old}.md").unlink()
    done += 4
    time.sleep(max(0.0, begun + done / rate - time.monotonic()))
print(done / (time.monotonic() - begun), time.process_time())
"""
_SHORT_LIVED, _STAYING = 200, 2000
"""How many of the newest files are there; the one before them is deleted."""


class Cost(msgspec.Struct, frozen=True):
    """`cpu_share` of one core; `megabytes` of PSS at the end of the time."""

    state: str
    operations_a_second: float
    cpu_share: float
    system_share: float
    """The part of it that the kernel used for the agent."""
    of_writer: float
    """Of the CPU time of the program that wrote the files; 0 at rest."""
    megabytes: float
    observed: int
    dropped: dict[str, int]
    """By reason, as the agent says; an event without its hash counts here too."""


def cost(
    agent: RunningAgent, state: str, seconds: float, folder: Path | None, kept: int = _SHORT_LIVED
) -> Cost:
    """Over `seconds`, and where files are written (in `folder`), until what came last has settled."""
    begun, cpu, before = time.monotonic(), agent.cpu_seconds(), counts(agent)
    system = system_seconds(agent)
    rate = writer = 0.0
    if folder is None:
        time.sleep(seconds)
    else:
        folder.mkdir()
        arguments = [str(folder), str(seconds), str(OPERATIONS_A_SECOND), str(kept)]
        command = [sys.executable, "-c", WRITER, *arguments]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rate, writer = map(float, said.split())
    took = time.monotonic() - begun
    if folder is not None:
        # The work that is left counts too, though not the time in which it is done.
        time.sleep(_SETTLED_SECONDS)
    used = agent.cpu_seconds() - cpu
    after = counts(agent)
    seen = after.pop(_OBSERVED) - before.pop(_OBSERVED)
    return Cost(
        state=state,
        operations_a_second=rate,
        cpu_share=used / took,
        system_share=(system_seconds(agent) - system) / took,
        of_writer=used / writer if writer else 0.0,
        megabytes=agent.pss_megabytes(),
        observed=seen,
        dropped=dict(after - before),
    )


def system_seconds(agent: RunningAgent) -> float:
    """What the kernel has used for the agent so far."""
    fields = Path(f"/proc/{agent.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[12]) / os.sysconf("SC_CLK_TCK")


def counts(agent: RunningAgent) -> Counter[str]:
    """What the agent itself says: observed, and dropped by reason."""
    status = agent.status()
    found = Counter({_OBSERVED: 0})
    for collector in status.heartbeat.collectors if status is not None else ():
        found[_OBSERVED] += collector.observed
        found.update(collector.dropped)
    return found


def measured(rest: float, busy: float) -> tuple[str, list[Cost]]:
    with (
        tempfile.TemporaryDirectory(prefix="leaver-footprint-") as name,
        running_server(Path(name)) as server,
        watched_folder(Path(name), 512) as (target, place),
    ):
        folder = Path(name)
        costs = []
        for at, settings in enumerate(("hash_max_bytes = 0\n", "")):
            own = folder / f"agent-{at}"
            own.mkdir()
            with running_agent(server, own, target, settings, name=f"benchmark-{at}") as agent:
                time.sleep(_SETTLED_SECONDS)
                if at == 0:
                    costs.append(cost(agent, "at rest", rest, None))
                    costs.append(cost(agent, "busy elsewhere", busy, folder / "elsewhere"))
                    costs.append(cost(agent, "busy, no hashing", busy, target / "work"))
                state = "busy, hashing" if at else "busy, files stay"
                costs.append(cost(agent, state, busy, target / f"staying-{at}", _STAYING))
        return place, costs


@click.command()
@click.option("--rest", default=60.0, show_default=True, help="Seconds at rest.")
@click.option("--busy", default=30.0, show_default=True, help="Seconds of file operations, four times.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(rest: float, busy: float, json_file: Path | None) -> None:
    """Print the agent's share of one core and its memory."""
    place, costs = measured(rest, busy)
    click.echo(f"watching {place}; memory is PSS")
    click.echo(
        f"{'':<18} {'operations/s':>12} {'of a core':>10} {'in the kernel':>13} {'of the writer':>13}"
        f" {'MB':>6} {'events':>8}"
    )
    for c in costs:
        click.echo(
            f"{c.state:<18} {c.operations_a_second:>12,.0f} {c.cpu_share:>10.2%} {c.system_share:>13.2%}"
            f" {c.of_writer:>13.2f} {c.megabytes:>6.0f} {c.observed:>8,}"
        )
        for reason, number in c.dropped.items():
            click.echo(f"{'':<18} {number:,} times: {reason}")
    click.echo(
        f"targets: at rest {REST_CPU:.0%} and {REST_MEGABYTES} MB, busy without hashing {BUSY_CPU:.0%}"
    )
    if json_file is not None:
        found = {"place": place, "costs": [msgspec.to_builtins(c) for c in costs]}
        json_file.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
