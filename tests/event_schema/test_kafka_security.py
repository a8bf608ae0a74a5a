"""Settings for brokers that ask who we are: always verified, no secret in what is shown."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import msgspec
import pytest

from event_schema.kafka_security import PLAINTEXT, CredentialsUnusable, KafkaCredentials, client_settings
from server.pki.authority import certificate_pem, create_authority, new_key, private_pem

NOW = time.time_ns() // 1_000_000
AUTHORITY = create_authority("test", now=NOW)
KEY = new_key()
MTLS = KafkaCredentials(
    "mtls",
    AUTHORITY.certificate_pem.decode(),
    certificate_pem(AUTHORITY.sign_service(KEY.public_key(), "leaver", now=NOW)).decode(),
    private_pem(KEY).decode(),
)
SCRAM = KafkaCredentials("scram", MTLS.ca_pem, user="leaver", secret="hunter2")


@pytest.mark.parametrize("credentials", [MTLS, SCRAM], ids=["mtls", "scram"])
def test_brokers_are_verified_by_ca_and_host_name_with_tls_1_2_or_newer(
    credentials: KafkaCredentials,
) -> None:
    context = client_settings(credentials)["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.cert_store_stats()["x509"] == 1, "no CA but the given one"


def test_nothing_is_set_where_brokers_do_not_ask() -> None:
    assert client_settings(PLAINTEXT) == {}


def test_neither_keys_nor_passwords_show_nor_stay_open() -> None:
    for _ in range(3):
        client_settings(MTLS)
    open_files = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert [name for name in open_files if "memfd:leaver" in name] == []
    for credentials in (MTLS, SCRAM):
        assert "hunter2" not in repr(credentials)
        assert "PRIVATE KEY" not in f"{credentials}"


@pytest.mark.parametrize(
    ("credentials", "words"),
    [
        (msgspec.structs.replace(MTLS, ca_pem="nonsense"), "the CA's certificate"),
        (msgspec.structs.replace(MTLS, ca_pem=""), "the CA's certificate"),
        (msgspec.structs.replace(MTLS, key_pem=""), "certificate and key"),
        (msgspec.structs.replace(MTLS, key_pem=private_pem(new_key()).decode()), "certificate and key"),
        (msgspec.structs.replace(MTLS, certificate_pem="ключ"), "certificate and key"),
        (msgspec.structs.replace(SCRAM, secret=""), "user or password"),
        (msgspec.structs.replace(SCRAM, user=""), "user or password"),
    ],
)
def test_what_cannot_be_used_is_named_without_its_content(credentials: KafkaCredentials, words: str) -> None:
    with pytest.raises(CredentialsUnusable, match=words) as refused:
        client_settings(credentials)
    assert "hunter2" not in str(refused.value)
    assert "PRIVATE KEY" not in str(refused.value)
