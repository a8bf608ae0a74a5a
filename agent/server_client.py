"""HTTPS to the Leaver server: verified against the installation's own CA and nothing else.

No system trust store, no proxy and no certificate settings from the environment, no redirects: whoever
controls this machine's settings must not be able to read or divert records. Every wait and every
answer is bounded. The HTTP library is loaded by the first client: `status` and `doctor` do without.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    import httpx

ANSWER_BYTES_MAX = 64 * 1024
RETRY_AFTER_MAX = 300.0
_TIMES_DO_NOT_FIT = frozenset((9, 10))
"""X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED."""

Seconds = Annotated[float, Meta(gt=0, le=600)]


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds to wait for the server before trying again later."""

    connect_seconds: Seconds = 10.0
    answer_seconds: Seconds = 30.0


class ServerUnreachable(Exception):
    """No answer, or none that can be trusted. The message says why."""


class Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    retry_after: float | None


def verified_context(ca_pem: str) -> ssl.SSLContext:
    """Trusts this CA alone, checks the host name against the certificate's SAN. Raises ServerUnreachable."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_verify_locations(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise ServerUnreachable(f"the CA's certificate cannot be used: {error}") from error
    return context


def unverified_context() -> ssl.SSLContext:
    """Only for fetching a CA certificate whose fingerprint is compared before it is used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ServerClient:
    """One connection, kept alive. Not thread-safe. Opens nothing before the first request."""

    def __init__(self, server: str, context: ssl.SSLContext, timeouts: Timeouts | None = None) -> None:
        """`server`: https://host:port."""
        import httpx  # noqa: PLC0415 - see this file's docstring

        times = timeouts or Timeouts()
        self.server = server
        self._answer_seconds = times.answer_seconds
        self._faults = (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError, OSError)
        self._client = httpx.Client(
            base_url=server,
            verify=context,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(times.answer_seconds, connect=times.connect_seconds),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=60),
            headers={"user-agent": "leaver-agent", "accept": "application/json"},
        )

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        answer_bytes_max: int = ANSWER_BYTES_MAX,
    ) -> Answer:
        """Raises ServerUnreachable."""
        deadline = time.monotonic() + 2 * self._answer_seconds
        try:
            with self._client.stream(method, path, content=body, headers=headers) as response:
                parts, size = [], 0
                for part in response.iter_raw():
                    parts.append(part)
                    size += len(part)
                    if size > answer_bytes_max:
                        raise ServerUnreachable(f"the answer is over {answer_bytes_max} bytes")
                    if time.monotonic() > deadline:
                        raise ServerUnreachable("the answer takes too long")
                return Answer(response.status_code, b"".join(parts), _retry_after(response))
        except self._faults as error:
            raise ServerUnreachable(_reason(error)) from error

    def close(self) -> None:
        self._client.close()


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds; the header's form as a date is not used by our server, and is ignored."""
    value = response.headers.get("retry-after", "").strip()
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return min(float(value), RETRY_AFTER_MAX)


def _reason(error: BaseException) -> str:
    cause: BaseException | None
    text = str(error) or type(error).__name__
    cause = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None and cause.verify_code in _TIMES_DO_NOT_FIT:
        today = datetime.now(UTC).date()
        text = f"the server's certificate does not hold now; this machine's clock says {today} ({text})"
    return f"{type(error).__name__}: {text}"[:300]
