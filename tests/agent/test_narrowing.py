"""What the installation asks for holds, and an endpoint's own file can only narrow it."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest

from agent.collector_registry import COLLECTORS
from agent.config import AgentConfig, ConfigError, enabled_collectors, parse_config, with_installation
from agent.narrowing import merge
from collectors.access_log_config import AccessLogConfig
from collectors.storage_config import RemovableStorageConfig
from collectors.uploads_config import UploadsConfig

TABLE = "[collectors.removable_storage]\n"


def _storage(own: str, installation: str) -> tuple[RemovableStorageConfig, tuple[str, ...]]:
    file = parse_config((TABLE + own).encode(), "file")
    merged = with_installation(file, tomllib.loads(TABLE + installation), "bundle")
    storage = merged.collectors["removable_storage"]
    assert isinstance(storage, RemovableStorageConfig)
    return storage, merged.overruled


@pytest.mark.parametrize(
    ("own", "installation", "key", "holds"),
    [
        ("", "settle_s = 5.0", "settle_s", 5.0),
        ("settle_s = 2.0", "", "settle_s", 2.0),
        ("hash_max_bytes = 10", "hash_max_bytes = 1000", "hash_max_bytes", 10),
        ("hash_max_bytes = 1000", "hash_max_bytes = 10", "hash_max_bytes", 10),
        ("enabled = false", "enabled = true", "enabled", False),
        ("enabled = true", "enabled = false", "enabled", False),
        ('trusted_devices = ["a"]', 'trusted_devices = ["b", "a"]', "trusted_devices", ("b", "a")),
        ('trusted_devices = ["c"]', 'trusted_devices = ["b"]', "trusted_devices", ("b", "c")),
        ('extra_mounts = ["/a"]', 'extra_mounts = ["/b"]', "extra_mounts", ("/b",)),
    ],
)
def test_values_of_both_come_together(own: str, installation: str, key: str, holds: object) -> None:
    assert getattr(_storage(own, installation)[0], key) == holds


@pytest.mark.parametrize(
    ("own", "installation", "holds"),
    [
        (["/home"], ["/home/anna", "/srv"], ["/home/anna"]),
        (["/home/anna", "/srv"], ["/home"], ["/home/anna"]),
        (["/home", "/srv/x"], ["/srv", "/home/anna"], ["/home/anna", "/srv/x"]),
        ([], ["/home"], []),
        (["/home"], ["/home/../etc", "/homes"], []),
        (["/home"], ["/home/"], ["/home"]),
    ],
)
def test_folders_are_watched_where_both_the_file_and_the_installation_want_it(
    own: list[str], installation: list[str], holds: list[str]
) -> None:
    for name, key in (("uploads", "folders"), ("sync_folders", "homes")):
        tables = [{"collectors": {name: {key: folders}}} for folders in (own, installation)]
        config = with_installation(_file(tables[0]), tables[1], "bundle")
        assert list(getattr(config.collectors[name], key)) == holds


@pytest.mark.parametrize(
    ("own", "installation", "holds"),
    [
        ("polling", "permission", "polling"),
        ("permission", "open", "open"),
        ("open", "best", "open"),
        ("best", "permission", "permission"),
    ],
)
def test_a_file_that_wants_a_lesser_way_of_seeing_has_it(own: str, installation: str, holds: str) -> None:
    tables = [{"collectors": {"uploads": {"step": step}}} for step in (own, installation)]
    config = with_installation(_file(tables[0]), tables[1], "bundle")
    assert config.collectors["uploads"] == UploadsConfig(step=holds)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("collector", "key"),
    [
        ("removable_storage", "labels"),
        ("sync_folders", "labels"),
        ("uploads", "labels"),
        ("mail", "delete_after_reading"),
        ("mail", "labels"),
    ],
)
def test_files_are_read_and_mail_is_deleted_only_where_the_endpoint_does_not_forbid_it(
    collector: str, key: str
) -> None:
    tables = [{"collectors": {collector: {key: value}}} for value in (False, True)]
    config = with_installation(_file(tables[0]), tables[1], "bundle")
    assert getattr(config.collectors[collector], key) is False


def _source(name: str, path: str, action: str) -> dict[str, Any]:
    rule = {"action": action, "activity": "read", "path": "/.*"}
    return {"name": name, "path": path, "format": "combined", "rules": [rule]}


def test_of_the_installations_access_logs_those_are_read_that_an_endpoint_with_a_list_lists() -> None:
    asked = [_source("shop", "/log/shop", "viewed"), _source("mail", "/log/mail", "viewed")]

    def holds(own: list[dict[str, Any]] | None) -> tuple[list[tuple[str, str, str]], tuple[str, ...]]:
        file = {} if own is None else {"collectors": {"access_log": {"enabled": True, "sources": own}}}
        bundle = {"collectors": {"access_log": {"enabled": True, "sources": asked}}}
        config = with_installation(_file(file), bundle, "bundle")
        logs = config.collectors["access_log"]
        assert isinstance(logs, AccessLogConfig)
        return [(each.name, each.path, each.rules[0].action) for each in logs.sources], config.overruled

    def runs(own: list[dict[str, Any]]) -> bool:
        bundle = {"collectors": {"access_log": {"enabled": True, "sources": asked}}}
        config = with_installation(_file({"collectors": {"access_log": {"sources": own}}}), bundle, "bundle")
        return "access_log" in {kind.name for kind, _ in enabled_collectors(config)}

    # Off altogether, so that its place in the log is given up, too.
    assert [runs([]), runs(asked)] == [False, True]
    key = "collectors.access_log.sources"
    both = [("shop", "/log/shop", "viewed"), ("mail", "/log/mail", "viewed")]
    assert holds(None) == (both, ())
    assert holds([]) == ([], ())
    assert holds(asked[:1]) == (both[:1], ())
    # What a line means is the installation's; another file by a known name is another log.
    assert holds([_source("shop", "/log/shop", "other")]) == (both[:1], (key,))
    assert holds([_source("shop", "/log/other", "viewed")]) == ([], (key,))


def _file(tables: dict[str, Any]) -> AgentConfig:
    return msgspec.structs.replace(parse_config(b"", "file"), tables=tables)


def test_entries_of_the_file_that_hold_are_not_called_overruled() -> None:
    assert _storage('trusted_devices = ["a"]', 'trusted_devices = ["b", "a"]')[1] == ()


def test_who_is_at_fault_where_only_both_together_cannot_be_used() -> None:
    own, asked = (
        {"collectors": {"mail": {"own_domains": [f"{letter}{n}.example" for n in range(600)]}}}
        for letter in "ab"
    )
    with pytest.raises(ConfigError, match=r"^bundle, with this endpoint's own file: collectors.mail.own_dom"):
        with_installation(_file(own), asked, "bundle")


def test_values_that_do_not_hold_are_named() -> None:
    own = 'settle_s = 2.0\nextra_mounts = ["/a"]\nhash_max_bytes = 1000\nhash_wait_s = 3.0'
    overruled = _storage(own, "settle_s = 5.0\nextra_mounts = []\nhash_max_bytes = 10\nhash_wait_s = 3.0")[1]
    assert set(overruled) == {
        f"collectors.removable_storage.{key}" for key in ("settle_s", "extra_mounts", "hash_max_bytes")
    }


@pytest.mark.parametrize(
    "installation",
    ["settle = 5.0", "settle_s = 5000.0", 'settle_s = "5"', "hash_max_bytes = -1", 'extra_mounts = ["x"]'],
)
def test_what_the_agent_does_not_understand_is_refused_whatever_the_file_says(installation: str) -> None:
    with pytest.raises(ConfigError, match=r"^bundle: "):
        _storage("hash_max_bytes = 0\nsettle_s = 1.0", installation)


def test_an_endpoint_can_trust_more_destinations_but_not_rename_those_of_the_installation() -> None:
    def destinations(trusted: str, name: str) -> str:
        return (
            f'[destinations]\ntrusted = ["{trusted}"]\n[[destinations.extra]]\nname = "{name}"\n'
            'category = "file_transfer"\ndomains = ["drop.example"]\n'
        )

    file = parse_config(destinations("own.example", "Ours").encode(), "file")
    merged = with_installation(file, tomllib.loads(destinations("10.0.0.0/8", "Partner")), "bundle")
    assert set(merged.destinations.trusted) == {"own.example", "10.0.0.0/8"}
    assert [each.name for each in merged.destinations.extra] == ["Partner"]
    assert merged.overruled == ("destinations.extra",)
    with pytest.raises(ConfigError, match=r"^bundle: destinations: .*is every address"):
        with_installation(file, {"destinations": {"trusted": ["0.0.0.0/0"]}}, "bundle")


@pytest.mark.parametrize("table", ["agent", "spool", "shipper", "nonsense"])
def test_where_the_endpoint_keeps_and_sends_its_events_is_its_own_matter(table: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown key {table}"):
        with_installation(parse_config(b"", "file"), {table: {}}, "bundle")


def test_every_collector_can_be_switched_off_by_its_endpoint() -> None:
    for kind in COLLECTORS:
        off, on = ({"collectors": {kind.name: {"enabled": value}}} for value in (False, True))
        merged = merge(off, on, {f"collectors.{kind.name}": kind.config_type()})
        assert merged.tables == off
        assert merged.overruled == ()
