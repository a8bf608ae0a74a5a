"""Which alerts an activity's anomaly belongs to: the policy family about the same thing, so that a strange
day and the rules that hit on it make one alert."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from server.pipeline.activity_history import SOURCES

FAMILIES: Final[Mapping[str, str]] = {
    "removable_storage": "removable_storage_copy",
    "messaging": "upload",
    "cloud": "upload",
    "mail": "outbound_mail",
    "web_upload": "upload",
    "database": "database_export",
    "files": "file_server_export",
    "logins": "unusual_logins",
    "application": "application_export",
    "code": "upload",
    "printing": "printing",
    "screenshots": "screenshots",
}
"""By activity. All but unusual_logins are families of rules too."""


def channels_of(family: str) -> frozenset[str]:
    """Collectors that feed an activity of the family."""
    sources = [SOURCES[activity] for activity, its in FAMILIES.items() if its == family]
    return frozenset().union(*(each.own | each.company | each.or_company for each in sources))
