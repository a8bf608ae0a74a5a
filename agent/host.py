"""This machine as events name it."""

from __future__ import annotations

import socket
from pathlib import Path

from event_schema.ocsf_objects import Host, HostType

_CHASSIS = Path("/sys/class/dmi/id/chassis_type")
_LAPTOPS = frozenset((8, 9, 10, 14, 30, 31, 32))
_DESKTOPS = frozenset((3, 4, 5, 6, 7, 13, 15, 16, 24, 35, 36))
_SERVERS = frozenset((17, 23, 25, 28, 29))
"""Numbers of the SMBIOS specification, table "System enclosure or chassis types"."""


def this_host(agent: str | None) -> Host:
    """`agent`: the name as enrolled, None without enrolment."""
    return Host(hostname=socket.gethostname() or "localhost", type_id=_host_type(), uid=agent)


def _host_type() -> HostType:
    try:
        chassis = int(_CHASSIS.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return HostType.UNKNOWN
    if chassis in _LAPTOPS:
        return HostType.LAPTOP
    if chassis in _DESKTOPS:
        return HostType.DESKTOP
    return HostType.SERVER if chassis in _SERVERS else HostType.UNKNOWN
