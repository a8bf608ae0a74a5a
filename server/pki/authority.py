"""Makes and signs certificates. Pure: no files, no clock.

The CA and the server use ECDSA P-256: every TLS stack that will meet them (OpenSSL, Java under Kafka,
FIPS builds) takes it, which is not yet so for Ed25519. Agents keep the Ed25519 key that signs their
records; the CA certifies that key. Kafka brokers know clients by the whole subject, which therefore says
what kind of client it is: CN=NAME,OU=leaver-agents or CN=NAME,OU=leaver-services. The CA signs leaves
only (path length 0) and lives for ten years, because agents pin its SHA-256; leaves live for 90 days and
are renewed at two thirds of that.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.config import is_ip_address

AGENTS_UNIT = "leaver-agents"
SERVICES_UNIT = "leaver-services"
CA_DAYS = 3650
LEAF_DAYS = 90
RENEW_AFTER = 2 / 3
"""Share of a leaf's life after which it is renewed."""
_BACKDATE = timedelta(hours=1)
"""Leaves hold from an hour before they are made: endpoints' clocks may be behind."""

_SIGN_ONLY = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_CERTIFY_ONLY = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class PkiError(Exception):
    """Keys or certificates cannot be used; the message says which and why."""


class Authority:
    """A CA certificate with its private key."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        if certificate.public_key() != key.public_key():
            raise PkiError("the CA's key does not belong to its certificate")
        self.certificate = certificate
        self._key = key

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate's DER, in hex: what agents pin."""
        return certificate_fingerprint(self.certificate)

    @property
    def certificate_pem(self) -> bytes:
        return certificate_pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        return private_pem(self._key)

    def sign_server(
        self, public_key: ec.EllipticCurvePublicKey, names: Iterable[str], *, now: int
    ) -> x509.Certificate:
        """A server's certificate for these host names and IP addresses."""
        builder = (
            _leaf("leaver server", now)
            .public_key(public_key)
            .add_extension(x509.SubjectAlternativeName(_alternative_names(names)), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        return self._sign(builder)

    def sign_agent(self, public_key: Ed25519PublicKey, agent: str, *, now: int) -> x509.Certificate:
        """An agent's certificate: its Ed25519 key, its name as CN."""
        builder = (
            _leaf(agent, now, AGENTS_UNIT)
            .public_key(public_key)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        )
        return self._sign(builder)

    def sign_service(
        self, public_key: ec.EllipticCurvePublicKey, name: str, hosts: Iterable[str] = (), *, now: int
    ) -> x509.Certificate:
        """A program of the installation, as Kafka brokers know it; a broker itself where there are `hosts`
        that it answers for (it is another broker's client, too)."""
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = _leaf(name, now, SERVICES_UNIT).public_key(public_key)
        alternative = _alternative_names(hosts)
        if alternative:
            usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
            builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        return self._sign(builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False))

    def sign_bundle(self, value: bytes) -> bytes:
        """For event_schema/config_bundle.py, whose prefix keeps it apart from certificates."""
        return self._key.sign(value, ec.ECDSA(hashes.SHA256()))

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        authority_key = self._key.public_key()
        return (
            builder.issuer_name(self.certificate.subject)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key), critical=False)
            .sign(self._key, hashes.SHA256())
        )


class LeafTimes(msgspec.Struct, frozen=True):
    """Validity of a certificate, milliseconds UTC."""

    not_before: int
    not_after: int

    @property
    def renew_at(self) -> int:
        return self.not_before + int((self.not_after - self.not_before) * RENEW_AFTER)


def create_authority(installation: str, *, now: int) -> Authority:
    """A new CA. `installation` tells it from other installations' in its subject."""
    key = new_key()
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Leaver"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Leaver CA {installation}"),
        ]
    )
    start = _date(now)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATE)
        .not_valid_after(start + timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CERTIFY_ONLY, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def load_authority(certificate_pem: bytes, key_pem: bytes) -> Authority:
    """Raises PkiError."""
    return Authority(read_certificate(certificate_pem), read_key(key_pem))


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises PkiError."""
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PkiError(f"no private key: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise PkiError("the private key is not an elliptic curve key")
    return key


def read_certificate(pem: bytes) -> x509.Certificate:
    """The first certificate in `pem`. Raises PkiError."""
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise PkiError(f"no certificate: {error}") from error


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def certificate_times(certificate: x509.Certificate) -> LeafTimes:
    return LeafTimes(
        int(certificate.not_valid_before_utc.timestamp() * 1000),
        int(certificate.not_valid_after_utc.timestamp() * 1000),
    )


def certificate_names(certificate: x509.Certificate) -> frozenset[str]:
    """Host names and addresses that a server's certificate holds for."""
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    names = extension.value
    return frozenset(
        [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    )


def service_name(certificate: x509.Certificate) -> str | None:
    """Which service of the installation it is for; None: it is for something else."""
    unit, name = (
        [str(part.value) for part in certificate.subject.get_attributes_for_oid(oid)]
        for oid in (NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.COMMON_NAME)
    )
    return name[0] if unit == [SERVICES_UNIT] and len(name) == 1 else None


def _alternative_names(names: Iterable[str]) -> list[x509.GeneralName]:
    return [
        x509.IPAddress(ipaddress.ip_address(name)) if is_ip_address(name) else x509.DNSName(name)
        for name in dict.fromkeys(names)
    ]


def _leaf(common_name: str, now: int, unit: str | None = None) -> x509.CertificateBuilder:
    start = _date(now)
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if unit is not None:
        # Written the other way round: what comes first here stands last in the name.
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name(parts))
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - _BACKDATE)
        .not_valid_after(start + timedelta(days=LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_SIGN_ONLY, critical=True)
    )


def _date(now: int) -> datetime:
    return datetime.fromtimestamp(now // 1000, UTC)
