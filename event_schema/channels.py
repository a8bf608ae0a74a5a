"""The names of all channels: what an agent's collectors are called, in events (`metadata.log_name`), in
heartbeats and in settings."""

from __future__ import annotations

from typing import Final

CHANNELS: Final = frozenset(
    {
        "access_log",
        "export_folders",
        "logins",
        "mail",
        "mariadb",
        "postgresql",
        "printing",
        "removable_storage",
        "screenshots",
        "sync_folders",
        "uploads",
    }
)
