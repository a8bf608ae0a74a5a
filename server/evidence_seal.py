r"""Seals: this installation's word for what is left of a record after events were erased from it.

An agent's signature covers the record's value as it came. Where events are taken out, the value is written
anew with `null` in their places, and sealed: Ed25519 by this installation's own key over, joined by "\n",
"leaver-seal-1", agent, epoch, first_seq, count, SHA-256 (hex) of the value that the agent signed, SHA-256
(hex) of the value as it is now, number of events erased, and the time (ms UTC). The agent's signature stays:
against the first digest it still proves what the agent signed; the seal proves that this is the rest of it.

The private key lies in pki/seal.key, never in the database; each process that seals (`leaver up`, workers,
`leaver erase`) uses that of its data directory. Public keys are in `seal_keys`, and none is ever removed. Who
can write there can seal, too (docs/decisions/0019-erasure.md).
"""

from __future__ import annotations

import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection, select

from event_schema.request_signing import key_id
from event_schema.wire import WireRecord
from server import audit
from server.store.tables import block_seals, seal_keys
from server.store.upsert import insert_missing


class Seal(msgspec.Struct, frozen=True):
    """A row of `block_seals`, without its block."""

    original_digest: str
    erased: int
    sealed_at: int
    key_id: str
    seal: bytes


class SealKey:
    """The key of one data directory."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self._public = private.public_key()
        self.id = key_id(self._public)

    @property
    def public_bytes(self) -> bytes:
        """The raw public key."""
        return self._public.public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the raw public key, in hex; `id` is its beginning."""
        return hashlib.sha256(self.public_bytes).hexdigest()

    def sign_pack(self, signed: bytes) -> bytes:
        """For evidence_pack/verifier.py, whose prefix keeps it apart from seals."""
        return self._private.sign(signed)

    @classmethod
    def new(cls) -> SealKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: bytes) -> SealKey:
        """Raises ValueError."""
        private = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError("not an Ed25519 key")
        return cls(private)

    def to_pem(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def seal(self, record: WireRecord, original_digest: str, *, erased: int, at: int) -> Seal:
        """For the record as it is now."""
        signed = _sealed_bytes(record, original_digest, erased, at)
        return Seal(original_digest, erased, at, self.id, self._private.sign(signed))

    def register(self, connection: Connection, *, at: int, actor: str | None = None) -> None:
        """Makes the public key known, in a write transaction. `actor`: for the audit trail, in a transaction
        that is alone."""
        known = connection.execute(select(seal_keys.c.key_id).where(seal_keys.c.key_id == self.id)).first()
        if known is not None:
            return
        row = {"key_id": self.id, "public_key": self.public_bytes, "created_at": at}
        insert_missing(connection, seal_keys, [row])
        if actor is not None:
            audit.append(connection, at=at, actor=actor, action="seal_key.create", object=f"key:{self.id}")


def read_seal(connection: Connection, block: int) -> Seal | None:
    """The seal of an event block; None for a block that is as it came."""
    columns = [block_seals.c[name] for name in Seal.__struct_fields__]
    row = connection.execute(select(*columns).where(block_seals.c.block == block)).first()
    if row is None:
        return None
    return Seal(row.original_digest, row.erased, row.sealed_at, row.key_id, bytes(row.seal))


def seal_holds(connection: Connection, record: WireRecord, seal: Seal) -> bool:
    """Whether a key on record sealed exactly this record."""
    public = connection.execute(
        select(seal_keys.c.public_key).where(seal_keys.c.key_id == seal.key_id)
    ).scalar()
    if public is None:
        return False
    signed = _sealed_bytes(record, seal.original_digest, seal.erased, seal.sealed_at)
    try:
        Ed25519PublicKey.from_public_bytes(bytes(public)).verify(seal.seal, signed)
    except InvalidSignature:
        return False
    return True


def value_digest(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()


def _sealed_bytes(record: WireRecord, original_digest: str, erased: int, at: int) -> bytes:
    parts = (
        "leaver-seal-1",
        record.agent,
        record.epoch,
        str(record.first_seq),
        str(record.count),
        original_digest,
        value_digest(record.value),
        str(erased),
        str(at),
    )
    return "\n".join(parts).encode()
