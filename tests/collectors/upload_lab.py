"""A home with files, somebody who sends them, and servers on loopback that take them: all real programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec

from collectors.destination_settings import DestinationSettings
from collectors.labels import LabelSettings
from collectors.uploads import UploadsCollector
from collectors.uploads_config import UploadsConfig
from event_schema.ocsf_objects import Host, HostType
from event_schema.ocsf_transfer_events import FileHostingActivity
from tests.collectors.observing import Observing

# OpenSSH's programs refuse to run for a user without an account; this one is everywhere.
USER = 65534
AS_USER = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups")
SSH_OPTIONS = ("-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
SINK = Path(__file__).with_name("upload_sink.py")


class UploadLab:
    """Everything lies in a folder of its own; what was started ends with it."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="leaver-upload-")))
        self.folder.chmod(0o755)
        self.homes = self.folder / "home"
        self.documents = self.homes / "jo" / "Documents"
        self.documents.mkdir(parents=True)
        self.own = self.folder / "own"
        """The sender's place for what is nobody's business."""
        self.own.mkdir()
        os.chown(self.own, USER, USER)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.own), "LC_ALL": "C.UTF-8"}

    def __enter__(self) -> UploadLab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def file(self, name: str, size: int = 20_000) -> Path:
        """A file that everybody may read."""
        path = self.documents / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(size))
        return path

    host = Host(hostname="laptop", type_id=HostType.UNKNOWN)

    def config(self, **settings: object) -> UploadsConfig:
        """Watches the homes here; loopback counts as outside."""
        usual = {"folders": (str(self.homes),), "inside_networks": (), "window_s": 15.0}
        return msgspec.convert(usual | settings, UploadsConfig)

    def collector(
        self,
        labels: LabelSettings | None = None,
        places: DestinationSettings | None = None,
        **settings: object,
    ) -> UploadsCollector:
        return UploadsCollector(
            self.config(**settings),
            self.host,
            "0",
            label_settings=labels,
            destination_settings=places,
        )

    def run(self, *command: str | Path, seconds: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Runs a program as the user, and fails if it fails."""
        words = [*AS_USER, *map(str, command)]
        return subprocess.run(
            words, check=True, timeout=seconds, capture_output=True, env=self.environment, cwd=self.own
        )

    def start(self, *command: str | Path, as_user: bool = False) -> subprocess.Popen[bytes]:
        """Starts a program that ends with the lab."""
        words = [*(AS_USER if as_user else ()), *map(str, command)]
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.environment, cwd=self.own
        )
        self._stack.callback(_end, process)
        return process

    def web(self, address: str = "127.0.0.1", certificate: Path | None = None) -> int:
        """The port of a web server that takes everything."""
        more = () if certificate is None else (certificate,)
        process = self.start(sys.executable, SINK, address, *more)
        assert process.stdout is not None
        return int(process.stdout.readline())

    def certificate(self) -> Path:
        """Certificate and key of 127.0.0.1 in one file."""
        path = self.folder / "web.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
             "-subj", "/CN=127.0.0.1",
             "-keyout", str(path), "-out", str(self.folder / "cert.pem")],
            check=True, capture_output=True,
        )  # fmt: skip
        with path.open("a") as file:
            file.write((self.folder / "cert.pem").read_text())
        return path

    def ssh(self) -> tuple[int, Path]:
        """Port of a real sshd, and the user's key for it; it lets them in as root."""
        port = free_port()
        Path("/run/sshd").mkdir(exist_ok=True)
        host_key, key = self.folder / "host_key", self.own / "id"
        for path in (host_key, key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        allowed = self.folder / "allowed"
        shutil.copy(f"{key}.pub", allowed)
        os.chown(key, USER, USER)
        settings = self.folder / "sshd_config"
        settings.write_text(
            f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host_key}\nAuthorizedKeysFile {allowed}\n"
            "PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n"
        )
        self.start("/usr/sbin/sshd", "-D", "-f", settings)
        wait_for_port(port)
        return port, key

    def uploads(self, observing: Observing) -> list[FileHostingActivity]:
        """What was told so far of files here. Another test may push a repository of its own meanwhile."""
        return [
            event
            for event in observing.events
            if isinstance(event, FileHostingActivity) and (event.file.path or "").startswith(str(self.folder))
        ]

    def wait(self, observing: Observing, count: int, seconds: float = 30) -> list[FileHostingActivity]:
        """Waits for so many uploads, and a moment more for those that should not come."""
        with contextlib.suppress(AssertionError):
            observing.wait_for(lambda: len(self.uploads(observing)) >= count, seconds, f"{count} uploads")
        observing.settle(1.0)
        return self.uploads(observing)


@contextlib.contextmanager
def watching(collector: UploadsCollector) -> Iterator[Observing]:
    """A running collector whose marks stand."""
    with Observing(collector) as observing:
        observing.wait_for(
            lambda: "still looking" not in (collector.detail() or "still looking"), 20, "marks"
        )
        yield observing


def right(found: list[FileHostingActivity], program: str, port: int) -> set[str]:
    """The files that were told with the right user, program, destination and size."""
    return {
        event.file.name
        for event in found
        if event.actor.user is not None
        and event.actor.process is not None
        and event.dst_endpoint is not None
        and event.actor.user.uid == str(USER)
        and event.actor.process.name == program
        and (event.dst_endpoint.ip, event.dst_endpoint.port) == ("127.0.0.1", port)
        and (event.unmapped.transfer.bytes_sent or 0) >= (event.file.size or 0) > 0
    }


def fidelities(found: list[FileHostingActivity]) -> Counter[str]:
    return Counter(event.unmapped.evidence.fidelity for event in found)


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 15) -> None:
    """Until somebody listens there."""
    limit = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < limit, f"nobody listens on {port}"
            time.sleep(0.05)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout is not None:
        process.stdout.close()
