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


def test_the_company_names_destinations_and_its_own_places_for_all_collectors() -> None:
    config = parse(
        '[destinations]\ntrusted = ["files.example.com", "10.0.0.0/8", "2001:db8::1"]\n'
        '[[destinations.extra]]\nname = "Partner"\ncategory = "file_transfer"\n'
        'domains = ["drop.example", "github.com"]\n'
    )
    catalogue = config.destinations.catalogue()
    named = catalogue.of_host("eu.drop.example"), catalogue.of_host("gist.github.com")
    assert [None if each is None else each.name for each in named] == ["Partner", "Partner"]
    assert catalogue.is_trusted(host="a.files.example.com")
    assert catalogue.is_trusted(address="10.1.2.3")
    assert not catalogue.is_trusted(host="example.com", address="192.0.2.1")
    assert config.shared.destinations == config.destinations


_PARTNER = '[[destinations.extra]]\nname = "Partner"\ncategory = "file_transfer"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[destination]\n", r"did you mean destinations\?"),
        (
            "[destinations]\ntrust = []\n",
            r"unknown key destinations.trust: did you mean destinations.trusted\?",
        ),
        (
            '[destinations]\ntrusted = ["intranet"]\n',
            r"destinations: .*neither a domain, an address nor a network",
        ),
        ('[destinations]\ntrusted = ["10.0.0.1/8"]\n', r"neither a domain, an address nor a network"),
        ('[destinations]\ntrusted = ["https://files.example.com/"]\n', r"neither a domain"),
        ('[destinations]\ntrusted = ["0.0.0.0/0"]\n', r"destinations: trusted: 0.0.0.0/0 is every address"),
        ('[destinations]\ntrusted = ["::/0"]\n', r"is every address"),
        ('[destinations]\ntrusted = "files.example.com"\n', r"destinations.trusted: Expected `array`"),
        (_PARTNER, r"missing required field `domains`"),
        (_PARTNER + "domains = []\n", r"Partner: domains is empty"),
        (_PARTNER + 'domains = ["Drop.Example"]\n', r"'Drop.Example' is no domain in lower case"),
        (_PARTNER + 'domains = ["a.example", "a.example"]\n', r"a.example stands twice"),
        (_PARTNER + 'domains = ["a.example"]\ndomain = "b"\n', r"unknown field `domain`"),
        (
            _PARTNER.replace("file_transfer", "cloud") + 'domains = ["a.example"]\n',
            r"destinations.extra\[0\].category",
        ),
    ],
)
def test_a_destination_that_cannot_be_used_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"^agent.toml: .*{message}"):
        parse(text)


def test_only_collectors_that_name_destinations_begin_anew_when_those_change() -> None:
    before, after = parse("").shared, parse('[destinations]\ntrusted = ["10.0.0.0/8"]\n').shared
    changed = [kind.name for kind in COLLECTORS if kind.shared_of(before) != kind.shared_of(after)]
    assert changed == ["uploads"]


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
