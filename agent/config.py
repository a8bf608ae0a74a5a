"""The agent's settings: a TOML file in which every unknown key is an error that names the nearest known one.

Each setting is explained in deploy/agent.toml (a test compares). What the server asks for can only be
narrowed here, never widened.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from agent.collector_registry import COLLECTORS, CollectorKind, SharedSettings, kind_of
from agent.narrowing import merge
from agent.server_client import Timeouts
from collectors.destination_settings import DestinationSettings
from collectors.labels.settings import LabelSettings

DEFAULT_PATH = Path("/etc/leaver-agent.toml")
DEFAULT_STATE_DIR = "/var/lib/leaver-agent"
CONFIG_BYTES_MAX = 1 << 20
SPOOL_BYTES_MAX = 1 << 40


class ConfigError(Exception):
    """The settings cannot be used. The message names the file and the key."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file."""


class AgentSection(Section, frozen=True):
    state_dir: Annotated[str, Meta(pattern="^/", max_length=4000)] = DEFAULT_STATE_DIR
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class SpoolSection(Section, frozen=True):
    # At least 16 MiB, so that there is always something to drop beside what is just being sent.
    max_bytes: Annotated[int, Meta(ge=16 << 20, le=SPOOL_BYTES_MAX)] = 1 << 30
    segment_bytes: Annotated[int, Meta(ge=64 << 10, le=64 << 20)] = 4 << 20

    def __post_init__(self) -> None:
        if self.max_bytes < 4 * self.segment_bytes:
            raise ValueError("max_bytes must be at least four times segment_bytes")


class ShipperSection(Timeouts, frozen=True, forbid_unknown_fields=True):
    kind: Literal["enrolled", "https", "kafka"] = "enrolled"


class AgentConfig(msgspec.Struct, frozen=True):
    """All settings. `labels` is for all collectors that label files, `destinations` for those that tell where
    data went; `collectors` holds a config struct for every collector that the agent has."""

    agent: AgentSection
    spool: SpoolSection
    shipper: ShipperSection
    labels: LabelSettings
    destinations: DestinationSettings
    collectors: dict[str, msgspec.Struct]
    tables: dict[str, Any]
    """As they stood in the file."""
    overruled: tuple[str, ...] = ()
    """Keys of the file whose values do not hold: the installation's do."""

    @property
    def state_dir(self) -> Path:
        return Path(self.agent.state_dir)

    @property
    def shared(self) -> SharedSettings:
        """What several collectors go by."""
        return SharedSettings(labels=self.labels, destinations=self.destinations)


SHARED: dict[str, type[msgspec.Struct]] = {"labels": LabelSettings, "destinations": DestinationSettings}
"""Tables that the installation may set, beside those of the collectors."""
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "agent": AgentSection,
    "spool": SpoolSection,
    "shipper": ShipperSection,
    **SHARED,
}


def load_config(path: Path | None, kinds: Sequence[CollectorKind] = COLLECTORS) -> AgentConfig:
    """From `path`; None: the usual place, or the defaults if there is no file. Raises ConfigError."""
    if path is None and not DEFAULT_PATH.exists():
        return parse_config(b"", "built-in defaults", kinds)
    path = path or DEFAULT_PATH
    try:
        with path.open("rb") as file:
            text = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if len(text) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path}: over {CONFIG_BYTES_MAX} bytes")
    return parse_config(text, str(path), kinds)


def parse_config(text: bytes, place: str, kinds: Sequence[CollectorKind] = COLLECTORS) -> AgentConfig:
    """Raises ConfigError."""
    try:
        tables = tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{place}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{place}: {error}") from error
    return _config_of(tables, place, kinds)


def with_installation(
    own: AgentConfig,
    installation: dict[str, Any],
    place: str,
    kinds: Sequence[CollectorKind] = COLLECTORS,
) -> AgentConfig:
    """The endpoint's own settings under those of the installation. Raises ConfigError."""
    _check_keys(installation, ["collectors", *SHARED], "", place)
    _config_of(installation, place, kinds)
    types = {f"collectors.{kind.name}": kind.config_type() for kind in kinds} | SHARED
    merged = merge(own.tables, installation, types)
    config = _config_of(merged.tables, f"{place}, with this endpoint's own file", kinds)
    return msgspec.structs.replace(config, tables=own.tables, overruled=merged.overruled)


def _config_of(tables: dict[str, Any], place: str, kinds: Sequence[CollectorKind]) -> AgentConfig:
    _check_keys(tables, [*SECTIONS, "collectors"], "", place)
    collectors = _table(tables, "collectors", "", place)
    _check_keys(collectors, [kind.name for kind in kinds], "collectors.", place)
    return AgentConfig(
        agent=_convert(_table(tables, "agent", "", place), AgentSection, "agent", place),
        spool=_convert(_table(tables, "spool", "", place), SpoolSection, "spool", place),
        shipper=_convert(_table(tables, "shipper", "", place), ShipperSection, "shipper", place),
        labels=_convert(_table(tables, "labels", "", place), LabelSettings, "labels", place),
        destinations=_convert(
            _table(tables, "destinations", "", place), DestinationSettings, "destinations", place
        ),
        collectors={
            kind.name: _convert(
                _table(collectors, kind.name, "collectors.", place),
                kind.config_type(),
                f"collectors.{kind.name}",
                place,
            )
            for kind in kinds
        },
        tables=tables,
    )


def enabled_collectors(
    config: AgentConfig, kinds: Sequence[CollectorKind] = COLLECTORS
) -> list[tuple[CollectorKind, msgspec.Struct]]:
    found = []
    for name, settings in config.collectors.items():
        kind = kind_of(name, kinds)
        is_on = getattr(settings, "enabled", True) and getattr(settings, "has_sources", True)
        if kind is not None and is_on:
            found.append((kind, settings))
    return found


def _table(tables: dict[str, Any], name: str, prefix: str, place: str) -> dict[str, Any]:
    value = tables.get(name, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: {prefix}{name} must be a table, written [{prefix}{name}]")
    return value


def _check_keys(table: dict[str, Any], known: Sequence[str], prefix: str, place: str) -> None:
    for key in table:
        if key in known:
            continue
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {prefix}{near[0]}?" if near else f"known are {', '.join(known)}"
        raise ConfigError(f"{place}: unknown key {prefix}{key}: {hint}")


def _check_fields(table: dict[str, Any], kind: type[msgspec.Struct], prefix: str, place: str) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    _check_keys(table, list(fields), prefix, place)
    for key, value in table.items():
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, msgspec.Struct):
            _check_fields(value, inner, f"{prefix}{key}.", place)


_Settings = TypeVar("_Settings", bound=msgspec.Struct)


def _convert(table: dict[str, Any], kind: type[_Settings], name: str, place: str) -> _Settings:
    _check_fields(table, kind, f"{name}.", place)
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$")
        raise ConfigError(f"{place}: {name}{where.rstrip('`')}: {text}") from error
