"""The real HTTPS server on loopback, with its own CA, database and embedded log, for tests."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from event_schema.control_records import Heartbeat, encode_control
from event_schema.request_signing import RECORDS_CONTENT_TYPE, sign_request
from event_schema.wire import RecordKind, WireRecord, encode_request, pack_control
from server.admin_token import rotate_token
from server.agents.registry import create_token
from server.api.app import create_app
from server.api.https_server import HttpsServer
from server.api.service import ApiService
from server.config import LimitsConfig, ListenConfig, MetricsConfig, PeopleConfig, ServerConfig, SignInConfig
from server.data_directory import DataDirectory
from server.health import Health
from server.log.embedded import EmbeddedLog
from server.metrics.process_metrics import ProcessMetrics
from server.metrics.snapshot_metrics import SnapshotMetrics
from server.pki.authority import Authority
from server.pki.files import PkiFiles
from server.pulse import Pulse
from server.service_tokens import TokenRole, list_tokens
from server.service_tokens import create_token as create_service_token
from server.status import read_status
from server.status_types import Status
from server.store.database import Database, open_database, upgrade
from server.supervision import PartState

START = 1_790_000_000_000


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class RunningServer:
    def __init__(
        self,
        directory: Path,
        *,
        limits: LimitsConfig | None = None,
        clock: Clock | None = None,
        people: PeopleConfig | None = None,
        log_bytes: int = 1 << 30,
        database_url: str | None = None,
        sign_in: SignInConfig | None = None,
    ) -> None:
        # Certificates are checked by TLS against the machine's clock.
        self.clock = clock or Clock(int(time.time() * 1000))
        self.config = ServerConfig(
            listen=ListenConfig(address="127.0.0.1:0"),
            metrics=MetricsConfig(str(directory / "metrics.token")),
            limits=limits or LimitsConfig(),
            people=people or PeopleConfig(),
            sign_in=sign_in or SignInConfig(),
        )
        url = database_url or f"sqlite:///{directory / 'leaver.db'}"
        self.database: Database = open_database(url, clock=self.clock)
        upgrade(self.database)
        self.log = EmbeddedLog(directory / "log.db", self.clock, max_bytes=log_bytes)
        self.pki = PkiFiles(directory / "pki", clock=self.clock)
        self.authority: Authority = self.pki.create_authority("test")
        self.parts = {"pipeline": PartState("running", 0, None)}
        self.directory = directory
        self.metrics = ProcessMetrics(SnapshotMetrics(self._status), pipeline_pulse=Pulse(60))
        self.service = ApiService(
            config=self.config,
            database=self.database,
            log=self.log,
            authority=self.authority,
            clock=self.clock,
            health=Health(
                lambda: self.parts,
                self.log,
                self.database,
                disk=directory,
                disk_free_bytes=self.config.limits.disk_free_mebibytes << 20,
            ),
            status=self._status,
            metrics=self.metrics.render,
            directory=DataDirectory(directory),
        )
        self.https = HttpsServer(
            create_app(self.service),
            self.config.listen.address,
            self.pki.ensure_server(self.authority, self.config.listen),
            connections=self.config.limits.connections,
        )
        self.https.start()
        self.url = f"https://127.0.0.1:{self.https.port}"

    def _status(self) -> Status:
        with self.database.read() as connection:
            return read_status(
                connection,
                self.log,
                "embedded",
                None,
                now=self.clock(),
                directory=self.directory,
                kept=self.config.retention,
            )

    def tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.authority.certificate_pem.decode())

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, verify=self.tls(), timeout=60, trust_env=False)

    def invite(self, name: str) -> str:
        with self.database.begin() as connection:
            return create_token(connection, name, now=self.clock(), actor="test")

    def admin_token(self) -> str:
        with self.database.begin() as connection:
            return rotate_token(connection, now=self.clock(), actor="test")

    def service_token(self, role: TokenRole, *, name: str | None = None, days: int = 90) -> str:
        """Of a service account; each has another name."""
        with self.database.begin() as connection:
            known = name or f"{role}-{len(list_tokens(connection)) + 1}"
            return create_service_token(connection, known, role, days=days, now=self.clock(), actor="test")

    def raw_connection(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.https.port), timeout=15)
        return self.tls().wrap_socket(plain, server_hostname="127.0.0.1")

    def close(self) -> None:
        self.https.stop()
        self.https.join(5)
        self.log.close()
        self.database.close()


class TestAgent:
    """An enrolled agent, as far as the protocol goes."""

    __test__ = False

    def __init__(self, server: RunningServer, client: httpx.Client, name: str) -> None:
        self.client = client
        self.name = name
        self.key = Ed25519PrivateKey.generate()
        self.answer = enrol(client, server.invite(name), self.key)
        assert self.answer.status_code == 200, self.answer.text

    def post(self, path: str, body: bytes, content_type: str) -> httpx.Response:
        headers = sign_request(self.key, agent=self.name, method="POST", path=path, body=body)
        return self.client.post(path, content=body, headers={**headers, "content-type": content_type})

    def send(self, records: list[WireRecord]) -> httpx.Response:
        return self.post("/v1/records", encode_request(records), RECORDS_CONTENT_TYPE)

    def heartbeat(self, *, agent: str | None = None) -> WireRecord:
        content = encode_control(
            Heartbeat(
                sent_at=START,
                version="test",
                next_seq=0,
                backlog_events=0,
                backlog_bytes=0,
                lost_events=0,
                collectors=(),
            )
        )
        return pack_control(
            self.key,
            agent=agent or self.name,
            kind=RecordKind.HEARTBEAT,
            epoch="0123456789abcdef",
            first_seq=0,
            count=0,
            content=content,
        )


def enrol(client: httpx.Client, token: str, key: Ed25519PrivateKey) -> httpx.Response:
    return client.post("/v1/enrol", json={"token": token, "public_key": public_key_text(key)})


def public_key_text(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def logged(server: RunningServer) -> list[WireRecord]:
    """All records that lie on the server's log."""
    found = server.log.read({0: 0}, max_records=1000, timeout=0)
    return [entry.record for entry in found if entry.record is not None]
