"""Records to the server's POST /v1/records, signed as event_schema/request_signing.py says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from agent.identity import Identity
from agent.server_client import Answer, ServerClient, ServerUnreachable, Timeouts, verified_context
from agent.shippers.contract import ShipLater, ShipRefused, ShipRetry
from event_schema.request_signing import RECORDS_CONTENT_TYPE, sign_request
from event_schema.wire import RECORDS_PER_REQUEST_MAX, REQUEST_BYTES_MAX, WireRecord, encode_request

RECORDS_PATH = "/v1/records"
_RECORD_OVERHEAD = 256
"""More than a record's fields take beside its value."""


class _Accepted(msgspec.Struct):
    accepted: int


class _Refusal(msgspec.Struct):
    error: str = ""
    reason: str = ""


class HttpsShipper:
    """A Shipper (see contract.py). Raises ShipRetry at once when the identity's CA cannot be used."""

    def __init__(self, identity: Identity, timeouts: Timeouts | None = None) -> None:
        self._identity = identity
        self._timeouts = timeouts
        self._client: ServerClient | None = None
        self._closed = False

    def ship(self, records: Sequence[WireRecord]) -> None:
        if self._closed:
            raise ShipRetry("the shipper is closed")
        if len(records) > RECORDS_PER_REQUEST_MAX:
            raise ValueError(f"{len(records)} records at once, over {RECORDS_PER_REQUEST_MAX}")
        for part in _requests(records):
            self._send(part)

    def asked_to_wait(self) -> float:
        # Where this agent sends too much it is refused: ShipLater.
        return 0.0

    def describe(self) -> str:
        return f"https to {self._identity.facts.server}"

    def close(self) -> None:
        self._closed = True
        if self._client is not None:
            self._client.close()
            self._client = None

    def _send(self, records: Sequence[WireRecord]) -> None:
        answer = self._post(encode_request(list(records)))
        match answer.status:
            case 200:
                _check_accepted(answer, len(records))
            case 413 if len(records) > 1:
                # A proxy on the way may allow less than the server: halves fit sooner or later.
                middle = len(records) // 2
                self._send(records[:middle])
                self._send(records[middle:])
            case 401:
                raise ShipRefused(_words(answer), code="unauthorised")
            case 403:
                raise ShipRefused(_words(answer), code="revoked")
            case 413:
                raise ShipRefused(_words(answer), code="too_large")
            case 400 | 404 | 405 | 411 | 415 | 422:
                raise ShipRefused(_words(answer), code="bad_request")
            case 429:
                raise ShipLater(_words(answer), not_before=answer.retry_after or 1.0)
            case _:
                raise ShipRetry(_words(answer), not_before=answer.retry_after or 0.0)

    def _post(self, body: bytes) -> Answer:
        identity = self._identity
        headers = sign_request(
            identity.key, agent=identity.facts.agent, method="POST", path=RECORDS_PATH, body=body
        )
        headers["content-type"] = RECORDS_CONTENT_TYPE
        try:
            if self._client is None:
                context = verified_context(identity.ca_pem)
                self._client = ServerClient(identity.facts.server, context, self._timeouts)
            return self._client.request("POST", RECORDS_PATH, body, headers)
        except ServerUnreachable as error:
            raise ShipRetry(str(error)) from error


def _requests(records: Sequence[WireRecord]) -> Iterator[Sequence[WireRecord]]:
    """The records in order, cut so that each part fits one request."""
    start, size = 0, 0
    for index, record in enumerate(records):
        this = len(record.value) + _RECORD_OVERHEAD
        if index > start and size + this > REQUEST_BYTES_MAX:
            yield records[start:index]
            start, size = index, 0
        size += this
    if start < len(records):
        yield records[start:]


def _check_accepted(answer: Answer, count: int) -> None:
    try:
        accepted = msgspec.json.decode(answer.body, type=_Accepted).accepted
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ShipRetry("the server's answer is not Leaver's") from None
    if accepted != count:
        raise ShipRetry(f"the server took {accepted} of {count} records")


def _words(answer: Answer) -> str:
    try:
        refusal = msgspec.json.decode(answer.body, type=_Refusal)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"status {answer.status}"
    return f"status {answer.status} {refusal.reason}: {refusal.error}"[:300]
