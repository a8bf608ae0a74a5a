"""Who this agent is: its name, key and certificate, the installation's CA, and where its records go.

`identity` in the state folder is a symbolic link to `identity-N`, a folder with agent.json, key.pem
(mode 0600), certificate.pem, ca.pem, and kafka-password (mode 0600) where brokers ask for one. A renewal
fills the folder `identity-N+1` and then turns the link, in one rename: a crash leaves the old identity
whole or the new one, never a mixture, and the new one's key either way. Each step is synced before the next.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Meta

from agent.spool_files import make_folder, sync_folder
from event_schema.kafka_security import KafkaSecurity
from event_schema.request_signing import key_id

_LINK = "identity"
_FOLDER = "identity-"
_PASSWORD = "kafka-password"
_FILE_BYTES_MAX = 64 * 1024


class NotEnrolled(Exception):
    """This machine has no identity yet."""


class IdentityError(Exception):
    """The identity cannot be read; the message names the file."""


class HttpsLog(msgspec.Struct, frozen=True, tag_field="kind", tag="https", forbid_unknown_fields=True):
    """Records go to the server itself."""


class KafkaLog(msgspec.Struct, frozen=True, tag_field="kind", tag="kafka", forbid_unknown_fields=True):
    """Records go to a broker."""

    bootstrap: Annotated[tuple[Annotated[str, Meta(max_length=300)], ...], Meta(min_length=1, max_length=32)]
    topic: Annotated[str, Meta(min_length=1, max_length=249)]
    security: KafkaSecurity = "plaintext"
    user: Annotated[str, Meta(max_length=249)] = ""
    ca_pem: Annotated[str, Meta(max_length=_FILE_BYTES_MAX)] = ""
    """The CA of the brokers' certificates; empty: the installation's own."""


LogAddress = HttpsLog | KafkaLog


class AgentFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """agent.json. Times are the certificate's, milliseconds UTC."""

    agent: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
    server: Annotated[str, Meta(pattern=r"^https://[^/\s]+\Z", max_length=300)]
    log: LogAddress
    not_before: int
    not_after: int

    @property
    def renew_at(self) -> int:
        """At two thirds of the certificate's life, so that a third remains for a server that is away."""
        return self.not_before + (self.not_after - self.not_before) * 2 // 3


class Identity(msgspec.Struct, frozen=True):
    facts: AgentFacts
    key: Ed25519PrivateKey
    certificate_pem: str
    ca_pem: str
    kafka_secret: str = ""

    def __repr__(self) -> str:
        # A traceback may show this.
        return f"Identity({self.facts.agent!r}, …)"

    @property
    def key_id(self) -> str:
        return key_id(self.key.public_key())


_facts_decoder = msgspec.json.Decoder(AgentFacts)


def is_enrolled(state_dir: Path) -> bool:
    return (state_dir / _LINK / "agent.json").exists()


def load_identity(state_dir: Path) -> Identity:
    """Raises NotEnrolled, IdentityError."""
    folder = state_dir / _LINK
    if not is_enrolled(state_dir):
        raise NotEnrolled(f"no identity in {state_dir}: run `leaver-agent enrol` with the server's line")
    try:
        facts = _facts_decoder.decode(_read(folder / "agent.json"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise IdentityError(f"{folder / 'agent.json'}: {error}") from error
    key = _load_key(folder / "key.pem")
    certificate, ca = _read(folder / "certificate.pem"), _read(folder / "ca.pem")
    password = folder / _PASSWORD
    secret = _read(password) if password.exists() else b""
    return Identity(facts, key, *(text.decode("ascii", "replace") for text in (certificate, ca, secret)))


def pending_key(state_dir: Path) -> Ed25519PrivateKey:
    """The key that the next certificate is asked for. It is on disk before the server hears of it, and
    the same after a crash: the server may have signed it already. Raises OSError, IdentityError."""
    folder = _pending(state_dir)
    path = folder / "key.pem"
    if path.exists():
        try:
            key = _load_key(path)
        except IdentityError:
            path.unlink()
        else:
            # Who wrote it may have been killed, or have failed, before it was safe.
            _keep_key(folder, key)
            return key
    key = Ed25519PrivateKey.generate()
    _keep_key(folder, key)
    return key


def _keep_key(folder: Path, key: Ed25519PrivateKey) -> None:
    make_folder(folder)
    _write(folder / "key.pem", private_pem(key))
    sync_folder(folder)


def adopt_pending(
    state_dir: Path, facts: AgentFacts, *, certificate_pem: str, ca_pem: str, kafka_secret: str = ""
) -> Identity:
    """Makes the pending key, with its certificate, the agent's identity. Raises OSError, IdentityError."""
    folder = _pending(state_dir)
    key = _load_key(folder / "key.pem")
    _write(folder / "certificate.pem", certificate_pem.encode())
    _write(folder / "ca.pem", ca_pem.encode())
    # An attempt that a crash cut short may have left one.
    (folder / _PASSWORD).unlink(missing_ok=True)
    if kafka_secret:
        _write(folder / _PASSWORD, kafka_secret.encode())
    _write(folder / "agent.json", msgspec.json.encode(facts))
    sync_folder(folder)
    link = state_dir / _LINK
    turned = state_dir / "identity.new"
    turned.unlink(missing_ok=True)
    turned.symlink_to(folder.name)
    turned.rename(link)
    sync_folder(state_dir)
    for other in state_dir.glob(f"{_FOLDER}*"):
        if other.name != folder.name:
            shutil.rmtree(other, ignore_errors=True)
    return Identity(facts, key, certificate_pem, ca_pem, kafka_secret)


def forget_pending(state_dir: Path) -> None:
    shutil.rmtree(_pending(state_dir), ignore_errors=True)


def _pending(state_dir: Path) -> Path:
    """The folder after the one that is the identity now."""
    link = state_dir / _LINK
    number = link.readlink().name.removeprefix(_FOLDER) if link.is_symlink() else "0"
    return state_dir / f"{_FOLDER}{int(number) + 1}"


def private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise IdentityError(f"{path}: no private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise IdentityError(f"{path}: not an Ed25519 key")
    return key


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise IdentityError(f"{path}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    """In a new file, under its name: what a failed sync left of an earlier attempt counts for nothing."""
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
