"""What the installation asks for holds, and an endpoint's own file can only narrow it."""

from __future__ import annotations

import tomllib

import pytest

from agent.collector_registry import COLLECTORS
from agent.config import ConfigError, parse_config, with_installation
from agent.narrowing import merge
from collectors.storage_config import RemovableStorageConfig

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
