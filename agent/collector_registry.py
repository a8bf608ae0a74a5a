"""The collectors that this agent has: one line a channel. The only place that names them.

Modules are imported only when asked for: `leaver-agent --version` needs no udev.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

import msgspec

from agent.missing_package import without_package
from collectors.contract import Collector
from collectors.destination_settings import DestinationSettings
from collectors.labels.settings import LabelSettings
from event_schema.ocsf_objects import Host


class SharedSettings(msgspec.Struct, frozen=True):
    """Tables that several collectors go by."""

    labels: LabelSettings | None = None
    destinations: DestinationSettings | None = None


NOTHING_SHARED = SharedSettings()


class CollectorKind(msgspec.Struct, frozen=True):
    """A channel: where its class lies and its config struct, whose fields are its settings.

    The class is made with (config, host, version). A config has a boolean field `enabled`.
    """

    name: str
    module: str
    class_name: str
    config_module: str
    config_name: str
    labels_files: bool = False
    """The class takes `label_settings` too."""
    names_destinations: bool = False
    """The class takes `destination_settings` too."""

    def config_type(self) -> type[msgspec.Struct]:
        found: type[msgspec.Struct] = getattr(import_module(self.config_module), self.config_name)
        return found

    def shared_of(self, shared: SharedSettings) -> SharedSettings:
        """Those that this collector goes by."""
        return SharedSettings(
            labels=shared.labels if self.labels_files else None,
            destinations=shared.destinations if self.names_destinations else None,
        )

    def make(
        self, config: msgspec.Struct, host: Host, version: str, shared: SharedSettings = NOTHING_SHARED
    ) -> Collector:
        """Opens nothing: see the contract. Raises Unsupported where a package that it needs is missing."""
        more: dict[str, msgspec.Struct | None] = {}
        if self.labels_files:
            more["label_settings"] = shared.labels
        if self.names_destinations:
            more["destination_settings"] = shared.destinations
        try:
            module = import_module(self.module)
        except ImportError as error:
            raise without_package(error) from error
        made: Collector = getattr(module, self.class_name)(config, host, version, **more)
        return made


COLLECTORS: tuple[CollectorKind, ...] = (
    CollectorKind(
        "access_log",
        "collectors.access_log",
        "AccessLogCollector",
        "collectors.access_log_config",
        "AccessLogConfig",
    ),
    CollectorKind(
        "export_folders",
        "collectors.export_folders",
        "ExportFoldersCollector",
        "collectors.export_folders_config",
        "ExportFoldersConfig",
        labels_files=True,
    ),
    CollectorKind(
        "logins",
        "collectors.logins",
        "LoginsCollector",
        "collectors.logins_config",
        "LoginsConfig",
    ),
    CollectorKind(
        "mail",
        "collectors.mail",
        "MailCollector",
        "collectors.mail_config",
        "MailConfig",
        labels_files=True,
    ),
    CollectorKind(
        "mariadb",
        "collectors.mariadb",
        "MariadbCollector",
        "collectors.database_config",
        "MariadbConfig",
    ),
    CollectorKind(
        "postgresql",
        "collectors.postgresql",
        "PostgresqlCollector",
        "collectors.database_config",
        "PostgresqlConfig",
    ),
    CollectorKind(
        "printing",
        "collectors.printing",
        "PrintingCollector",
        "collectors.printing_config",
        "PrintingConfig",
    ),
    CollectorKind(
        "removable_storage",
        "collectors.removable_storage",
        "RemovableStorageCollector",
        "collectors.storage_config",
        "RemovableStorageConfig",
        labels_files=True,
    ),
    CollectorKind(
        "screenshots",
        "collectors.screenshots",
        "ScreenshotsCollector",
        "collectors.screenshots_config",
        "ScreenshotsConfig",
    ),
    CollectorKind(
        "sync_folders",
        "collectors.sync_folders",
        "SyncFoldersCollector",
        "collectors.sync_folders_config",
        "SyncFoldersConfig",
        labels_files=True,
    ),
    CollectorKind(
        "uploads",
        "collectors.uploads",
        "UploadsCollector",
        "collectors.uploads_config",
        "UploadsConfig",
        labels_files=True,
        names_destinations=True,
    ),
)


def kind_of(name: str, kinds: Iterable[CollectorKind] = COLLECTORS) -> CollectorKind | None:
    return next((kind for kind in kinds if kind.name == name), None)
