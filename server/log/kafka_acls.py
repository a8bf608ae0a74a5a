"""Access rules (ACLs) of Kafka, as this installation needs them. Functions on a KafkaAdminClient.

Agents get one right, each for itself: WRITE to the topic of events (which includes seeing that it exists
and sending idempotently). A rule for everybody would let in every other user of the brokers; one that
names a common prefix does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from kafka.admin import (  # type: ignore[import-untyped]
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)

CLUSTER = "kafka-cluster"
"""The name that Kafka gives to the cluster as a resource."""


class Rule(msgspec.Struct, frozen=True, order=True):
    """`kind` is TOPIC, GROUP or CLUSTER; `prefixed`: all resources whose name begins with `name`."""

    principal: str
    kind: str
    name: str
    operation: str
    prefixed: bool = False
    denied: bool = False

    def __str__(self) -> str:
        verb = "may not" if self.denied else "may"
        place = "the cluster" if self.kind == "CLUSTER" else f"{self.kind.lower()} {self.name}"
        return f"{self.principal} {verb} {self.operation} {place}{'*' if self.prefixed else ''}"


def create_rules(admin: Any, rules: Iterable[Rule]) -> None:
    """Those that are there already stay. Raises KafkaError."""
    wanted = [_acl(rule) for rule in rules]
    if wanted:
        for refused in admin.create_acls(wanted)["failed"]:
            raise refused


def read_rules(
    admin: Any,
    *,
    kind: str = "ANY",
    name: str | None = None,
    principal: str | None = None,
    denied: bool | None = None,
) -> set[Rule]:
    """All rules that fit, on whatever host. Raises KafkaError."""
    found, _no_error = admin.describe_acls(_filter(kind, name, principal, denied))
    return {_rule(acl) for acl in found}


def delete_rules(admin: Any, principal: str, *, denied: bool = False) -> None:
    """Takes every right from a principal; or every denial. Raises KafkaError."""
    for _filtered, _deleted, error in admin.delete_acls([_filter("ANY", None, principal, denied)]):
        if getattr(error, "errno", 0):
            raise error


def _acl(rule: Rule) -> Any:
    pattern = ACLResourcePatternType.PREFIXED if rule.prefixed else ACLResourcePatternType.LITERAL
    return ACL(
        principal=rule.principal,
        host="*",
        operation=ACLOperation[rule.operation],
        permission_type=ACLPermissionType.DENY if rule.denied else ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(ResourceType[rule.kind], rule.name, pattern),
    )


def _rule(acl: Any) -> Rule:
    pattern = acl.resource_pattern
    return Rule(
        acl.principal,
        pattern.resource_type.name,
        pattern.resource_name,
        acl.operation.name,
        pattern.pattern_type == ACLResourcePatternType.PREFIXED,
        acl.permission_type == ACLPermissionType.DENY,
    )


def _filter(kind: str, name: str | None, principal: str | None, denied: bool | None) -> Any:
    permission = {True: ACLPermissionType.DENY, False: ACLPermissionType.ALLOW, None: ACLPermissionType.ANY}
    # MATCH also finds what holds for the name by a prefix or by "*".
    pattern = ACLResourcePatternType.ANY if name is None else ACLResourcePatternType.MATCH
    return ACLFilter(
        principal=principal,
        host=None,
        operation=ACLOperation.ANY,
        permission_type=permission[denied],
        resource_pattern=ResourcePatternFilter(ResourceType[kind], name, pattern),
    )
