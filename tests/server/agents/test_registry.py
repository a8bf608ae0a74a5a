"""Agents' registry on a real database: what the API's tests do not reach, the key cache, and health."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import insert, select, update

from event_schema.request_signing import key_id
from server.agents.health import SILENT_AFTER, list_agents, unknown_agent_findings
from server.agents.key_cache import KEPT_SECONDS, AgentKeyCache
from server.agents.registry import (
    EnrolmentRefused,
    RegistryError,
    create_token,
    find_key,
    redeem_token,
    revoke,
)
from server.audit import verify
from server.pki.authority import create_authority
from server.store.database import Database
from server.store.tables import agent_epochs, agent_findings, agents, enrolment_tokens
from tests.server.conftest import NOW

AUTHORITY = create_authority("test", now=NOW)


def _key() -> Ed25519PublicKey:
    return Ed25519PrivateKey.generate().public_key()


def _enrol(database: Database, name: str, key: Ed25519PublicKey | None = None) -> None:
    with database.begin() as connection:
        token = create_token(connection, name, now=NOW, actor="test")
        redeem_token(connection, token, key or _key(), AUTHORITY, now=NOW)


def test_names_that_do_not_fit_the_wire_format_are_refused(database: Database) -> None:
    for name in ("", "A", "-a", "a b", "a/b", "é", "a" * 65, "a\n"):
        with database.begin() as connection, pytest.raises(RegistryError):
            create_token(connection, name, now=NOW, actor="test")
    with database.read() as connection:
        assert connection.execute(select(agents)).all() == []


def test_a_revoked_agents_open_invitation_is_worth_nothing(database: Database) -> None:
    with database.begin() as connection:
        token = create_token(connection, "a", now=NOW, actor="test")
        revoke(connection, "a", reason="x", now=NOW, actor="test")
    with database.begin() as connection, pytest.raises(EnrolmentRefused):
        redeem_token(connection, token, _key(), AUTHORITY, now=NOW)
    with database.begin() as connection, pytest.raises(RegistryError, match="already revoked"):
        revoke(connection, "a", reason="x", now=NOW, actor="test")
    with database.read() as connection:
        assert connection.execute(select(enrolment_tokens)).all() == []
        assert verify(connection) is None


def test_a_rebuilt_machine_enrols_again_under_its_name_and_its_old_key_stays_known(
    database: Database,
) -> None:
    first, second = _key(), _key()
    _enrol(database, "a", first)
    _enrol(database, "a", second)
    with database.read() as connection:
        for key in (first, second):
            found = find_key(connection, "a", key_id(key))
            assert found is not None
            assert found.public_key == key.public_bytes_raw()
        assert find_key(connection, "b", key_id(first)) is None


def test_the_key_cache_asks_again_after_a_second_and_forgets_unknown_names(database: Database) -> None:
    now = 100.0
    cache = AgentKeyCache(database, monotonic=lambda: now)
    key = _key()
    assert cache.find("a", key_id(key)) is None
    _enrol(database, "a", key)
    found = cache.find("a", key_id(key))
    assert found is not None
    assert not found.revoked
    with database.begin() as connection:
        revoke(connection, "a", reason="x", now=NOW, actor="test")
    now += KEPT_SECONDS / 2
    kept = cache.find("a", key_id(key))
    assert kept is not None
    assert not kept.revoked
    now += KEPT_SECONDS / 2
    again = cache.find("a", key_id(key))
    assert again is not None
    assert again.revoked
    assert KEPT_SECONDS <= 2


def test_health_tells_who_is_invited_alive_silent_stopped_or_revoked(database: Database) -> None:
    with database.begin() as connection:
        create_token(connection, "invited", now=NOW, actor="test")
    for name in ("alive", "silent", "never-heard", "stopped", "revoked"):
        _enrol(database, name)
    with database.begin() as connection:
        revoke(connection, "revoked", reason="x", now=NOW, actor="test")
        heard = {"backlog_events": 7, "lost_events": 2, "version": "1", "collectors": []}
        for name, at, heartbeat in [
            ("alive", NOW + SILENT_AFTER, heard),
            ("silent", NOW + 1, heard),
            ("stopped", NOW, {**heard, "stopping": True}),
        ]:
            connection.execute(
                update(agents).where(agents.c.name == name).values(heartbeat_at=at, heartbeat=heartbeat)
            )
        epoch = {"agent": "alive", "first_seen": NOW, "seen": "0-9"}
        connection.execute(insert(agent_epochs).values(**epoch, epoch="0" * 16, lost=3, duplicates=0))
        connection.execute(insert(agent_epochs).values(**epoch, epoch="1" * 16, lost=4, duplicates=0))
        for agent, resolved in (("alive", None), ("alive", NOW), ("stranger", None)):
            connection.execute(
                insert(agent_findings).values(
                    agent=agent,
                    kind="gap",
                    detail="numbers 3 to 5 are missing",
                    first_at=NOW,
                    last_at=NOW,
                    count=1,
                    resolved_at=resolved,
                )
            )
    with database.read() as connection:
        found = {agent.name: agent for agent in list_agents(connection, now=NOW + SILENT_AFTER + 2)}
        strangers = unknown_agent_findings(connection)
    assert {name: agent.state for name, agent in found.items()} == {
        "invited": "invited",
        "alive": "enrolled",
        "silent": "silent",
        "never-heard": "silent",
        "stopped": "stopped",
        "revoked": "revoked",
    }
    assert (found["alive"].backlog_events, found["alive"].lost_events) == (7, 7)
    assert [finding.kind for finding in found["alive"].findings] == ["gap"]
    assert found["invited"].certificate_until is None
    assert [(name, finding.kind) for name, finding in strangers] == [("stranger", "gap")]
