"""Settings of the access_log collector: `[collectors.access_log]` with its sources and their rules.

Explained with examples in docs/access_logs.md. Patterns are RE2's: their time grows with the length of the
text alone, whoever wrote them; no lookahead, no back-references.
"""

from __future__ import annotations

import ipaddress
from pathlib import PurePath
from typing import Annotated, Any, ClassVar, Final, Literal

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by
from collectors.logins_config import check_time_zone

SOURCES_MAX: Final = 12
"""Their places must fit into one cursor."""
OBJECT: Final = "object"
_PATTERN_CHARACTERS: Final = 1_000
_Field = Annotated[str, Meta(min_length=1, max_length=128)]
_Word = Annotated[str, Meta(pattern=r"^[\w.:-]{1,64}$")]
_Scalar = str | int | bool


class FieldNames(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a JSON line keeps what; a dot goes one object down ("http.request.path"). "" : it has none."""

    time: _Field = "time"
    user: Annotated[str, Meta(max_length=128)] = "user"
    address: Annotated[str, Meta(max_length=128)] = "address"
    forwarded: Annotated[str, Meta(max_length=128)] = ""
    device: Annotated[str, Meta(max_length=128)] = ""
    method: Annotated[str, Meta(max_length=128)] = "method"
    path: Annotated[str, Meta(max_length=128)] = "path"
    status: Annotated[str, Meta(max_length=128)] = "status"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line is the act of the first rule whose conditions all hold."""

    action: _Word
    """What it is called: "manual_order_created"."""
    activity: Literal["create", "read", "update", "delete", "other"]
    method: Annotated[tuple[_Word, ...], Meta(max_length=16)] = ()
    path: Annotated[str, Meta(max_length=_PATTERN_CHARACTERS)] = ""
    """Matches the whole path, decoded, without query string. Its group `object` is what it was done to."""
    where: Annotated[dict[_Field, _Scalar | tuple[_Scalar, ...]], Meta(max_length=16)] = {}
    """JSON: fields and the values, one of which each must have."""
    outcome: Literal["any", "success", "failure"] = "any"
    object_field: Annotated[str, Meta(max_length=128)] = ""
    object_type: Annotated[str, Meta(max_length=64)] = ""
    count_field: Annotated[str, Meta(max_length=128)] = ""
    """JSON: how many things it was done to."""
    aggregate_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    """Equal acts within so many seconds are put together; 0: each is an event."""

    def __post_init__(self) -> None:
        if not (self.path or self.where):
            raise ValueError(f"rule {self.action!r}: needs a path or a where")
        if not self.path:
            return
        try:
            pattern = compiled(self.path)
        except ValueError as error:
            raise ValueError(f"rule {self.action!r}: path: {error}") from error
        groups = set(pattern.groupindex) - {OBJECT}
        if groups:
            raise ValueError(f"rule {self.action!r}: path: the one named group is (?P<object>…)")


class AccessLogSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[a-z0-9_-]{1,32}$")]
    """The application, as analysts know it. Renaming it begins the log anew."""
    path: Annotated[str, Meta(pattern="^/", max_length=4000)]
    format: Literal["combined", "json"]
    rules: Annotated[tuple[Rule, ...], Meta(min_length=1, max_length=200)]
    fields: FieldNames = FieldNames()
    time_format: Annotated[str, Meta(max_length=64)] = "iso"
    """JSON: "iso", "unix" (seconds), "unix_ms", or as strptime has it ("%Y-%m-%d %H:%M:%S")."""
    time_zone: str = ""
    """Of times that name none; empty: this machine's."""
    trusted_proxies: Annotated[tuple[str, ...], Meta(max_length=64)] = ()
    """Addresses or networks whose X-Forwarded-For is believed."""

    def __post_init__(self) -> None:
        if self.time_zone:
            check_time_zone(self.time_zone)
        if not PurePath(self.path).is_absolute() or "\0" in self.path:
            raise ValueError(f"path: {self.path!r} is not an absolute path")
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError as error:
                raise ValueError(f"trusted_proxies: {error}") from error
        fields = [name for rule in self.rules for name in (rule.object_field, rule.count_field, *rule.where)]
        if self.format == "combined" and any(fields):
            raise ValueError(f"source {self.name!r}: object_field, count_field and where are of JSON lines")


class AccessLogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    to_enable: ClassVar[str] = (
        "off: where an application of the company's logs what people do, say what its lines mean in"
        " [[collectors.access_log.sources]] (docs/access_logs.md)"
    )
    enabled: bool = False
    sources: Annotated[tuple[AccessLogSource, ...], Meta(max_length=SOURCES_MAX), narrowed_by("listed")] = ()

    @property
    def has_sources(self) -> bool:
        """Without any it is off: also where a host's own file lists none that the installation wants."""
        return bool(self.sources)

    @staticmethod
    def lines_to_enable() -> str:
        return (
            "[collectors.access_log]\nenabled = true\n[[collectors.access_log.sources]]\n"
            'name = "shop"\npath = "/var/log/nginx/shop.log"\nformat = "combined"\n'
            'rules = [{ action = "order_created", activity = "create", method = ["POST"], path = "/orders" }]'
        )

    def __post_init__(self) -> None:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("sources: two have the same name")


def compiled(pattern: str) -> Any:
    """An RE2 pattern, with `fullmatch` and `groupindex`. Raises ValueError."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - only who maps logs needs it

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    # A path may hold a decoded line feed; "." must not end there.
    options.dot_nl = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0]
        raise ValueError(why.decode("utf-8", "replace") if isinstance(why, bytes) else why) from error
