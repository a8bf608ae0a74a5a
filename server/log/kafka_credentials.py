"""What the server shows to Kafka brokers, and how brokers call everybody of an installation.

| who | "mtls" | "scram" |
|---|---|---|
| agent NAME | User:CN=NAME,OU=leaver-agents | User:leaver-agent.NAME |
| the server | User:CN=leaver,OU=leaver-services, or its own certificate's subject | User:USER |

An agent's name alone never is a principal: an agent called "admin" must not become the brokers' admin.
"""

from __future__ import annotations

from pathlib import Path

from cryptography.x509 import Certificate

from event_schema.kafka_security import CredentialsUnusable, KafkaCredentials, KafkaSecurity
from server.config import ConfigError, LogConfig
from server.data_directory import read_secret
from server.pki.authority import AGENTS_UNIT, PkiError, read_certificate
from server.pki.files import PkiFiles, read_pem

SERVER_NAME = "leaver"
AGENT_USER_PREFIX = "leaver-agent."


def server_credentials(log: LogConfig, pki: PkiFiles) -> KafkaCredentials:
    """From the files that the settings name, read anew each time: they may be replaced while the server
    runs. Raises CredentialsUnusable."""
    if log.security == "plaintext":
        return KafkaCredentials()
    try:
        ca_pem = brokers_ca(log, pki)
        if log.security == "scram":
            secret = read_secret(Path(log.password_file))
            return KafkaCredentials("scram", ca_pem, user=log.user, secret=secret)
        certificate, key = Path(log.certificate), Path(log.key)
        if not log.certificate:
            own = pki.ensure_kafka_client(pki.open_authority(), SERVER_NAME)
            certificate, key = own.chain, own.key
        return KafkaCredentials("mtls", ca_pem, _text(certificate), _text(key))
    except (PkiError, ConfigError) as error:
        raise CredentialsUnusable(str(error)) from error


def brokers_ca(log: LogConfig, pki: PkiFiles) -> str:
    """The CA that brokers' certificates must come from, as PEM. Raises PkiError."""
    return _text(Path(log.ca)) if log.ca else pki.open_authority().certificate_pem.decode()


def principal(credentials: KafkaCredentials) -> str:
    """How brokers call whoever shows these. Raises CredentialsUnusable."""
    if credentials.security == "plaintext":
        return "User:ANONYMOUS"
    if credentials.security == "scram":
        return f"User:{credentials.user}"
    try:
        certificate = read_certificate(credentials.certificate_pem.encode())
    except PkiError as error:
        raise CredentialsUnusable(str(error)) from error
    return f"User:{_distinguished_name(certificate)}"


def user_of(named: str) -> str:
    """A principal as quotas call it."""
    return named.removeprefix("User:")


def agent_user(agent: str) -> str:
    """An agent's user under SCRAM."""
    return f"{AGENT_USER_PREFIX}{agent}"


def agent_principal(security: KafkaSecurity, agent: str) -> str:
    if security == "mtls":
        return f"User:CN={agent},OU={AGENTS_UNIT}"
    return f"User:{agent_user(agent)}"


def agent_of(named: str) -> str | None:
    """The agent that a principal stands for; None: it is no agent's."""
    for before, after in (("User:CN=", f",OU={AGENTS_UNIT}"), (f"User:{AGENT_USER_PREFIX}", "")):
        if named.startswith(before) and named.endswith(after):
            return named[len(before) : len(named) - len(after)]
    return None


def _distinguished_name(certificate: Certificate) -> str:
    # RFC 4514, which Java's default principal follows for all that our own CA and usual ones write.
    return certificate.subject.rfc4514_string()


def _text(path: Path) -> str:
    return read_pem(path).decode("ascii", "replace")
