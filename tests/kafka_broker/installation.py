"""An installation whose log lies on the secured broker, and what single clients may do there."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]
from kafka.admin import UserScramCredentialUpsertion  # type: ignore[import-untyped]
from kafka.errors import (  # type: ignore[import-untyped]
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from kafka.structs import OffsetAndMetadata  # type: ignore[import-untyped]

from agent.identity import private_pem
from event_schema.kafka_security import SCRAM_MECHANISM, KafkaCredentials, KafkaSecurity, client_settings
from server.data_directory import DataDirectory
from server.log.kafka_access import KafkaAccess
from server.log.kafka_acls import CLUSTER, Rule, create_rules, delete_rules, read_rules
from server.pki.authority import certificate_pem
from server.pki.files import PkiFiles
from tests.kafka_broker.secured import SecuredBroker
from tests.server.up.up_process import leaver

OWN = "CN=leaver,OU=leaver-services"
"""The server under mTLS."""
_numbers = itertools.count()
_FORBIDDEN = (
    TopicAuthorizationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
)


class SecuredInstallation:
    """Settings and CA in `data`; topics and the server's user are its own. Nothing is set up yet."""

    def __init__(
        self,
        broker: SecuredBroker,
        data: Path,
        security: KafkaSecurity,
        agent_rules: str = "each",
        *,
        quota: int = 250_000,
    ) -> None:
        self.broker, self.data, self.security = broker, data, security
        self.number = next(_numbers)
        self.topic = f"events-{self.number}"
        self.server = "User:" + (OWN if security == "mtls" else f"server-{self.number}")
        self.address = broker.mtls if security == "mtls" else broker.scram
        data.mkdir(exist_ok=True)
        shutil.copytree(broker.pki, data / "pki")
        self.administrator = data / "administrator.toml"
        self._write_administrator()
        own = ""
        if security == "scram":
            password = data / "password"
            password.write_text("server-secret\n")
            self.make_user(f"server-{self.number}", "server-secret")
            own = f'user = "server-{self.number}"\npassword_file = "{password}"\n'
        (data / "server.toml").write_text(
            f'[listen]\naddress = "127.0.0.1:0"\n[log]\nkind = "kafka"\nbootstrap = ["{self.address}"]\n'
            f'topic = "{self.topic}"\npartitions = 4\n'
            f'security = "{security}"\nagent_rules = "{agent_rules}"\n{own}'
            f'workers = ["{self._named("worker")}"]\nagent_bytes_per_second = {quota}\n'
        )
        assert leaver("init", data=data).returncode == 0
        self.config = DataDirectory(data).load_config()

    def _write_administrator(self) -> None:
        password = self.data / "administrator-password"
        password.write_text(self.broker.admin_by_password().secret)
        self.administrator.write_text(
            f'bootstrap = ["{self.broker.scram}"]\nsecurity = "scram"\n'
            f'user = "admin"\npassword_file = "{password}"\n'
        )

    def _named(self, role: str) -> str:
        name = f"{role}-{self.number}"
        return f"CN={name},OU=leaver-services" if self.security == "mtls" else name

    def set_up(self, *arguments: str) -> Any:
        """`leaver kafka setup`, as the brokers' administrator."""
        return leaver("kafka", "setup", "--as", str(self.administrator), *arguments, data=self.data)

    def let_in(self, agent: str) -> KafkaCredentials:
        """A new agent, with a certificate or password as enrolment gives it."""
        access = KafkaAccess(self.config.log, PkiFiles(self.broker.pki, clock=self.broker.now))
        ticket = access.admit(agent)
        access.close()
        if self.security == "scram":
            return self.broker.user_credentials(ticket.user, ticket.secret)
        key = Ed25519PrivateKey.generate()
        certificate = self.broker.authority.sign_agent(key.public_key(), agent, now=self.broker.now())
        return KafkaCredentials(
            "mtls", self.broker.ca_pem, certificate_pem(certificate).decode(), private_pem(key).decode()
        )

    def worker(self, role: str) -> KafkaCredentials:
        """What the worker of that role shows."""
        name = f"{role}-{self.number}"
        if self.security == "mtls":
            return self.broker.service_credentials(name)
        self.make_user(name, "worker-secret")
        return self.broker.user_credentials(name, "worker-secret")

    def put_a_record(self, topic: str) -> None:
        """Into the first partition, by the brokers' administrator."""
        producer = KafkaProducer(**self.broker.admin_settings())
        producer.send(topic, b"x", partition=0).get(20)
        producer.close()

    def take_from_server(self, denied: bool, operation: str = "ALTER") -> None:
        """The server's right to let agents in (or another one), or gives all of them back."""
        denial = Rule(self.server, "CLUSTER", CLUSTER, operation, denied=True)
        admin = KafkaAdminClient(**self.broker.admin_settings())
        if denied:
            create_rules(admin, [denial])
        else:
            delete_rules(admin, self.server, denied=True)
        admin.close()

    def make_user(self, user: str, secret: str) -> None:
        admin = KafkaAdminClient(**self.broker.admin_settings())
        upsertion = UserScramCredentialUpsertion(user, SCRAM_MECHANISM, secret)
        assert admin.alter_user_scram_credentials([upsertion]) == {user: None}
        admin.close()


class Client:
    """Tries things out as somebody, at the listener that fits."""

    def __init__(self, installation: SecuredInstallation, credentials: KafkaCredentials) -> None:
        self._settings = {"bootstrap_servers": installation.address, **client_settings(credentials)}

    def may_write(self, topic: str) -> bool:
        producer = KafkaProducer(**self._settings)
        try:
            producer.send(topic, b"x").get(20)
        except KafkaError as error:
            # Who may write nowhere is refused earlier, with an error that has no class of its own.
            if isinstance(error, _FORBIDDEN) or "ClusterAuthorizationFailedError" in str(error):
                return False
            raise
        finally:
            producer.close()
        return True

    def may_read(self, topic: str) -> bool:
        """There must be a record in the topic's first partition."""
        consumer = KafkaConsumer(**self._settings, group_id=None)
        try:
            # Who may not see the topic gets no error from poll(), only nothing.
            if not consumer.partitions_for_topic(topic):
                return False
            place = TopicPartition(topic, 0)
            consumer.assign([place])
            consumer.seek(place, 0)
            assert consumer.poll(timeout_ms=20_000)
        except _FORBIDDEN:
            return False
        finally:
            consumer.close()
        return True

    def may_use_group(self, group: str, topic: str) -> bool:
        consumer = KafkaConsumer(**self._settings, group_id=group)
        try:
            place = TopicPartition(topic, 0)
            consumer.assign([place])
            consumer.commit({place: OffsetAndMetadata(0, "", -1)})
        except _FORBIDDEN:
            return False
        finally:
            consumer.close(autocommit=False)
        return True

    def may_create(self, topic: str) -> bool:
        return self._administers(
            lambda admin: admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})
        )

    def may_delete_records(self, topic: str) -> bool:
        return self._administers(lambda admin: admin.delete_records({TopicPartition(topic, 0): 0}))

    def may_see_rules(self) -> bool:
        return self._administers(read_rules)

    def _administers(self, what: Any) -> bool:
        admin = KafkaAdminClient(**self._settings)
        try:
            what(admin)
        except (*_FORBIDDEN, UnknownTopicOrPartitionError):
            # Who may not even see a topic is told that there is none.
            return False
        finally:
            admin.close()
        return True
