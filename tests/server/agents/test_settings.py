"""Settings for agents: versions that rise, a form that is checked, a trail of who set them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from event_schema.config_bundle import SETTINGS_CHARACTERS, verified_bundle
from server.agents.settings import (
    SettingsRefused,
    bundle_newer_than,
    current_settings,
    set_settings,
    settings_history,
)
from server.pki.authority import create_authority
from server.store.database import Database
from server.store.tables import audit

NOW = 1_795_000_000_000
CA = create_authority("test", now=NOW)
FIRST = "[collectors.removable_storage]\nsettle_s = 2.0\n"


def _set(database: Database, text: str, reason: str = "tried out") -> int:
    with database.begin() as connection:
        return set_settings(connection, text, authority=CA, now=NOW, actor="cli:root", reason=reason)


def test_versions_rise_and_agents_get_the_newest_signed(database: Database) -> None:
    assert [_set(database, FIRST), _set(database, ""), _set(database, FIRST)] == [1, 2, 3]
    with database.read() as connection:
        bundle = bundle_newer_than(connection, 1)
        assert bundle is not None
        found = verified_bundle(bundle, CA.certificate_pem.decode())
        assert (found.version, found.settings) == (3, FIRST)
        assert bundle_newer_than(connection, 3) is None
        assert bundle_newer_than(connection, 99) is None


def test_without_settings_there_is_no_bundle(database: Database) -> None:
    with database.read() as connection:
        assert current_settings(connection) is None
        assert bundle_newer_than(connection, 0) is None


def test_who_set_what_and_why_is_kept(database: Database) -> None:
    _set(database, FIRST, "less noise")
    _set(database, "", "back again")
    with database.read() as connection:
        assert [(s.version, s.reason) for s in settings_history(connection)] == [
            (2, "back again"),
            (1, "less noise"),
        ]
        rows = connection.execute(
            select(audit.c.action, audit.c.object, audit.c.reason, audit.c.detail)
        ).all()
    assert [tuple(row) for row in rows] == [
        ("set_agent_settings", "version 1", "less noise", {"tables": ["collectors.removable_storage"]}),
        ("set_agent_settings", "version 2", "back again", {"tables": []}),
    ]


def test_tables_that_collectors_share_can_be_set_too(database: Database) -> None:
    _set(database, '[destinations]\ntrusted = ["files.example.com"]\n[labels]\nenabled = false\n')
    with database.read() as connection:
        detail = connection.execute(select(audit.c.detail)).scalar_one()
    assert detail == {"tables": ["destinations", "labels"]}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[collectors", "Expected"),
        ("x = 1", "outside of any table"),
        ("[collectors]\nx = 1", r"written \[collectors.x\]"),
        ('[agent]\nstate_dir = "/"', "each endpoint's own"),
        ("[shipper]", "each endpoint's own"),
        ("#" * (SETTINGS_CHARACTERS + 1), "over"),
        ('[collectors.a]\nx = "\ud800"', "stores"),
    ],
)
def test_what_cannot_be_settings_is_refused_and_changes_nothing(
    database: Database, text: str, why: str
) -> None:
    with pytest.raises(SettingsRefused, match=why):
        _set(database, text)
    with database.read() as connection:
        assert current_settings(connection) is None


def test_setting_the_same_again_is_refused(database: Database) -> None:
    _set(database, FIRST)
    with pytest.raises(SettingsRefused, match="version 1 already"):
        _set(database, FIRST)
