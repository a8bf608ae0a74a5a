"""The HTTPS server: uvicorn in a thread of its own, TLS 1.2 or newer, bounded connections and times.

uvicorn bounds the time between requests, but not how long a client may take for a request's head, and a
connection without any request stays for ever: PatientProtocol bounds both. It leaves the TLS handshake a
minute, asyncio's default, and the goodbye half a minute: PatientLoop bounds these.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from server.config import split_address
from server.pki.files import ServerCertificate
from server.pulse import Pulse
from server.supervision import PartState

if TYPE_CHECKING:
    from starlette.applications import Starlette

HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 2.0
HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75
HEAD_BYTES_MAX = 16 * 1024
BACKLOG = 512
GRACE_SECONDS = 2
_START_SECONDS = 10.0
TURN_SECONDS_MAX = 60.0


class ListenError(Exception):
    """The address cannot be listened on; the message says why."""


class PatientLoop(asyncio.SelectorEventLoop):
    """Gives up on TLS handshakes and goodbyes that take too long."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        if options.get("ssl") is not None:
            options |= {
                "ssl_handshake_timeout": HANDSHAKE_SECONDS,
                "ssl_shutdown_timeout": GOODBYE_SECONDS,
            }
        return await super().create_server(*arguments, **options)


class PatientProtocol(H11Protocol):
    """Closes a connection whose next request's head is not complete within HEAD_SECONDS of its beginning."""

    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if _is_busy(self.cycle):
            self._cancel_head_timer()
        elif self._head_timer is None:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_head_timer()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _cancel_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _give_up(self) -> None:
        self._head_timer = None
        if not _is_busy(self.cycle):
            self.transport.abort()


def _is_busy(cycle: RequestResponseCycle | None) -> bool:
    return cycle is not None and not cycle.response_complete


class _Server(uvicorn.Server):
    """Shows that its event loop turns."""

    def __init__(self, config: uvicorn.Config, pulse: Pulse) -> None:
        super().__init__(config)
        self._pulse = pulse

    async def on_tick(self, counter: int) -> bool:
        self._pulse.beat()
        return await super().on_tick(counter)


class HttpsServer:
    """Listens from construction on, so that the port is known; answers after start(). Without a certificate
    it speaks plain HTTP, which only loopback may hear."""

    def __init__(
        self, app: Starlette, address: str, certificate: ServerCertificate | None, *, connections: int
    ) -> None:
        self._app = app
        self._context = None if certificate is None else _tls_context(certificate)
        self._socket = _listen(address)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            loop="server.api.https_server:PatientLoop",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            limit_concurrency=connections,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            ssl_context_factory=self._make_context if self._context is not None else None,
        )
        self._pulse = Pulse(TURN_SECONDS_MAX)
        self._server = _Server(config, self._pulse)
        self._thread = threading.Thread(target=self._run, name="https", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def state(self) -> PartState:
        if not self._thread.is_alive():
            return PartState("starting" if self._thread.ident is None else "stopped", 0, None)
        state = "hanging" if self._pulse.hangs else "running"
        return PartState(state, 0, None, round(self._pulse.age, 1))

    def start(self) -> None:
        """Returns when requests are answered. Raises ListenError."""
        self._thread.start()
        deadline = time.monotonic() + _START_SECONDS
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise ListenError("the HTTPS server did not start")
            time.sleep(0.005)

    def use_certificate(self, certificate: ServerCertificate) -> None:
        """Presents a renewed certificate to connections that come from now on."""
        assert self._context is not None
        self._context.load_cert_chain(certificate.chain, certificate.key)

    def stop(self) -> None:
        """Asks it to stop, returns at once. Requests in flight get GRACE_SECONDS."""
        if isinstance(stopping := getattr(self._app.state, "stopping", None), threading.Event):
            stopping.set()
        self._server.should_exit = True

    def join(self, seconds: float) -> bool:
        """Whether it stopped within this time."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, seconds))
        self._socket.close()
        return not self._thread.is_alive()

    def _make_context(self, _config: uvicorn.Config, _default: object) -> ssl.SSLContext:
        assert self._context is not None
        return self._context

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])


def _tls_context(certificate: ServerCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate.chain, certificate.key)
    return context


def _listen(address: str) -> socket.socket:
    host, port = split_address(address)
    try:
        family, kind, protocol, _name, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
            listening.bind(place)
            listening.listen(BACKLOG)
            listening.setblocking(False)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise ListenError(f"{address}: {error.strerror or error}") from error
    return listening
