"""One installation, opened: settings, database, CA. `leaver up` makes what is missing, others do not."""

from __future__ import annotations

import importlib
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import insert, select

from event_schema.kafka_security import CredentialsUnusable, KafkaCredentials
from server import audit
from server.agents.broker_access import BrokerAccess
from server.config import ConfigError, ServerConfig
from server.data_directory import DataDirectory
from server.evidence_seal import SealKey
from server.log.contract import EventLog, LogUnavailable, PartitionShare
from server.log.embedded import EmbeddedLog
from server.log.kafka_credentials import brokers_ca, server_credentials
from server.log.whole_log import WholeLog
from server.pki.authority import Authority
from server.pki.files import PkiFiles
from server.store.database import Database, StoreUnavailable, open_database, upgrade
from server.store.tables import installation
from server.store.up_lock import UpLock

_ID = "id"


class Installation(msgspec.Struct, frozen=True):
    directory: DataDirectory
    config: ServerConfig
    database: Database
    clock: Callable[[], int]
    up_lock: UpLock | None = None
    """Held by who made or runs the installation."""

    @property
    def pki(self) -> PkiFiles:
        return PkiFiles(self.directory.pki_path, clock=self.clock)

    def seal_key(self, actor: str) -> SealKey:
        """The data directory's own, known to the database from now on. Raises PkiError, StoreUnavailable."""
        key = self.pki.ensure_seal_key()
        with self.database.begin() as connection:
            key.register(connection, at=self.clock(), actor=actor)
        return key

    def prepare_log(self) -> None:
        """Makes the Kafka topic where it is missing; behind ACLs that is `leaver kafka setup`'s task, and
        it is only looked at. Raises LogUnavailable, ConfigError."""
        log = self.config.log
        if log.kind != "kafka":
            return
        topics = kafka_module("server.log.kafka_topic")
        brokers = ",".join(log.bootstrap)
        if log.security == "plaintext":
            topics.ensure_topic(brokers, log.topic, partitions=log.partitions, replication=log.replication)
        else:
            try:
                credentials = self.kafka_credentials()
            except CredentialsUnusable as error:
                raise LogUnavailable(str(error)) from error
            topics.check_topic(brokers, topics.events_topic(log), credentials)

    def open_log(self, *, create: bool = True) -> EventLog:
        """Raises LogUnavailable, also where there is none yet, unless `create`; ConfigError."""
        log = self.config.log
        if log.kind == "kafka":
            made: EventLog = kafka_module("server.log.kafka").KafkaLog(
                ",".join(log.bootstrap), topic=log.topic, credentials=self.kafka_credentials
            )
            return made
        if not create and not self.directory.log_path.exists():
            raise LogUnavailable(f"{self.directory.log_path}: nothing there yet")
        return EmbeddedLog(self.directory.log_path, self.clock)

    def kafka_credentials(self) -> KafkaCredentials:
        """What this server shows to the brokers now. Raises CredentialsUnusable."""
        return server_credentials(self.config.log, self.pki)

    def brokers_ca_pem(self) -> str:
        """The CA of the brokers' certificates; empty when it is this installation's. Raises PkiError."""
        return brokers_ca(self.config.log, self.pki) if self.config.log.ca else ""

    def open_broker_access(self) -> BrokerAccess | None:
        """What lets agents write to the brokers; None where they need no leave. Raises ConfigError."""
        log = self.config.log
        if log.kind != "kafka" or log.security == "plaintext":
            return None
        made: BrokerAccess = kafka_module("server.log.kafka_access").KafkaAccess(log, self.pki)
        return made

    def open_share(self, log: EventLog, name: str) -> PartitionShare:
        """What a worker of this name is to read of `log`: a share that a group of workers agrees on where
        there can be several, else all. Raises ConfigError."""
        if self.config.log.kind != "kafka" or self.database.dialect != "postgresql":
            return WholeLog(log)
        # What Kafka and our table take.
        name = re.sub(r"[^A-Za-z0-9._-]", "-", name)[:64]
        made: PartitionShare = kafka_module("server.log.kafka_group").KafkaGroupShare(
            ",".join(self.config.log.bootstrap),
            name,
            self.config.log.topic,
            credentials=self.kafka_credentials,
            session_ms=self.config.pipeline.session_seconds * 1000,
        )
        return made


@contextmanager
def created_installation(
    directory: DataDirectory, config: ServerConfig, *, clock: Callable[[], int]
) -> Iterator[tuple[Installation, Authority]]:
    """The installation, with all that was missing made, and for nobody else meanwhile. Hold the directory's
    lock.

    Raises DataDirectoryError (AlreadyRunning), ConfigError, StoreUnavailable, PkiError.
    """
    directory.create()
    database = open_database(directory.database_url(config), clock=clock)
    try:
        with UpLock(database) as up_lock:
            upgrade(database)
            opened = Installation(directory, config, database, clock, up_lock)
            yield opened, opened.pki.create_authority(_installation_id(database, clock()))
    finally:
        database.close()


@contextmanager
def opened_installation(
    directory: DataDirectory, config: ServerConfig, *, clock: Callable[[], int]
) -> Iterator[Installation]:
    """An installation that `leaver up` or `leaver init` made before.

    Raises DataDirectoryError, ConfigError, StoreUnavailable.
    """
    directory.require()
    if not config.database.url and not directory.database_path.exists():
        raise StoreUnavailable(directory.nothing_there())
    database = open_database(directory.database_url(config), clock=clock)
    try:
        upgrade(database)
        yield Installation(directory, config, database, clock)
    finally:
        database.close()


def kafka_module(name: str) -> Any:
    """Imported only where it is used: kafka-python is an extra. Raises ConfigError."""
    try:
        # It also refuses a client that lacks the fast checksums.
        importlib.import_module("server.log.kafka")
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f'log.kind = "kafka": {error}') from error


def _installation_id(database: Database, now: int) -> str:
    query = select(installation.c.value).where(installation.c.key == _ID)
    with database.begin() as connection:
        known = connection.execute(query).scalar_one_or_none()
        if known is not None:
            return str(known)
        made = secrets.token_hex(4)
        connection.execute(insert(installation).values(key=_ID, value=made))
        audit.append(connection, at=now, actor="leaver", action="installation.create", object=made)
        return made
