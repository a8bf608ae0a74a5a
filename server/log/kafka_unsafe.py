"""Settings of Kafka brokers under which records can be lost, or somebody gets in. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping

from server.config import LogConfig, is_ip_address, split_address

_ENCRYPTED = frozenset({"SSL", "SASL_SSL"})


def broker_faults(settings: Mapping[str, str | None], log: LogConfig, *, brokers: int) -> list[str]:
    """What is unsafe about a broker. A setting that brokers keep to themselves is there with None."""
    faults = []
    if settings.get("auto.create.topics.enable") == "true":
        faults.append(
            "auto.create.topics.enable is true: a wrong name makes a topic without settings and rules"
        )
    if settings.get("unclean.leader.election.enable") == "true":
        faults.append(
            "unclean.leader.election.enable is true: acknowledged records are lost with their broker"
        )
    if brokers >= 3 and settings.get("min.insync.replicas") == "1":
        faults.append("min.insync.replicas is 1: positions of consumer groups can be lost with one broker")
    faults += _open_listeners(settings)
    if log.security != "plaintext":
        faults += _open_doors(settings, log)
    return faults


def _open_listeners(settings: Mapping[str, str | None]) -> list[str]:
    protocols = dict(
        entry.split(":", 1)
        for entry in (settings.get("listener.security.protocol.map") or "").split(",")
        if ":" in entry
    )
    faults = []
    for listener in (settings.get("listeners") or "").split(","):
        name, _, address = listener.strip().partition("://")
        protocol = protocols.get(name, name)
        if address and protocol not in _ENCRYPTED and not _is_loopback(address):
            faults.append(f"listener {name} at {address} speaks {protocol}: others can read along")
    return faults


def _is_loopback(address: str) -> bool:
    try:
        host, _port = split_address(address)
    except ValueError:
        return False
    return host == "localhost" or (is_ip_address(host) and ipaddress.ip_address(host).is_loopback)


def _open_doors(settings: Mapping[str, str | None], log: LogConfig) -> list[str]:
    faults = []
    if not settings.get("authorizer.class.name"):
        faults.append("authorizer.class.name is empty: whoever is let in may do everything")
    if "allow.everyone.if.no.acl.found" in settings:
        faults.append(
            "allow.everyone.if.no.acl.found is set: unless it is false, what has no rule is open to everybody"
        )
    for name, value in settings.items():
        if log.security == "mtls" and name.endswith("ssl.principal.mapping.rules") and value != "DEFAULT":
            faults.append(f"{name} is not DEFAULT: the rules for agents name the whole subject")
    mechanisms = (settings.get("sasl.enabled.mechanisms") or "").split(",")
    if log.security == "scram" and "PLAIN" in [mechanism.strip() for mechanism in mechanisms]:
        faults.append("sasl.enabled.mechanisms has PLAIN: passwords of its users lie readable in settings")
    return faults
