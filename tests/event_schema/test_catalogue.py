"""The catalogues: well-formed, unique, with sources; and how a program or host is recognised by them."""

from __future__ import annotations

import msgspec
import pytest

from event_schema.catalogue import (
    Application,
    Catalogue,
    CatalogueError,
    Destination,
    Kind,
    load_catalogue,
    read_catalogue,
)

CATALOGUE = load_catalogue()
ENTRY = '[[application]]\nid = "a"\nname = "A"\nexecutables = ["a"]\nsource = "https://a.example/"\n'


def test_the_shipped_catalogues_load_and_hold_what_the_mission_names() -> None:
    ids = {each.id for each in CATALOGUE.applications}
    assert {"wechat", "wecom", "qq", "dingtalk", "feishu", "lark", "slack", "teams", "telegram"} <= ids
    assert {"whatsapp", "signal", "discord", "baidu_netdisk", "nutstore", "aliyun_drive", "onedrive"} <= ids
    assert {"dropbox", "google_drive", "icloud", "nextcloud", "mega", "curl", "openssh", "rclone"} <= ids
    kinds: tuple[Kind, ...] = (
        "messenger",
        "cloud_drive",
        "uploader",
        "browser",
        "screenshot_tool",
        "local_reader",
    )
    assert all(len(CATALOGUE.of_kind(kind)) >= 8 for kind in kinds)
    assert len(CATALOGUE.domains("webmail")) >= 20
    assert len(CATALOGUE.domains("code_hosting")) >= 10


def test_every_program_and_every_domain_stands_once_and_every_entry_has_a_source() -> None:
    programs = [program for each in CATALOGUE.applications for program in each.executables]
    assert len(programs) == len(set(programs)) > 150
    markers = [marker for each in CATALOGUE.applications for marker in each.markers]
    assert len(markers) == len(set(markers))
    assert all(each.source.startswith("https://") for each in CATALOGUE.applications)
    domains = CATALOGUE.domains()
    assert len(domains) == len(set(domains)) > 150
    # No entry takes away what an entry of another name stands for by a longer marker.
    for application in CATALOGUE.applications:
        for marker in application.markers:
            assert CATALOGUE.of_program(None, [marker]) == application, marker


@pytest.mark.parametrize(
    ("executable", "words", "expected"),
    [
        ("/opt/wechat/wechat", (), "wechat"),
        ("/usr/bin/wine64-preloader", (r"C:\Program Files\Tencent\WeChat\WeChat.exe",), "wechat"),
        ("/usr/bin/wine64-preloader", (r"C:\Program Files\WXWork\WXWork.exe",), "wecom"),
        ("/app/lib/electron", ("app-flatpak-com.slack.Slack-4711.scope",), "slack"),
        ("/usr/lib/chromium/chromium", (), "chromium"),
        ("/usr/bin/python3.11", ("/usr/bin/aws", "s3"), "aws_cli"),
        ("/usr/bin/scp", (), "openssh"),
        ("/usr/bin/python3.11", ("report.py",), None),
        ("/home/x/.local/curl", (), "curl"),
        ("/usr/bin/curlew", (), None),
        (None, (), None),
    ],
)
def test_a_program_is_told_by_its_file_or_by_what_runs_inside_another(
    executable: str | None, words: tuple[str, ...], expected: str | None
) -> None:
    found = CATALOGUE.of_program(executable, words)
    assert (None if found is None else found.id) == expected


@pytest.mark.parametrize(
    ("host", "name", "category"),
    [
        ("github.com", "GitHub", "code_hosting"),
        ("API.GitHub.com.", "GitHub", "code_hosting"),
        ("mail.qq.com", "Tencent mail", "webmail"),
        ("docs.qq.com", "Tencent Docs", "cloud_drive"),
        ("bucket.oss-cn-beijing.aliyuncs.com", "ossutil", "uploader"),
        ("file.work.weixin.qq.com", "WeCom", "messenger"),
        ("file.weixin.qq.com", "WeChat", "messenger"),
    ],
)
def test_a_host_belongs_to_the_longest_domain_that_fits(host: str, name: str, category: str) -> None:
    found = CATALOGUE.of_host(host)
    assert found is not None
    assert (found.name, found.category) == (name, category)


@pytest.mark.parametrize(
    "host", ["example.com", "notgithub.com", "com", "", ".", "a" * 100_000, "github.com.evil.net"]
)
def test_other_hosts_are_nobodys(host: str) -> None:
    assert CATALOGUE.of_host(host) is None


def test_trusted_places_are_domains_addresses_and_networks() -> None:
    own = load_catalogue(trusted=["Files.Example.com", "10.0.0.0/8", "2001:db8::7"])
    assert own.is_trusted("a.files.example.com")
    assert own.is_trusted(address="10.2.3.4")
    assert own.is_trusted(address="2001:db8::7")
    assert not own.is_trusted("example.com", "192.0.2.1")
    assert not own.is_trusted(address="not an address")
    assert not CATALOGUE.is_trusted("a.files.example.com", "10.2.3.4")


def test_an_administrators_destination_takes_a_shipped_ones_place() -> None:
    extra = Destination(name="Our tenant", category="other", domains=("sharepoint.com", "drop.example.com"))
    own = load_catalogue(extra=[extra])
    host = own.of_host("x.sharepoint.com")
    assert host is not None
    assert host.name == "Our tenant"
    assert own.of_host("up.drop.example.com") is not None
    assert own.of_host("1drv.ms") is not None


@pytest.mark.parametrize(
    "trusted", ["", "*.example.com", "10.0.0.1/8", "http://example.com", "exa mple.com", "a\nb.com", "com"]
)
def test_a_trusted_place_that_is_none_is_refused(trusted: str) -> None:
    with pytest.raises(CatalogueError, match="trusted destinations"):
        load_catalogue(trusted=[trusted])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[application]", "a.toml"),
        (ENTRY + 'colour = "red"\n', "colour"),
        (ENTRY + 'kind = "browser"\n', "given by the file"),
        (ENTRY.replace("https://a.example/", "somebody told me"), "source"),
        (ENTRY.replace('"a"]', '"bin/a"]'), "executables"),
        (ENTRY.replace('id = "a"', 'id = "A b"'), "id"),
        (ENTRY + 'markers = ["x"]\n', "markers"),
        (ENTRY + 'names_host = "guess"\n', "names_host"),
        ('[[destination]]\nname = "x"\ncategory = "other"\ndomains = []\n', "do not belong here"),
    ],
)
def test_a_malformed_entry_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        read_catalogue(text, "a.toml", "uploader")


def _entry(**fields: object) -> Application:
    usual = {"id": "a", "name": "A", "source": "https://a.example/", "executables": ("a",)}
    return msgspec.convert(usual | fields, Application)


@pytest.mark.parametrize(
    "entries",
    [
        [_entry(), _entry(executables=("b",))],
        [_entry(), _entry(id="b")],
        [_entry(domains=("x.example",)), _entry(id="b", executables=("b",), domains=("x.example",))],
        [_entry(domains=("Upper.example",))],
        [_entry(domains=("*.example.com",))],
        [_entry(domains=("com",))],
        [_entry(domains=("x..example",))],
        [_entry(outgoing_folders=("/etc",))],
        [_entry(sync_folders=("../other",))],
        [_entry(sync_folders=("a/../../b",))],
        [_entry(executables=())],
    ],
)
def test_entries_that_are_ambiguous_or_reach_out_of_a_home_are_refused(entries: list[Application]) -> None:
    with pytest.raises(CatalogueError):
        Catalogue(entries, ())
