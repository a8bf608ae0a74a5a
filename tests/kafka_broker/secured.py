"""An Apache Kafka on which everybody must say who they are: TLS with client certificates on one listener,
SCRAM-SHA-512 over TLS on the other, and ACLs. Its certificate comes from an installation's own CA.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from event_schema.kafka_security import KafkaCredentials, client_settings
from server.pki.authority import Authority, certificate_pem, new_key, private_pem
from server.pki.files import PkiFiles
from tests.kafka_broker.broker import KafkaBroker

ADMIN = "admin"
REAUTHENTICATE_MS = 3_600_000


class SecuredBroker(KafkaBroker):
    """`mtls` and `scram` are the addresses of the two listeners; `authority` is the CA that it trusts."""

    properties = "secured.properties"

    def __init__(self, pki: Path) -> None:
        """`pki` is where the CA lies, or is made."""
        self.pki = pki
        self.authority: Authority = PkiFiles(pki, clock=self.now).create_authority("test")
        self.ca_pem = self.authority.certificate_pem.decode()
        self._admin_password = secrets.token_urlsafe(16)
        super().__init__()

    @staticmethod
    def now() -> int:
        return time.time_ns() // 1_000_000

    def further_ports(self) -> int:
        return 2

    def _filled_in(self, directory: Path, port: int, others: list[int]) -> dict[str, str]:
        controller, scram = others
        self.mtls, self.scram = f"127.0.0.1:{port}", f"127.0.0.1:{scram}"
        keystore, ca = directory / "broker.pem", directory / "ca.pem"
        key = new_key()
        certificate = self.authority.sign_service(
            key.public_key(), "broker", ["127.0.0.1", "localhost"], now=self.now()
        )
        keystore.write_bytes(private_pem(key) + certificate_pem(certificate) + self.authority.certificate_pem)
        ca.write_bytes(self.authority.certificate_pem)
        return {
            **super()._filled_in(directory, port, [controller]),
            "SCRAM_PORT": str(scram),
            "KEYSTORE": str(keystore),
            "CA": str(ca),
            "REAUTH_MS": str(REAUTHENTICATE_MS),
        }

    def _format_arguments(self) -> list[str]:
        return ["--add-scram", f"SCRAM-SHA-512=[name={ADMIN},password={self._admin_password}]"]

    def service_credentials(self, name: str) -> KafkaCredentials:
        """The certificate of a service of the installation, for the mTLS listener."""
        key = new_key()
        certificate = self.authority.sign_service(key.public_key(), name, now=self.now())
        return KafkaCredentials(
            "mtls", self.ca_pem, certificate_pem(certificate).decode(), private_pem(key).decode()
        )

    def user_credentials(self, user: str, password: str) -> KafkaCredentials:
        """For the SCRAM listener."""
        return KafkaCredentials("scram", self.ca_pem, user=user, secret=password)

    def admin_settings(self) -> Mapping[str, Any]:
        return {"bootstrap_servers": self.mtls, **client_settings(self.service_credentials("setup"))}

    def admin_by_password(self) -> KafkaCredentials:
        return self.user_credentials(ADMIN, self._admin_password)
