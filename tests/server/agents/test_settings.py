"""Settings for agents: versions that rise, a form that is checked, a trail of who set them."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select

from event_schema.config_bundle import SETTINGS_CHARACTERS, verified_bundle
from server.agents.health import SETTINGS_LATE, list_agents
from server.agents.settings import (
    SettingsRefused,
    bundle_newer_than,
    current_settings,
    set_settings,
    settings_history,
)
from server.pki.authority import create_authority
from server.store.database import Database
from server.store.tables import agents, audit

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
        ("[collectors.upload]\nx = 1", r"\[collectors.upload\]: no such collector; did you mean uploads"),
        ("[collectors.qqqq]", "no such collector; there are access_log, export_folders,"),
        ("[collectors]\nx = 1", r"written \[collectors.x\]"),
        ('[agent]\nstate_dir = "/"', "each endpoint's own"),
        ("[shipper]", "each endpoint's own"),
        ("#" * (SETTINGS_CHARACTERS + 1), "over"),
        ("x = " + "[" * 50_000, "nested"),
        ("x = " + "9" * 5_000, "digits"),
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


def test_a_server_brought_back_from_an_older_copy_goes_on_above_what_agents_have(database: Database) -> None:
    _set(database, FIRST)
    with database.begin() as connection:
        for name, version in (("laptop-1", 5), ("laptop-2", None), ("liar", 2**40)):
            beat = {"settings_version": version}
            connection.execute(
                insert(agents).values(name=name, created_at=NOW, clock_offset=0, heartbeat=beat)
            )
    assert _set(database, "") == 6
    with database.read() as connection:
        assert bundle_newer_than(connection, 5) is not None


@pytest.mark.parametrize(
    ("beat", "kind"),
    [
        ({"settings_version": 2}, None),
        ({"settings_version": 1}, "settings_old"),
        ({}, "settings_old"),
        ({"settings_version": 3}, "settings_unknown"),
        ({"settings_version": 1, "settings_problem": "unknown key"}, "settings_not_used"),
        ({"settings_version": 1, "stopping": True}, None),
    ],
)
def test_an_agent_that_goes_by_other_settings_is_a_finding(
    database: Database, beat: dict[str, object], kind: str | None
) -> None:
    _set(database, FIRST)
    _set(database, "")
    late = NOW + SETTINGS_LATE
    with database.begin() as connection:
        connection.execute(
            insert(agents).values(
                name="laptop-1",
                created_at=NOW,
                enrolled_at=NOW,
                heartbeat_at=late,
                clock_offset=0,
                heartbeat=beat,
            )
        )
    with database.read() as connection:
        (agent,) = list_agents(connection, now=late)
        assert [finding.kind for finding in agent.findings] == ([] if kind is None else [kind])
        (just_set,) = list_agents(connection, now=late - 1)
    if kind == "settings_old":
        assert just_set.findings == ()
