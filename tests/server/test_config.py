"""Settings: every one documented, unknown ones refused with a hint, no secret ever shown."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from server.commands.running import config_group
from server.config import ConfigError, ServerConfig, load_config, parse_config, show_config, split_address
from server.data_directory import DataDirectory

SAMPLE = Path(__file__).parents[2] / "deploy" / "server.toml"


def test_the_sample_file_documents_every_setting_with_its_default() -> None:
    text = SAMPLE.read_text(encoding="utf-8")
    assert tomllib.loads(text) == msgspec.json.decode(msgspec.json.encode(ServerConfig()))
    assert parse_config(text.encode(), source="sample") == ServerConfig()
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if re.match(r"[a-z_]+ = ", line) and not re.match(r"[a-z_]+ = ", lines[index - 1]):
            assert lines[index - 1].startswith("# "), f"line {index + 1} has no comment: {line}"


def test_shown_settings_read_back_equal() -> None:
    text = b'[listen]\nnames = ["siem.example", "10.1.2.3"]\n[log]\nkind = "kafka"\nbootstrap = ["b:9092"]\n'
    config = parse_config(text, source="x")
    assert parse_config(show_config(config).encode(), source="shown") == config


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[listen]\nadress = "x:1"', ["unknown key listen.adress", "did you mean listen.address?"]),
        ("[zzzzzz]\n", ["unknown key zzzzzz", "known: listen, log"]),
        ("listen = 3", ["$.listen"]),
        ('[listen]\naddress = "8443"', ["listen.address", "not host:port"]),
        ('[listen]\naddress = "::1:8443"', ["[address]:port"]),
        ('[listen]\naddress = "a:70000"', ["not host:port"]),
        ('[people]\nworking_hours = "8-17"', ["people.working_hours", "not like 08:00-19:00"]),
        ('[people]\nworking_hours = "08:00-08:00"', ["people.working_hours", "holds no hours"]),
        ('[company]\nnetworks = ["10.0.0.1/8"]', ["company.networks", "has host bits set"]),
        ('[company]\ndestinations = ["https://x"]', ["company.destinations", "is not a domain"]),
        ('[listen]\nnames = ["a b"]', ["listen.names", "neither a host name"]),
        ('[log]\nkind = "kafka"', ["log.bootstrap", "at least one broker"]),
        ('[log]\nkind = "rabbit"', ["$.log.kind"]),
        ("[retention]\nevents_days = 0", ["$.retention.events_days"]),
        ("[retention]\nactivity_days = 29", ["$.retention.activity_days"]),
        ('[database]\nurl = "mysql://x/y"', ["database.url"]),
        ("[listen]\naddress = 8443 8444\n", ["line 2"]),
    ],
)
def test_a_wrong_setting_is_refused_by_name(text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(text.encode(), source="server.toml")
    assert str(refused.value).startswith("server.toml: ")
    assert all(word in str(refused.value) for word in words), str(refused.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://leaver:hunter2@db/leaver", "postgresql+psycopg://db/leaver?user=a&password=hunter2"],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(f'[database]\nurl = "{url}"'.encode(), source="server.toml")
    assert "password_file" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_bytes_that_are_no_text_are_refused_with_their_place() -> None:
    with pytest.raises(ConfigError, match="not UTF-8 at byte 3"):
        parse_config(b"a=\n\xff", source="server.toml")


def test_a_missing_file_means_defaults_unless_it_was_named(tmp_path: Path) -> None:
    assert load_config(tmp_path / "none.toml", required=False) == ServerConfig()
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.toml", required=True)


def test_the_password_is_read_from_its_file_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    text = f'[database]\nurl = "postgresql+psycopg://leaver@db/leaver"\npassword_file = "{secret}"\n'
    (tmp_path / "server.toml").write_text(text)
    directory = DataDirectory(tmp_path)
    config = directory.load_config()
    assert directory.database_url(config) == "postgresql+psycopg://leaver:hunter2@db/leaver"
    shown = CliRunner().invoke(config_group, ["show", "--data", str(tmp_path)])
    assert shown.exit_code == 0
    assert str(secret) in shown.output
    assert "hunter2" not in shown.output
    secret.write_text("two\nlines\n")
    with pytest.raises(ConfigError, match="one line"):
        directory.database_url(config)


def test_addresses_are_split_at_their_port() -> None:
    assert split_address("127.0.0.1:8443") == ("127.0.0.1", 8443)
    assert split_address("[::1]:0") == ("::1", 0)
