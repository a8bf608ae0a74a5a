"""From what was found to the words of the event; encodings; kinds; what is encrypted."""

from __future__ import annotations

import io
import random
import subprocess
from pathlib import Path

import msgspec
import pikepdf
import py7zr
import pytest
from reportlab.pdfgen import canvas

from collectors.labels.file_labels import FileLabels, failed
from collectors.labels.source_code import language_of
from collectors.labels.typescript import has_types
from event_schema.ocsf_labels import ClassificationStatus, DataCategory
from tests.collectors.labels.conftest import LabelBytes

LETTER = "机密★10年\n客户 凤凰计划 身份证 11010519491231002X 电话 13800138000\n"
FOUND = {"resident_id": 1, "mobile_phone": 1, "mark_secret": 1}


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_chinese_text_is_read_in_every_usual_encoding(label: LabelBytes, encoding: str) -> None:
    labels = label(LETTER.encode(encoding))
    assert (labels.counts, labels.list_counts) == (FOUND, {"projects": 1})


def test_a_finding_across_the_pieces_of_a_large_file_counts_once(label: LabelBytes) -> None:
    filler = "x" * 99 + "\n"
    text = "".join(filler * 2_600 + "身份证 11010519491231002X\n" for _ in range(4))
    assert label(text.encode()).counts == {"resident_id": 1}


def test_categories_and_counts_become_ocsf() -> None:
    labels = FileLabels(
        status=ClassificationStatus.PARTIAL,
        counts={"resident_id": 14, "email_address": 20, "bank_card": 2, "source_code.python": 1},
        list_counts={"projects": 3},
    )
    found = labels.classifications()
    assert found is not None
    assert [(each.category_id, each.classifier_details.type) for each in found] == [
        (DataCategory.PERSONAL, "leaver"),
        (DataCategory.FINANCIAL, "leaver"),
        (DataCategory.BUSINESS, "leaver"),
        (DataCategory.BUSINESS, "company_lists"),
    ]
    assert [(each.type, each.count) for each in found[0].discovery_details] == [
        ("email_address", 20),
        ("resident_id", 14),
    ]
    assert {each.status_id for each in found} == {ClassificationStatus.PARTIAL}


@pytest.mark.parametrize(
    "said",
    [
        {"status": 1, "counts": {"evil": 1}},
        {"status": 1, "counts": {"Source_code": 1}},
        {"status": 1, "counts": {"resident_id": 0}},
        {"status": 1, "list_counts": {"\x1b[31m": 1}},
        {"status": 1, "mime_type": "text/plain\nmore"},
        {"status": 2, "gap": "客户 11010519491231002X"},
        {"status": 2, "gap": "x" * 300},
        {"status": 1, "more": "content"},
    ],
)
def test_what_the_reading_process_must_not_say_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(said), type=FileLabels)


def test_a_file_that_could_not_be_read_is_told_and_a_plain_one_says_nothing() -> None:
    (unknown,) = failed("broken").classifications() or ()
    assert (unknown.category_id, unknown.status_id) == (DataCategory.UNKNOWN, ClassificationStatus.FAIL)
    assert FileLabels(status=ClassificationStatus.COMPLETE).classifications() is None


def test_encrypted_files_are_known_by_their_headers(label: LabelBytes, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "a.txt").write_text(LETTER, encoding="utf-8")
    subprocess.run(["zip", "-q", "-P", "x", "a.zip", "a.txt"], cwd=folder, check=True)
    assert label((folder / "a.zip").read_bytes()).is_encrypted is True
    drawn, locked, seven = io.BytesIO(), io.BytesIO(), io.BytesIO()
    page = canvas.Canvas(drawn)
    page.drawString(100, 700, "13800138000")
    page.save()
    with pikepdf.open(io.BytesIO(drawn.getvalue())) as pdf:
        pdf.save(locked, encryption=pikepdf.Encryption(user="x", owner="y", R=6))
    with py7zr.SevenZipFile(seven, "w", password="x", header_encryption=True) as archive:
        archive.writestr(LETTER, "a.txt")
    assert label(locked.getvalue()).counts == {"encrypted_document": 1}
    assert label(seven.getvalue()).counts == {"encrypted_archive": 1}
    assert label(b"LUKS\xba\xbe\0\2" + bytes(4096)).is_encrypted is True
    assert label(drawn.getvalue()).is_encrypted is False


def test_random_bytes_are_only_possibly_encrypted(label: LabelBytes) -> None:
    labels = label(random.Random(7).randbytes(500_000))
    assert (labels.counts, labels.is_encrypted) == ({"possibly_encrypted": 1}, None)


def test_an_empty_file_is_complete(label: LabelBytes) -> None:
    assert label(b"").status is ClassificationStatus.COMPLETE


@pytest.mark.parametrize(
    ("text", "is_typed"),
    [
        ("export function area(w: number, h: number): number { return w * h; }", True),
        ("interface Shape { area(): number }", True),
        ("const at = new Map<string, Shape>() as Shapes;", True),
        ("class A { private x = 1; }", True),
        ("function f(a?: B) {}", True),
        ("// a: string\nexport const f = (a, b) => ({ a: b, c: 'x: number' });", False),
        ("const x = a ? b : c; /* interface X */ module.exports = { type: x };", False),
        ("switch (a) { case number: return `private ${x}`; default: break; }", False),
        (")" + ": " * 6_000 + " " * 6_000, False),
    ],
)
def test_typescript_is_what_has_types(text: str, is_typed: bool) -> None:
    assert has_types(text) == is_typed


def test_source_code_is_told_from_prose_tables_and_logs() -> None:
    assert language_of(Path(__file__).read_text(encoding="utf-8")) == "python"
    assert language_of("#!/bin/sh\nx\n") == "shell"
    log = "".join(
        f"Nov 22 10:00:{n:02} pc sshd[{n}]: Accepted publickey for root port {n}\n" for n in range(50)
    )
    table = "".join(f"{n},Wang,{n * 7},2026-11-{n % 30:02}\n" for n in range(60))
    assert (language_of(log), language_of(table)) == (None, None)
    prose = "The committee met on Tuesday to speak about the garden and the import of new trees. " * 20
    assert language_of(prose) is None
