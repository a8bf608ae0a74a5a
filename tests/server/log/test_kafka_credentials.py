"""What the server shows to brokers, from its settings; and how brokers call whom."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from event_schema.kafka_security import CredentialsUnusable, KafkaSecurity, client_settings
from server.config import ConfigError, LogConfig, parse_config
from server.log.kafka_credentials import agent_of, agent_principal, principal, server_credentials
from server.pki.authority import certificate_pem, create_authority, new_key, private_pem
from server.pki.files import PkiFiles

DAY = 24 * 3600 * 1000


class _Clock:
    now = time.time_ns() // 1_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def pki(tmp_path: Path, clock: _Clock) -> PkiFiles:
    made = PkiFiles(tmp_path / "pki", clock=clock)
    made.create_authority("test")
    return made


def test_without_a_certificate_of_its_own_the_server_has_one_of_its_ca_and_renews_it(
    pki: PkiFiles, clock: _Clock, tmp_path: Path
) -> None:
    log = LogConfig(security="mtls")
    first = server_credentials(log, pki)
    assert principal(first) == "User:CN=leaver,OU=leaver-services"
    assert first.ca_pem == pki.open_authority().certificate_pem.decode()
    assert server_credentials(log, pki) == first
    assert (tmp_path / "pki" / "kafka.key").stat().st_mode & 0o777 == 0o600
    clock.now += 61 * DAY
    second = server_credentials(log, pki)
    assert second.certificate_pem != first.certificate_pem
    assert principal(second) == principal(first)
    client_settings(second)


def test_certificate_and_ca_of_somebody_else_are_used_where_they_are_named(
    pki: PkiFiles, clock: _Clock, tmp_path: Path
) -> None:
    other, key = create_authority("other", now=clock()), new_key()
    certificate = other.sign_service(key.public_key(), "siem", now=clock())
    files = {
        "ca": other.certificate_pem,
        "certificate": certificate_pem(certificate),
        "key": private_pem(key),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    ca, chain, own_key = (str(tmp_path / name) for name in files)
    log = LogConfig(security="mtls", ca=ca, certificate=chain, key=own_key)
    credentials = server_credentials(log, pki)
    assert principal(credentials) == "User:CN=siem,OU=leaver-services"
    assert credentials.ca_pem == other.certificate_pem.decode()
    (tmp_path / "key").unlink()
    with pytest.raises(CredentialsUnusable, match="key: No such file"):
        server_credentials(log, pki)


def test_a_password_is_read_from_its_file_each_time_and_never_told(pki: PkiFiles, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    log = LogConfig(security="scram", user="siem", password_file=str(secret))
    with pytest.raises(CredentialsUnusable, match="password: No such file"):
        server_credentials(log, pki)
    for word in ("hunter2", "hunter3"):
        secret.write_text(f"{word}\n")
        credentials = server_credentials(log, pki)
        assert (credentials.user, credentials.secret) == ("siem", word)
        assert principal(credentials) == "User:siem"
    secret.write_text("hunter2\nhunter3\n")
    with pytest.raises(CredentialsUnusable, match="one line") as refused:
        server_credentials(log, pki)
    assert "hunter" not in str(refused.value)


def test_no_agent_can_be_called_like_a_service_or_an_administrator() -> None:
    assert agent_principal("mtls", "desk-17") == "User:CN=desk-17,OU=leaver-agents"
    assert agent_principal("scram", "desk-17") == "User:leaver-agent.desk-17"
    ways: tuple[KafkaSecurity, ...] = ("mtls", "scram")
    for security in ways:
        for agent in ("admin", "leaver", "leaver-agent.x", "a"):
            named = agent_principal(security, agent)
            assert agent_of(named) == agent
            assert named not in {"User:admin", "User:leaver", "User:CN=leaver,OU=leaver-services"}
    for other in ("User:admin", "User:CN=leaver,OU=leaver-services", "User:*", "User:CN=a"):
        assert agent_of(other) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('security = "ssl"', "log.security"),
        ('security = "scram"', "log.user and log.password_file"),
        ('security = "scram"\nuser = "a"', "log.user and log.password_file"),
        ('security = "mtls"\ncertificate = "/a"', "log.certificate and log.key"),
        ('security = "mtls"\nuser = "a"', 'log.user: has no meaning with log.security = "mtls"'),
        ('password_file = "/a"', 'log.password_file: has no meaning with log.security = "plaintext"'),
        ('ca = "/a"', 'log.ca: has no meaning with log.security = "plaintext"'),
        ('password = "hunter2"', "did you mean log.password_file?"),
    ],
)
def test_settings_that_do_not_belong_together_are_refused(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(f"[log]\n{text}\n".encode(), source="server.toml")
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)
