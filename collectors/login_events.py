"""What somebody did at a login, as an OCSF Authentication event. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from collectors.login_acts import LoginAct, logon_type
from collectors.storage_events import EventSource
from event_schema.ocsf_account_events import (
    UNKNOWN_ACCOUNT,
    Authentication,
    AuthenticationActivity,
    Outcome,
    authentication,
)
from event_schema.ocsf_events import event_metadata
from event_schema.ocsf_network import Service, SourceEndpoint
from event_schema.ocsf_objects import Actor, Metadata, Process, User
from event_schema.ocsf_unmapped import Evidence, Unmapped
from event_schema.printable import printable_name
from event_schema.struct_base import NAME_CHARACTERS

Seen = Literal["journald", "log_file"]
_ACTIVITY = {
    "logon": AuthenticationActivity.LOGON,
    "logoff": AuthenticationActivity.LOGOFF,
    "switch": AuthenticationActivity.ACCOUNT_SWITCH,
}


def login_event(
    source: EventSource,
    act: LoginAct,
    seen: Seen,
    count: int | None,
    gap: str | None,
    name_of_uid: Callable[[str], str | None],
) -> Authentication:
    """count: how many equal acts it stands for, where they were put together."""
    by = act.by or (None if act.by_uid is None else name_of_uid(act.by_uid))
    acting = None
    if act.kind == "switch" and (by is not None or act.by_uid is not None):
        acting = User(name=_name(by or act.by_uid), uid=act.by_uid)
    failed = act.reason is not None
    name = UNKNOWN_ACCOUNT if act.user is None else _name(act.user)
    return authentication(
        _ACTIVITY[act.kind],
        time=act.time,
        metadata=_metadata(source.collector, source.version),
        actor=Actor(
            user=acting,
            process=Process(pid=act.pid, name=_name(act.service)) if act.pid and acting is None else None,
            app_name=_name(act.service),
        ),
        device=source.host,
        user=User(name=name, uid=act.uid, credential_uid=_name(act.credential)),
        service=Service(name=_name(act.service) or "?"),
        status_id=Outcome.FAILURE if failed else Outcome.SUCCESS,
        unmapped=Unmapped(
            evidence=Evidence(
                fidelity="exact" if act.is_first_hand else "likely",
                observed_by=seen,
                actor_from="server",
                gap=gap,
            )
        ),
        status_detail=act.reason,
        src_endpoint=endpoint(act.host, act.port),
        logon_type_id=logon_type(act.service),
        auth_protocol=_name(act.method),
        count=count,
    )


def endpoint(host: str | None, port: int | None = None, device: str | None = None) -> SourceEndpoint | None:
    """From where; a name where it is no address. None where nothing is known."""
    if host is None or host in {"UNKNOWN", "-", ""}:
        return None if device is None else SourceEndpoint(uid=device)
    try:
        ip = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return SourceEndpoint(hostname=_name(host), port=port, uid=device)
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return SourceEndpoint(ip=str(ip)[:64], port=port, uid=device)


def _name(text: str | None) -> str | None:
    return None if text is None else printable_name(text)[:NAME_CHARACTERS]


@lru_cache(maxsize=8)
def _metadata(collector: str, version: str) -> Metadata:
    return event_metadata(collector, version)
