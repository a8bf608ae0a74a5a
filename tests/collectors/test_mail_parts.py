"""Messages that mail programs write, and those that somebody writes to break what reads them."""

from __future__ import annotations

import base64
import hashlib
import io
import tracemalloc
from email.message import EmailMessage
from pathlib import Path

import pytest

from collectors.mail_domains import MailDomains, domain_of_address
from collectors.mail_parts import (
    BROKEN,
    CUT,
    ENCODING,
    HEADERS_CUT,
    MORE_FILES,
    PARTS_LEFT,
    TOO_DEEP,
    Attachments,
    MessageHead,
    read_attachments,
    read_head,
)

B64 = "Content-Transfer-Encoding: base64\n"
ZIP = "Content-Type: application/zip\n"


def read(content: bytes | str, bytes_max: int = 1 << 30) -> Attachments:
    raw = content.encode() if isinstance(content, str) else content
    walk = read_attachments(io.BytesIO(raw), bytes_max)
    while True:
        try:
            next(walk)
        except StopIteration as end:
            found: Attachments = end.value
            return found


def head(content: bytes | str) -> MessageHead:
    return read_head(io.BytesIO(content.encode() if isinstance(content, str) else content))


def multipart(*parts: str | bytes, boundary: str = "b") -> bytes:
    made = f'From: a@x.example\nContent-Type: multipart/mixed; boundary="{boundary}"\n\n'.encode()
    for part in parts:
        made += f"--{boundary}\n".encode() + (part.encode() if isinstance(part, str) else part)
    return made + f"--{boundary}--\n".encode()


def named(disposition: str | bytes, encoded: str = "eA==") -> bytes:
    raw = disposition.encode() if isinstance(disposition, str) else disposition
    return (
        b"Content-Disposition: attachment; " + raw + b"\n" + (ZIP + B64).encode() + f"\n{encoded}\n".encode()
    )


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 65_536, 300_001])
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_what_was_attached_has_the_hash_and_size_of_the_file(size: int, encoding: str) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    if encoding == "quoted-printable":
        content = content.replace(b"\r", b"?").replace(b"\n", b"?")
    made = EmailMessage()
    made.set_content("the words")
    made.add_attachment(content, maintype="application", subtype="x", filename="a.bin", cte=encoding)
    (found,) = read(made.as_bytes()).found
    assert (found.size, found.sha256) == (size, sha(content))


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="plain.zip"', "plain.zip"),
        ("filename*=UTF-8''%E5%AE%A2%E6%88%B7.zip", "客户.zip"),
        ("filename*=gb2312''%BF%CD%BB%A7%E9F.zip", "客户镕.zip"),
        ("filename*0*=gbk''%BF%CD; filename*1*=%BB%A7; filename*2=.zip", "客户.zip"),
        ('filename="=?GBK?B?v827pw==?=.zip"', "客户.zip"),
        ('filename="=?utf-8?Q?d=C3=A9?= =?utf-8?Q?part.zip?="', "départ.zip"),
        ('filename="客户.zip"'.encode("gbk"), "客户.zip"),
        ('filename="客户.zip"'.encode(), "客户.zip"),
        ('filename="../../etc/passwd"', "passwd"),
        ('filename="C:\\\\Users\\\\lin\\\\customers.xlsx"', "customers.xlsx"),
        ("filename*=utf-8''a%0Ab%1B%5B31m.zip", "a\\nb\\x1b[31m.zip"),
        ("filename*=no-such-charset''%FF.zip", "ÿ.zip"),
        ('filename="=?no-such?B?eA==?="', "x"),
        ('filename="' + "x" * 10_000 + '.zip"', "x" * 255),
        ("filename*0*=; filename*99999=x", None),
    ],
)
def test_names_are_read_as_programs_write_them_and_made_harmless(
    disposition: str | bytes, name: str | None
) -> None:
    (found,) = read(multipart(named(disposition))).found
    assert found.name == name or (name is None and found.name)
    assert found.name.isprintable()
    assert "/" not in found.name


def test_text_is_passed_over_unless_it_is_attached() -> None:
    attached = "Content-Type: text/csv; name=list.csv\n\na,b\n"
    found = read(
        multipart("Content-Type: text/plain\n\nwords\n", "Content-Type: text/html\n\n<b>\n", attached)
    )
    assert [(each.name, each.sha256) for each in found.found] == [("list.csv", sha(b"a,b"))]


def test_what_a_forwarded_mail_holds_counts_and_the_mail_itself_which_is_named_by_its_subject_does_not() -> (
    None
):
    inner = multipart(named('filename="in.zip"'), boundary="inner").decode()
    forwarded = "Content-Type: message/rfc822\nContent-Disposition: attachment; filename=the subject.eml\n\n"
    found = read(multipart(forwarded + inner, named('filename="out.zip"')))
    assert [each.name for each in found.found] == ["in.zip", "out.zip"]
    packed = (
        f"Content-Type: message/rfc822; name=subject.eml\n{B64}\n" + base64.b64encode(inner.encode()).decode()
    )
    assert [each.name for each in read(multipart(packed + "\n")).found] == ["unnamed.eml"]


def test_a_winmail_dat_is_named_and_hashed_as_it_is() -> None:
    part = (
        f"Content-Type: application/ms-tnef; name=winmail.dat\n{B64}\n"
        + base64.b64encode(b"\x78\x9f\x3e\x22").decode()
    )
    (found,) = read(multipart(part + "\n")).found
    assert (found.name, found.sha256) == ("winmail.dat", sha(b"\x78\x9f\x3e\x22"))


def test_a_mail_that_is_one_attachment_is_read() -> None:
    (found,) = read(
        b"From: a@x.example\nContent-Type: application/zip; name=a.zip\n" + B64.encode() + b"\neHg=\n"
    ).found
    assert (found.name, found.size, found.sha256) == ("a.zip", 2, sha(b"xx"))


def test_broken_encodings_are_told_and_their_neighbours_are_read() -> None:
    found = read(
        multipart(
            named("filename=a", "eHh4e"),
            named("filename=b", "eA==\n=eA==\n\x00\xff!eA=="),
            named("filename=c").replace(b"base64", b"x-uuencode"),
            named("filename=d"),
        )
    )
    assert [each.name for each in found.found] == ["a", "b", "c", "d"]
    assert [each.sha256 for each in found.found][1:] == [sha(b"xxx"), None, sha(b"x")]
    assert set(found.gaps) == {BROKEN, ENCODING}


def test_ten_thousand_parts_and_a_thousand_levels_end_in_bounded_memory() -> None:
    many = multipart(*[named(f"filename={number}") for number in range(10_000)])
    deep = b"".join(
        f'Content-Type: multipart/mixed; boundary="{n}"\n\n--{n}\n'.encode() for n in range(1_000)
    )
    nested = b"Content-Type: message/rfc822\n\n" * 100_000
    lines = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" + b"X: " + b"y" * 30_000_000
    header = b"Content-Type: multipart/mixed; boundary=" + b'"' + b"\\" * 200_000 + b"\n\n"
    semicolons = b"Content-Type: application/x" + b";a=b" * 60_000 + b"\n\n"
    tracemalloc.start()
    found = [read(content) for content in (many, deep, nested, lines, header, semicolons)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(found[0].found) == 100
    assert {MORE_FILES, PARTS_LEFT} <= set(found[0].gaps)
    assert TOO_DEEP in found[1].gaps
    assert PARTS_LEFT in found[2].gaps
    assert peak < 8 << 20


def test_a_large_attachment_is_never_in_memory_as_a_whole_and_control_comes_back_meanwhile() -> None:
    content = multipart(named("filename=a", base64.encodebytes(b"x" * 20_000_000).decode()))
    file = io.BytesIO(content)
    tracemalloc.start()
    turns = sum(1 for _ in read_attachments(file, 1 << 30))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 << 20
    assert turns > 50
    (found,) = read(content).found
    assert (found.size, found.sha256) == (20_000_000, sha(b"x" * 20_000_000))


def test_what_lies_behind_the_limit_has_no_hash() -> None:
    content = multipart(named("filename=a"), named("filename=b", "eHh4\n" * 10_000), named("filename=c"))
    found = read(content, bytes_max=5_000)
    assert [(each.name, each.size is None) for each in found.found] == [("a", False), ("b", True)]
    assert found.gaps == (CUT,)
    assert read(content, bytes_max=0).found == ()


@pytest.mark.parametrize("seed", range(20))
def test_damaged_messages_never_raise(seed: int) -> None:
    import random  # noqa: PLC0415

    dice = random.Random(seed)
    content = bytearray(
        multipart(
            named("filename*0*=gbk''%BF; filename*1=x"), multipart(named('filename="a b"'), boundary="c")
        )
    )
    for _ in range(30):
        content[dice.randrange(len(content))] = dice.choice(b"\x00\r\n\"';=?*-: %\xff\xe9")
    for each in read(bytes(content)).found:
        assert each.name.isprintable()
    assert all(domain.isprintable() for domain in head(bytes(content)).domains)


def test_the_head_names_login_queue_and_domains_and_what_a_sender_writes_below_is_not_believed() -> None:
    found = head(
        "Return-Path: <Lin@firm.example>\n"
        "Received: from [127.0.0.1] (localhost [127.0.0.1])\n\t(Authenticated sender: lin@firm.example)\n"
        "\tby mx.firm.example (Postfix) with ESMTPA id 7A3729D5200;\n\tSun, 22 Nov 2026 11:08:55 +0000\n"
        "Received: from x (Authenticated sender: boss)\n\tby y (Postfix) with ESMTPA id FFFFFFFFFF; now\n"
        'From: "boss@firm.example" <lin@firm.example>\n'
        'To: "x@trap.example" <a@GMAIL.com>, =?gbk?B?v827pw==?= <b@163.com>,\n c@mail.163.com\n'
        "Cc: group: d@x.example, e@x.example;\nMessage-ID:\n <1@x>\n\n"
    )
    assert found == MessageHead(
        message_id="<1@x>",
        queue_id="7A3729D5200",
        login="lin@firm.example",
        uid=None,
        envelope_sender="lin@firm.example",
        from_address="lin@firm.example",
        domains=("163.com", "gmail.com", "mail.163.com", "x.example"),
    )
    pickup = head("Received: by mx (Postfix, from userid 1000)\n\tid 4387B9D53A0; Sun\nFrom: a@x\n\n")
    assert (pickup.queue_id, pickup.uid, pickup.login) == ("4387B9D53A0", 1000, None)


@pytest.mark.parametrize(
    "filler",
    [
        "(" * 90_000,
        "[" * 90_000,
        "a:" * 45_000,
        "<@a,@b:" * 12_000,
        '"' * 90_001,
        "a" * 90_000,
        "\\" * 90_000,
    ],
)
@pytest.mark.parametrize("short", [False, True])
def test_addresses_made_to_stop_a_reader_neither_take_long_nor_hide_the_mail(
    filler: str, short: bool
) -> None:
    """Anybody can send such a mail to the company; whoever sends one away hides an attachment behind it."""
    filler = filler[:900] if short else filler
    found = head(f"From: {filler}\nTo: {filler}\nTo: {filler}, Wang <x@rival.example>\nCc: y@gmail.com\n\n")
    assert "gmail.com" in found.domains
    if not short:
        assert "rival.example" in found.domains
    assert not found.is_cut


def test_headers_in_front_hide_nothing_however_many_and_whatever_they_are() -> None:
    junk = "X-Junk: " + "y" * 990 + "\n"
    front = (
        "a line that is no header\n"
        + junk * 1_000
        + "Received: by other\n" * 9_000
        + "Subject: "
        + "z" * 200_000
    )
    made = multipart(named("filename=a.zip"), boundary="b").partition(b"\n")[2]
    content = f"{front}\nTo: x@rival.example\n".encode() + made
    assert head(content).domains == ("rival.example",)
    assert [each.name for each in read(content).found] == ["a.zip"]
    assert read(content).gaps == ()
    long = b"To: " + b"x@y.example,\n " * 20_000 + b"\nCc: z@z.example\n" + made
    assert ([each.name for each in read(long).found], read(long).gaps) == (["a.zip"], (HEADERS_CUT,))
    assert (head(long).domains, head(long).is_cut) == (("y.example", "z.example"), True)


def test_parameters_made_to_stop_a_reader_end_within_their_bounds() -> None:
    """A thousand of them took minutes, in which nothing else was seen."""
    one = b"Content-Type: application/x; name=" + b'"' + b";" * 90_000 + b"\n" + B64.encode() + b"\neHh4\n"
    found = read(multipart(*[one] * 40))
    assert [each.size for each in found.found] == [3] * 40
    assert found.gaps == (HEADERS_CUT,)


def test_long_lists_of_recipients_are_read_as_short_ones() -> None:
    some = [
        '"Wang, Fang" <wang@x.example>',
        "plain@y.example",
        "(a comment) z@z.example",
        "<a@b.example> (c)",
    ]
    known = {"x.example", "y.example", "z.example", "b.example"}
    for times in (1, 100):
        found = head("To: " + ",\n ".join(some * times) + "\n\n")
        assert set(found.domains) == known
    group = head("To: friends: a@x.example, b@y.example;\nFrom: Lin <Lin@Firm.example>\n\n")
    assert (group.domains, group.from_address) == (("x.example", "y.example"), "lin@firm.example")


def test_domains_are_the_companys_with_all_below_them_and_free_services_are_known() -> None:
    domains = MailDomains(("Firm.example.",), ("free.example",))
    assert [domains.is_own(each) for each in ("firm.example", "a.firm.example", "xfirm.example", None)] == [
        True,
        True,
        False,
        False,
    ]
    assert domains.category(["rival.example", "qq.com"]) == "webmail"
    assert domains.category(["free.example"]) == "webmail"
    assert domains.category(["tutanota.com"]) == domains.category(["mail.163.com"]) == "webmail"
    assert domains.category(["rival.example"]) == "other"
    assert [domain_of_address(each) for each in ("a@B.c", '"a@b"@c.d', "a", "a@", "@b", "a@b c", "a@*")] == [
        "b.c",
        "c.d",
        None,
        None,
        None,
        None,
        None,
    ]


def test_neither_subject_nor_text_has_a_place_in_what_is_read() -> None:
    names = {*MessageHead.__struct_fields__, *Attachments.__struct_fields__}
    assert names.isdisjoint({"subject", "body", "text", "content"})
    source = Path("collectors/mail_headers.py").read_text() + Path("collectors/mail_parts.py").read_text()
    assert '"subject"' not in source.lower()
