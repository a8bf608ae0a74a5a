"""Settings: unknown keys are refused with the place, and the sample file explains every one."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from agent.collector_registry import COLLECTORS
from agent.config import SECTIONS, AgentConfig, ConfigError, enabled_collectors, load_config, parse_config

SAMPLE = Path(__file__).parents[2] / "deploy" / "agent.toml"


def parse(text: str) -> AgentConfig:
    return parse_config(text.encode(), "agent.toml")


def uncommented(text: str) -> str:
    """The sample with every shown default in force."""
    return re.sub(r"(?m)^# ([a-z_]+ = )", r"\1", text)


def test_without_a_file_the_defaults_hold(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("agent.config.DEFAULT_PATH", tmp_path / "missing.toml")
    config = load_config(None)
    assert config.state_dir == Path("/var/lib/leaver-agent")
    assert [kind.name for kind, _ in enabled_collectors(config)] == [
        "logins",
        "removable_storage",
        "screenshots",
        "sync_folders",
        "uploads",
    ]


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: No such file"):
        load_config(tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[spol]\n", r"agent.toml: unknown key spol: did you mean spool\?"),
        (
            "[spool]\nmax_byte = 5\n",
            r"unknown key spool.max_byte: did you mean spool.max_bytes\?",
        ),
        ("[collectors.usb]\n", r"unknown key collectors.usb: known are .*removable_storage"),
        (
            "[collectors.removable_storage]\nextra_mount = []\n",
            r"unknown key collectors.removable_storage.extra_mount: did you mean .*extra_mounts\?",
        ),
        ("spool = 3\n", r"agent.toml: spool must be a table, written \[spool\]"),
        ("[spool]\nmax_bytes = 'much'\n", r"agent.toml: spool.max_bytes: Expected `int`, got `str`"),
        ("[spool]\nmax_bytes = 16777216\nsegment_bytes = 4194305\n", r"spool: max_bytes must be at least"),
        ("[agent]\nstate_dir = 'here'\n", r"agent.toml: agent.state_dir: "),
        ("[collectors.removable_storage]\nextra_mounts = ['x']\n", r"'x' is not an absolute path"),
        ("[spool\n", r"agent.toml: .*line 1"),
    ],
)
def test_a_mistake_is_refused_with_file_and_key(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


def test_text_that_is_not_utf8_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"agent.toml: not UTF-8 at byte 3"):
        parse_config(b"# \n\xff", "agent.toml")


def test_a_collector_can_be_switched_off() -> None:
    config = parse("[collectors.removable_storage]\nenabled = false\n")
    assert "removable_storage" not in [kind.name for kind, _ in enabled_collectors(config)]


def test_the_company_names_its_own_words_for_all_collectors() -> None:
    config = parse('[labels]\nkeyword_lists = { projects = ["Phoenix", "凤凰计划"] }\n')
    assert config.labels.keyword_lists == {"projects": ("Phoenix", "凤凰计划")}
    with pytest.raises(ConfigError, match=r"labels: .*keyword_lists"):
        parse('[labels]\nkeyword_lists = { "My List" = ["Phoenix"] }\n')


def test_the_sample_changes_nothing_and_shows_the_real_defaults() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    defaults = parse("")
    for shown in (parse(text), parse(uncommented(text))):
        assert msgspec.structs.replace(shown, tables={}) == defaults


def test_every_setting_is_explained_in_the_sample() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    shown = tomllib.loads(uncommented(text))
    structs: dict[str, type[msgspec.Struct]] = {
        **SECTIONS,
        **{f"collectors.{kind.name}": kind.config_type() for kind in COLLECTORS},
    }
    for name, struct in structs.items():
        table = shown
        for part in name.split("."):
            table = table[part]
        assert set(table) == {field.encode_name for field in msgspec.structs.fields(struct)}, name
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if re.match(r"# [a-z_]+ = ", line):
            assert lines[index - 1].startswith("# "), f"{line} has no explanation above it"
