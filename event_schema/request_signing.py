r"""How an agent signs a request to the server, and how the server checks it. Pure; both ends use it.

| header | value |
|---|---|
| leaver-agent | the agent's name, as enrolled |
| leaver-key | the first 16 hex digits of the SHA-256 of the raw 32-byte public key: which key signed |
| leaver-signature | standard base64 of the Ed25519 signature |

Signed, joined by "\n": "leaver-request-1", METHOD, PATH (as sent, with the query if there is one), and
the SHA-256 (hex) of the body. A request says nothing that harms when it is sent twice: records carry
their own numbers and are deduplicated, and a renewal names its new key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from event_schema.wire import AGENT_NAME

AGENT_HEADER = "leaver-agent"
KEY_HEADER = "leaver-key"
SIGNATURE_HEADER = "leaver-signature"

RECORDS_CONTENT_TYPE = "application/x-leaver-records"

_KEY_ID = re.compile(r"[0-9a-f]{16}\Z")


class SignatureRefused(ValueError):
    """A request's signature is missing, malformed or wrong. The message names the header."""


class SignedRequest(msgspec.Struct, frozen=True):
    """What a request's headers claim; nothing of it holds before verify_request() returns."""

    agent: str
    key_id: str
    signature: bytes


def key_id(public_key: Ed25519PublicKey) -> str:
    """The 16 hex digits that name a key in headers."""
    return hashlib.sha256(public_key.public_bytes_raw()).hexdigest()[:16]


def sign_request(
    key: Ed25519PrivateKey, *, agent: str, method: str, path: str, body: bytes
) -> dict[str, str]:
    """The three headers of a signed request."""
    signature = key.sign(_signed_bytes(method, path, body))
    return {
        AGENT_HEADER: agent,
        KEY_HEADER: key_id(key.public_key()),
        SIGNATURE_HEADER: base64.b64encode(signature).decode("ascii"),
    }


def read_signature_headers(headers: Mapping[str, str]) -> SignedRequest:
    """The claims, to look the key up by. `headers` has lower-case names, or is case-insensitive.

    Raises SignatureRefused when one is missing or malformed.
    """
    agent = _header(headers, AGENT_HEADER)
    if not AGENT_NAME.match(agent):
        raise SignatureRefused(f"header {AGENT_HEADER} is not 1-64 of [a-z0-9._-]")
    claimed = _header(headers, KEY_HEADER)
    if not _KEY_ID.match(claimed):
        raise SignatureRefused(f"header {KEY_HEADER} is not 16 hex digits")
    try:
        signature = base64.b64decode(_header(headers, SIGNATURE_HEADER), validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureRefused(f"header {SIGNATURE_HEADER} is not base64: {error}") from None
    if len(signature) != 64:
        raise SignatureRefused(f"header {SIGNATURE_HEADER} holds {len(signature)} bytes, not 64")
    return SignedRequest(agent, claimed, signature)


def verify_request(
    signed: SignedRequest, public_key: Ed25519PublicKey, *, method: str, path: str, body: bytes
) -> None:
    """Raises SignatureRefused unless `public_key` is the key named and signed exactly this request."""
    if signed.key_id != key_id(public_key):
        raise SignatureRefused(f"header {KEY_HEADER} {signed.key_id} names another key")
    try:
        public_key.verify(signed.signature, _signed_bytes(method, path, body))
    except InvalidSignature:
        raise SignatureRefused(f"header {SIGNATURE_HEADER} of {signed.agent} is wrong") from None


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if not value:
        raise SignatureRefused(f"header {name} is missing")
    return value


def _signed_bytes(method: str, path: str, body: bytes) -> bytes:
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join(("leaver-request-1", method.upper(), path, digest)).encode()
