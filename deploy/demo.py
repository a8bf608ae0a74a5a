"""The demo behind `make demo`: every program of Leaver, for real, on this machine, on loopback.

Starts the server, loads the sample company, enrols and starts the agent, mounts a drive (a file behind a
loop device where that is allowed, else a named folder), copies files to it as the company's leaver would,
waits for the alert and shows it. Uses only the commands that a user has; nothing of the alert is prepared.

All of it lies in one folder (default .demo), which the next demo empties. As root the person is another
account, which may not be able to look into this checkout (in /root, say): then the files and the drive's
mount point lie in a folder under /tmp, and `place` in .demo is a link to it.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from demo_steps import (
    START_SECONDS,
    DemoFailed,
    call,
    can_mount,
    fail,
    free_port,
    read,
    say,
    step,
    wait_until,
    write_customers,
)

BIN = Path(sys.executable).parent
ALERT_SECONDS = 60.0
DRIVE_MEGABYTES = 1024


class Demo:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.root: Path = options.folder.resolve()
        self.data = self.root / "server"
        self.agent_config = self.root / "agent.toml"
        self.programs: list[subprocess.Popen[str]] = []
        self.shown = 0
        self.as_root = os.geteuid() == 0
        # As root a system account stands in for the person; it needs no account made on this machine.
        self.copier = pwd.getpwnam("nobody") if self.as_root else pwd.getpwuid(os.geteuid())

    # ---- steps --------------------------------------------------------------------------------------

    def run(self) -> None:
        say(f"Leaver demo in {self.root}")
        stop_earlier(self.root)
        shutil.rmtree(self.root, ignore_errors=True)
        self.data.mkdir(mode=0o700, parents=True)
        self.make_place()
        self.start_server()
        self.load_company()
        self.mount_drive()
        self.start_agent()
        started = self.copy_files()
        self.show_alert(started)

    def make_place(self) -> None:
        """Where the person works: the folders `office` and `stick`."""
        place = self.root / "place"
        if self.as_root:
            self.root.chmod(0o755)
            probe = [*self.as_copier(), "ls", self.root]
            if subprocess.run([str(part) for part in probe], capture_output=True, check=False).returncode:
                place.symlink_to(tempfile.mkdtemp(prefix="leaver-demo-"))
        place.mkdir(exist_ok=True)
        place.chmod(0o755)
        self.office = place.resolve() / "office"
        self.drive = place.resolve() / "stick"
        self.office.mkdir(mode=0o755)
        self.drive.mkdir()

    def start_server(self) -> None:
        settings = [f'[listen]\naddress = "127.0.0.1:{free_port()}"\n']
        if self.options.transport == "kafka":
            step("starting a real Apache Kafka (the first time: fetching it)")
            read([BIN / "leaver", "init", "--data", self.data])
            asking = [sys.executable, "-m", "tests.kafka_broker", "--run", "--pki", self.data / "pki"]
            bootstrap = self.wait_for_line("kafka", self.start("kafka", asking), "127.0.0.1:", seconds=600)
            settings.append(f'[log]\nkind = "kafka"\nbootstrap = ["{bootstrap}"]\nsecurity = "mtls"\n')
        (self.data / "server.toml").write_text("\n".join(settings))
        if self.options.transport == "kafka":
            self.set_up_broker()
        step("starting the server: leaver up")
        server = self.start("server", [BIN / "leaver", "up", "--data", self.data])
        self.wait_for_line("server", server, "ready")

    def set_up_broker(self) -> None:
        step("topics and access rules, with certificates of the server's own CA: leaver kafka setup")
        pem, administrator = self.root / "setup.pem", self.root / "setup.toml"
        read([BIN / "leaver", "kafka", "certificate", "setup", "--out", pem, "--data", self.data])
        administrator.write_text(f'certificate = "{pem}"\nkey = "{pem}"\n')
        setup = [BIN / "leaver", "kafka", "setup", "--json", "--as", administrator, "--data", self.data]
        made = [found["what"] for found in json.loads(read(setup))["steps"]]
        say(f"    {made.count('topic')} topics, {made.count('rule')} rules")

    def load_company(self) -> None:
        step("a sample company: 60 people, 60 days of history, through the pipeline: leaver demo load")
        account = f"{self.copier.pw_name}@{socket.gethostname()}"
        zone = ["--time-zone", "UTC"]
        seed = ["--seed", str(self.options.seed)]
        call([BIN / "leaver", "demo", "load", "--leaver-account", account, "--data", self.data, *zone, *seed])
        shown = json.loads(read([BIN / "leaver", "alerts", "list", "--json", "--data", self.data]))
        self.alerts_before = {alert["id"] for alert in shown}
        say(f"    {len(self.alerts_before)} open alerts before anything is copied here")

    def mount_drive(self) -> None:
        image = self.root / "stick.img"
        # Half as much again for the file system's own needs.
        megabytes = max(DRIVE_MEGABYTES, self.options.megabytes * 3 // 2)
        if self.as_root and can_mount(image, self.drive, megabytes):
            step(f"a drive (loop device, ext4) is mounted at {self.drive}")
        else:
            step(f"no loop device here: the named folder {self.drive} stands in for the drive")
        self.drive.chmod(0o1777)
        self.agent_config.write_text(
            f'[agent]\nstate_dir = "{self.root / "agent"}"\n\n'
            f'[collectors.removable_storage]\nextra_mounts = ["{self.drive}"]\n'
        )

    def start_agent(self) -> None:
        step("enrolling and starting the agent: leaver-agent enrol, leaver-agent run")
        made = json.loads(
            read([BIN / "leaver", "agents", "enrol", "demo-endpoint", "--json", "--data", self.data])
        )
        config = ["--config", self.agent_config]
        call([BIN / "leaver-agent", "enrol", *config], stdin=made["line"])
        self.start("agent", [BIN / "leaver-agent", "run", *config])

        def watching() -> bool:
            found = subprocess.run(
                [BIN / "leaver-agent", "status", "--json", *config],
                capture_output=True,
                text=True,
                check=False,
            )
            return '"state":"running"' in found.stdout.replace(" ", "") and str(self.drive) in found.stdout

        wait_until("the agent watches the drive", watching)

    def copy_files(self) -> float:
        """Copies as the leaver would. Returns when (Unix seconds) it began."""
        count = self.options.files
        weights = [random.uniform(0.5, 1.5) for _ in range(count)]
        for number, weight in enumerate(weights, 1):
            size = max(1, round(self.options.megabytes * 1_000_000 * weight / sum(weights)))
            path = self.office / f"{self.options.name}-{number:02}.csv"
            write_customers(path, size, random.Random(random.getrandbits(64)))
        files = sorted(self.office.iterdir())
        size = sum(path.stat().st_size for path in files)
        step(
            f"six days before the last working day: {count} files named {self.options.name}-… "
            f"({size / 1e6:.0f} MB) are copied to it with cp"
        )
        started = time.time()
        for path in files:
            call([*self.as_copier(), "cp", path, self.drive])
        say(f"    copied within {time.time() - started:.1f} s")
        return started

    def as_copier(self) -> list[str]:
        if not self.as_root:
            return []
        return ["setpriv", f"--reuid={self.copier.pw_uid}", f"--regid={self.copier.pw_gid}", "--clear-groups"]

    def show_alert(self, started: float) -> None:
        ended = time.time()
        found: dict[str, Any] = {}

        def raised() -> bool:
            shown = json.loads(read([BIN / "leaver", "alerts", "list", "--json", "--data", self.data]))
            for alert in shown:
                if alert["id"] not in self.alerts_before:
                    found.update(alert)
            return bool(found)

        wait_until("the alert", raised, ALERT_SECONDS)

        def complete() -> bool:
            raised()
            events: int = found["events"]
            return events >= int(self.options.files)

        wait_until("all copied files are in the alert", complete, ALERT_SECONDS)
        say("")
        self.shown = int(found["id"])
        call([BIN / "leaver", "alerts", "show", str(self.shown), "--data", self.data])
        opened = found["opened_at"] / 1000
        say("")
        copying = f"copying took {ended - started:.1f} s"
        say(f"From the first copied byte to the alert: {opened - started:.1f} s; {copying}.")

    def say_how_to_go_on(self) -> None:
        say("")
        if self.options.once:
            say("Nothing is left running. The data stays until the next demo:")
            say(f"    export LEAVER_DATA={self.data} PATH={BIN}:$PATH")
        else:
            as_person = f"runuser -u {self.copier.pw_name} -- " if self.as_root else ""
            say("The server and the agent go on running. Take something else along, and look again:")
            say(f"    export LEAVER_DATA={self.data} PATH={BIN}:$PATH")
            say(f"    {as_person}cp FILE {self.drive}/")
        if not self.options.once:
            self.say_console()
        say("    leaver alerts list")
        say(f"    leaver alerts show {self.shown}")
        say(f'    leaver alerts show {self.shown} --unmask PSEUDONYM --reason "trying it"')
        say(f'    leaver alerts close {self.shown} --verdict confirmed --reason "trying it"')
        if not self.options.once:
            say("    make demo-stop                      # ends both")

    def say_console(self) -> None:
        """A link for a user of each role that works with people or policies; each sets a password, once."""
        say("See it in a browser (it warns of the demo's own certificate); each link sets a password:")
        for role in ("analyst", "hr", "administrator"):
            adding = [BIN / "leaver", "users", "add", f"demo-{role}", "--role", role, "--json"]
            made = json.loads(read([*adding, "--data", self.data]))
            say(f"    {role:<13}  {made['link']}")
        say("Or on the command line:")

    # ---- programs -----------------------------------------------------------------------------------

    def start(self, name: str, command: list[Any]) -> subprocess.Popen[str]:
        """In a session of its own, its output in a file; its pid is kept for the next demo or `--stop`."""
        # A pipe whose both ends the program holds itself: its standard input never ends.
        endless = self.root / f"{name}.stdin"
        os.mkfifo(endless)
        log = os.open(self.root / f"{name}.log", os.O_WRONLY | os.O_CREAT, 0o600)
        with open(log, "w") as output, endless.open("r+b", buffering=0) as stdin:
            program = subprocess.Popen(
                [str(part) for part in command],
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self.programs.append(program)
        with (self.root / "pids").open("a") as pids:
            pids.write(f"{program.pid} {process_start(program.pid)} {name}\n")
        return program

    def wait_for_line(
        self, name: str, program: subprocess.Popen[str], word: str, seconds: float = START_SECONDS
    ) -> str:
        log = self.root / f"{name}.log"
        lines: list[str] = []

        def said() -> bool:
            if program.poll() is not None:
                fail(f"{name} ended with {program.returncode}:\n{log.read_text()[-3000:]}")
            lines[:] = [line for line in log.read_text().splitlines() if line.startswith(word)]
            return bool(lines)

        wait_until(f"{name} is ready", said, seconds)
        return lines[0]

    def stop(self) -> None:
        stop_earlier(self.root)


# ---- the earlier demo's programs ----------------------------------------------------------------------


def running(root: Path) -> list[str]:
    """Names of the programs of a demo that still run."""
    pids = root / "pids"
    lines = pids.read_text().splitlines() if pids.exists() else []
    return [name for pid, start, name in map(str.split, lines) if process_start(int(pid)) == start]


def stop_earlier(root: Path) -> list[str]:
    """Stops what an earlier demo left running, by its own pids, and unmounts its drive. What it stopped."""
    pids = root / "pids"
    stopped = []
    if pids.exists():
        for line in reversed(pids.read_text().splitlines()):
            pid, start, name = line.split()
            # A pid that was given to another program meanwhile has another start time.
            if process_start(int(pid)) == start:
                os.kill(int(pid), signal.SIGTERM)
                wait_until(f"program {pid} ends", partial(ended, int(pid), start))
                stopped.append(name)
        pids.unlink()
    place = root / "place"
    if (place / "stick").is_mount():
        subprocess.run(["umount", place.resolve() / "stick"], check=True)
    if place.is_symlink():
        shutil.rmtree(place.resolve(), ignore_errors=True)
        place.unlink()
    (root / "stick.img").unlink(missing_ok=True)
    return stopped


def ended(pid: int, start: str) -> bool:
    return process_start(pid) != start


def process_start(pid: int) -> str:
    """Start time of a living process in clock ticks since boot, "" for none."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path(".demo"))
    parser.add_argument("--transport", choices=("https", "kafka"), default="https")
    parser.add_argument("--once", action="store_true", help="stop everything at the end")
    parser.add_argument("--stop", action="store_true", help="only stop what an earlier demo left running")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another company")
    parser.add_argument("--name", default="customers", help="how the copied files are called")
    parser.add_argument("--files", type=int, default=24, help="how many files are copied")
    parser.add_argument("--megabytes", type=int, default=12, help="how much is copied")
    options = parser.parse_args()
    demo = Demo(options)
    if options.stop:
        stopped = stop_earlier(demo.root)
        say(f"stopped: {', '.join(stopped)}; data stays in {demo.root}" if stopped else "no demo was running")
        return 0
    if running(demo.root):
        say(f"demo: one is running in {demo.root}, and another would remove its data: make demo-stop")
        return 1
    try:
        demo.run()
    except DemoFailed as error:
        say(f"demo: {error}")
        say(f"      logs are in {demo.root}")
        demo.stop()
        return 1
    except KeyboardInterrupt:
        demo.stop()
        say("\ndemo: stopped, nothing is left running")
        return 130
    except BaseException:
        demo.stop()
        raise
    if options.once:
        demo.stop()
    demo.say_how_to_go_on()
    return 0


if __name__ == "__main__":
    sys.exit(main())
