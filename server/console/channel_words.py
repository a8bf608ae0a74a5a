"""What people call a channel, in every list and chart of the console."""

from __future__ import annotations

from typing import Final

from server.console.charts.svg import Text

ORDER: Final = (
    "removable_storage",
    "uploads",
    "sync_folders",
    "mail",
    "printing",
    "export_folders",
    "access_log",
    "postgresql",
    "mariadb",
    "screenshots",
    "logins",
)
"""Of lanes: ways out first."""


def channel_name(channel: str, text: Text) -> str:
    """In the viewer's language; one that is not known goes by its own name."""
    names = {
        "removable_storage": text("Removable storage"),
        "uploads": text("Uploads"),
        "sync_folders": text("Sync folders"),
        "mail": text("Mail"),
        "printing": text("Printing"),
        "export_folders": text("File servers"),
        "access_log": text("Applications"),
        "postgresql": text("PostgreSQL"),
        "mariadb": text("MariaDB"),
        "screenshots": text("Screenshots"),
        "logins": text("Logins"),
    }
    return names.get(channel, channel)
