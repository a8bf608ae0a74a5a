"""How long after a file was written its alert stands in the database: a real agent, a real server, HTTPS.

python -m benchmarks.event_to_alert [--seconds N] [--people N] [--json FILE]

As root: many people on notice, each an account of its own, copy one file each with cp, at random times,
while somebody else copies 20 files a second. Each person gets an alert of their own; its delay is from the
file's last write (its modification time) to `opened_at`. Otherwise one account copies one file after
another; the delay is to `updated_at` of its alert. Settling (1 s without a change) is part of it.
"""

from __future__ import annotations

import getpass
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import msgspec
from sqlalchemy import select

from benchmarks.running_pair import cpu_seconds, running_agent, running_server, wait_until, watched_folder
from server.store.database import open_database
from server.store.tables import alerts
from tests.server.up.up_process import UpProcess, leaver

TARGET_SECONDS = 5.0
BACKGROUND_A_SECOND = 20
_FIRST_UID = 210_000
_BACKGROUND = """
import sys, time
from pathlib import Path
folder, pause = Path(sys.argv[1]), 1 / float(sys.argv[2])
number, due = 0, time.monotonic()
while True:
    (folder / f"photo-{number}.jpg").write_bytes(b"x" * 2000)
    number, due = number + 1, due + pause
    time.sleep(max(0.0, due - time.monotonic()))
"""


class Delays(msgspec.Struct, frozen=True):
    place: str
    copies: int
    background_a_second: float
    median: float
    p95: float
    longest: float
    server_cpu_share: float
    agent_cpu_share: float


def import_company(server: UpProcess, folder: Path, accounts: list[str], colleague: str) -> None:
    """The accounts' owners leave in six days; the colleague stays."""
    today = datetime.now(UTC).date()
    notice, last = today - timedelta(days=10), today + timedelta(days=6)
    rows = [f"E{at},Person {at},{name},sales,{notice},{last}" for at, name in enumerate(accounts)]
    rows.append(f"C1,Colleague,{colleague},sales,,")
    people = folder / "people.csv"
    header = "id,name,accounts,department,notice date,last working day"
    people.write_text("\n".join((header, *rows)) + "\n")
    many = ("--expect-leavers", str(len(accounts)))
    done = leaver("people", "import", "--yes", *many, str(people), data=server.data)
    if done.returncode:
        raise click.ClickException(done.stdout + done.stderr)


def as_user(uid: int) -> list[str]:
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]


def copies_by_many(server: UpProcess, folder: Path, target: Path, people: int, seconds: float) -> list[float]:
    """Seconds from each person's last write to the opening of the alert about that person."""
    uids = [_FIRST_UID + number for number in range(people)]
    source = folder / "customers.csv"
    source.write_bytes(os.urandom(20_000))
    source.chmod(0o644)
    folder.chmod(0o755)
    begun = time.monotonic()
    written: dict[str, float] = {}
    dice = random.Random(1)
    for number, due in enumerate(sorted(dice.uniform(0, seconds) for _ in uids)):
        time.sleep(max(0.0, begun + due - time.monotonic()))
        copy = target / f"customers-{number}.csv"
        subprocess.run([*as_user(uids[number]), "cp", source, copy], check=True)
        written[f"person:E{number}"] = copy.stat().st_mtime
    opened: dict[str, float] = {}

    def all_there() -> bool:
        opened.update(opened_at(server))
        return written.keys() <= opened.keys()

    wait_until("an alert about each person", all_there, 30.0)
    return [opened[subject] - at for subject, at in written.items()]


def opened_at(server: UpProcess) -> dict[str, float]:
    """When the server opened each subject's alert, in seconds since 1970."""
    database = open_database(f"sqlite:///{server.data / 'leaver.db'}", clock=lambda: 0)
    try:
        with database.read() as connection:
            rows = connection.execute(select(alerts.c.subject, alerts.c.opened_at))
            return {row.subject: row.opened_at / 1000 for row in rows}
    finally:
        database.close()


def copies_by_one(server: UpProcess, target: Path, seconds: float) -> list[float]:
    """Seconds from each write to the change of the one alert that it made."""
    delays: list[float] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        copy = target / f"customers-{len(delays)}.csv"
        copy.write_bytes(os.urandom(20_000))
        delays.append(changed_at(server, len(delays) + 1) - copy.stat().st_mtime)
    return delays


def changed_at(server: UpProcess, events: int) -> float:
    """When the only alert came to hold so many events, in seconds since 1970."""
    database = open_database(f"sqlite:///{server.data / 'leaver.db'}", clock=lambda: 0)
    found: list[int] = []

    def reached() -> bool:
        with database.read() as connection:
            query = select(alerts.c.updated_at).where(alerts.c.events >= events)
            found.extend(connection.execute(query).scalars())
        return bool(found)

    try:
        wait_until("the copy in the alert", reached, 30.0)
    finally:
        database.close()
    return found[0] / 1000


@contextmanager
def background(target: Path, uid: int) -> Iterator[None]:
    """Somebody copies BACKGROUND_A_SECOND files a second."""
    folder = target / "photos"
    folder.mkdir()
    folder.chmod(0o777)
    command = [*as_user(uid), sys.executable, "-c", _BACKGROUND, str(folder), str(BACKGROUND_A_SECOND)]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measured(people: int, seconds: float) -> Delays:
    as_root = os.geteuid() == 0
    own = [getpass.getuser()]
    accounts = [str(_FIRST_UID + n) for n in range(people)] if as_root else own
    colleague = _FIRST_UID + people
    with (
        tempfile.TemporaryDirectory(prefix="leaver-alert-") as name,
        running_server(Path(name)) as server,
        watched_folder(Path(name), 256) as (target, place),
    ):
        folder = Path(name)
        import_company(server, folder, accounts, str(colleague))
        with running_agent(server, folder, target) as agent:
            before = time.monotonic(), cpu_seconds(server.process.pid), agent.cpu_seconds()
            if as_root:
                with background(target, colleague):
                    delays = copies_by_many(server, folder, target, people, seconds)
            else:
                delays = copies_by_one(server, target, seconds)
            after = time.monotonic(), cpu_seconds(server.process.pid), agent.cpu_seconds()
    took, server_cpu, agent_cpu = (b - a for a, b in zip(before, after, strict=True))
    return Delays(
        place,
        len(delays),
        BACKGROUND_A_SECOND if as_root else 0,
        statistics.median(delays),
        statistics.quantiles(delays, n=20)[18],
        max(delays),
        server_cpu / took,
        agent_cpu / took,
    )


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long to go on copying.")
@click.option("--people", default=100, show_default=True, help="How many people copy, as root.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(seconds: float, people: int, json_file: Path | None) -> None:
    """Print the delay from a file's last write to its stored alert."""
    found = measured(people, seconds)
    click.echo(
        f"{found.copies} copies to {found.place}, {found.background_a_second:.0f} other files a second"
    )
    click.echo(f"median  {found.median:5.2f} s")
    click.echo(f"p95     {found.p95:5.2f} s   (target {TARGET_SECONDS:.0f} s)")
    click.echo(f"longest {found.longest:5.2f} s")
    click.echo(f"server  {found.server_cpu_share:.1%} of a core, agent {found.agent_cpu_share:.1%}")
    if json_file is not None:
        json_file.write_text(json.dumps(msgspec.to_builtins(found), indent=1) + "\n")


if __name__ == "__main__":
    main()
