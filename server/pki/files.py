"""The CA and the server's certificate on disk, in the data directory's pki/.

| file | holds |
|---|---|
| ca.pem, ca.key | the CA's certificate and private key; never replaced once made: agents pin it |
| server.pem | the server's certificate, then the CA's: the chain as it is presented |
| server.key | the server's private key |
| seal.key | signs what this installation has to write anew of signed records (evidence_seal.py) |
| kafka.pem, kafka.key | what the server shows to Kafka brokers under log.security = "mtls" |

Keys are mode 0600, the directory 0700; every file is replaced atomically. A key and its certificate are
two files: if a crash comes between them they do not fit, and the next use makes both anew.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from server.config import ListenConfig, is_host_name, is_ip_address, split_address
from server.data_directory import write_private
from server.evidence_seal import SealKey
from server.pki.authority import (
    Authority,
    PkiError,
    certificate_names,
    certificate_pem,
    certificate_times,
    create_authority,
    load_authority,
    new_key,
    private_pem,
    read_certificate,
    read_key,
    service_name,
)

_PEM_BYTES_MAX = 64 * 1024
_WILDCARDS = {"0.0.0.0", "::", "*"}


class ServerCertificate(msgspec.Struct, frozen=True):
    """Where the presented chain and its key lie."""

    chain: Path
    key: Path
    not_after: int
    renewed: bool


class PkiFiles:
    """pki/ of one data directory. `clock` gives milliseconds UTC."""

    def __init__(self, directory: Path, *, clock: Callable[[], int]) -> None:
        self._directory = directory
        self.authority_path = directory / "ca.pem"
        self._clock = clock

    def open_authority(self) -> Authority:
        """The CA. Raises PkiError when there is none, or it cannot be read."""
        certificate, key = self._directory / "ca.pem", self._directory / "ca.key"
        try:
            return load_authority(read_pem(certificate), read_pem(key))
        except PkiError as error:
            raise PkiError(f"{self._directory}: {error}") from error

    def create_authority(self, installation: str) -> Authority:
        """The CA, made now if there is none yet. A half-made or unreadable one is not replaced: PkiError."""
        certificate, key = self._directory / "ca.pem", self._directory / "ca.key"
        if certificate.exists():
            return self.open_authority()
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)
            authority = create_authority(installation, now=self._clock())
            # Certificate last: while it is missing no agent can have pinned this CA, so a crash in between
            # leaves a key that may be replaced.
            write_private(key, authority.key_pem)
            write_private(certificate, authority.certificate_pem)
        except OSError as error:
            raise PkiError(f"{self._directory}: {error.strerror}") from error
        return authority

    def ensure_server(self, authority: Authority, listen: ListenConfig) -> ServerCertificate:
        """The server's chain and key; made anew when missing, due, or not fitting CA, key or names."""
        names = server_names(listen)
        return self._ensure(
            "server",
            authority,
            lambda certificate: certificate_names(certificate) == frozenset(names),
            lambda key: authority.sign_server(key, names, now=self._clock()),
        )

    def ensure_seal_key(self) -> SealKey:
        """Made now if there is none yet; an unreadable one is not replaced. Raises PkiError."""
        path = self._directory / "seal.key"
        try:
            if not path.exists():
                self._directory.mkdir(mode=0o700, exist_ok=True)
                write_private(path, SealKey.new().to_pem())
            return SealKey.from_pem(read_pem(path))
        except OSError as error:
            raise PkiError(f"{self._directory}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise PkiError(f"{path}: {error}") from error

    def ensure_kafka_client(self, authority: Authority, name: str) -> ServerCertificate:
        """What this server shows to Kafka brokers, as the service `name`; made anew as above."""
        return self._ensure(
            "kafka",
            authority,
            lambda certificate: service_name(certificate) == name,
            lambda key: authority.sign_service(key, name, now=self._clock()),
        )

    def _ensure(
        self,
        stem: str,
        authority: Authority,
        is_for: Callable[[x509.Certificate], bool],
        sign: Callable[[ec.EllipticCurvePublicKey], x509.Certificate],
    ) -> ServerCertificate:
        chain, key_path = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        now = self._clock()
        try:
            certificate = read_certificate(read_pem(chain))
            times = certificate_times(certificate)
            fits = (
                certificate.public_key() == read_key(read_pem(key_path)).public_key()
                and is_for(certificate)
                and certificate.issuer == authority.certificate.subject
                and authority.certificate_pem in read_pem(chain)
                and times.not_before <= now < times.renew_at
            )
        except PkiError:
            fits = False
        else:
            if fits:
                return ServerCertificate(chain, key_path, times.not_after, False)
        key = new_key()
        certificate = sign(key.public_key())
        try:
            write_private(key_path, private_pem(key))
            write_private(chain, certificate_pem(certificate) + authority.certificate_pem)
        except OSError as error:
            raise PkiError(f"{self._directory}: {error.strerror}") from error
        return ServerCertificate(chain, key_path, certificate_times(certificate).not_after, True)


def server_names(listen: ListenConfig) -> list[str]:
    """All names the server's certificate holds for, the one that agents are told first."""
    host, _port = split_address(listen.address)
    names = [*listen.names]
    if host not in _WILDCARDS:
        names.append(host)
    own_name = socket.gethostname()
    if is_host_name(own_name):
        names.append(own_name)
    names += ["localhost", "127.0.0.1", "::1"]
    return list(dict.fromkeys(name if is_ip_address(name) else name.lower() for name in names))


def read_pem(path: Path) -> bytes:
    """Raises PkiError."""
    try:
        with path.open("rb") as file:
            data = file.read(_PEM_BYTES_MAX + 1)
    except OSError as error:
        raise PkiError(f"{path.name}: {error.strerror}") from error
    if len(data) > _PEM_BYTES_MAX:
        raise PkiError(f"{path.name}: longer than {_PEM_BYTES_MAX} bytes")
    return data
