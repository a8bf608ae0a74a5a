"""What a line of an access log says: paths, clients behind proxies, times, and which act it is."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from collectors.access_log_config import AccessLogConfig, AccessLogSource
from collectors.access_log_lines import LineReader, Unreadable, plain_path
from collectors.access_log_rules import Mapped, NotMapped, Rules
from event_schema.printable import printable_name
from event_schema.struct_base import NAME_CHARACTERS

RULE = {"action": "opened", "activity": "read", "path": "/a/(?P<object>[^/]+)"}


def source(**more: Any) -> AccessLogSource:
    plain = {"name": "shop", "path": "/var/log/a.log", "format": "combined", "rules": [RULE], **more}
    return msgspec.convert(plain, AccessLogSource)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/orders/manual?token=x", "/orders/manual"),
        ("/orders/manual#part", "/orders/manual"),
        ("/orders;jsessionid=1/manual", "/orders/manual"),
        ("/orders/manual;jsessionid=1?token=x", "/orders/manual"),
        ("/orders%3Bs=1/manual", "/orders/manual"),
        ("https://shop.example:8443/orders?x=https://other/", "/orders"),
        ("//orders///manual/", "/orders/manual"),
        ("/x/../orders/./manual", "/orders/manual"),
        ("/%6Frders/m%61nual", "/orders/manual"),
        ("/orders/1%3Ftoken=x", "/orders/1"),
        ("/../../etc", "/etc"),
        ("*", "/*"),
        ("/caf%C3%A9/%ff", "/café/\ufffd"),
        ("/a\ud800", "/a?"),
        ("/" + "a" * 3_000, None),
    ],
)
def test_a_path_is_what_the_application_takes_it_for_without_its_query(target: str, path: str | None) -> None:
    assert plain_path(target) == path


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, nonsense, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "-", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "6.6.6.6:1, 198.51.100.1:4711 , 10.0.0.2:80", "198.51.100.1"),
    ],
)
def test_only_trusted_proxies_say_who_is_behind_them(address: str, forwarded: str, client: str) -> None:
    line = f'{address} - - [22/Nov/2026:02:01:54 +0100] "GET /a/1 HTTP/1.1" 200 5 "-" "x" "{forwarded}"'
    read = LineReader(source(trusted_proxies=["10.0.0.0/8"])).read(line.encode())
    assert read.address == client
    assert LineReader(source()).read(line.encode()).address == address


@pytest.mark.parametrize(
    "tail",
    ['"GET /a/1 HTTP/1.1" 200 5', '"GET /a/1 HTTP/1.1" 200 - "-" "x"', '"GET /a/1" 200 5 "a\\"b" "x" more'],
)
def test_the_usual_variants_of_the_combined_format_are_read(tail: str) -> None:
    line = LineReader(source()).read(f"::1 - [a] b [22/Nov/2026:02:01:54 +0100] {tail}".encode())
    assert (line.user, line.path, line.method, line.worked) == ("[a] b", "/a/1", "GET", True)
    assert line.time == int(datetime(2026, 11, 22, 1, 1, 54, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("time_format", "value"),
    [
        ("iso", "2026-11-22T02:01:54.5+01:00"),
        ("iso", "2026-11-22 02:01:54.5"),
        ("unix", 1795309314.5),
        ("unix", "1795309314.5"),
        ("unix_ms", 1795309314500),
        ("%d.%m.%Y %H:%M:%S.%f", "22.11.2026 02:01:54.5"),
    ],
)
def test_times_are_read_as_the_settings_say(time_format: str, value: object) -> None:
    reader = LineReader(source(format="json", time_format=time_format, time_zone="Europe/Berlin"))
    assert reader.read(msgspec.json.encode({"time": value, "user": "a"})).time == 1795309314500


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"[1]", "JSON, but no object"),
        (b"{", "not JSON"),
        (b'{"user": "secret"}', "its time is not iso"),
        (b'{"time": "secret"}', "its time is not iso"),
        (b"[" * 200_000, "not JSON"),
    ],
)
def test_a_line_that_cannot_be_read_is_told_without_what_it_holds(line: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as refused:
        LineReader(source(format="json")).read(line)
    assert str(refused.value) == why


@pytest.mark.parametrize("time", ["0001-01-01", "9999-12-31T23:59:59.999999-12:00", 1e400, -1, True, [1]])
def test_a_time_at_the_end_of_the_world_is_a_line_that_cannot_be_read(time: object) -> None:
    for kind in ("iso", "unix", "unix_ms"):
        line = json.dumps({"time": time, "user": "a"}).encode()
        with contextlib.suppress(Unreadable):
            read = LineReader(source(format="json", time_format=kind)).read(line)
            assert 0 <= read.time <= 253_402_300_799_999


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (b"/a/\\xE5\\xAE\\xA2\\xE6\\x88\\xB7", "客户"),
        (b"/a/%E5%AE%A2%E6%88%B7", "客户"),
        (b"/a/\xe5\xae\xa2\xe6\x88\xb7", "客户"),
        (b"/a/x%0Ay", "x\ny"),
        (b"/a/\\x3Ftoken=s3cret", None),
    ],
)
def test_a_path_and_an_account_are_the_same_however_the_server_wrote_them(
    path: bytes, known: str | None
) -> None:
    """nginx and Apache write what is not ASCII as \\xNN; people could otherwise walk around a rule."""
    reader, rules = LineReader(source()), Rules(source().rules)
    head = b"1.1.1.1 - \\xE5\\xBC\\xA0\\x5C [22/Nov/2026:02:01:54 +0100] "
    line = reader.read(head + b'"GET ' + path + b' HTTP/1.1" 200 5 "-" "x"')
    assert line.user == "张\\"
    found = rules.find(line)
    assert (found.object if isinstance(found, Mapped) else None) == known
    assert "s3cret" not in (line.path or "")


def test_what_is_longer_than_a_name_is_cut_before_it_is_kept_anywhere() -> None:
    line = (
        b"a" * 100_000 + b" - " + b"u" * 100_000 + b' [22/Nov/2026:02:01:54 +0100] "GET /a/1 HTTP/1.1" 200 5'
    )
    read = LineReader(source()).read(line)
    assert (len(read.user or ""), len(read.address or "")) == (NAME_CHARACTERS, NAME_CHARACTERS)
    values = {"time": 1, "user": "u" * 100_000, "device": "d" * 100_000, "no": "n" * 100_000}
    rule = {"action": "opened", "activity": "read", "where": {"time": 1}, "object_field": "no"}
    given = source(format="json", time_format="unix", fields={"device": "device"}, rules=[rule])
    json_line = LineReader(given).read(msgspec.json.encode(values))
    found = Rules(given.rules).find(json_line)
    assert isinstance(found, Mapped)
    assert [len(text or "") for text in (json_line.user, json_line.device, found.object)] == [
        NAME_CHARACTERS
    ] * 3


def test_a_line_with_bytes_that_are_no_utf8_is_read() -> None:
    line = LineReader(source(format="json")).read(b'{"time": "2026-11-22T02:01:54Z", "user": "M\xfcller"}')
    assert printable_name(line.user or "") == "M\\xfcller"


def mapped(rules: list[dict[str, Any]], **values: Any) -> Mapped | NotMapped:
    given = source(format="json", rules=rules)
    plain = {"time": "2026-11-22T02:01:54Z", "user": "lin", **values}
    return Rules(given.rules).find(LineReader(given).read(msgspec.json.encode(plain)))


def test_the_first_rule_whose_conditions_all_hold_names_the_act() -> None:
    rules = [
        {
            "action": "big",
            "activity": "read",
            "where": {"kind": ["dump", "export"], "ok": True},
            "count_field": "n.rows",
        },
        {"action": "other", "activity": "other", "where": {"kind": "export"}, "object_field": "target"},
    ]
    first = mapped(rules, kind="export", ok=True, n={"rows": 12})
    assert isinstance(first, Mapped)
    assert (first.rule.action, first.count) == ("big", 12)
    second = mapped(rules, kind="export", ok=1, target="https://x/y?token=s")
    assert isinstance(second, Mapped)
    assert (second.rule.action, second.object, second.count) == ("other", "https://x/y", None)
    assert mapped(rules, kind="view") == NotMapped("big: kind is not dump or export")


@pytest.mark.parametrize("count", [-1, True, 2**63, "x", [], 1.5])
def test_a_count_that_is_none_is_left_out(count: object) -> None:
    rules = [{"action": "a", "activity": "read", "where": {"k": 1}, "count_field": "n"}]
    found = mapped(rules, k=1, n=count if count != 2**63 else str(2**64))
    assert isinstance(found, Mapped)
    assert found.count is None


def test_a_pattern_that_takes_others_minutes_takes_no_time() -> None:
    rules = Rules(source(rules=[{**RULE, "path": "/(a+)+b"}]).rules)
    line = LineReader(source()).read(
        b'1.1.1.1 - - [22/Nov/2026:02:01:54 +0100] "GET /' + b"a" * 2_000 + b' HTTP/1.1" 200 5'
    )
    assert isinstance(rules.find(line), NotMapped)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"rules": [{**RULE, "path": "/(?=a)"}]}, "invalid perl operator"),
        ({"rules": [{**RULE, "path": "/(?P<token>.*)"}]}, "the one named group is"),
        ({"rules": [{"action": "a", "activity": "read"}]}, "needs a path or a where"),
        ({"rules": [{**RULE, "colour": "red"}]}, "unknown field `colour`"),
        ({"rules": [{**RULE, "where": {"a": 1}}]}, "are of JSON lines"),
        ({"trusted_proxies": ["proxy.example"]}, "trusted_proxies"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"name": "Shop 1"}, "name"),
        ({"path": "shop.log"}, "path"),
    ],
)
def test_a_mistake_in_a_mapping_is_refused(change: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why.replace("?", r"\?")):
        source(**change)


def test_two_sources_have_two_names() -> None:
    same = msgspec.to_builtins(source())
    with pytest.raises(msgspec.ValidationError, match="the same name"):
        msgspec.convert({"sources": [same, same]}, AccessLogConfig)
