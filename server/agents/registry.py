"""Who may send: one-time tokens, agents' keys and certificates, revocation. Functions on one transaction.

- A token is 32 random bytes; only its SHA-256 is stored. It names one agent, holds for 24 hours and for one
  enrolment. A new token for an agent takes the place of an older unused one.
- An agent's keys are never deleted: records signed by an older one may still lie on the log. A key signs
  requests until its certificate ends; for RENEWAL_GRACE after that it may still ask for a new one, so
  that a laptop that comes back after months helps itself.
- Revocation is of the name, for good: all of its keys are refused, and the name cannot enrol again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import Connection, delete, func, insert, select, update

from event_schema.request_signing import key_id as key_id_of
from event_schema.wire import AGENT_NAME
from server import audit
from server.pki.authority import LEAF_DAYS, Authority, certificate_pem, certificate_times
from server.store.tables import agent_keys, agents, enrolment_tokens

TOKEN_LIFE = 24 * 3600 * 1000
RENEWAL_GRACE = 30 * 24 * 3600 * 1000
TOKEN_CHARACTERS_MAX = 128
KEYS_PER_DAY_MAX = 10
_DAY = 24 * 3600 * 1000


class RegistryError(Exception):
    """An administrator's request about agents cannot be done; the message says why."""


class BadAgentName(RegistryError):
    """No agent can be called so."""


class EnrolmentRefused(Exception):
    """The token is unknown, used or expired, or its agent revoked. One message for all: a guesser
    learns nothing."""

    def __init__(self) -> None:
        super().__init__("the enrolment token is unknown, used or expired")


class TooManyKeys(Exception):
    """The agent renewed its key too often today."""


class AgentKey(msgspec.Struct, frozen=True):
    """What a request's signature is checked against."""

    agent: str
    key_id: str
    public_key: bytes
    not_after: int
    revoked: bool


class IssuedCertificate(msgspec.Struct, frozen=True):
    agent: str
    certificate_pem: str
    not_after: int


def token_digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def create_token(connection: Connection, name: str, *, now: int, actor: str) -> str:
    """A one-time token for the agent `name`, which may be new or known. Raises RegistryError."""
    if not AGENT_NAME.match(name):
        raise BadAgentName(
            f"agent name {name!r} is not 1-64 of [a-z0-9._-], beginning with a letter or digit"
        )
    known = connection.execute(select(agents.c.revoked_at).where(agents.c.name == name)).first()
    if known is None:
        connection.execute(insert(agents).values(name=name, created_at=now, clock_offset=0))
    elif known.revoked_at is not None:
        raise RegistryError(f"agent {name} was revoked; enrol the machine under another name")
    connection.execute(
        delete(enrolment_tokens).where(enrolment_tokens.c.agent == name, enrolment_tokens.c.used_at.is_(None))
    )
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(enrolment_tokens).values(
            token_sha256=token_digest(token), agent=name, created_at=now, expires_at=now + TOKEN_LIFE
        )
    )
    audit.append(connection, at=now, actor=actor, action="agent.invite", object=name)
    return token


def invited_agent(connection: Connection, token: str, *, now: int, lock: bool = False) -> str:
    """Whom the token enrols; with `lock` nobody else can redeem it meanwhile. Raises EnrolmentRefused."""
    digest = token_digest(token)
    invited = (
        select(enrolment_tokens, agents.c.revoked_at)
        .join(agents, agents.c.name == enrolment_tokens.c.agent)
        .where(enrolment_tokens.c.token_sha256 == digest)
    )
    if lock:
        invited = invited.with_for_update()
    row = connection.execute(invited).first()
    if (
        row is None
        or not hmac.compare_digest(row.token_sha256, digest)
        or row.used_at is not None
        or row.expires_at <= now
        or row.revoked_at is not None
    ):
        raise EnrolmentRefused
    return str(row.agent)


def redeem_token(
    connection: Connection, token: str, public_key: Ed25519PublicKey, authority: Authority, *, now: int
) -> IssuedCertificate:
    """Enrols the token's agent with this key. Raises EnrolmentRefused."""
    agent = invited_agent(connection, token, now=now, lock=True)
    digest = token_digest(token)
    connection.execute(
        update(enrolment_tokens).where(enrolment_tokens.c.token_sha256 == digest).values(used_at=now)
    )
    connection.execute(update(agents).where(agents.c.name == agent).values(enrolled_at=now))
    issued = _certify(connection, agent, public_key, authority, now)
    audit.append(
        connection,
        at=now,
        actor=f"agent:{agent}",
        action="agent.enrol",
        object=agent,
        detail={"key": key_id_of(public_key)},
    )
    return issued


def renew_key(
    connection: Connection, agent: str, public_key: Ed25519PublicKey, authority: Authority, *, now: int
) -> IssuedCertificate:
    """A certificate for an enrolled agent's next key, or a later one for a key that it has.

    The caller has checked that the agent's present key signed the request, and asked `renewed_today`.
    Raises TooManyKeys.
    """
    recent = connection.execute(
        select(func.count())
        .select_from(agent_keys)
        .where(agent_keys.c.agent == agent, agent_keys.c.not_before > now - _DAY)
    ).scalar_one()
    if recent >= KEYS_PER_DAY_MAX:
        raise TooManyKeys(f"{recent} keys in one day")
    issued = _certify(connection, agent, public_key, authority, now)
    audit.append(
        connection,
        at=now,
        actor=f"agent:{agent}",
        action="agent.renew",
        object=agent,
        detail={"key": key_id_of(public_key)},
    )
    return issued


def renewed_today(
    connection: Connection, agent: str, public_key: Ed25519PublicKey, authority: Authority, *, now: int
) -> IssuedCertificate | None:
    """For a key that got its certificate within a day (the agent did not hear the answer): one of the same
    times. It changes nothing, so that asking again and again fills and locks nothing."""
    not_after = connection.execute(
        select(agent_keys.c.not_after).where(
            agent_keys.c.agent == agent, agent_keys.c.key_id == key_id_of(public_key)
        )
    ).scalar()
    if not_after is None:
        return None
    issued_at = not_after - LEAF_DAYS * _DAY
    if not now - _DAY < issued_at <= now:
        return None
    certificate = authority.sign_agent(public_key, agent, now=issued_at)
    return IssuedCertificate(agent, certificate_pem(certificate).decode(), not_after)


def revoke(connection: Connection, name: str, *, reason: str, now: int, actor: str) -> None:
    """Raises RegistryError when the agent is unknown or already revoked."""
    row = connection.execute(select(agents.c.revoked_at).where(agents.c.name == name)).first()
    if row is None:
        raise RegistryError(f"no agent is called {name}")
    if row.revoked_at is not None:
        raise RegistryError(f"agent {name} is already revoked")
    connection.execute(
        update(agents).where(agents.c.name == name).values(revoked_at=now, revoked_reason=reason)
    )
    connection.execute(
        delete(enrolment_tokens).where(enrolment_tokens.c.agent == name, enrolment_tokens.c.used_at.is_(None))
    )
    audit.append(connection, at=now, actor=actor, action="agent.revoke", object=name, reason=reason)


def find_key(connection: Connection, agent: str, key_id: str) -> AgentKey | None:
    row = connection.execute(
        select(agent_keys.c.public_key, agent_keys.c.not_after, agents.c.revoked_at)
        .join(agents, agents.c.name == agent_keys.c.agent)
        .where(agent_keys.c.agent == agent, agent_keys.c.key_id == key_id)
    ).first()
    if row is None:
        return None
    return AgentKey(agent, key_id, bytes(row.public_key), row.not_after, row.revoked_at is not None)


def _certify(
    connection: Connection, agent: str, public_key: Ed25519PublicKey, authority: Authority, now: int
) -> IssuedCertificate:
    certificate = authority.sign_agent(public_key, agent, now=now)
    times = certificate_times(certificate)
    row = {
        "certificate_serial": f"{certificate.serial_number:x}",
        "not_before": times.not_before,
        "not_after": times.not_after,
    }
    key_id = key_id_of(public_key)
    place = (agent_keys.c.agent == agent) & (agent_keys.c.key_id == key_id)
    if connection.execute(update(agent_keys).where(place).values(**row)).rowcount == 0:
        connection.execute(
            insert(agent_keys).values(
                agent=agent, key_id=key_id, public_key=public_key.public_bytes_raw(), **row
            )
        )
    return IssuedCertificate(agent, certificate_pem(certificate).decode(), times.not_after)
