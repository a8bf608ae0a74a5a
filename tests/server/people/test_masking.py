"""Nothing that gives a person away is left in a masked event, and nothing else is lost."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from event_schema.field_registry import field_registry
from event_schema.ocsf_events import Event
from server.people.directory import Directory, PersonRecord
from server.people.masking import Masker
from tests.event_schema.sample_events import sample_events
from tests.server.alerts.recorded_leak import SECRETS, copied_file, known_of
from tests.server.people.directories import owned

KEY = bytes(32)


def _masker(*, accounts: tuple[tuple[str, str | None], ...] = (("Alice", "alice-laptop"),)) -> Masker:
    alice = PersonRecord("E1007", "Sales", "E1001")
    berta = PersonRecord("E1001", "Sales")
    directory = Directory(
        1, [alice, berta], owned({"alice": "E1007", "corp\\alice": "E1007", "berta": "E1001"})
    )
    return Masker(
        directory,
        KEY,
        {"person:E1007": "P-AAAAA", "person:E1001": "P-BBBBB"},
        names={"E1007": "Alice Wang"},
        accounts=accounts,
    )


def _leaves(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in _leaves(item, f"{path}.{key}").items()}
    if isinstance(value, (list, tuple)):
        return {k: v for item in value for k, v in _leaves(item, path).items()}
    return {path[1:]: value}


def test_masked_event_holds_nothing_that_names_the_person() -> None:
    masked = _masker().event(copied_file(3, size=1), known_of(3))
    text = json.dumps(masked, ensure_ascii=False).casefold()
    assert [secret for secret in SECRETS if secret.casefold() in text] == []


def test_every_field_that_names_people_is_changed_and_no_other_one_is_lost() -> None:
    event, known = copied_file(1, size=5), known_of(1)
    bare = Masker(Directory(1, []), KEY, {})
    masked = _leaves(bare.event(event, known))
    # Without accounts to catch, a path that names nobody may stay as it is.
    naming = {
        path
        for path in masked
        if field_registry()[path].names_person and path not in {"file.path", "actor.process.file.path"}
    }
    original = _leaves(Masker(Directory(1, []), bytes(31) + b"\1", {}).event(event, known))
    assert masked.keys() == original.keys()
    assert {path for path in masked if masked[path] != original[path]} >= naming
    assert masked["file.name"] == "customers-001.xlsx"
    assert masked["file.size"] == 5
    assert masked["unmapped.peripheral_device.model"] == "Cruzer Blade"


@pytest.mark.parametrize("event", sample_events(), ids=lambda e: str(e.type_uid))
def test_of_every_class_what_names_people_is_changed_and_nothing_is_lost(event: Event) -> None:
    known = known_of(1)
    plain = {**msgspec.to_builtins(event), "leaver": msgspec.to_builtins(known)}
    masked_event = _masker().event(event, known)
    original, masked = _leaves(plain), _leaves(masked_event)
    assert masked.keys() == original.keys()
    # Paths outside of homes stay as they are.
    naming = {p for p in original if field_registry()[p].names_person and not p.endswith("file.path")}
    assert {path for path in naming if masked[path] == original[path]} == set()
    assert "alice" not in json.dumps(masked_event).casefold()


def test_same_thing_gets_the_same_label_and_people_their_pseudonym() -> None:
    masked = _masker().event(copied_file(1, size=5), known_of(1))
    assert masked["actor"]["user"]["name"] == "P-AAAAA"
    assert masked["leaver"]["person"]["id"] == masked["leaver"]["account"]["owner_id"] == "P-AAAAA"
    assert masked["leaver"]["person"]["manager"] == "P-BBBBB"
    assert masked["device"]["hostname"] == _masker().host("ALICE-laptop")
    assert masked["file"]["path"] == "/run/media/P-AAAAA/ALICE_USB/from P-AAAAA/customers-001.xlsx".replace(
        "ALICE_USB", "P-AAAAA_USB"
    )
    assert masked["actor"]["process"]["file"]["path"] == "/home/P-AAAAA/bin/cp"
    assert masked["file"]["volume"] == "P-AAAAA's stick"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/home/alice/x.txt", "/home/P-AAAAA/x.txt"),
        ("/home/ALICE/x.txt", "/home/P-AAAAA/x.txt"),
        ("/home/berta", "/home/P-BBBBB"),
        ("/mnt/backup/home/berta/x", "/mnt/backup/home/P-BBBBB/x"),
        ("/srv/berta/alice/plan.xlsx", "/srv/P-BBBBB/P-AAAAA/plan.xlsx"),
        ("C:\\Users\\alice\\Desktop\\plan.xlsx", "C:\\Users\\P-AAAAA\\Desktop\\plan.xlsx"),
        ("/media/USB/alice wang/plan.xlsx", "/media/USB/P-AAAAA/plan.xlsx"),
        ("/media/USB/malice/plan.xlsx", "/media/USB/malice/plan.xlsx"),
        ("/media/USB/alice.txt", "/media/USB/alice.txt"),
        ("", ""),
        ("/", "/"),
    ],
)
def test_path_keeps_its_shape_and_its_file_name(path: str, shown: str) -> None:
    assert _masker().path(path, "alice-laptop") == shown


def test_home_of_someone_unknown_is_hidden_too() -> None:
    shown = _masker().path("/home/carol/x/carol.txt", None)
    assert shown.startswith("/home/A-")
    assert shown.endswith("/x/carol.txt")
    assert _masker().path("/run/user/1501/x", None).startswith("/run/user/U-")


@pytest.mark.parametrize("folder", ["/media/", "/run/media/"])
def test_owner_of_a_mounted_drive_is_hidden_and_the_drive_is_not(folder: str) -> None:
    shown = _masker().path(f"{folder}carol/STICK/plans/a.dwg", "laptop-9")
    assert shown == f"{folder}{_masker().account('carol', 'laptop-9')}/STICK/plans/a.dwg"


@pytest.mark.parametrize(
    "path", ["/media/STICK/a.dwg", "/media/usb0/plans/a.dwg", "/srv/media/films/old/a.mp4"]
)
def test_a_folder_called_media_that_belongs_to_nobody_stays(path: str) -> None:
    assert _masker().path(path, "laptop-9") == path


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Alice Wang's stick", "P-AAAAA's stick"),
        ("ALICE_WANG", "P-AAAAA"),
        ("alice.wang backup", "P-AAAAA backup"),
        ("stick of alice", "stick of P-AAAAA"),
        ("CORP\\alice", "P-AAAAA"),
        ("malice in wonderland", "malice in wonderland"),
        ("WANG", "P-AAAAA"),
        ("Wang Alice", "P-AAAAA"),
        ("Wang, Alice", "P-AAAAA"),
        ("AliceWang", "P-AAAAA"),
        ("wangling", "wangling"),
    ],
)
def test_net_catches_whole_names_only(text: str, shown: str) -> None:
    assert _masker().text(text) == shown


def test_net_catches_chinese_names_inside_words() -> None:
    person = PersonRecord("1")
    masker = Masker(Directory(1, [person]), KEY, {"person:1": "P-CCCCC"}, names={"1": "王小明"})
    assert masker.text("王小明的U盘") == "P-CCCCC的U盘"


def test_plain_values_lose_ids_and_accounts_but_not_numbers() -> None:
    facts = {"person": "E1007", "subject": "person:E1001", "bytes": 1007, "who": ["alice", None, 0.5]}
    assert _masker().plain(facts) == {
        "person": "P-AAAAA",
        "subject": "P-BBBBB",
        "bytes": 1007,
        "who": ["P-AAAAA", None, 0.5],
    }


def test_account_of_nobody_is_one_name_a_host_and_the_same_as_the_alerts_subject() -> None:
    masker = Masker(Directory(1, []), KEY, {"account:mallory@laptop-1": "A-QQQQQ"})
    assert masker.account("Mallory", "LAPTOP-1") == "A-QQQQQ"
    assert masker.path("/home/mallory/x", "laptop-1") == "/home/A-QQQQQ/x"
    assert masker.account("mallory", "laptop-2") != masker.account("mallory", "laptop-1")


def _named(**names: str) -> Masker:
    people = [PersonRecord(key) for key in names]
    shown = {f"person:{key}": f"P-{key.upper()}" for key in names}
    return Masker(Directory(1, people), KEY, shown, names=names)


@pytest.mark.parametrize(
    ("name", "text", "shown"),
    [
        ("Anna Weber", "ANNA", "P-A"),
        ("Weber Anna", "Anna Weber's USB", "P-A's USB"),
        ("Ann Weber", "planning for Ann", "planning for P-A"),
        ("Anna-Lena von der Heide", "lena von der Post", "P-A von der Post"),
        ("Jo Li", "jo li; Jo; li", "P-A; Jo; li"),
        ("Jürg Müller", "Jürgen MÜLLER", "Jürgen P-A"),
        ("王小明", "小明备份", "P-A备份"),
        ("王 小明", "王小明", "P-A"),
        ("欧阳娜娜", "娜娜的U盘", "P-A的U盘"),
        ("王明", "明天 王明", "明天 P-A"),
        ("", "nobody", "nobody"),
    ],
)
def test_net_catches_names_in_either_order_and_their_parts(name: str, text: str, shown: str) -> None:
    assert _named(a=name).text(text) == shown


def test_part_of_two_peoples_names_says_which_of_them_about_neither() -> None:
    masker = _named(a="Anna Weber", b="Bernd Weber")
    assert masker.text("weber; BERND; anna_weber") == "[name]; P-B; P-A"
