"""What all agents are to collect: settings that administrators set, versioned and signed for the agents.

The server checks their form and the collectors' names. What the keys mean the agents know: each checks them
all before it uses any, and says in its heartbeat which version it uses, or why it does not use a newer one.
"""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from event_schema.channels import CHANNELS
from event_schema.config_bundle import SETTINGS_CHARACTERS, ConfigBundle, signed_bundle
from server import audit
from server.pki.authority import Authority
from server.store.column_types import is_storable
from server.store.tables import agent_settings, agents

HISTORY_MAX = 1000
AHEAD_MAX = 1000
_OF_THE_ENDPOINT = frozenset({"agent", "spool", "shipper"})


class SettingsRefused(ValueError):
    """The message says what is wrong, and where."""


class AgentSettings(msgspec.Struct, frozen=True):
    """One version. issued_at: ms UTC."""

    version: int
    issued_at: int
    issued_by: str
    reason: str
    settings: str


def set_settings(
    connection: Connection, text: str, *, authority: Authority, now: int, actor: str, reason: str
) -> int:
    """The new version. Within the caller's write transaction. Raises SettingsRefused."""
    tables = check_settings(text)
    before = current_settings(connection)
    if before is not None and before.settings == text:
        raise SettingsRefused(f"these are the settings of version {before.version} already")
    version = 1 + max(current_version(connection), *_told_versions(connection))
    bundle = ConfigBundle(version=version, issued_at=now, ca=authority.fingerprint, settings=text)
    connection.execute(
        insert(agent_settings).values(
            version=version,
            issued_at=now,
            issued_by=actor,
            reason=reason,
            settings=text,
            bundle=signed_bundle(bundle, authority.sign_bundle),
        )
    )
    audit.append(
        connection,
        at=now,
        actor=actor,
        action="set_agent_settings",
        object=f"version {version}",
        reason=reason,
        detail={"tables": sorted(tables)},
    )
    return version


def current_version(connection: Connection) -> int:
    """0: nobody ever set any."""
    return connection.execute(select(func.max(agent_settings.c.version))).scalar() or 0


def _told_versions(connection: Connection) -> list[int]:
    """Those that agents use. Where this database was brought back from an older copy they may be above its
    own, and agents take none below. What is far above is no version of ours."""
    limit = current_version(connection) + AHEAD_MAX
    beats = connection.execute(select(agents.c.heartbeat)).scalars()
    told = [(beat or {}).get("settings_version") or 0 for beat in beats]
    return [0, *(version for version in told if version <= limit)]


def check_settings(text: str) -> list[str]:
    """Names of the tables in it. Raises SettingsRefused."""
    if len(text) > SETTINGS_CHARACTERS:
        raise SettingsRefused(f"over {SETTINGS_CHARACTERS} characters")
    if not is_storable(text):
        raise SettingsRefused("holds characters that no database stores")
    try:
        tables: dict[str, Any] = tomllib.loads(text)
    except RecursionError as error:
        raise SettingsRefused("nested too deeply") from error
    except ValueError as error:
        # Of TOML's reader; of Python for a number of thousands of digits.
        raise SettingsRefused(str(error)) from error
    for name, table in tables.items():
        if name in _OF_THE_ENDPOINT:
            raise SettingsRefused(f"[{name}] is each endpoint's own: set it in its leaver-agent.toml")
        if not isinstance(table, dict):
            raise SettingsRefused(f"{name} stands outside of any table; written [collectors.…]")
    collectors = tables.get("collectors", {})
    for name, table in collectors.items():
        if not isinstance(table, dict):
            raise SettingsRefused(f"collectors.{name} must be a table, written [collectors.{name}]")
        if name not in CHANNELS:
            near = get_close_matches(name, CHANNELS, n=1)
            told = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(CHANNELS))}"
            raise SettingsRefused(f"[collectors.{name}]: no such collector; {told}")
    shared = [name for name in tables if name != "collectors"]
    return [*shared, *(f"collectors.{name}" for name in collectors)]


def current_settings(connection: Connection) -> AgentSettings | None:
    """None: nobody ever set any."""
    found = settings_history(connection, limit=1)
    return found[0] if found else None


def settings_history(connection: Connection, limit: int = HISTORY_MAX) -> list[AgentSettings]:
    """Newest first."""
    columns = (agent_settings.c[name] for name in AgentSettings.__struct_fields__)
    rows = connection.execute(select(*columns).order_by(agent_settings.c.version.desc()).limit(limit))
    return [AgentSettings(*row) for row in rows]


def bundle_newer_than(connection: Connection, version: int) -> bytes | None:
    """The current signed bundle, as agents get it; None where they have it already."""
    bundle = connection.execute(
        select(agent_settings.c.bundle)
        .where(agent_settings.c.version > version)
        .order_by(agent_settings.c.version.desc())
        .limit(1)
    ).scalar()
    return None if bundle is None else bytes(bundle)
