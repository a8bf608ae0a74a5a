"""The server's settings: `server.toml` in the data directory, or the file that --config names.

Every setting has a default, so the file may be missing. Unknown keys are refused, with the nearest known
one. Secrets stand in files of their own, never here; deploy/server.toml explains every setting.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import msgspec
from msgspec import Meta

from event_schema.kafka_security import KafkaSecurity
from server.people.calendar import Calendar, UnknownCalendar
from server.people.company_places import PRIVATE_NETWORKS
from server.people.roles import Role
from server.people.working_hours import parse_hours
from server.retention import ACTIVITY_DAYS, ACTIVITY_DAYS_MIN

CONFIG_BYTES_MAX = 1 << 20
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9-]{1,63})*\Z")


AGENT_BYTES_PER_SECOND_MIN = 100_000
"""With less a full record would keep an agent waiting for longer than its client is patient."""
_IDENTITY_KEYS = ("ca", "certificate", "key", "user", "password_file")
_KAFKA_KEYS = {
    "plaintext": (),
    "mtls": ("ca", "certificate", "key"),
    "scram": ("ca", "user", "password_file"),
}


class ConfigError(Exception):
    """The configuration cannot be used. The message names file, key and reason."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all sections."""


class ListenConfig(Section, frozen=True):
    address: str = "127.0.0.1:8443"
    names: Annotated[tuple[str, ...], Meta(max_length=32)] = ()


Principal = Annotated[str, Meta(min_length=1, max_length=400, pattern=r"\A[^*:\s][^*\n]*\Z")]
"""Whom Kafka's rules name, without "User:"."""


class LogConfig(Section, frozen=True):
    kind: Literal["embedded", "kafka"] = "embedded"
    bootstrap: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    topic: Annotated[str, Meta(pattern=r"\A[a-zA-Z0-9._-]{1,249}\Z")] = "leaver.events"
    partitions: Annotated[int, Meta(ge=1, le=1000)] = 48
    replication: Annotated[int, Meta(ge=1, le=16)] = 1
    security: KafkaSecurity = "plaintext"
    ca: Annotated[str, Meta(max_length=4096)] = ""
    certificate: Annotated[str, Meta(max_length=4096)] = ""
    key: Annotated[str, Meta(max_length=4096)] = ""
    user: Annotated[str, Meta(max_length=249)] = ""
    password_file: Annotated[str, Meta(max_length=4096)] = ""
    agent_rules: Literal["each", "all"] = "each"
    workers: Annotated[tuple[Principal, ...], Meta(max_length=100)] = ()
    agent_bytes_per_second: Annotated[int, Meta(ge=0, le=1 << 40)] = 250_000


class DatabaseConfig(Section, frozen=True):
    url: Annotated[str, Meta(max_length=2048)] = ""
    password_file: Annotated[str, Meta(max_length=4096)] = ""


class _Administrator(Section, frozen=True):
    """Whom `leaver kafka setup` speaks to the brokers as."""

    bootstrap: Annotated[tuple[str, ...], Meta(max_length=32)] = ()
    security: KafkaSecurity | None = None
    ca: str = ""
    certificate: str = ""
    key: str = ""
    user: str = ""
    password_file: str = ""


class PipelineConfig(Section, frozen=True):
    enabled: bool = True
    session_seconds: Annotated[int, Meta(ge=6, le=600)] = 15


class RetentionConfig(Section, frozen=True):
    events_days: Annotated[int, Meta(ge=1, le=3650)] = 90
    alerts_days: Annotated[int, Meta(ge=1, le=3650)] = 730
    uses_days: Annotated[int, Meta(ge=60, le=3650)] = 730
    activity_days: Annotated[int, Meta(ge=ACTIVITY_DAYS_MIN, le=3650)] = ACTIVITY_DAYS
    erased_accounts_days: Annotated[int, Meta(ge=1, le=3650)] = 365


class PeopleConfig(Section, frozen=True):
    calendar: Annotated[str, Meta(pattern=r"\A([A-Za-z]{2}(-[A-Za-z0-9]{1,8})?)?\Z")] = ""
    time_zone: Annotated[str, Meta(max_length=64)] = "UTC"
    working_hours: Annotated[str, Meta(max_length=11)] = ""
    watch_folder: Annotated[str, Meta(max_length=4096)] = ""
    mapping: Annotated[str, Meta(max_length=4096)] = ""
    mappings_folder: Annotated[str, Meta(max_length=4096)] = ""
    scim_url: Annotated[str, Meta(pattern=r"\A(https://[^\s?#]{1,500})?\Z")] = ""
    refuse_bad_rows: bool = False
    look_back_days: Annotated[int, Meta(ge=1, le=3650)] = 90


class PoliciesConfig(Section, frozen=True):
    folder: Annotated[str, Meta(max_length=4096)] = ""


Named = Annotated[str, Meta(min_length=1, max_length=512)]


class CompanyConfig(Section, frozen=True):
    networks: Annotated[tuple[Named, ...], Meta(max_length=1000)] = PRIVATE_NETWORKS
    destinations: Annotated[tuple[Named, ...], Meta(max_length=10_000)] = ()
    devices: Annotated[tuple[Named, ...], Meta(max_length=10_000)] = ()
    privacy_contact: Annotated[str, Meta(max_length=300, pattern=r"\A[^\x00-\x1f\x7f]*\Z")] = ""


class SignInConfig(Section, frozen=True):
    session_hours: Annotated[int, Meta(ge=1, le=168)] = 12
    idle_minutes: Annotated[int, Meta(ge=5, le=1440)] = 60
    local_accounts: bool = True
    oidc_issuer: Annotated[str, Meta(max_length=512)] = ""
    oidc_client_id: Annotated[str, Meta(max_length=256)] = ""
    oidc_client_secret_file: Annotated[str, Meta(max_length=4096)] = ""
    oidc_claim: Annotated[str, Meta(min_length=1, max_length=128)] = "groups"
    oidc_roles: Annotated[dict[str, Role], Meta(max_length=200)] = {}


class MetricsConfig(Section, frozen=True):
    token_file: Annotated[str, Meta(max_length=4096)] = ""


class LimitsConfig(Section, frozen=True):
    connections: Annotated[int, Meta(ge=8, le=20_000)] = 2000
    request_seconds: Annotated[int, Meta(ge=1, le=600)] = 30
    body_mebibytes_in_flight: Annotated[int, Meta(ge=32, le=8192)] = 128
    enrol_failures_per_minute: Annotated[int, Meta(ge=1, le=1000)] = 10
    agent_events_per_second: Annotated[int, Meta(ge=10, le=1_000_000)] = 2000
    agent_events_at_once: Annotated[int, Meta(ge=1000, le=10_000_000)] = 20_000
    disk_free_mebibytes: Annotated[int, Meta(ge=1, le=1 << 20)] = 256


class ServerConfig(Section, frozen=True):
    listen: ListenConfig = ListenConfig()
    log: LogConfig = LogConfig()
    database: DatabaseConfig = DatabaseConfig()
    pipeline: PipelineConfig = PipelineConfig()
    retention: RetentionConfig = RetentionConfig()
    people: PeopleConfig = PeopleConfig()
    policies: PoliciesConfig = PoliciesConfig()
    company: CompanyConfig = CompanyConfig()
    sign_in: SignInConfig = SignInConfig()
    metrics: MetricsConfig = MetricsConfig()
    limits: LimitsConfig = LimitsConfig()


def load_config(path: Path, *, required: bool) -> ServerConfig:
    """The settings in `path`; the defaults when it is missing and not required. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(CONFIG_BYTES_MAX + 1)
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{path}: no such file") from None
        return ServerConfig()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    if len(data) > CONFIG_BYTES_MAX:
        raise ConfigError(f"{path}: longer than {CONFIG_BYTES_MAX} bytes")
    return parse_config(data, source=str(path))


def parse_config(data: bytes, *, source: str) -> ServerConfig:
    """Raises ConfigError that begins with `source`."""
    try:
        document = tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: {error}") from error
    _refuse_unknown_keys(document, ServerConfig, source, "")
    try:
        config = msgspec.convert(document, ServerConfig)
        _check_listen(config.listen)
        _check_log(config.log)
        check_database(config.database)
        _check_people(config.people)
        _check_company(config.company)
        _check_sign_in(config.sign_in)
    except (msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error
    return config


def administering(log: LogConfig, data: bytes, *, source: str) -> LogConfig:
    """`log`, but as somebody else: the settings in `data` (TOML: bootstrap, security, and what goes with
    it) in place of its own. Raises ConfigError that begins with `source`."""
    try:
        given = msgspec.convert(tomllib.loads(data.decode("utf-8")), _Administrator)
        changed = msgspec.structs.replace(
            log,
            bootstrap=given.bootstrap or log.bootstrap,
            security=given.security or log.security,
            **{key: getattr(given, key) for key in _IDENTITY_KEYS},
        )
        _check_log(changed)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from error
    return changed


def split_address(address: str) -> tuple[str, int]:
    """`host:port` or `[ipv6]:port`. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{address!r}: write an IPv6 address as [address]:port")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"{address!r} is not host:port")
    return host, int(port)


def is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_host_name(host: str) -> bool:
    return _HOST.match(host) is not None


def show_config(config: ServerConfig) -> str:
    """The settings in use, as TOML. Only the names of secret files show, never what is in them."""
    lines: list[str] = []
    for section, values in msgspec.to_builtins(config).items():
        lines.append(f"[{section}]")
        lines.extend(f"{key} = {_toml(value)}" for key, value in values.items())
        lines.append("")
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items()) + "}"
    # JSON strings, numbers and arrays of strings are TOML too.
    return msgspec.json.encode(value).decode()


def _refuse_unknown_keys(
    document: dict[str, Any], section: type[msgspec.Struct], source: str, prefix: str
) -> None:
    known = {field.encode_name: field.type for field in msgspec.structs.fields(section)}
    for key, value in document.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known: {', '.join(known)}"
            raise ConfigError(f"{source}: unknown key {prefix}{key}{hint}")
        inner = known[key]
        if isinstance(inner, type) and issubclass(inner, msgspec.Struct) and isinstance(value, dict):
            _refuse_unknown_keys(value, inner, source, f"{prefix}{key}.")


def _check_listen(listen: ListenConfig) -> None:
    try:
        host, _port = split_address(listen.address)
    except ValueError as error:
        raise ValueError(f"listen.address: {error}") from None
    for key, name in (("listen.address", host), *(("listen.names", name) for name in listen.names)):
        if not is_ip_address(name) and not is_host_name(name):
            raise ValueError(f"{key}: {name!r} is neither a host name nor an IP address")


def _check_log(log: LogConfig) -> None:
    if log.kind == "kafka" and not log.bootstrap:
        raise ValueError('log.bootstrap: name at least one broker ("host:port") for log.kind = "kafka"')
    for broker in log.bootstrap:
        try:
            split_address(broker)
        except ValueError as error:
            raise ValueError(f"log.bootstrap: {error}") from None
    for key in _IDENTITY_KEYS:
        if getattr(log, key) and key not in _KAFKA_KEYS[log.security]:
            raise ValueError(f'log.{key}: has no meaning with log.security = "{log.security}"')
    if 0 < log.agent_bytes_per_second < AGENT_BYTES_PER_SECOND_MIN:
        raise ValueError(f"log.agent_bytes_per_second: 0, or at least {AGENT_BYTES_PER_SECOND_MIN}")
    if log.security == "mtls" and bool(log.certificate) != bool(log.key):
        raise ValueError(
            "log.certificate and log.key: name both, or neither for one of this installation's CA"
        )
    if log.security == "scram" and not (log.user and log.password_file):
        raise ValueError('log.user and log.password_file: both are needed for log.security = "scram"')


def check_database(database: DatabaseConfig) -> None:
    """Raises ValueError that names the setting."""
    if not database.url:
        return
    try:
        parts = urlsplit(database.url)
        password = parts.password
    except ValueError:
        raise ValueError("database.url: not a URL") from None
    # The value itself is not repeated: it may hold the password that must not be there.
    if password is not None or "password=" in parts.query:
        raise ValueError("database.url: holds a password; put it into a file and name that in password_file")
    if parts.scheme not in {"sqlite", "postgresql", "postgresql+psycopg"}:
        raise ValueError("database.url: begins neither with sqlite: nor with postgresql:")


def _check_people(people: PeopleConfig) -> None:
    if people.time_zone not in available_timezones():
        raise ValueError(f"people.time_zone: {people.time_zone!r} is not a time zone of the IANA database")
    if people.calendar:
        try:
            Calendar(people.calendar)
        except UnknownCalendar as error:
            raise ValueError(f"people.calendar: {error}") from None
    if people.working_hours:
        try:
            parse_hours(people.working_hours)
        except ValueError as error:
            raise ValueError(f"people.working_hours: {error}") from None


def _check_company(company: CompanyConfig) -> None:
    for network in company.networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise ValueError(f"company.networks: {error}") from None
    for destination in company.destinations:
        if not is_host_name(destination.strip(".")):
            raise ValueError(f"company.destinations: {destination!r} is not a domain")


def _check_sign_in(settings: SignInConfig) -> None:
    if not settings.oidc_issuer:
        if not settings.local_accounts:
            raise ValueError(
                "sign_in.local_accounts: without them nobody could sign in; set sign_in.oidc_issuer"
            )
        return
    parts = urlsplit(settings.oidc_issuer)
    own = parts.hostname is not None and is_ip_address(parts.hostname)
    loopback = own and ipaddress.ip_address(parts.hostname or "").is_loopback
    if parts.hostname is None or not (parts.scheme == "https" or (parts.scheme == "http" and loopback)):
        raise ValueError("sign_in.oidc_issuer: not an https:// address")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("sign_in.oidc_issuer: has no ?, # or user in it")
    for key in ("oidc_client_id", "oidc_client_secret_file", "oidc_roles"):
        if not getattr(settings, key):
            raise ValueError(f"sign_in.{key}: is needed with sign_in.oidc_issuer")


def _check_pipeline(config: ServerConfig) -> None:
    shared = config.log.kind == "kafka" and config.database.url.startswith("postgresql")
    if not config.pipeline.enabled and not shared:
        raise ValueError(
            "pipeline.enabled: can only be false with Kafka and PostgreSQL, where `leaver worker` does it"
        )
