"""Certificates: verified by a strict verifier, pinned by their fingerprint, renewed when they must be."""

from __future__ import annotations

import ssl
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import DNSName
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from server.config import ListenConfig
from server.pki.authority import (
    LEAF_DAYS,
    Authority,
    PkiError,
    certificate_names,
    certificate_times,
    create_authority,
    new_key,
    read_certificate,
)
from server.pki.files import PkiFiles, server_names

NOW = 1_795_305_600_000
DAY = 24 * 3600 * 1000
LISTEN = ListenConfig(address="127.0.0.1:8443", names=("siem.example",))


class _Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def _date(now: int) -> datetime:
    return datetime.fromtimestamp(now / 1000, UTC)


def test_a_servers_certificate_verifies_strictly_for_its_names_only() -> None:
    authority = create_authority("test", now=NOW)
    leaf = authority.sign_server(new_key().public_key(), ["siem.example", "10.1.2.3"], now=NOW)
    policy = PolicyBuilder().store(Store([authority.certificate])).time(_date(NOW))
    chain = policy.build_server_verifier(DNSName("siem.example")).verify(leaf, [])
    assert chain == [leaf, authority.certificate]
    with pytest.raises(VerificationError):
        policy.build_server_verifier(DNSName("other.example")).verify(leaf, [])
    with pytest.raises(VerificationError):
        late = PolicyBuilder().store(Store([authority.certificate])).time(_date(NOW + (LEAF_DAYS + 1) * DAY))
        late.build_server_verifier(DNSName("siem.example")).verify(leaf, [])
    stranger = create_authority("test", now=NOW)
    other_policy = PolicyBuilder().store(Store([stranger.certificate])).time(_date(NOW))
    with pytest.raises(VerificationError):
        other_policy.build_server_verifier(DNSName("siem.example")).verify(leaf, [])


def test_an_agents_certificate_is_for_clients_and_not_for_servers() -> None:
    authority = create_authority("test", now=NOW)
    key = Ed25519PrivateKey.generate().public_key()
    leaf = authority.sign_agent(key, "desk-17", now=NOW)
    leaf.verify_directly_issued_by(authority.certificate)
    assert leaf.public_key() == key
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate_times(leaf).not_after == NOW + LEAF_DAYS * DAY
    basic = leaf.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not basic.ca


def test_a_ca_with_another_cas_key_is_refused() -> None:
    first, second = create_authority("a", now=NOW), create_authority("b", now=NOW)
    with pytest.raises(PkiError, match="does not belong"):
        Authority(first.certificate, second._key)


def test_the_ca_is_made_once_and_never_replaced(tmp_path: Path) -> None:
    files = PkiFiles(tmp_path / "pki", clock=_Clock())
    with pytest.raises(PkiError, match=r"ca\.pem"):
        files.open_authority()
    made = files.create_authority("test")
    assert (
        files.create_authority("other").fingerprint == made.fingerprint == files.open_authority().fingerprint
    )
    for name in ("ca.key", "ca.pem"):
        assert stat.S_IMODE((tmp_path / "pki" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "pki").stat().st_mode) == 0o700
    (tmp_path / "pki" / "ca.key").write_bytes(b"damaged")
    with pytest.raises(PkiError, match="no private key"):
        files.create_authority("test")


def test_a_ca_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    directory = tmp_path / "pki"
    directory.mkdir()
    (directory / "ca.key").write_bytes(b"half")
    authority = PkiFiles(directory, clock=_Clock()).create_authority("test")
    assert PkiFiles(directory, clock=_Clock()).open_authority().fingerprint == authority.fingerprint


def test_the_servers_certificate_is_kept_until_it_is_due_or_no_longer_fits(tmp_path: Path) -> None:
    clock = _Clock()
    files = PkiFiles(tmp_path / "pki", clock=clock)
    authority = files.create_authority("test")
    first = files.ensure_server(authority, LISTEN)
    assert first.renewed
    assert not files.ensure_server(authority, LISTEN).renewed
    clock.now += 59 * DAY
    assert not files.ensure_server(authority, LISTEN).renewed
    clock.now += 2 * DAY
    due = files.ensure_server(authority, LISTEN)
    assert due.renewed
    assert due.not_after > first.not_after
    renamed = ListenConfig(address="127.0.0.1:8443", names=("siem2.example",))
    assert files.ensure_server(authority, renamed).renewed
    assert "siem2.example" in certificate_names(read_certificate(due.chain.read_bytes()))
    # A crash between the two files leaves a key that does not belong to the certificate.
    old_key = due.key.read_bytes()
    clock.now += 80 * DAY
    assert files.ensure_server(authority, renamed).renewed
    due.key.write_bytes(old_key)
    assert files.ensure_server(authority, renamed).renewed
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(due.chain, due.key)
    # A clock that was set back must not leave a certificate that does not hold yet.
    clock.now = NOW - 30 * DAY
    assert files.ensure_server(authority, renamed).renewed


def test_the_presented_chain_ends_with_the_ca_that_agents_pin(tmp_path: Path) -> None:
    files = PkiFiles(tmp_path / "pki", clock=_Clock())
    authority = files.create_authority("test")
    chain = x509.load_pem_x509_certificates(files.ensure_server(authority, LISTEN).chain.read_bytes())
    assert len(chain) == 2
    assert chain[1] == authority.certificate
    chain[0].verify_directly_issued_by(chain[1])


def test_agents_are_told_the_first_configured_name_and_never_a_wildcard() -> None:
    assert server_names(LISTEN)[0] == "siem.example"
    assert server_names(ListenConfig(address="127.0.0.1:1"))[0] == "127.0.0.1"
    everywhere = server_names(ListenConfig(address="0.0.0.0:8443"))
    assert "0.0.0.0" not in everywhere
    assert {"localhost", "127.0.0.1", "::1"} <= set(everywhere)
