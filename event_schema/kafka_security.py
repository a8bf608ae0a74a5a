"""How agents and server prove to Kafka brokers who they are, and check who the broker is.

TLS 1.2 or newer, only the given CA, and always the host name. Certificates and keys are kept as PEM text:
the client's own settings want files, which a renewal may take away between two connections.
"""

from __future__ import annotations

import os
import ssl
from typing import Any, Literal

import msgspec

KafkaSecurity = Literal["plaintext", "mtls", "scram"]
SCRAM_MECHANISM = "SCRAM-SHA-512"


class CredentialsUnusable(Exception):
    """Certificate, key or CA cannot be used. The message says which; it never holds a secret."""


class KafkaCredentials(msgspec.Struct, frozen=True):
    """ "plaintext" needs nothing, "mtls" `certificate_pem` and `key_pem`, "scram" `user` and `secret`."""

    security: KafkaSecurity = "plaintext"
    ca_pem: str = ""
    certificate_pem: str = ""
    key_pem: str = ""
    user: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        # A traceback or a log line may show this.
        return f"KafkaCredentials({self.security!r}, user={self.user!r}, …)"


PLAINTEXT = KafkaCredentials()


def client_settings(credentials: KafkaCredentials) -> dict[str, Any]:
    """Settings for every class of kafka-python. Raises CredentialsUnusable."""
    if credentials.security == "plaintext":
        return {}
    settings: dict[str, Any] = {
        "security_protocol": "SSL" if credentials.security == "mtls" else "SASL_SSL",
        "ssl_context": _context(credentials),
    }
    if credentials.security == "scram":
        if not credentials.user or not credentials.secret:
            raise CredentialsUnusable("user or password for the Kafka broker is missing")
        settings["sasl_mechanism"] = SCRAM_MECHANISM
        settings["sasl_plain_username"] = credentials.user
        settings["sasl_plain_password"] = credentials.secret
    return settings


def _context(credentials: KafkaCredentials) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=credentials.ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise CredentialsUnusable(
            f"the CA's certificate for the Kafka broker cannot be used: {error}"
        ) from error
    if credentials.security == "mtls":
        try:
            _load_pair(context, credentials.certificate_pem, credentials.key_pem)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise CredentialsUnusable(
                f"certificate and key for the Kafka broker cannot be used: {error}"
            ) from error
    return context


def _load_pair(context: ssl.SSLContext, certificate_pem: str, key_pem: str) -> None:
    """OpenSSL reads keys only from files: this one is in memory and has no name that others could open."""
    fd = os.memfd_create("leaver", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(fd), "wb") as file:
            file.write(f"{certificate_pem}\n{key_pem}\n".encode("ascii"))
        # With a passphrase at hand OpenSSL does not ask the terminal for one.
        context.load_cert_chain(f"/proc/self/fd/{fd}", password="")
    finally:
        os.close(fd)
