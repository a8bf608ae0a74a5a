"""Starts, stops, kills and pauses one Apache Kafka broker on free ports of 127.0.0.1.

The data directory lives as long as the object, so that a broker that was killed comes back with its
log, on the same port. The broker ends when the thread that started it ends (PDEATHSIG): a test run
that is killed leaves nothing behind; start it from a thread that stays.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.errors import KafkaError  # type: ignore[import-untyped]
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

from event_schema.kafka_delivery import make_client
from tests.kafka_broker.jars import HERE, BrokerFailed, jar_directory, java

CLUSTER_ID = "bGVhdmVyLXRlc3QtY2x1cw"
START_SECONDS = 90
# C1 only and the serial collector: a short-lived broker on two cores is up in half the time.
JVM_FLAGS = ["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]


class KafkaBroker:
    """A broker that answers when the constructor returns. Raises BrokerFailed."""

    properties = "server.properties"
    """The file beside this one that it runs with; @...@ is filled in."""

    def __init__(self) -> None:
        self._java = java()
        self._classpath = f"{jar_directory()}/*"
        self._directory = Path(tempfile.mkdtemp(prefix="leaver-kafka-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] = (self._directory / "broker.out").open("wb")
        try:
            self._port, *others = free_ports(1 + self.further_ports())
            self.bootstrap = f"127.0.0.1:{self._port}"
            self._write_configuration(self._filled_in(self._directory, self._port, others))
            self._format()
            self.start()
        except BaseException:
            self.stop()
            raise

    def further_ports(self) -> int:
        """How many ports it needs beside the one of `bootstrap`."""
        return 1

    def _filled_in(self, directory: Path, port: int, others: list[int]) -> dict[str, str]:
        """What stands for each @NAME@ in the properties."""
        return {"PORT": str(port), "CONTROLLER_PORT": str(others[0]), "DATA": str(directory / "data")}

    def _format_arguments(self) -> list[str]:
        """Further arguments for formatting the storage."""
        return []

    def admin_settings(self) -> Mapping[str, Any]:
        """Client settings of somebody who may do everything."""
        return {"bootstrap_servers": self.bootstrap}

    def _write_configuration(self, filled_in: Mapping[str, str]) -> None:
        text = (HERE / self.properties).read_text()
        for name, value in filled_in.items():
            text = text.replace(f"@{name}@", value)
        (self._directory / "server.properties").write_text(text)

    def _command(self, program: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        return [self._java, *JVM_FLAGS, logging, "-cp", self._classpath, program, *arguments]

    def _format(self) -> None:
        arguments = ["format", "-t", CLUSTER_ID, "-c", str(self._directory / "server.properties")]
        command = self._command("kafka.tools.StorageTool", *arguments, *self._format_arguments())
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
        if done.returncode != 0:
            raise BrokerFailed(f"the broker's storage cannot be formatted:\n{done.stdout}{done.stderr}")

    def start(self) -> None:
        """Starts the broker on its data and waits until it answers."""
        properties = str(self._directory / "server.properties")
        command = ["setpriv", "--pdeathsig", "KILL", *self._command("kafka.Kafka", properties)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._output, stderr=subprocess.STDOUT, process_group=0
        )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                output = (self._directory / "broker.out").read_text(errors="replace")[-3000:]
                raise BrokerFailed(f"Apache Kafka does not answer on {self.bootstrap}:\n{output}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            settings = {**self.admin_settings(), "bootstrap_timeout_ms": 2000}
            admin = make_client(KafkaAdminClient, KafkaNetClient, settings)
        except (OSError, KafkaError):
            return False
        try:
            return bool(admin.describe_cluster()["brokers"])
        except KafkaError:
            return False
        finally:
            admin.close()

    @property
    def pid(self) -> int:
        """The running broker's process id. Raises BrokerFailed."""
        if self._process is None:
            raise BrokerFailed("the broker is not running")
        return self._process.pid

    def kill(self) -> None:
        """kill -9: no goodbye, no flush."""
        self._signal_and_wait(signal.SIGKILL, 10)

    def pause(self) -> None:
        """Connections stay open and nothing answers, as behind a firewall that drops packets."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """An orderly restart; after kill() just a start. Same port, same data."""
        self._signal_and_wait(signal.SIGTERM, 30)
        self.start()

    def stop(self) -> None:
        """Ends the broker and removes its data. May be called twice."""
        self._signal_and_wait(signal.SIGTERM, 30)
        self._output.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _signal_and_wait(self, number: signal.Signals, seconds: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
