"""Becoming, and staying, an agent of an installation.

The server's administrator gets one line, `leaver-enrol-1 https://HOST:PORT sha256:HEX TOKEN`, and hands
it over on standard input. The CA's certificate is fetched without trust, and used only if its SHA-256
(of the DER) is the line's; the token leaves this machine only over TLS that this CA vouches for.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import shutil
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from msgspec import Meta

from agent.identity import (
    AgentFacts,
    Identity,
    IdentityError,
    LogAddress,
    NotEnrolled,
    adopt_pending,
    forget_pending,
    is_enrolled,
    load_identity,
    pending_key,
)
from agent.server_client import (
    Answer,
    ServerClient,
    ServerUnreachable,
    Timeouts,
    unverified_context,
    verified_context,
)
from agent.spool import Spool, SpoolLocked
from event_schema.request_signing import sign_request

_LINE = re.compile(
    r"leaver-enrol-1 (?P<server>https://[^\s/@]+) sha256:(?P<fingerprint>[0-9a-f]{64}) "
    r"(?P<token>[A-Za-z0-9_-]{16,128})(?=[\"']?\s*(?:\Z|[\r\n]))"
)
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*\Z")
CA_PATH, ENROL_PATH, RENEW_PATH = "/v1/ca", "/v1/enrol", "/v1/renew"


class EnrolmentFailed(Exception):
    """The message says what went wrong and what to do."""


class NoEnrolmentLine(EnrolmentFailed):
    """What was given is none."""


class ServerAway(EnrolmentFailed):
    """The server gave no answer that can be trusted."""


class EnrolmentLine(msgspec.Struct, frozen=True):
    server: str
    fingerprint: str
    token: str


class _Answer(msgspec.Struct, frozen=True):
    agent: str
    certificate_pem: str
    ca_pem: str
    not_after: int
    log: LogAddress
    kafka_secret: Annotated[str, Meta(max_length=256)] = ""


_answer_decoder = msgspec.json.Decoder(_Answer)


def parse_line(text: str) -> EnrolmentLine:
    """Raises NoEnrolmentLine; the message never repeats the token."""
    found = _LINE.search(text)
    if found is None:
        raise NoEnrolmentLine(
            "this is not an enrolment line (leaver-enrol-1 https://HOST:PORT sha256:HEX TOKEN): "
            "copy it whole from `leaver agents enrol NAME`"
        )
    return EnrolmentLine(found["server"], found["fingerprint"], found["token"])


def enrol(
    line: EnrolmentLine, state_dir: Path, *, replace: bool, timeouts: Timeouts | None = None
) -> Identity:
    """Raises EnrolmentFailed, OSError."""
    if is_enrolled(state_dir) and not replace:
        raise EnrolmentFailed("this machine is enrolled already; --replace enrols it anew")
    try:
        # Held until the end: an agent that starts meanwhile would send under the old name, or on into the
        # numbers that the new one begins anew.
        with _held_spool(state_dir / "spool") as spool:
            return _enrol(line, state_dir, spool, timeouts)
    except SpoolLocked:
        raise EnrolmentFailed("the agent is running: stop it before enrolling this machine anew") from None
    except IdentityError as error:
        raise EnrolmentFailed(f"the new identity cannot be kept: {error}") from error


@contextlib.contextmanager
def _held_spool(folder: Path) -> Iterator[Spool | None]:
    """None where there is none yet. Raises SpoolLocked, OSError."""
    if not folder.is_dir():
        yield None
        return
    spool = Spool(folder)
    try:
        yield spool
    finally:
        spool.close()


def _enrol(line: EnrolmentLine, state_dir: Path, spool: Spool | None, timeouts: Timeouts | None) -> Identity:
    before: Identity | None = None
    with contextlib.suppress(IdentityError, NotEnrolled):
        before = load_identity(state_dir)
    ca_pem = _fetch_ca(line, timeouts)
    # A key that an earlier attempt left belongs to another name or installation.
    forget_pending(state_dir)
    key = pending_key(state_dir)
    body = msgspec.json.encode({"token": line.token, "public_key": _public_text(key)})
    answer = _ask(line.server, ca_pem, ENROL_PATH, body, {}, timeouts)
    if answer.status == 403:
        raise EnrolmentFailed("the server does not know this token, or it was used, or it has expired")
    identity = _adopt(_decode(answer), line.server, ca_pem, key, state_dir)
    is_another = before is None or (before.facts.agent, before.ca_pem) != (identity.facts.agent, ca_pem)
    # Another name or installation gets numbers from 0. Events that nobody has yet are kept, and go there
    # under their old epoch, which the server then reports as begun in the middle.
    if is_another and spool is not None and spool.stats().backlog_events == 0:
        shutil.rmtree(state_dir / "spool")
    return identity


def renew(identity: Identity, state_dir: Path, *, timeouts: Timeouts | None = None) -> Identity:
    """A new key and certificate, vouched for by the present key. Raises EnrolmentFailed, OSError."""
    key = pending_key(state_dir)
    body = msgspec.json.encode({"public_key": _public_text(key)})
    agent, server = identity.facts.agent, identity.facts.server
    headers = sign_request(identity.key, agent=agent, method="POST", path=RENEW_PATH, body=body)
    decoded = _decode(_ask(server, identity.ca_pem, RENEW_PATH, body, headers, timeouts))
    if decoded.agent != agent:
        raise EnrolmentFailed(f"the server renewed {decoded.agent!r} instead of {agent!r}")
    return _adopt(decoded, server, identity.ca_pem, key, state_dir)


def _fetch_ca(line: EnrolmentLine, timeouts: Timeouts | None) -> str:
    client = ServerClient(line.server, unverified_context(), timeouts)
    try:
        answer = client.request("GET", CA_PATH)
    except ServerUnreachable as error:
        raise ServerAway(f"{line.server} does not answer: {error}") from error
    finally:
        client.close()
    text = answer.body.decode("ascii", "replace")
    if answer.status != 200 or not _PEM.match(text):
        raise EnrolmentFailed(f"{line.server} shows no CA certificate (status {answer.status})")
    try:
        found = hashlib.sha256(ssl.PEM_cert_to_DER_cert(text.strip())).hexdigest()
    except ValueError as error:
        raise EnrolmentFailed(f"{line.server} shows no CA certificate: {error}") from error
    if found != line.fingerprint:
        raise EnrolmentFailed(
            f"{line.server} shows the CA sha256:{found}, but the line asks for sha256:{line.fingerprint}: "
            "another server answers, or the connection is intercepted. Nothing was sent."
        )
    return text


def _ask(
    server: str, ca_pem: str, path: str, body: bytes, headers: dict[str, str], timeouts: Timeouts | None
) -> Answer:
    try:
        client = ServerClient(server, verified_context(ca_pem), timeouts)
        try:
            return client.request("POST", path, body, headers | {"content-type": "application/json"})
        finally:
            client.close()
    except ServerUnreachable as error:
        raise ServerAway(f"{server}: {error}") from error


def _decode(answer: Answer) -> _Answer:
    if answer.status != 200:
        text = answer.body[:300].decode("utf-8", "replace")
        raise EnrolmentFailed(f"the server refused (status {answer.status}): {text}")
    try:
        return _answer_decoder.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnrolmentFailed(f"the server's answer cannot be read: {error}") from error


def _adopt(answer: _Answer, server: str, ca_pem: str, key: Ed25519PrivateKey, state_dir: Path) -> Identity:
    """Believes only a certificate of this CA, for this key and name."""
    try:
        certificate = x509.load_pem_x509_certificate(answer.certificate_pem.encode())
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca_pem.encode()))
        names = [a.value for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        certified = certificate.public_key()
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise EnrolmentFailed(f"the certificate is not this CA's: {error}") from error
    if certified != key.public_key() or names != [answer.agent]:
        raise EnrolmentFailed("the certificate is for another key or name")
    try:
        facts = msgspec.convert(
            {
                "agent": answer.agent,
                "server": server,
                "log": msgspec.to_builtins(answer.log),
                "not_before": int(certificate.not_valid_before_utc.timestamp() * 1000),
                "not_after": int(certificate.not_valid_after_utc.timestamp() * 1000),
            },
            AgentFacts,
        )
    except msgspec.ValidationError as error:
        raise EnrolmentFailed(f"the server's answer cannot be used: {error}") from error
    return adopt_pending(
        state_dir,
        facts,
        certificate_pem=answer.certificate_pem,
        ca_pem=ca_pem,
        kafka_secret=answer.kafka_secret,
    )


def _public_text(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode("ascii")
