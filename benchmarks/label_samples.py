"""Files with known identifiers, and files with what only looks like some: by Faker and others' writers."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import docx
import msgspec
import openpyxl
import pikepdf
import py7zr
from faker import Faker
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen import canvas

_Rows = list[list[str]]
_Counts = dict[str, int]
_MARKS: Final = (
    ("绝密", "mark_top_secret"),
    ("机密★10年", "mark_secret"),
    ("机密文件", "mark_secret"),
    ("秘密★长期", "mark_confidential"),
    ("密级：机密", "mark_secret"),
    ("密级:内部", "mark_internal"),
    ("内部资料 严禁外传", "mark_internal"),
    ("仅限内部使用", "mark_internal"),
    ("商业秘密", "mark_confidential"),
    ("核心商密", "mark_top_secret"),
    ("CONFIDENTIAL", "mark_confidential"),
    ("Company Confidential", "mark_confidential"),
    ("Confidential - Do Not Distribute", "mark_confidential"),
    ("STRICTLY CONFIDENTIAL", "mark_confidential"),
    ("Private and Confidential", "mark_confidential"),
    ("For internal use only", "mark_internal"),
    ("Internal Use Only", "mark_internal"),
    ("TOP SECRET", "mark_top_secret"),
    ("Classification: Confidential", "mark_confidential"),
    ("Acme Confidential | Page 3", "mark_confidential"),
)
_NO_MARKS: Final = (
    "The contents of this file are confidential to nobody; see the licence.",
    "Recipient shall hold all Confidential Information in strict confidence.",
    "本协议所称商业秘密是指不为公众所知悉的技术信息。",
    "他知道一个秘密，但是没有告诉任何人。",
    "This internal function is for use only by the parser.",
    "The shared secret must be at least 32 bytes long.",
    "内部结构如下图所示。",
    "Secret sharing schemes",
    "Confidential computing protects data in use.",
    "如何保守机密：培训材料目录",
)


class Sample(msgspec.Struct, frozen=True):
    """One file. `holds`: what is in it, by label; all else that is found is wrong."""

    what: str
    kind: str
    data: bytes
    holds: _Counts


def samples(seed: int, scratch: Path) -> Iterator[Sample]:
    """All of them, always the same for a seed."""
    chance = random.Random(seed)
    chinese, english = Faker("zh_CN"), Faker("en_US")
    chinese.seed_instance(seed)
    english.seed_instance(seed)
    for number in range(60):
        for what, make in (
            ("customers", _customers),
            ("one", _one),
            ("cards", _cards),
            ("near misses", _near),
        ):
            rows, holds = make(chance, chinese, english)
            kind, write = _WRITERS[(number + len(what)) % len(_WRITERS)]
            yield Sample(what, kind, write(rows), holds)
    yield from _marked(chance, english)
    yield from _encrypted(chance, chinese, english, scratch)


def _customers(chance: random.Random, chinese: Faker, english: Faker) -> tuple[_Rows, _Counts]:
    count = chance.choice((3, 8, 40, 200))
    rows = [["姓名", "身份证号码", "手机", "邮箱", "地址", "日期"]]
    ids, phones, mails = set(), set(), set()
    for _ in range(count):
        number, phone = chinese.ssn(), chinese.phone_number()
        mail = f"{english.user_name()}@{chance.choice(('acme-corp.cn', 'qq.com', '163.com', 'gmail.com'))}"
        ids.add(number)
        phones.add(phone)
        mails.add(mail)
        rows.append([chinese.name(), number, phone, mail, chinese.address().split(" ")[0], chinese.date()])
    return rows, {"resident_id": len(ids), "mobile_phone": len(phones), "email_address": len(mails)}


def _one(chance: random.Random, chinese: Faker, english: Faker) -> tuple[_Rows, _Counts]:
    """A letter with one of each, in a sentence."""
    phone, number = chinese.phone_number(), chinese.ssn()
    written = chance.choice((phone, f"+86 {phone}", f"{phone[:3]}-{phone[3:7]}-{phone[7:]}"))
    rows = [[english.paragraph(8)], [f"联系人{chinese.name()}，身份证{number}，联系电话：{written}。"]]
    return rows, {"resident_id": 1, "mobile_phone": 1}


def _cards(chance: random.Random, chinese: Faker, english: Faker) -> tuple[_Rows, _Counts]:
    rows = [["户名", "银行卡号", "金额"]]
    found = set()
    for _ in range(chance.choice((1, 5, 60))):
        number = english.credit_card_number(chance.choice(("visa16", "mastercard", "amex", "discover")))
        if chance.random() < 0.6:
            number = _with_luhn(chance.choice(("622202", "621700", "623052")) + _digits(chance, 12))
        found.add(number)
        if chance.random() < 0.3 and len(number) == 16:
            number = " ".join(number[at : at + 4] for at in range(0, 16, 4))
        rows.append([chinese.name(), number, f"{chance.random() * 1e5:.2f}"])
    return rows, {"bank_card": len(found)}


def _near(chance: random.Random, chinese: Faker, english: Faker) -> tuple[_Rows, _Counts]:
    """Nothing in here is a person's."""

    def wrong_id() -> str:
        number = chinese.ssn()
        last = chance.choice([c for c in "0123456789X" if c != number[-1]])
        return number[:-1] + last

    def wrong_card() -> str:
        number = _with_luhn("622202" + _digits(chance, 12))
        return number[:-1] + str((int(number[-1]) + chance.randint(1, 9)) % 10)

    kinds: tuple[Callable[[], str], ...] = (
        lambda: _digits(chance, 18),
        lambda: _digits(chance, 16),
        lambda: _digits(chance, 19),
        lambda: _digits(chance, 11),
        wrong_id,
        wrong_card,
        lambda: str(chance.randint(1_500_000_000_000, 1_900_000_000_000)),
        lambda: str(chance.randint(1_500_000_000_000_000_000, 1_900_000_000_000_000_000)),
        lambda: str(uuid.UUID(int=chance.getrandbits(128))),
        lambda: f"{chance.getrandbits(160):040x}",
        english.iban,
        english.isbn13,
        lambda: f"2026{chance.randint(1, 12):02}{chance.randint(1, 28):02}{_digits(chance, 10)}",
        lambda: f"{chance.random() * 1e11:.6f}",
        english.ipv4,
        lambda: f"0{chance.randint(10, 99)}-{_digits(chance, 8)}",
        lambda: f"icon-{chance.randint(1, 9)}@2x.png",
    )
    make = chance.choice(kinds)
    head = chance.choice((["id", "value", "note"], ["订单号", "编号", "备注"], ["order", "time", "sku"]))
    rows = [head, *([str(at), make(), english.word()] for at in range(chance.choice((5, 50, 300))))]
    return rows, {}


def _digits(chance: random.Random, count: int) -> str:
    return str(chance.randint(1, 9)) + "".join(str(chance.randint(0, 9)) for _ in range(count - 1))


def _with_luhn(start: str) -> str:
    total = sum(sum(divmod(int(c) * (2 - at % 2), 10)) for at, c in enumerate(reversed(start)))
    return start + str(-total % 10)


def _csv(rows: _Rows) -> str:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue()


def _docx(rows: _Rows) -> bytes:
    document = docx.Document()
    table = document.add_table(rows=0, cols=len(rows[-1]))
    for row in rows[:60]:
        for cell, text in zip(table.add_row().cells, row, strict=False):
            cell.text = text
    for row in rows[60:]:
        document.add_paragraph("\t".join(row))
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def _xlsx(rows: _Rows) -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    for row in rows:
        sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def _pdf(rows: _Rows) -> bytes:
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    out = io.BytesIO()
    page = canvas.Canvas(out)
    for at, row in enumerate(rows):
        if at % 60 == 0:
            if at:
                page.showPage()
            page.setFont("STSong-Light", 8)
        for column, text in enumerate(row):
            page.drawString(20 + column * 110, 820 - at % 60 * 13, text)
    page.save()
    return out.getvalue()


def _zip(rows: _Rows) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("数据/rows.xlsx", _xlsx(rows))
    return out.getvalue()


_WRITERS: Final[tuple[tuple[str, Callable[[_Rows], bytes]], ...]] = (
    ("csv", lambda rows: _csv(rows).encode()),
    ("csv, GB18030", lambda rows: _csv(rows).encode("gb18030")),
    ("text, UTF-16", lambda rows: "\r\n".join("\t".join(row) for row in rows).encode("utf-16")),
    ("json", lambda rows: json.dumps(rows, ensure_ascii=False).encode()),
    ("xlsx", _xlsx),
    ("docx", _docx),
    ("pdf", _pdf),
    ("zip", _zip),
)


def _marked(chance: random.Random, english: Faker) -> Iterator[Sample]:
    for at, (mark, label) in enumerate(_MARKS * 3):
        body = english.paragraphs(12)
        document = docx.Document()
        if at % 3 == 0:
            document.sections[0].header.paragraphs[0].text = mark
        else:
            document.add_paragraph(mark)
        for text in body:
            document.add_paragraph(text)
        out = io.BytesIO()
        document.save(out)
        yield Sample(mark, "docx", out.getvalue(), {label: 1})
        yield Sample(
            mark, "csv", "\n".join([mark, *body]).encode(chance.choice(("utf-8", "gb18030"))), {label: 1}
        )
        yield Sample(mark, "pdf", _pdf([[mark], *([text[:90]] for text in body)]), {label: 1})
    for text in _NO_MARKS * 6:
        body = [*english.paragraphs(3), text, *english.paragraphs(9)]
        yield Sample(text, "csv", "\n".join(chance.sample(body, len(body))).encode(), {})


def _encrypted(chance: random.Random, chinese: Faker, english: Faker, scratch: Path) -> Iterator[Sample]:
    for _ in range(12):
        rows, _holds = _customers(chance, chinese, english)
        plain = _pdf(rows)
        for revision in (2, 4, 6):
            out = io.BytesIO()
            lock = pikepdf.Encryption(
                user="x", owner="y", R=revision, metadata=revision > 2, aes=revision > 2
            )
            with pikepdf.open(io.BytesIO(plain)) as pdf:
                pdf.save(out, encryption=lock)
            yield Sample(f"pdf R{revision}", "pdf", out.getvalue(), {"encrypted_document": 1})
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
            (Path(folder) / "a.csv").write_bytes(_csv(rows).encode())
            subprocess.run(["zip", "-q", "-P", "x", "a.zip", "a.csv"], cwd=folder, check=True)
            yield Sample("zip -P", "zip", (Path(folder) / "a.zip").read_bytes(), {"encrypted_archive": 1})
            key = ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-pass", "pass:x", "-in", "a.csv")
            subprocess.run([*key, "-out", "a.enc"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
            yield Sample(
                "openssl", "salted", (Path(folder) / "a.enc").read_bytes(), {"encrypted_container": 1}
            )
        for hidden in (False, True):
            out = io.BytesIO()
            with py7zr.SevenZipFile(out, "w", password="x", header_encryption=hidden) as archive:
                archive.writestr(_csv(rows), "a.csv")
            yield Sample("7z", "7z", out.getvalue(), {"encrypted_archive": 1})
        out = io.BytesIO()
        with py7zr.SevenZipFile(out, "w") as archive:
            archive.writestr(_csv(rows), "a.csv")
        yield Sample("plain 7z", "7z", out.getvalue(), _holds)
        yield Sample("random", "random", chance.randbytes(400_000), {"possibly_encrypted": 1})
