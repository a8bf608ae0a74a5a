"""Only what this installation's CA signed as a bundle is one."""

from __future__ import annotations

import base64

import msgspec
import pytest

from event_schema.config_bundle import (
    BUNDLE_BYTES_MAX,
    SETTINGS_CHARACTERS,
    BundleRefused,
    ConfigBundle,
    SignedBundle,
    signed_bundle,
    verified_bundle,
)
from server.pki.authority import Authority, create_authority

NOW = 1_795_000_000_000
OURS = create_authority("ours", now=NOW)
OTHERS = create_authority("others", now=NOW)


def _bundle(settings: str = "", ca: Authority = OURS) -> ConfigBundle:
    return ConfigBundle(version=3, issued_at=NOW, ca=ca.fingerprint, settings=settings)


def _pem(authority: Authority) -> str:
    return authority.certificate_pem.decode()


def test_what_was_signed_comes_back() -> None:
    bundle = _bundle('[collectors.removable_storage]\nextra_mounts = ["/mnt/旧"]\n')
    assert verified_bundle(signed_bundle(bundle, OURS.sign_bundle), _pem(OURS)) == bundle


def test_the_longest_settings_fit() -> None:
    data = signed_bundle(_bundle("\0" * SETTINGS_CHARACTERS), OURS.sign_bundle)
    assert len(data) < BUNDLE_BYTES_MAX
    assert len(verified_bundle(data, _pem(OURS)).settings) == SETTINGS_CHARACTERS


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (signed_bundle(_bundle(), OTHERS.sign_bundle), "not signed"),
        (signed_bundle(_bundle(ca=OTHERS), OURS.sign_bundle), "another installation"),
        (b"", "no signed bundle"),
        (b"\xff", "no signed bundle"),
        (b'{"value": "", "signature": "%"}', "no signed bundle"),
        (b"x" * (BUNDLE_BYTES_MAX + 1), "over"),
    ],
)
def test_anything_else_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(BundleRefused, match=why):
        verified_bundle(data, _pem(OURS))


def test_each_changed_byte_of_the_settings_shows() -> None:
    signed = msgspec.json.decode(signed_bundle(_bundle("a = 1"), OURS.sign_bundle), type=SignedBundle)
    value = bytearray(base64.b64decode(signed.value))
    for place in range(len(value)):
        value[place] ^= 1
        changed = msgspec.structs.replace(signed, value=base64.b64encode(value).decode())
        with pytest.raises(BundleRefused, match="not signed"):
            verified_bundle(msgspec.json.encode(changed), _pem(OURS))
        value[place] ^= 1


def test_a_signature_of_the_same_key_over_the_bare_bytes_is_none() -> None:
    value = msgspec.json.encode(_bundle())
    signature = base64.b64encode(OURS.sign_bundle(value)).decode()
    signed = SignedBundle(value=base64.b64encode(value).decode(), signature=signature)
    with pytest.raises(BundleRefused, match="not signed"):
        verified_bundle(msgspec.json.encode(signed), _pem(OURS))
