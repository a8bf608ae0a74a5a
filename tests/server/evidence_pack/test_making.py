"""A whole pack of a recorded leak: it verifies, names nobody unless it was unmasked, and takes any text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pypdfium2  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis.strategies import integers
from sqlalchemy import insert, select, update

from server.alerts.queries import Verdict, close_alert
from server.alerts.view_types import Unmasking
from server.audit import fingerprint, head
from server.cases.changing import add_note, close_case, open_or_join_case
from server.cases.records import Outcome
from server.evidence_pack.archive import PackRefused, PackStopped
from server.evidence_pack.making import MadePack, make_pack
from server.evidence_pack.pack_request import PackRequest
from server.evidence_pack.scope import Scope, scope_of_alert, scope_of_case
from server.evidence_pack.verifier import verify
from server.evidence_seal import SealKey
from server.people.pseudonyms import shown_names
from server.store.database import Database
from server.store.tables import (
    alerts,
    audit,
    audit_withheld,
    case_alerts,
    cases,
    event_blocks,
    subject_events,
)
from tests.server.alerts.recorded_leak import NOW, SECRETS, open_alert, record_leak

KEY = SealKey.new()
OMAR = "user:omar"
RTL = "\u202egnp.exe <b>&amp;</b> \x07"


@pytest.fixture
def case(database: Database) -> int:
    """One alert, closed; whoever typed about it named people."""
    record_leak(database)
    with database.begin() as connection:
        made = open_or_join_case(connection, [1], actor=OMAR, at=NOW, title="Alice Wang took customers").case
        add_note(connection, made, "Asked Berta Braun, who asked Wang, Alice", actor=OMAR, at=NOW + 1)
        close_alert(connection, 1, Verdict.CONFIRMED, "alice did it", OMAR, NOW + 2)
        close_case(connection, made, Outcome.CONFIRMED, "see E1007", actor=OMAR, at=NOW + 3)
    return made


def _make(
    database: Database,
    path: Path,
    scope_of: Callable[[Any], Scope],
    *,
    reason: str | None = None,
    records: bool = False,
    language: Literal["en", "zh"] = "en",
) -> MadePack:
    with database.read() as connection:
        scope = scope_of(connection)
    unmasking = None if reason is None else Unmasking(OMAR, NOW + 5, reason)
    request = PackRequest(OMAR, NOW + 5, language, unmasking, records)
    with path.open("w+b") as file:
        return make_pack(database, scope, request, KEY, file, scratch=path.parent)


def _text(path: Path) -> str:
    """All that a reader of the pack can read, PDF included."""
    parts: list[str] = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            data = archive.read(name)
            parts += [name, _pdf_text(data) if name.endswith(".pdf") else data.decode("utf-8", "replace")]
    return "\n".join(parts)


def _pdf_text(data: bytes) -> str:
    document = pypdfium2.PdfDocument(data)
    told = [page.get_textpage().get_text_range() for page in document]
    told += [str(value) for value in document.get_metadata_dict().values()]
    return "\n".join(told).replace("\r\n", "\n").replace("\ufffe", "")


def _lines(archive: zipfile.ZipFile, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in archive.read(name).splitlines()]


def test_a_masked_pack_verifies_tells_all_and_names_nobody(
    database: Database, case: int, tmp_path: Path
) -> None:
    path = tmp_path / "pack.zip"
    made = _make(database, path, lambda connection: scope_of_case(connection, case))
    verdict = verify(str(path), KEY.fingerprint)
    assert (verdict.good, verdict.findings, verdict.records) == (True, [], 0)
    assert made.archive.bytes == path.stat().st_size
    assert made.archive.manifest_digest == verdict.manifest_sha256
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        assert names[:4] == ["README.txt", "verify.py", "case.json", "alerts.jsonl"]
        assert names[-3:] == ["report.pdf", "manifest.json", "manifest.sig"]
        assert not any(name.startswith("blocks/") for name in names)
        events = _lines(archive, "evidence.jsonl")
        assert [event["seq"] for event in events] == list(range(30))
        assert {tuple(event["alerts"]) for event in events} == {(1,)}
        [alert] = _lines(archive, "alerts.jsonl")
        assert alert["proof"]["good"] is True
        assert alert["alert"]["reason"] == "[name] did it"
        told = json.loads(archive.read("case.json"))
        assert told["title"] == "[name] took customers"
        custody = _lines(archive, "custody.jsonl")
        assert [row["action"] for row in custody] == [
            *("case.open", "case.add", "alert.escalate", "case.note", "alert.close", "case.close")
        ]
        manifest = json.loads(archive.read("manifest.json"))
        with database.read() as connection:
            last = head(connection)
        assert last is not None
        key, _ = shown_names(database, ())
        assert manifest["audit_head"] == {"seq": last[0], "fingerprint": fingerprint(key, *last)}
        assert (manifest["names"], manifest["case"], manifest["events"]) == ("pseudonyms", case, 30)
        said = _pdf_text(archive.read("report.pdf"))
        assert manifest["contents_sha256"] in said.replace("\n", "")
    assert "customers-029.xlsx" in said
    assert "465 MB (30 files) to a device first seen that day" in said
    assert "page 1 of" in said
    # A digest may hold any four digits.
    text = re.sub(r"(?<![0-9a-z])[0-9a-f]{10,}(?![0-9a-z])", "", _text(path).casefold())
    assert [word for word in SECRETS if word.casefold() in text] == []
    assert made.pseudonyms
    assert all(pseudonym in _text(path) for pseudonym in made.pseudonyms)


def test_rows_of_custody_are_told_with_fingerprints_that_no_guess_can_be_held_against(
    database: Database, case: int, tmp_path: Path
) -> None:
    path = tmp_path / "pack.zip"
    _make(database, path, lambda connection: scope_of_case(connection, case))
    with zipfile.ZipFile(path) as archive:
        rows = _lines(archive, "custody.jsonl")
    key, _ = shown_names(database, ())
    with database.read() as connection:
        hashes = {row.seq: row.hash for row in connection.execute(select(audit.c.seq, audit.c.hash))}
    assert [row["action"] for row in rows if row["masked"]] == ["alert.close"]
    assert all(row["fingerprint"] == fingerprint(key, row["seq"], hashes[row["seq"]]) for row in rows)
    told = _text(path)
    assert not any(each in told for each in hashes.values())


@pytest.mark.databases("sqlite")
def test_a_row_of_the_trail_that_names_somebody_erased_is_told_to_nobody(
    database: Database, case: int, tmp_path: Path
) -> None:
    with database.begin() as connection:
        closed = select(audit.c.seq).where(audit.c.action == "alert.close")
        connection.execute(insert(audit_withheld).values(seq=connection.execute(closed).scalar_one()))
    path = tmp_path / "pack.zip"
    _make(database, path, lambda connection: scope_of_case(connection, case), reason="for the court")
    with zipfile.ZipFile(path) as archive:
        [row] = [each for each in _lines(archive, "custody.jsonl") if each["action"] == "alert.close"]
    assert (row["reason"], row["detail"], row["masked"]) == (None, None, True)


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_names_bring_no_signed_records_along(
    database: Database, case: int, tmp_path: Path, language: Literal["en", "zh"]
) -> None:
    path = tmp_path / "pack.zip"
    reason = "for the court"
    _make(database, path, lambda c: scope_of_case(c, case), reason=reason, language=language)
    assert (verify(str(path)).good, verify(str(path)).records) == (True, 0)
    with zipfile.ZipFile(path) as archive:
        assert not any(name.startswith("blocks/") for name in archive.namelist())
        assert "alerts.jsonl says with what result" in archive.read("README.txt").decode()
        said = _pdf_text(archive.read("report.pdf"))
        assert ("alerts.jsonl says with what" if language == "en" else "因此不在本包内") in said
    with database.read() as connection:
        assert connection.execute(select(audit).where(audit.c.action == "pack.records")).all() == []


@pytest.mark.databases("sqlite")
def test_of_how_many_others_the_signed_records_tell_is_on_record(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    with database.begin() as connection:
        values = {"subject": "account:svc@host", "account_owner": None, "suspected_actor": None}
        connection.execute(update(alerts).values(values))
        connection.execute(update(subject_events).values(subject=values["subject"]))
    path = tmp_path / "pack.zip"
    _make(database, path, lambda c: scope_of_alert(c, 1), reason="for the court", records=True)
    with database.read() as connection:
        row = connection.execute(select(audit).where(audit.c.action == "pack.records")).one()
    blocks = verify(str(path)).records
    assert (row.object, row.detail) == ("alert:1", {"blocks": blocks, "others": 1})


def test_an_unmasked_pack_holds_what_agents_signed_where_asked_and_is_on_record(
    database: Database, case: int, tmp_path: Path
) -> None:
    path = tmp_path / "pack.zip"
    reason = "for the court"
    made = _make(database, path, lambda c: scope_of_case(c, case), reason=reason, records=True)
    verdict = verify(str(path), KEY.fingerprint)
    assert (verdict.good, verdict.records) == (True, 3)
    assert made.pseudonyms == ()
    assert "Alice Wang" in _text(path)
    with zipfile.ZipFile(path) as archive:
        assert "alice-laptop" in archive.read("evidence.jsonl").decode()
        assert "Alice Wang took customers" in _pdf_text(archive.read("report.pdf"))
        custody = _lines(archive, "custody.jsonl")
        assert not any(row["masked"] for row in custody)
        assert custody[-1]["action"] == "pack.records"
        assert custody[-1]["detail"] == {"blocks": 3, "others": 0}
        record = _lines(archive, "blocks/records.jsonl")[0]
    assert hashlib.sha256(base64.b64decode(record["value"])).hexdigest()
    with database.read() as connection:
        rows = connection.execute(select(audit).where(audit.c.action == "pseudonym.unmask")).all()
    assert [(row.actor, row.reason) for row in rows] == [(OMAR, "for the court")]


def test_a_record_that_no_agent_signed_is_found_by_the_verifier(
    database: Database, case: int, tmp_path: Path
) -> None:
    path = tmp_path / "pack.zip"
    with database.begin() as connection:
        connection.execute(update(event_blocks).where(event_blocks.c.id == 2).values(signature=b"x" * 64))
    _make(database, path, lambda c: scope_of_case(c, case), reason="for the court", records=True)
    [found] = verify(str(path)).findings
    assert (found.kind, found.file, found.line) == ("record", "blocks/records.jsonl", 2)


def test_a_pack_of_one_alert_in_chinese(database: Database, case: int, tmp_path: Path) -> None:
    path = tmp_path / "pack.zip"
    _make(database, path, lambda connection: scope_of_alert(connection, 1), language="zh")
    assert verify(str(path)).good
    with zipfile.ZipFile(path) as archive:
        assert "case.json" not in archive.namelist()
        said = _pdf_text(archive.read("report.pdf"))
    assert "证据包" in said
    assert "未能看到的内容" in said


def test_the_report_of_a_case_in_chinese_says_its_own_words_in_chinese(
    database: Database, case: int, tmp_path: Path
) -> None:
    path = tmp_path / "pack.zip"
    _make(database, path, lambda connection: scope_of_case(connection, case), language="zh")
    with zipfile.ZipFile(path) as archive:
        said = _pdf_text(archive.read("report.pdf"))
    for words in ("移动存储", "写入文件", "建立案件", "结案", "告警 1", "案件 1", "指纹"):
        assert words in said, words
    for words in ("create", "opened", "case:1", "user:omar"):
        assert words not in said, words


def test_the_same_case_makes_the_same_bytes(database: Database, case: int, tmp_path: Path) -> None:
    for name in ("one", "two"):
        _make(database, tmp_path / name, lambda connection: scope_of_case(connection, case))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.databases("sqlite")
def test_hostile_text_breaks_nothing(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    long = "/srv/" + "x" * 10_000
    with database.begin() as connection:
        made = open_or_join_case(connection, [1], actor=OMAR, at=NOW, title=f"<para>{RTL} 客户名单").case
        for text in (
            "<font size=900>",
            "</para></font>&nbsp;]]>",
            "\u0627\u0644 \U0001f600 한글",
            "a" * 4000,
        ):
            add_note(connection, made, text.replace("\x07", ""), actor=OMAR, at=NOW)
        sentence = {"en": f"<b>{long}</b> {RTL}", "zh": long}
        shares = [{"source": "rule-\u202e<i>", "points": 87, "share": 1.0}]
        connection.execute(update(alerts).values(sentence=sentence, shares=shares))
    path = tmp_path / "pack.zip"
    _make(database, path, lambda connection: scope_of_case(connection, made))
    assert verify(str(path)).good
    with zipfile.ZipFile(path) as archive:
        said = _pdf_text(archive.read("report.pdf"))
    assert "<U+202E>" in said
    assert "客户名单" in said
    assert "<font size=900>" in said
    assert "\u202e" not in said


@pytest.mark.databases("sqlite")
def test_what_no_longer_has_events_still_makes_a_pack(database: Database, case: int, tmp_path: Path) -> None:
    with database.begin() as connection:
        connection.execute(event_blocks.delete())
    path = tmp_path / "pack.zip"
    made = _make(database, path, lambda connection: scope_of_case(connection, case))
    assert (made.events, verify(str(path)).good) == (0, True)
    with zipfile.ZipFile(path) as archive:
        assert "30 events are no longer stored" in _pdf_text(archive.read("report.pdf"))


@pytest.mark.databases("sqlite")
def test_cases_without_alerts_or_with_too_many_are_refused(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    with database.begin() as connection:
        made = open_or_join_case(connection, [1], actor=OMAR, at=NOW, title="one").case
        for number in range(2, 203):
            row = connection.execute(select(alerts).where(alerts.c.id == 1)).mappings().one()
            values = {**row, "id": number, "subject": f"person:X{number}"}
            connection.execute(insert(alerts).values(**{str(k): v for k, v in values.items()}))
            connection.execute(
                insert(case_alerts).values(alert=number, case=made, added_at=NOW, added_by=OMAR)
            )
        empty = insert(cases).values(
            title="none", status="open", opened_at=NOW, opened_by=OMAR, updated_at=NOW, version=1
        )
        nothing = connection.execute(empty.returning(cases.c.id)).scalar_one()
    with database.read() as connection:
        with pytest.raises(PackRefused, match="202 alerts, a pack takes 200"):
            scope_of_case(connection, made)
        with pytest.raises(PackRefused, match="no alert"):
            scope_of_case(connection, nothing)


@pytest.mark.databases("sqlite")
def test_whoever_cancels_it_is_heard(database: Database, case: int, tmp_path: Path) -> None:
    with database.read() as connection:
        scope = scope_of_case(connection, case)
    seen: list[tuple[int, int]] = []
    with (tmp_path / "pack.zip").open("w+b") as file, pytest.raises(PackStopped):
        make_pack(
            database,
            scope,
            PackRequest(OMAR, NOW),
            KEY,
            file,
            scratch=tmp_path,
            progress=lambda done, of: seen.append((done, of)),
            stopped=lambda: len(seen) > 1,
        )
    assert all(0 < done <= of for done, of in seen)


@pytest.mark.databases("sqlite")
def test_an_event_of_two_alerts_is_told_once(database: Database, tmp_path: Path) -> None:
    record_leak(database)
    with database.begin() as connection:
        connection.execute(update(alerts).where(alerts.c.id == 1).values(family="other"))
    open_alert(database, events=10, subject="account:svc@host", alert_id=2)
    with database.begin() as connection:
        made = open_or_join_case(connection, [1, 2], actor=OMAR, at=NOW, title="two").case
    path = tmp_path / "pack.zip"
    _make(database, path, lambda connection: scope_of_case(connection, made))
    with zipfile.ZipFile(path) as archive:
        events = _lines(archive, "evidence.jsonl")
    assert [event["alerts"] for event in events] == [[1, 2]] * 10 + [[1]] * 20


@pytest.mark.databases("sqlite")
def test_wherever_a_whole_pack_is_changed_it_is_found_and_placed(
    database: Database, case: int, tmp_path: Path
) -> None:
    path, changed = tmp_path / "pack.zip", tmp_path / "changed.zip"
    _make(database, path, lambda c: scope_of_case(c, case), reason="for the court", records=True)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        begin = archive.getinfo("manifest.json").header_offset
        end = archive.getinfo("manifest.sig").header_offset + 42 + 64

    @given(place=integers(0, len(whole) - 1), flipped=integers(1, 255))
    @settings(max_examples=150, deadline=None)
    def check(place: int, flipped: int) -> None:
        data = bytearray(whole)
        data[place] ^= flipped
        changed.write_bytes(data)
        verdict = verify(str(changed))
        assert verdict.exit_code == 3
        spans = [(f.first_byte, f.last_byte or 0) for f in verdict.findings if f.first_byte is not None]
        if not begin <= place < end:
            assert any(first <= place <= last for first, last in spans), verdict.findings

    check()
