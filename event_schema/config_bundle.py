r"""The settings that the server hands to agents: a bundle, signed by the installation's CA.

On the wire (answer of GET /v1/config) and on the agent's disk it is JSON:

    {"value": base64 of the bundle's JSON, "signature": base64 of the CA's signature}

The signature is ECDSA (P-256, SHA-256) over "leaver-config-1\n" and the bundle's JSON, so that nothing else
that the CA signs can be taken for one. `settings` is TOML with the tables [collectors.…] and nothing else, as
in the agent's own file. Versions rise by one; an agent never takes a lower one than it has had.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec import Meta

from event_schema.struct_base import Count, Milliseconds, Name, Word, purpose

SETTINGS_CHARACTERS: Final = 200_000
BUNDLE_BYTES_MAX: Final = 2 << 20
"""A signed bundle in JSON: each character may take six bytes, and base64 a third more."""
KNOWN_PARAMETER: Final = "known"
"""Query parameter of GET /v1/config: the version that the agent has, 0 for none."""
_PREFIX: Final = b"leaver-config-1\n"


class BundleRefused(ValueError):
    """A bundle that must not be used. The message says why."""


class ConfigBundle(Word, frozen=True):
    """Settings of all agents of an installation."""

    version: Annotated[Count, purpose("which settings an endpoint has")]
    issued_at: Annotated[Milliseconds, purpose("since when they are to hold")]
    ca: Annotated[Name, purpose("SHA-256 of the installation's CA: whose settings they are")]
    settings: Annotated[
        Annotated[str, Meta(max_length=SETTINGS_CHARACTERS)], purpose("what is to be collected, as TOML")
    ]


class SignedBundle(Word, frozen=True):
    """As it is sent and kept."""

    value: Annotated[str, purpose("the bundle, base64", max_length=BUNDLE_BYTES_MAX)]
    signature: Annotated[str, purpose("proves that the installation made it, base64", max_length=256)]


_decoder = msgspec.json.Decoder(ConfigBundle)
_signed_decoder = msgspec.json.Decoder(SignedBundle)


def signed_bundle(bundle: ConfigBundle, sign: Callable[[bytes], bytes]) -> bytes:
    """JSON of the signed bundle. sign: by the CA's key, ECDSA with SHA-256."""
    value = msgspec.json.encode(bundle)
    signature = base64.b64encode(sign(_PREFIX + value)).decode()
    return msgspec.json.encode(SignedBundle(value=base64.b64encode(value).decode(), signature=signature))


def verified_bundle(data: bytes, ca_pem: str) -> ConfigBundle:
    """Raises BundleRefused unless this CA signed it, for its own installation."""
    if len(data) > BUNDLE_BYTES_MAX:
        raise BundleRefused(f"it is over {BUNDLE_BYTES_MAX} bytes")
    try:
        signed = _signed_decoder.decode(data)
        value = base64.b64decode(signed.value, validate=True)
        signature = base64.b64decode(signed.signature, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error, ValueError) as error:
        raise BundleRefused(f"it is no signed bundle: {error}") from error
    try:
        certificate = x509.load_pem_x509_certificate(ca_pem.encode())
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise BundleRefused("the CA's key is of a kind that signs no bundles")
        key.verify(signature, _PREFIX + value, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise BundleRefused("it is not signed by this installation's CA") from error
    try:
        bundle = _decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BundleRefused(f"it cannot be read: {error}") from error
    if bundle.ca != certificate.fingerprint(hashes.SHA256()).hex():
        raise BundleRefused("it is of another installation")
    return bundle
