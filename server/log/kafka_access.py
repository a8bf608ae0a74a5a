"""Lets agents write to the topic of events, and takes it from them again: ACLs, SCRAM users and quotas.

- An agent has one user of its own, and one rule unless there is one for all. A new password takes the
  place of the one before at once; connections that are open stay, so an agent that renews ships on.
- Who is expelled loses rule and user, and is denied by a rule of its own, which outlasts a rule for
  everybody that an administrator may add. Brokers ask for rules with every request: it holds at once.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka.admin import (  # type: ignore[import-untyped]
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)
from kafka.errors import ClusterAuthorizationFailedError, KafkaError  # type: ignore[import-untyped]
from kafka.net.compat import KafkaNetClient  # type: ignore[import-untyped]

from event_schema.kafka_delivery import make_client
from event_schema.kafka_security import SCRAM_MECHANISM, CredentialsUnusable, client_settings
from server.agents.broker_access import BrokerTicket
from server.config import LogConfig
from server.log.contract import LogUnavailable
from server.log.kafka_acls import Rule, create_rules, delete_rules, read_rules
from server.log.kafka_credentials import agent_of, agent_principal, agent_user, server_credentials, user_of
from server.log.kafka_quotas import agent_quota, set_rates
from server.log.kafka_topic import ADMIN_SETTINGS
from server.pki.files import PkiFiles

SECRET_BYTES = 32
WAIT_SECONDS = 15.0
SEEN_SECONDS = 5.0
"""So long a new rule may take until the broker that was told knows it."""

_Found = TypeVar("_Found")
_logger = logging.getLogger("leaver.agents")


class KafkaAccess:
    """A BrokerAccess. One connection, made when first needed and again after trouble."""

    def __init__(self, log: LogConfig, pki: PkiFiles) -> None:
        self._log = log
        self._pki = pki
        self._admin: Any = None
        self._lock = threading.Lock()

    def admit(self, agent: str) -> BrokerTicket:
        rule = self._rule(agent)
        secret = secrets.token_urlsafe(SECRET_BYTES) if self._log.security == "scram" else ""

        def let_in(admin: Any) -> None:
            if secret:
                upsertion = UserScramCredentialUpsertion(agent_user(agent), SCRAM_MECHANISM, secret)
                self._alter_user(admin, upsertion)
            quota = agent_quota(self._log)
            if quota is not None:
                self._set_quota(admin, agent, quota)
            deadline = time.monotonic() + SEEN_SECONDS
            if self._log.agent_rules == "each" and rule not in self._rules_of(admin, agent):
                create_rules(admin, [rule])
                # An agent that came too early would be refused, and wait for a minute.
                while rule not in self._rules_of(admin, agent) and time.monotonic() < deadline:
                    time.sleep(0.01)

        self._ask(let_in)
        return BrokerTicket(agent_user(agent), secret) if secret else BrokerTicket()

    def expel(self, agent: str) -> None:
        denial = Rule(
            agent_principal(self._log.security, agent), "TOPIC", self._log.topic, "ALL", denied=True
        )

        def put_out(admin: Any) -> None:
            create_rules(admin, [denial])
            delete_rules(admin, denial.principal)
            if self._log.security == "scram" and agent_user(agent) in admin.describe_user_scram_credentials():
                self._alter_user(admin, UserScramCredentialDeletion(agent_user(agent), SCRAM_MECHANISM))
            if agent_quota(self._log) is not None:
                self._set_quota(admin, agent, None)

        self._ask(put_out)

    def expelled(self) -> frozenset[str]:
        found = self._ask(lambda admin: read_rules(admin, kind="TOPIC", name=self._log.topic, denied=True))
        agents = (agent_of(rule.principal) for rule in found if rule.operation == "ALL")
        return frozenset(agent for agent in agents if agent is not None)

    def close(self) -> None:
        with self._lock:
            self._drop()

    def _rule(self, agent: str) -> Rule:
        return Rule(agent_principal(self._log.security, agent), "TOPIC", self._log.topic, "WRITE")

    def _rules_of(self, admin: Any, agent: str) -> set[Rule]:
        return read_rules(admin, kind="TOPIC", principal=self._rule(agent).principal)

    def _set_quota(self, admin: Any, agent: str, rate: int | None) -> None:
        try:
            set_rates(admin, {user_of(agent_principal(self._log.security, agent)): rate})
        except ClusterAuthorizationFailedError:
            # Set up by an earlier version: better an agent without a quota than none.
            _logger.warning("agent_quota_not_set", extra={"remedy": "leaver kafka setup"})

    def _alter_user(self, admin: Any, alteration: Any) -> None:
        refused = admin.alter_user_scram_credentials([alteration])[alteration.user]
        if refused is not None:
            raise LogUnavailable(f"the brokers do not change user {alteration.user}: {refused}")

    def _ask(self, question: Callable[[Any], _Found]) -> _Found:
        brokers = ",".join(self._log.bootstrap)
        # While brokers hang, no more threads of the server wait here than a moment.
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise LogUnavailable(f"access to {brokers} cannot be changed: others wait for them, too")
        try:
            return question(self._connected())
        except LogUnavailable:
            self._drop()
            raise
        except (KafkaError, CredentialsUnusable, OSError) as error:
            self._drop()
            raise LogUnavailable(f"access to {brokers} cannot be changed: {error}") from error
        finally:
            self._lock.release()

    def _connected(self) -> Any:
        if self._admin is None:
            settings = ADMIN_SETTINGS | client_settings(server_credentials(self._log, self._pki))
            settings["bootstrap_servers"] = list(self._log.bootstrap)
            self._admin = make_client(KafkaAdminClient, KafkaNetClient, settings)
        return self._admin

    def _drop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(KafkaError, OSError):
                admin.close()
