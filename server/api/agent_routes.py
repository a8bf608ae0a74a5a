"""What agents call: enrol, send records, renew. The wire format is event_schema/wire.py's."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta
from starlette.responses import Response

from event_schema.config_bundle import KNOWN_PARAMETER
from event_schema.kafka_security import KafkaSecurity
from event_schema.request_signing import RECORDS_CONTENT_TYPE
from event_schema.wire import REQUEST_BYTES_MAX, RecordKind, WireError, decode_request
from server.agents.broker_access import BrokerTicket
from server.agents.registry import (
    TOKEN_CHARACTERS_MAX,
    EnrolmentRefused,
    IssuedCertificate,
    TooManyKeys,
    invited_agent,
    redeem_token,
    renew_key,
    renewed_today,
)
from server.agents.settings import bundle_newer_than
from server.api.access import Access, Call, Endpoint
from server.api.errors import ApiError, json_response
from server.api.service import ApiService

SMALL_BODY = 4096
JSON = "application/json"


class EnrolRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=TOKEN_CHARACTERS_MAX)]
    public_key: Annotated[str, Meta(max_length=64)]


class RenewRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    public_key: Annotated[str, Meta(max_length=64)]


class LogAddress(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the agent sends its records from now on."""

    kind: str
    bootstrap: tuple[str, ...] = ()
    topic: str = ""
    security: KafkaSecurity = "plaintext"
    user: str = ""
    ca_pem: str = ""


class EnrolAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    agent: str
    certificate_pem: str
    ca_pem: str
    not_after: int
    log: LogAddress
    kafka_secret: str = ""


_enrol_decoder = msgspec.json.Decoder(EnrolRequest)
_renew_decoder = msgspec.json.Decoder(RenewRequest)


def take_records(service: ApiService, call: Call) -> Response:
    """POST /v1/records: 200 when all records of the request are durable, in one append."""
    try:
        records = decode_request(call.body)
    except WireError as error:
        status = 413 if error.reason == "oversized" else 400
        raise ApiError(status, error.reason, str(error)) from None
    for index, record in enumerate(records):
        if record.agent != call.caller:
            raise ApiError(400, "wrong_agent", f"record {index} is not of the agent that sent the request")
    if records:
        assert call.caller is not None
        events = sum(record.count for record in records if record.kind == RecordKind.EVENTS)
        service.quota.take(call.caller, events)
        service.append(records)
    return json_response({"accepted": len(records)})


def enrol(service: ApiService, call: Call) -> Response:
    """POST /v1/enrol: a token and a public key for a certificate."""
    try:
        request = _enrol_decoder.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_content", f"no enrolment request: {error}") from None
    public_key = _public_key(request.public_key)
    try:
        with service.database.read() as connection:
            agent = invited_agent(connection, request.token, now=service.clock())
        # Before the token is spent: with brokers that do not answer it stays good.
        ticket = service.admit_to_broker(agent)
        with service.database.begin() as connection:
            issued = redeem_token(
                connection, request.token, public_key, service.authority, now=service.clock()
            )
    except EnrolmentRefused as error:
        raise ApiError(403, "token_refused", str(error)) from None
    return _certificate_answer(service, issued, ticket)


def renew(service: ApiService, call: Call) -> Response:
    """POST /v1/renew: the agent's present key vouches for its next one."""
    assert call.caller is not None
    try:
        request = _renew_decoder.decode(call.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ApiError(400, "bad_content", f"no renewal request: {error}") from None
    public_key = _public_key(request.public_key)
    try:
        now = service.clock()
        with service.database.read() as connection:
            issued = renewed_today(connection, call.caller, public_key, service.authority, now=now)
        if issued is None:
            with service.database.begin() as connection:
                issued = renew_key(connection, call.caller, public_key, service.authority, now=now)
    except TooManyKeys:
        raise ApiError(
            429, "too_many_keys", "this agent renewed its key too often today", retry_after=3600
        ) from None
    # An agent that does not hear this answer asks again, and gets another password.
    return _certificate_answer(service, issued, service.admit_to_broker(call.caller))


def config(service: ApiService, call: Call) -> Response:
    """GET /v1/config?known=N: the settings for agents, signed; 204 where N is the current version."""
    known = call.query.get(KNOWN_PARAMETER, "0")
    if not known.isascii() or not known.isdigit() or len(known) > 9:
        raise ApiError(400, "bad_query", f"query: {KNOWN_PARAMETER} is a version's number")
    with service.database.read() as connection:
        bundle = bundle_newer_than(connection, int(known))
    if bundle is None:
        return Response(status_code=204)
    return Response(bundle, media_type=JSON)


def authority_certificate(service: ApiService, _call: Call) -> Response:
    """GET /v1/ca: the CA's certificate; worth nothing before its fingerprint was compared."""
    return Response(service.authority.certificate_pem, media_type="application/x-pem-file")


AGENT_ENDPOINTS = [
    Endpoint("POST", "/v1/records", Access.AGENT, take_records, RECORDS_CONTENT_TYPE, REQUEST_BYTES_MAX),
    Endpoint("POST", "/v1/enrol", Access.ENROLMENT_TOKEN, enrol, JSON, SMALL_BODY),
    Endpoint("POST", "/v1/renew", Access.RENEWING_AGENT, renew, JSON, SMALL_BODY),
    Endpoint("GET", "/v1/config", Access.AGENT, config),
    Endpoint("GET", "/v1/ca", Access.PUBLIC, authority_certificate),
]


def _public_key(text: str) -> Ed25519PublicKey:
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ApiError(400, "bad_key", "public_key is not the base64 of 32 bytes") from None


def _certificate_answer(service: ApiService, issued: IssuedCertificate, ticket: BrokerTicket) -> Response:
    return json_response(
        EnrolAnswer(
            agent=issued.agent,
            certificate_pem=issued.certificate_pem,
            ca_pem=service.authority.certificate_pem.decode(),
            not_after=issued.not_after,
            log=_log_address(service, ticket),
            kafka_secret=ticket.secret,
        )
    )


def _log_address(service: ApiService, ticket: BrokerTicket) -> LogAddress:
    log = service.config.log
    if log.kind == "kafka":
        return LogAddress(
            "kafka", log.bootstrap, log.topic, log.security, ticket.user, service.brokers_ca_pem
        )
    return LogAddress("https")
