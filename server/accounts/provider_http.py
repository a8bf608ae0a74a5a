"""Calls to the company's identity provider, each bounded in time, size and number at once.

A provider that is dead, slow or hostile holds a few threads for a few seconds, no more: whoever finds no
place is told to come again. The time counts for a call as a whole, however slowly it answers byte by byte.
Nothing is followed elsewhere.
"""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpcore
import orjson

AT_ONCE: Final = 4
SECONDS: Final = 5.0
_BYTES_MAX: Final = 512 << 10


class ProviderUnusable(Exception):
    """No answer that can be used; the message says why, without secrets."""


class ProviderBusy(Exception):
    """As many calls as may be are waiting for the provider already."""


class ProviderHttp:
    """Used by many threads."""

    def __init__(self) -> None:
        self._places = threading.BoundedSemaphore(AT_ONCE)

    def get(self, address: str, *, bearer: str | None = None) -> dict[str, Any]:
        """The JSON object there. Raises ProviderUnusable, ProviderBusy."""
        headers = {} if bearer is None else {"authorization": f"Bearer {bearer}"}
        return self._call("GET", address, headers, None)

    def post(self, address: str, form: Mapping[str, str], *, basic: tuple[str, str] | None) -> dict[str, Any]:
        """`basic`: a client's id and secret. Raises ProviderUnusable, ProviderBusy."""
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if basic is not None:
            pair = ":".join(quote(part, safe="") for part in basic)
            headers["authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return self._call("POST", address, headers, urlencode(form).encode())

    def _call(
        self, method: str, address: str, headers: Mapping[str, str], content: bytes | None
    ) -> dict[str, Any]:
        if not self._places.acquire(blocking=False):
            raise ProviderBusy
        try:
            status, answer = _answer(method, address, headers, content)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            raise ProviderUnusable(f"{method} {address}: {type(error).__name__}") from None
        except (httpcore.UnsupportedProtocol, UnicodeError, ValueError):
            raise ProviderUnusable(f"{method} {address!r}: no such address") from None
        finally:
            self._places.release()
        if status != 200:
            raise ProviderUnusable(f"{method} {address}: status {status}")
        try:
            found = orjson.loads(answer)
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise ProviderUnusable(f"{method} {address}: no JSON object")
        return found


def _answer(
    method: str, address: str, headers: Mapping[str, str], content: bytes | None
) -> tuple[int, bytes]:
    network = _Network(time.monotonic() + SECONDS)
    sent = [("accept", "application/json"), ("user-agent", "leaver"), *headers.items()]
    found = bytearray()
    with (
        httpcore.ConnectionPool(ssl_context=ssl.create_default_context(), network_backend=network) as pool,
        pool.stream(method, address, headers=sent, content=content) as response,
    ):
        for piece in response.iter_stream():
            found += piece
            if len(found) > _BYTES_MAX:
                raise ProviderUnusable(f"{method} {address}: more than {_BYTES_MAX} bytes")
        return response.status, bytes(found)


class _Network(httpcore.NetworkBackend):
    """Every wait ends at the deadline (monotonic seconds)."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline)
        inner = self._inner.connect_tcp(host, port, left, local_address, socket_options)
        return _Stream(inner, self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time of this call is over")
    return left
