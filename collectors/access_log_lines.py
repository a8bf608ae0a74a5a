r"""A line of an access log, as what it says: when, who, from where, what was asked. Pure.

"combined" is what nginx and Apache write by default, also without its last two fields ("common"), and also
with one more at its end, which is taken for X-Forwarded-For:

    203.0.113.9 - kefu [22/Nov/2026:02:01:54 +0100] "POST /orders/manual?r=1 HTTP/1.1" 201 17 "-" "curl/8"

Query strings, fragments and path parameters are cut off here, before anything else looks at a line;
referers and user agents are not taken.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import msgspec
import orjson

from collectors.access_log_config import AccessLogSource
from event_schema.struct_base import NAME_CHARACTERS

LINE_BYTES_MAX: Final = 1 << 18
PATH_CHARACTERS: Final = 2_048
_DEPTH_MAX: Final = 8
_COMBINED: Final = re.compile(
    r'(?P<address>\S+) \S+ (?P<user>[^"]*) \[(?P<time>[^\]"]{1,40})\] "(?P<request>(?:[^"\\]|\\.)*)" '
    r'(?P<status>\d{3}) (?:\d+|-)(?: "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*")?'
    r'(?: "(?P<forwarded>(?:[^"\\]|\\.)*)")?.*',
    re.DOTALL,
)
_REQUEST: Final = re.compile(r"(?P<method>[A-Z]{1,32}) (?P<target>\S+)(?: HTTP/[\d.]+)?")
_ESCAPED: Final = re.compile(rb'\\(?:x([0-9A-Fa-f]{2})|(["\\]))')
_HOP: Final = re.compile(
    r'[\s"]*(?:\[(?P<v6>[0-9A-Fa-f:.]+)\](?::\d+)?|(?P<v4>\d+(?:\.\d+){3})(?::\d+)?|(?P<bare>[0-9A-Fa-f:.]+))[\s"]*'
)
"""Some proxies write the port, too: 198.51.100.1:4711, [2001:db8::1]:4711."""
_PARAMETERS: Final = re.compile(r";[^/]*")
_ORIGIN: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")
_WORKED: Final = {"ok": True, "success": True, "succeeded": True, "true": True, "done": True}
_FAILED: Final = {
    "error": False,
    "fail": False,
    "failed": False,
    "failure": False,
    "denied": False,
    "false": False,
}
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class AccessLine(msgspec.Struct, frozen=True):
    """time: ms since 1970 UTC. path: decoded, without query string. `values`: a JSON line's own."""

    time: int
    user: str | None = None
    address: str | None = None
    device: str | None = None
    method: str | None = None
    path: str | None = None
    worked: bool | None = None
    values: Mapping[str, Any] = {}


class Unreadable(Exception):
    """The message says what is wrong with the line, and nothing of what it holds."""


class LineReader:
    """Reads lines as the source describes them."""

    def __init__(self, source: AccessLogSource) -> None:
        self._source = source
        self._zone: tzinfo | None = ZoneInfo(source.time_zone) if source.time_zone else None
        self._proxies = tuple(ipaddress.ip_network(proxy) for proxy in source.trusted_proxies)

    def read(self, content: bytes) -> AccessLine:
        """Raises Unreadable."""
        return self._json(content) if self._source.format == "json" else self._combined(content)

    def _combined(self, content: bytes) -> AccessLine:
        found = _COMBINED.fullmatch(content.decode("utf-8", "backslashreplace"))
        if found is None:
            raise Unreadable("not in the combined format")
        request = _REQUEST.fullmatch(found["request"])
        user = _unescaped(found["user"])
        return AccessLine(
            time=_combined_ms(found["time"]),
            user=None if user in {"-", ""} else user[:NAME_CHARACTERS],
            address=self._client(found["address"][:NAME_CHARACTERS], found["forwarded"]),
            method=None if request is None else request["method"],
            path=None if request is None else plain_path(_unescaped(request["target"])),
            worked=int(found["status"]) < 400,
        )

    def _json(self, content: bytes) -> AccessLine:
        try:
            values = orjson.loads(content)
        except orjson.JSONDecodeError:
            try:
                values = json.loads(content.decode("utf-8", "surrogateescape"))
            except (ValueError, RecursionError):
                raise Unreadable("not JSON") from None
        if not isinstance(values, dict):
            raise Unreadable("JSON, but no object")
        names = self._source.fields
        method, path = text_of(value_of(values, names.method)), _text(value_of(values, names.path))
        return AccessLine(
            time=self._time(value_of(values, names.time)),
            user=text_of(value_of(values, names.user)),
            address=self._client(
                text_of(value_of(values, names.address)), _text(value_of(values, names.forwarded))
            ),
            device=text_of(value_of(values, names.device)),
            method=None if method is None else method.upper(),
            path=None if path is None else plain_path(path),
            worked=_worked(value_of(values, names.status)),
            values=values,
        )

    def _client(self, address: str | None, forwarded: str | None) -> str | None:
        """Who asked: through trusted proxies, the last address that none of them has."""
        if address is None or forwarded is None or not self._is_proxy(address):
            return address
        client = address
        for hop in reversed(forwarded.split(",")[-64:]):
            found = _HOP.fullmatch(hop)
            name = "" if found is None else found["v6"] or found["v4"] or found["bare"]
            try:
                ipaddress.ip_address(name)
            except ValueError:
                break
            client = name
            if not self._is_proxy(name):
                break
        return client

    def _is_proxy(self, address: str) -> bool:
        if not self._proxies:
            return False
        try:
            ip = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(ip in network for network in self._proxies)

    def _time(self, value: Any) -> int:
        kind = self._source.time_format
        try:
            if kind in {"unix", "unix_ms"}:
                time = int(float(value) * (1000 if kind == "unix" else 1))
            else:
                time = _written_ms(str(value), kind, self._zone)
        except (ValueError, TypeError, OverflowError):
            raise Unreadable(f"its time is not {kind}") from None
        if not 0 <= time <= 253_402_300_799_999:
            raise Unreadable(f"its time is not {kind}")
        return time


def value_of(values: Mapping[str, Any], name: str) -> Any:
    """The value of a field; a dot in its name goes one object down. None where there is none."""
    if not name:
        return None
    if name in values:
        return values[name]
    inside: Any = values
    for part in name.split(".")[:_DEPTH_MAX]:
        if not isinstance(inside, Mapping):
            return None
        inside = inside.get(part)
    return inside


def text_of(value: Any) -> str | None:
    """Of a text or a number, NAME_CHARACTERS at most; an empty one, "-", a list and an object are none."""
    text = _text(value)
    return None if text is None else text[:NAME_CHARACTERS]


def _text(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return None if text in {"", "-"} else text


def _unescaped(text: str) -> str:
    r"""As it was before nginx ("\xE5") or Apache ("\xe5", "\\") wrote it: else what is not ASCII would be no
    account's name, and a way around a rule."""
    if "\\" not in text:
        return text
    raw = _ESCAPED.sub(
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        text.encode("utf-8", "surrogateescape"),
    )
    return raw.decode("utf-8", "backslashreplace")


def plain_path(target: str) -> str | None:
    """A request's path as the application takes it: without origin, query, fragment and parameters, decoded,
    without double slashes and dots: a path that is written otherwise is the same path. None: too long.

    >>> plain_path("https://shop.example//orders/./%6Danual;s=1?token=x")
    '/orders/manual'
    """
    path = _without_query(_ORIGIN.sub("", target, count=1))
    if len(path) > PATH_CHARACTERS:
        return None
    parts: list[str] = []
    # A second time: what was written as %3F must not bring a query string back.
    decoded = _without_query(unquote(path)).encode("utf-8", "replace").decode()
    for part in decoded.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def _without_query(path: str) -> str:
    """Parameters end with their part of the path: "/orders;s=1/manual" is served as "/orders/manual"."""
    whole = path.partition("?")[0].partition("#")[0]
    return _PARAMETERS.sub("", whole) if ";" in whole else whole


def _worked(status: Any) -> bool | None:
    if isinstance(status, bool):
        return status
    if isinstance(status, int) or (isinstance(status, str) and status.isdecimal() and len(status) == 3):
        return 100 <= int(status) < 400
    if isinstance(status, str):
        return {**_WORKED, **_FAILED}.get(status.strip().lower())
    return None


@lru_cache(maxsize=64)
def _combined_ms(text: str) -> int:
    """22/Nov/2026:02:01:54 +0100; strptime would depend on the locale."""
    try:
        day, month, rest = text.split("/", 2)
        moment = datetime.strptime(rest, "%Y:%H:%M:%S %z").replace(
            month=_MONTHS.index(month) + 1, day=int(day)
        )
        return max(0, int(moment.timestamp() * 1000))
    except ValueError:
        raise Unreadable("its time is not as nginx and Apache write it") from None


def _written_ms(text: str, kind: str, zone: tzinfo | None) -> int:
    moment = datetime.fromisoformat(text) if kind == "iso" else datetime.strptime(text, kind)  # noqa: DTZ007
    if moment.tzinfo is None:
        moment = moment.astimezone(UTC) if zone is None else moment.replace(tzinfo=zone)
    return int(moment.timestamp() * 1000)
