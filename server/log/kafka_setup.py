"""Makes brokers ready for an installation: topics with their settings, rules for its programs,
quotas for its agents. Idempotent.

What it does not own it tells instead of changing: settings of the brokers, rules of others, a topic with
another number of partitions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from kafka.admin import ConfigResource, ConfigResourceType  # type: ignore[import-untyped]
from kafka.errors import SecurityDisabledError  # type: ignore[import-untyped]

from event_schema.byte_size import byte_size
from server.config import LogConfig
from server.log.kafka_acls import CLUSTER, Rule, create_rules, read_rules
from server.log.kafka_credentials import agent_of, agent_principal, user_of
from server.log.kafka_quotas import EVERYBODY_ELSE, UNBOUNDED, User, agent_quota, read_rates, set_rates
from server.log.kafka_topic import TopicPlan, events_topic, make_topic, read_topic
from server.log.kafka_unsafe import broker_faults

EVERYBODY = "User:*"
USERS_NAMED = 3


class Step(msgspec.Struct, frozen=True):
    """Something that was not as it must be. `what` is topic, setting, rule or quota."""

    what: str
    detail: str


class SetupFinding(msgspec.Struct, frozen=True):
    """Something that a person must look at."""

    kind: str
    detail: str


class SetupReport(msgspec.Struct, frozen=True):
    """`steps` were done, or would be where `dry_run`."""

    dry_run: bool
    steps: tuple[Step, ...]
    findings: tuple[SetupFinding, ...]


def set_up(
    admin: Any, log: LogConfig, server: str, known_agents: frozenset[str], *, dry_run: bool
) -> SetupReport:
    """`server` is the principal of `leaver up`. Raises KafkaError."""
    steps: list[Step] = []
    findings: list[SetupFinding] = []
    brokers = admin.describe_cluster()["brokers"]
    plan = events_topic(log)
    _set_up_topic(admin, plan, steps, findings, dry_run=dry_run)
    if plan.replication < 3 <= len(brokers):
        detail = f"topic {plan.name} is planned on {plan.replication} of {len(brokers)} brokers: set "
        findings.append(SetupFinding("few_copies", f"{detail}log.replication = 3"))
    if log.security != "plaintext":
        _set_up_rules(admin, log, server, known_agents, steps, findings, dry_run=dry_run)
        _set_up_quotas(admin, log, server, known_agents, steps, dry_run=dry_run)
    for broker in brokers:
        number = str(broker["broker_id"])
        resource = ConfigResource(ConfigResourceType.BROKER, number)
        settings = admin.describe_configs([resource], config_filter="all")["broker"][number]
        faults = broker_faults(_values(settings), log, brokers=len(brokers))
        findings.extend(SetupFinding("unsafe_broker", f"broker {number}: {fault}") for fault in faults)
    return SetupReport(dry_run, tuple(steps), tuple(findings))


def program_rules(log: LogConfig, server: str) -> list[Rule]:
    """What the programs of the server need. Agents get theirs at enrolment, unless one is for all.

    The server lets agents in and puts them out, so it may ALTER the cluster, which is the right to make
    rules and users, and a power to keep well; beside it ALTER_CONFIGS, the right to give an agent its quota,
    adds nothing that it could not give itself. Workers only read."""
    rules = [
        *_topic_rules(server, log.topic, "READ", "WRITE", "DELETE", "DESCRIBE_CONFIGS"),
        *_group_rules(server, log),
        Rule(server, "CLUSTER", CLUSTER, "ALTER"),
    ]
    if agent_quota(log) is not None:
        rules.append(Rule(server, "CLUSTER", CLUSTER, "ALTER_CONFIGS"))
    if log.agent_rules == "all":
        rules += _topic_rules(EVERYBODY, log.topic, "WRITE")
        rules += [Rule(f"User:{name}", "TOPIC", log.topic, "WRITE", denied=True) for name in log.workers]
    for name in log.workers:
        rules += _topic_rules(f"User:{name}", log.topic, "READ")
        rules += _group_rules(f"User:{name}", log)
    return list(dict.fromkeys(rules))


def _topic_rules(principal: str, topic: str, *operations: str) -> list[Rule]:
    return [Rule(principal, "TOPIC", topic, operation) for operation in operations]


def _group_rules(principal: str, log: LogConfig) -> list[Rule]:
    """Names of consumer groups begin with the topic's."""
    return [Rule(principal, "GROUP", f"{log.topic}.", "READ", prefixed=True)]


def _set_up_topic(
    admin: Any, plan: TopicPlan, steps: list[Step], findings: list[SetupFinding], *, dry_run: bool
) -> None:
    state = read_topic(admin, plan.name)
    if state is None:
        size = f"{plan.partitions} partitions, {plan.replication} of each"
        settings = ", ".join(f"{name}={value}" for name, value in sorted(plan.settings.items()))
        steps.append(Step("topic", f"{plan.name}: {size}; {settings}"))
    else:
        wrong = state.wrong_settings(plan)
        steps.extend(
            Step("setting", f"{plan.name}: {name} = {value}, was {state.settings.get(name)}")
            for name, value in sorted(wrong.items())
        )
        if state.partitions != plan.partitions:
            detail = (
                f"topic {plan.name} has {state.partitions} partitions, log.partitions says {plan.partitions}"
            )
            findings.append(SetupFinding("partitions", f"{detail}; it stays: agents would move between them"))
            return
        if state.replication < plan.replication:
            detail = f"topic {plan.name} lies on {state.replication} brokers, log.replication says"
            findings.append(
                SetupFinding("few_copies", f"{detail} {plan.replication}; reassign its partitions")
            )
        if not wrong:
            return
    if not dry_run:
        make_topic(admin, plan)


def _set_up_rules(
    admin: Any,
    log: LogConfig,
    server: str,
    known_agents: frozenset[str],
    steps: list[Step],
    findings: list[SetupFinding],
    *,
    dry_run: bool,
) -> None:
    wanted = program_rules(log, server)
    try:
        there = read_rules(admin)
    except SecurityDisabledError:
        detail = "the brokers have no authorizer: whoever is let in may do everything"
        findings.append(SetupFinding("no_authorizer", detail))
        return
    missing = [rule for rule in wanted if rule not in there]
    steps.extend(Step("rule", str(rule)) for rule in missing)
    if not dry_run:
        create_rules(admin, missing)
    findings.extend(
        SetupFinding("rule_of_others", f"{rule}; if nobody needs it, take it away")
        for rule in _rules_of_others(there, wanted, log, known_agents)
    )


def _set_up_quotas(
    admin: Any,
    log: LogConfig,
    server: str,
    known_agents: frozenset[str],
    steps: list[Step],
    *,
    dry_run: bool,
) -> None:
    if not log.agent_bytes_per_second:
        return
    rate = agent_quota(log)
    wanted: dict[User, int] = (
        # What agents send over HTTPS the server writes for all of them.
        {EVERYBODY_ELSE: log.agent_bytes_per_second, user_of(server): UNBOUNDED}
        if rate is None
        else {user_of(agent_principal(log.security, name)): rate for name in sorted(known_agents)}
    )
    there = read_rates(admin)
    missing = {user: bytes_ for user, bytes_ in wanted.items() if there.get(user) != bytes_}
    if rate is None:
        steps.extend(
            Step("quota", f"{user or 'every user without one'}: {_rate_words(wanted[user])}")
            for user in missing
        )
    elif missing:
        names = ", ".join(str(user) for user in list(missing)[:USERS_NAMED])
        more = f" and {len(missing) - USERS_NAMED:,} more" if len(missing) > USERS_NAMED else ""
        steps.append(Step("quota", f"{names}{more}: {_rate_words(rate)}{' each' if more else ''}"))
    if not dry_run:
        set_rates(admin, missing)


def _rate_words(rate: int) -> str:
    return "no bound" if rate >= UNBOUNDED else f"at most {byte_size(rate)} a second to a broker"


def _rules_of_others(
    there: Iterable[Rule], wanted: Iterable[Rule], log: LogConfig, known_agents: frozenset[str]
) -> list[Rule]:
    """Rules that let somebody at our topics who has no business there."""
    ours = frozenset(wanted)
    return sorted(
        rule
        for rule in there
        if rule.kind == "TOPIC"
        and not rule.denied
        and rule not in ours
        and _covers(rule, log.topic)
        and not (
            log.agent_rules == "each"
            and rule.name == log.topic
            and rule.operation == "WRITE"
            and agent_of(rule.principal) in known_agents
        )
    )


def _covers(rule: Rule, topic: str) -> bool:
    return rule.name in {topic, "*"} or (rule.prefixed and topic.startswith(rule.name))


def _values(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str | None]:
    return {name: setting["value"] for name, setting in settings.items()}
