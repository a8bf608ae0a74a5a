"""One installation on one machine: `leaver up` and the scripted agent, as processes that can be killed.

`prepare_data` makes the state that all runs begin with: the sample company, its history and a model.
"""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

from agent.enrolment import enrol, parse_line
from server.commands.opening import open_installation, system_clock
from server.evaluation.demo_load import load_demo
from server.people.csv_import import import_people
from server.pipeline.worker import PipelineWorker
from tests.postgres_server.server import PostgresServer
from tests.server.up.up_process import UpProcess, leaver
from tests.soak.script import SEED, left_person_csv

AGENT = "soak"
ROOT = Path(__file__).parents[2]


def prepare_data(data: Path) -> int:
    """Makes a data directory with people, history and a model. Returns the base time of the script."""
    done = leaver("init", data=data)
    assert done.returncode == 0, done.stderr
    base_time = system_clock()
    with open_installation(data) as installation:
        log = installation.open_log()
        worker = PipelineWorker(installation.database, log, clock=system_clock)
        stop = threading.Event()
        thread = threading.Thread(target=worker.run, args=(stop,))
        thread.start()
        try:
            load_demo(
                installation.database,
                log,
                installation.pki.open_authority(),
                clock=lambda: base_time,
                seed=SEED,
                leaver_account="unused",
                time_zone="UTC",
                version="0.1.0",
                progress=lambda what, _done, _of: _still(thread, what),
            )
        finally:
            stop.set()
            thread.join()
            log.close()
        with installation.database.begin() as connection:
            import_people(connection, left_person_csv(base_time), actor="soak", at=base_time)
    return base_time


class Installation:
    """Copies `prepared`; the agent is enrolled when the server first runs. `data`: where the server keeps
    everything, if not in `folder`. With `postgres` the database moves there first."""

    def __init__(
        self,
        folder: Path,
        prepared: Path,
        *,
        count: int,
        base_time: int,
        pause_s: float = 0.0,
        data: Path | None = None,
        postgres: PostgresServer | None = None,
    ) -> None:
        folder.mkdir(parents=True)
        self.data = data or folder / "data"
        shutil.copytree(prepared, self.data)
        self.postgres = postgres
        settings = f'[listen]\naddress = "127.0.0.1:{_free_port()}"\n'
        if postgres is not None:
            self._database = postgres.new_database(migrated=False)
            url = postgres.url(self._database)
            moved = leaver("store", "migrate", "--to", url, data=self.data)
            assert moved.returncode == 0, moved.stderr
            for file in self.data.glob("leaver.db*"):
                file.unlink()
            settings += f'[database]\nurl = "{url}"\n'
        (self.data / "server.toml").write_text(settings)
        self.state_dir = folder / "agent"
        self._gate = folder / "gate"
        self.allow(0)
        self._settings = folder / "agent.toml"
        self._settings.write_text(
            f'[agent]\nstate_dir = "{self.state_dir}"\nlog_level = "error"\n'
            f"[collectors.script]\ncount = {count}\nbase_time = {base_time}\n"
            f'gate = "{self._gate}"\npause_s = {pause_s}\n'
        )
        self._agent_log = folder / "agent.log"
        self.server: UpProcess | None = None
        self.agent: subprocess.Popen[bytes] | None = None

    def start_server(self) -> None:
        """Returns when it is ready."""
        self.server = UpProcess(self.data)
        if not self.state_dir.exists():
            made = leaver("agents", "enrol", AGENT, "--json", data=self.data)
            assert made.returncode == 0, made.stderr
            enrol(parse_line(json.loads(made.stdout)["line"]), self.state_dir, replace=False)

    def start_agent(self) -> None:
        with self._agent_log.open("ab") as log:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "tests.soak.scripted_agent", str(self._settings)], cwd=ROOT, stderr=log
            )

    def kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        self.server.close()

    def kill_agent(self) -> None:
        assert self.agent is not None
        self.agent.kill()
        self.agent.wait(30)

    def allow(self, events: int) -> None:
        """Lets the script go on until so many events have happened."""
        new = self._gate.with_suffix(".new")
        new.write_text(str(events), encoding="ascii")
        new.replace(self._gate)

    def stored(self) -> int:
        """Events of the agent that the pipeline has committed."""
        query = f"SELECT seen FROM agent_epochs WHERE agent = '{AGENT}'"
        rows: list[tuple[str]]
        if self.postgres is None:
            with closing(self.database()) as connection:
                rows = connection.execute(query).fetchall()
        else:
            with self.postgres.connect(self._database) as reader:
                rows = [(str(seen),) for (seen,) in reader.execute(query).fetchall()]
        ranges = [part.partition("-") for (seen,) in rows for part in seen.split(",") if part]
        return sum(int(last) - int(first) + 1 for first, _, last in ranges)

    def wait_for_append(self, seconds: float) -> bool:
        """Whether records reached the server's log within this time; returns at once when they do."""
        until = time.monotonic() + seconds
        with closing(_read_only(self.data / "log.db")) as connection:
            before = connection.execute("SELECT next_offset FROM bounds").fetchone()
            while time.monotonic() < until:
                if connection.execute("SELECT next_offset FROM bounds").fetchone() != before:
                    return True
                time.sleep(0.0005)
        return False

    def database(self) -> sqlite3.Connection:
        """Beside the server, which may be running, or dead."""
        return _read_only(self.data / "leaver.db")

    def stop(self) -> None:
        """In good order, as far as they still run."""
        if self.agent is not None and self.agent.poll() is None:
            self.agent.terminate()
            assert self.agent.wait(30) == 0, self._agent_log.read_text()
        if self.server is not None and self.server.process.poll() is None:
            self.server.terminate()
        if self.server is not None:
            self.server.close()

    def abandon(self) -> None:
        """Whatever happened: nothing goes on running."""
        if self.agent is not None and self.agent.poll() is None:
            self.kill_agent()
        if self.server is not None:
            self.server.close()
        if self.postgres is not None:
            self.postgres.drop_database(self._database)


def _still(worker: threading.Thread, what: str) -> None:
    assert worker.is_alive(), f"the pipeline failed at: {what}"


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
