"""`leaver kafka setup` on a real broker with ACLs: what it makes, what it tells, and who may then do what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]

from event_schema.kafka_security import KafkaCredentials, KafkaSecurity
from server.config import LogConfig
from server.log.kafka_access import KafkaAccess
from server.log.kafka_acls import Rule, create_rules, delete_rules, read_rules
from server.log.kafka_credentials import agent_principal
from server.log.kafka_setup import program_rules
from server.log.kafka_topic import ADMIN_SETTINGS, read_topic
from server.log.kafka_unsafe import broker_faults
from server.pki.files import PkiFiles
from tests.kafka_broker.installation import Client, SecuredInstallation
from tests.kafka_broker.secured import SecuredBroker
from tests.server.up.up_process import leaver

pytestmark = [pytest.mark.kafka, pytest.mark.long]
BOTH: tuple[KafkaSecurity, ...] = ("mtls", "scram")


@pytest.fixture(params=BOTH)
def installation(
    request: pytest.FixtureRequest, secured_kafka: SecuredBroker, tmp_path: Path
) -> SecuredInstallation:
    return SecuredInstallation(secured_kafka, tmp_path / "data", request.param)


@pytest.fixture
def mtls(secured_kafka: SecuredBroker, tmp_path: Path) -> SecuredInstallation:
    return SecuredInstallation(secured_kafka, tmp_path / "data", "mtls")


def admin_of(installation: SecuredInstallation) -> Any:
    return KafkaAdminClient(**installation.broker.admin_settings())


def test_a_dry_run_tells_all_and_makes_nothing_and_the_second_run_has_nothing_to_do(
    installation: SecuredInstallation,
) -> None:
    told = installation.set_up("--dry-run", "--json")
    assert told.returncode == 0, told.stderr
    admin = admin_of(installation)
    rules = program_rules(installation.config.log, installation.server)
    # Under mTLS the servers of these tests are all one to the brokers.
    missing = set(rules) - read_rules(admin)
    assert 7 <= len(missing) <= len(rules) == 9
    try:
        assert read_topic(admin, installation.topic) is None
        assert read_rules(admin, kind="TOPIC", name=installation.topic) == set()
        made = installation.set_up("--json")
        assert made.returncode == 0, made.stderr
        report, dry = json.loads(made.stdout), json.loads(told.stdout)
        assert report["steps"] == dry["steps"]
        assert (report["dry_run"], dry["dry_run"], report["findings"]) == (False, True, [])
        kinds = [step["what"] for step in report["steps"]]
        assert (kinds.count("topic"), kinds.count("rule")) == (1, len(missing))
        topic = read_topic(admin, installation.topic)
        assert topic is not None
        assert (topic.partitions, topic.replication) == (4, 1)
        expected = {
            "cleanup.policy": "delete",
            "compression.type": "uncompressed",
            "max.message.bytes": "2097152",
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": "1",
            "retention.ms": "604800000",
            "segment.ms": "86400000",
            "unclean.leader.election.enable": "false",
        }
        assert {setting: topic.settings[setting] for setting in expected} == expected
    finally:
        admin.close()
    again = installation.set_up()
    assert (again.returncode, again.stdout) == (0, "Everything is as it must be.\n")


def test_who_may_do_what(installation: SecuredInstallation) -> None:
    assert installation.set_up().returncode == 0
    log = installation.config.log
    events = log.topic
    installation.put_a_record(events)
    payroll = f"payroll-{installation.number}"
    admin = admin_of(installation)
    admin.create_topics({payroll: {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)
    admin.close()
    may: dict[str, set[str]] = {}
    for who, credentials in {
        "agent": installation.let_in(f"desk-{installation.number}"),
        "worker": installation.worker("worker"),
        "stranger": installation.worker("stranger"),
    }.items():
        client = Client(installation, credentials)
        may[who] = {
            word
            for word, allowed in {
                "write events": client.may_write(events),
                "read events": client.may_read(events),
                "write elsewhere": client.may_write(payroll),
                "delete events": client.may_delete_records(events),
                "create": client.may_create(f"made-by-{who}-{installation.number}"),
                "group": client.may_use_group(f"{events}.pipeline", events),
                "other group": client.may_use_group("payroll", events),
                "see rules": client.may_see_rules(),
            }.items()
            if allowed
        }
    assert may == {
        "agent": {"write events"},
        "worker": {"read events", "group"},
        "stranger": set(),
    }


def test_one_rule_for_all_agents_still_keeps_workers_and_revoked_ones_from_writing(
    secured_kafka: SecuredBroker, tmp_path: Path
) -> None:
    installation = SecuredInstallation(secured_kafka, tmp_path / "data", "mtls", agent_rules="all", quota=0)
    assert installation.set_up().returncode == 0
    one, other = (Client(installation, installation.let_in(f"{n}-{installation.number}")) for n in "ab")
    assert one.may_write(installation.topic)
    assert other.may_write(installation.topic)
    assert not Client(installation, installation.worker("worker")).may_write(installation.topic)
    access = KafkaAccess(installation.config.log, PkiFiles(secured_kafka.pki, clock=secured_kafka.now))
    access.expel(f"a-{installation.number}")
    access.close()
    assert not one.may_write(installation.topic)
    assert other.may_write(installation.topic)
    assert installation.set_up().stdout == "Everything is as it must be.\n"


def test_what_somebody_changed_is_set_right_and_told(mtls: SecuredInstallation) -> None:
    assert mtls.set_up().returncode == 0
    admin = admin_of(mtls)
    changed = {"retention.ms": "1000", "compression.type": "producer"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, mtls.topic, changed)])
    admin.close()
    refused = leaver("up", data=mtls.data)
    assert refused.returncode == 1
    assert "compression.type should be uncompressed" in refused.stderr
    assert "run `leaver kafka setup`" in refused.stderr
    told = mtls.set_up()
    assert told.stdout.splitlines() == [
        f"setting  made: {mtls.topic}: compression.type = uncompressed, was producer",
        f"setting  made: {mtls.topic}: retention.ms = 604800000, was 1000",
    ]
    assert mtls.set_up("--dry-run").stdout == "Everything is as it must be.\n"


def test_rules_that_let_others_at_the_topics_are_told_and_left(mtls: SecuredInstallation) -> None:
    assert mtls.set_up().returncode == 0
    mtls.let_in("not-enrolled")
    admin = admin_of(mtls)
    create_rules(
        admin,
        [
            Rule("User:bob", "TOPIC", mtls.topic, "READ"),
            Rule("User:*", "TOPIC", mtls.topic[:-1], "WRITE", prefixed=True),
            Rule("User:eve", "TOPIC", mtls.topic, "READ", denied=True),
            Rule("User:carol", "TOPIC", "payroll", "READ"),
        ],
    )
    told = mtls.set_up("--json")
    assert told.returncode == 3
    details = [finding["detail"] for finding in json.loads(told.stdout)["findings"]]
    assert [detail.partition(";")[0] for detail in details] == [
        f"User:* may WRITE topic {mtls.topic[:-1]}*",
        f"User:CN=not-enrolled,OU=leaver-agents may WRITE topic {mtls.topic}",
        f"User:bob may READ topic {mtls.topic}",
    ]
    shown = mtls.set_up()
    assert shown.returncode == 3
    assert "! rule_of_others: User:bob may READ" in shown.stdout
    assert len(read_rules(admin, kind="TOPIC", name=mtls.topic, principal="User:bob")) == 1
    delete_rules(admin, "User:*")
    admin.close()


def test_another_number_of_partitions_is_a_finding_and_the_topic_stays(mtls: SecuredInstallation) -> None:
    assert mtls.set_up().returncode == 0
    settings = mtls.data / "server.toml"
    settings.write_text(settings.read_text().replace("partitions = 4", "partitions = 8"))
    told = mtls.set_up()
    assert told.returncode == 3
    assert f"topic {mtls.topic} has 4 partitions, log.partitions says 8; it stays" in told.stdout


def test_a_server_without_rights_and_brokers_that_are_away_are_told(
    mtls: SecuredInstallation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ADMIN_SETTINGS, "bootstrap_timeout_ms", 1000)
    # As the server itself, which may not make topics.
    refused = leaver("kafka", "setup", data=mtls.data)
    assert refused.returncode == 4
    assert "Authorization" in refused.stderr
    mtls.administrator.write_text('bootstrap = ["127.0.0.1:9"]\n')
    away = mtls.set_up()
    assert away.returncode == 4
    assert "127.0.0.1:9" in away.stderr
    mtls.administrator.write_text('pasword_file = "x"\n')
    wrong = mtls.set_up()
    assert wrong.returncode == 1
    assert "pasword_file" in wrong.stderr


SAFE = {
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    "min.insync.replicas": "2",
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "ssl.principal.mapping.rules": "DEFAULT",
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "listeners": "SSL://0.0.0.0:9093,CONTROLLER://127.0.0.1:9094,LOCAL://[::1]:9092",
    "listener.security.protocol.map": "SSL:SSL,CONTROLLER:PLAINTEXT,LOCAL:PLAINTEXT",
}


@pytest.mark.parametrize(
    ("setting", "value", "security", "words"),
    [
        ("auto.create.topics.enable", "true", "plaintext", "auto.create.topics.enable is true"),
        ("unclean.leader.election.enable", "true", "mtls", "unclean.leader.election.enable is true"),
        ("min.insync.replicas", "1", "mtls", "min.insync.replicas is 1"),
        ("authorizer.class.name", "", "scram", "authorizer.class.name is empty"),
        ("allow.everyone.if.no.acl.found", None, "mtls", "open to everybody"),
        ("listener.name.ssl.ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/", "mtls", "whole subject"),
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512", "scram", "has PLAIN"),
        ("listeners", "CONTROLLER://0.0.0.0:9092", "plaintext", "speaks PLAINTEXT"),
    ],
)
def test_each_unsafe_setting_of_a_broker_is_told(
    setting: str, value: str | None, security: KafkaSecurity, words: str
) -> None:
    log = LogConfig(security=security)
    assert broker_faults(SAFE, log, brokers=3) == []
    faults = broker_faults({**SAFE, setting: value}, log, brokers=3)
    assert len(faults) == 1
    assert words in faults[0]


def test_certificates_for_brokers_and_workers_come_from_the_installation(
    mtls: SecuredInstallation, tmp_path: Path
) -> None:
    assert mtls.set_up().returncode == 0
    out = tmp_path / "worker.pem"
    name = f"worker-{mtls.number}"
    made = leaver("kafka", "certificate", name, "--out", str(out), data=mtls.data)
    assert made.returncode == 0, made.stderr
    assert f"User:CN={name},OU=leaver-services" in made.stdout
    assert out.stat().st_mode & 0o777 == 0o600
    pem = out.read_text()
    key, _, chain = pem.partition("-----BEGIN CERTIFICATE-----")
    credentials = KafkaCredentials("mtls", mtls.broker.ca_pem, f"-----BEGIN CERTIFICATE-----{chain}", key)
    mtls.put_a_record(mtls.topic)
    assert Client(mtls, credentials).may_read(mtls.topic)
    assert not Client(mtls, credentials).may_write(mtls.topic)
    for wrong in (("Worker 1",), ("broker", "--host", "a b")):
        refused = leaver("kafka", "certificate", *wrong, "--out", str(out), data=mtls.data)
        assert refused.returncode == 2


def test_an_agent_that_is_called_like_an_administrator_is_none(installation: SecuredInstallation) -> None:
    assert installation.set_up().returncode == 0
    installation.put_a_record(installation.topic)
    client = Client(installation, installation.let_in("admin"))
    assert client.may_write(installation.topic)
    assert not client.may_read(installation.topic)
    assert not client.may_see_rules()
    assert agent_principal(installation.security, "admin") != "User:admin"
    # The administrator's own password is still good.
    assert installation.set_up().returncode in {0, 3}
