"""An act in an application, as an OCSF API Activity event. Pure."""

from __future__ import annotations

from functools import lru_cache

from collectors.access_log_config import AccessLogSource
from collectors.access_log_lines import AccessLine
from collectors.access_log_rules import Mapped
from collectors.login_events import endpoint
from collectors.storage_events import EventSource
from event_schema.ocsf_account_events import ApiActivity, ApiActivityKind, Outcome, api_activity
from event_schema.ocsf_events import event_metadata
from event_schema.ocsf_network import Api, Resource, Service, SourceEndpoint
from event_schema.ocsf_objects import Actor, Metadata, User
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.printable import printable_name
from event_schema.struct_base import NAME_CHARACTERS

_ACTIVITY = {
    "create": ApiActivityKind.CREATE,
    "read": ApiActivityKind.READ,
    "update": ApiActivityKind.UPDATE,
    "delete": ApiActivityKind.DELETE,
    "other": ApiActivityKind.OTHER,
}
_OUTCOME = {True: Outcome.SUCCESS, False: Outcome.FAILURE, None: Outcome.UNKNOWN}


def act_event(
    origin: EventSource,
    source: AccessLogSource,
    line: AccessLine,
    mapped: Mapped,
    count: int | None,
    gap: str | None = None,
) -> ApiActivity:
    """count: of the things it was done to, or of the equal acts that were put together."""
    rule = mapped.rule
    name = mapped.object or rule.object_type or None
    resources = None
    if name is not None:
        resources = (Resource(name=_name(name), type=rule.object_type or None),)
    device = None if line.device is None else _name(line.device)
    return api_activity(
        _ACTIVITY[rule.activity],
        time=line.time,
        metadata=_metadata(origin.collector, origin.version),
        actor=Actor(user=None if line.user is None else User(name=_name(line.user)), app_name=source.name),
        device=origin.host,
        src_endpoint=endpoint(line.address, device=device) or SourceEndpoint(name="unknown"),
        api=Api(operation=rule.action, service=Service(name=source.name)),
        unmapped=Unmapped(
            evidence=Evidence(
                fidelity="exact",
                observed_by="log_file",
                actor_from="unknown" if line.user is None else "server",
                gap=gap,
            )
        ),
        resources=resources,
        status_id=_OUTCOME[line.worked],
        count=count,
    )


def _name(text: str) -> str:
    return printable_name(text)[:NAME_CHARACTERS]


@lru_cache(maxsize=8)
def _metadata(collector: str, version: str) -> Metadata:
    return event_metadata(collector, version)
