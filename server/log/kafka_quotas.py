"""Kafka's client quotas, as this installation needs them: how many bytes a user may send in a second, to each
broker. Functions on a KafkaAdminClient.

The client has no calls of its own for them (3.0.12), only the protocol's messages. A quota is counted over
ten seconds; who exceeds it is answered at once, told how long to wait, and not read from until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kafka.errors import for_code  # type: ignore[import-untyped]
from kafka.protocol.admin import (  # type: ignore[import-untyped]
    AlterClientQuotasRequest,
    DescribeClientQuotasRequest,
)

from server.config import LogConfig

EVERYBODY_ELSE = None
"""The user for whom the quota of all users without one of their own stands."""
UNBOUNDED = 1 << 50
"""Bytes a second of a user who is to have no quota where there is one for everybody else."""
_RATE, _USER, _ANY_NAME, _DEFAULT_NAME = "producer_byte_rate", "user", 2, 1

User = str | None
"""As a principal without "User:"; EVERYBODY_ELSE."""


def agent_quota(log: LogConfig) -> int | None:
    """What each agent's own quota is; None where it has none: there is one for all, or none at all."""
    return (log.agent_bytes_per_second or None) if log.agent_rules == "each" else None


def read_rates(admin: Any) -> dict[User, int]:
    """Bytes a second by user, where there is a quota. Raises KafkaError."""
    return {**_read(admin, _ANY_NAME), **_read(admin, _DEFAULT_NAME)}


def set_rates(admin: Any, rates: Mapping[User, int | None]) -> None:
    """None takes the quota away; also where there is none. Raises KafkaError."""
    if not rates:
        return
    entry = AlterClientQuotasRequest.EntryData
    entries = [
        entry(
            entity=[entry.EntityData(entity_type=_USER, entity_name=user)],
            ops=[entry.OpData(key=_RATE, value=float(rate or 0), remove=rate is None)],
        )
        for user, rate in rates.items()
    ]
    answer = _ask(admin, AlterClientQuotasRequest(entries=entries, validate_only=False))
    for told in answer.entries:
        _raise(told)


def _read(admin: Any, match: int) -> dict[User, int]:
    component = DescribeClientQuotasRequest.ComponentData(entity_type=_USER, match_type=match, match=None)
    # Strict: not those that hold for a user's client ids.
    answer = _ask(admin, DescribeClientQuotasRequest(components=[component], strict=True))
    _raise(answer)
    return {
        entry.entity[0].entity_name: int(value.value)
        for entry in answer.entries or ()
        for value in entry.values
        if value.key == _RATE
    }


def _ask(admin: Any, request: Any) -> Any:
    async def send() -> Any:
        return await admin._manager.send(request)

    return admin._manager.run(send)


def _raise(answer: Any) -> None:
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)
