"""A signed request is taken only exactly as it was signed."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from event_schema.request_signing import (
    SignatureRefused,
    key_id,
    read_signature_headers,
    sign_request,
    verify_request,
)

KEY = Ed25519PrivateKey.generate()
PATH = "/v1/records"


def headers_of(body: bytes = b"body") -> dict[str, str]:
    return sign_request(KEY, agent="host-1", method="POST", path=PATH, body=body)


@given(st.binary(max_size=4096))
def test_a_signed_request_is_accepted_as_it_was_sent(body: bytes) -> None:
    signed = read_signature_headers(headers_of(body))
    verify_request(signed, KEY.public_key(), method="POST", path=PATH, body=body)
    assert (signed.agent, signed.key_id) == ("host-1", key_id(KEY.public_key()))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("PUT", PATH, b"body"), ("POST", "/v1/renew", b"body"), ("POST", PATH, b"other"), ("POST", PATH, b"")],
)
def test_a_signature_does_not_hold_for_another_request(method: str, path: str, body: bytes) -> None:
    with pytest.raises(SignatureRefused, match=r"leaver-signature of host-1 is wrong"):
        verify_request(
            read_signature_headers(headers_of()), KEY.public_key(), method=method, path=path, body=body
        )


def test_another_key_is_refused_even_when_it_signed() -> None:
    other = Ed25519PrivateKey.generate()
    with pytest.raises(SignatureRefused, match="names another key"):
        verify_request(
            read_signature_headers(headers_of()), other.public_key(), method="POST", path=PATH, body=b"body"
        )
    forged = headers_of() | {"leaver-key": key_id(other.public_key())}
    with pytest.raises(SignatureRefused, match="is wrong"):
        verify_request(
            read_signature_headers(forged), other.public_key(), method="POST", path=PATH, body=b"body"
        )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("leaver-agent", "", "leaver-agent is missing"),
        ("leaver-agent", "Host 1", r"leaver-agent is not 1-64"),
        ("leaver-key", "xyz", "leaver-key is not 16 hex digits"),
        ("leaver-key", "0123456789abcdef\n", "leaver-key is not 16 hex digits"),
        ("leaver-signature", "%%%", "leaver-signature is not base64"),
        ("leaver-signature", "ä", "leaver-signature is not base64"),
        ("leaver-signature", base64.b64encode(b"short").decode(), "holds 5 bytes, not 64"),
    ],
)
def test_malformed_headers_are_refused_by_name(name: str, value: str, message: str) -> None:
    with pytest.raises(SignatureRefused, match=message):
        read_signature_headers(headers_of() | {name: value})


@pytest.mark.parametrize("name", ["leaver-agent", "leaver-key", "leaver-signature"])
def test_a_missing_header_is_refused_by_name(name: str) -> None:
    headers = headers_of()
    del headers[name]
    with pytest.raises(SignatureRefused, match=f"{name} is missing"):
        read_signature_headers(headers)
