"""What is made of Postfix's log: of filters, forwards and notices too, within bounds."""

from __future__ import annotations

from datetime import UTC

import pytest

from collectors import postfix_log
from collectors.mail_domains import MailDomains
from collectors.postfix_log import NOT_SYSLOG, TOO_MANY_OPEN, TOO_MANY_SENT, LoggedMail, PostfixLog

NOW = 1_795_345_735_000
CLEAN = "250 2.0.0 Ok"


def log_of() -> PostfixLog:
    return PostfixLog(MailDomains(("firm.example",)).is_own, UTC)


def ended(log: PostfixLog, *lines: str) -> list[LoggedMail]:
    """Each line as "program: text"."""
    found = []
    for number, line in enumerate(lines, start=1):
        program, _, text = line.partition(": ")
        content = f"Nov 22 11:08:55 mx postfix/{program}[77]: {text}".encode()
        mail = log.take(content, number, f"before {number}", NOW, number)
        if mail is not None:
            found.append(mail)
    return found


def sent(queue_id: str, to: str, answer: str = CLEAN, relay: str = "mx.x[192.0.2.1]:25") -> str:
    delivery = f"to=<{to}>, relay={relay}, delay=0.2, delays=0/0/0/0, dsn=2.0.0, status=sent ({answer})"
    return f"smtp: {queue_id}: {delivery}"


def test_a_mail_has_login_client_size_and_the_domains_it_was_sent_to() -> None:
    (mail,) = ended(
        log_of(),
        "submission/smtpd: AAAAAA: client=pc[2001:db8::7], sasl_method=PLAIN, sasl_username=lin@firm.example",
        "cleanup: AAAAAA: message-id=<1@pc>",
        "cleanup: AAAAAA: warning: header Subject: secret from pc[192.0.2.7]; from=<a@b> to=<c@d>",
        "qmgr: AAAAAA: from=<Lin@firm.example>, size=2232, nrcpt=4 (queue active)",
        sent("AAAAAA", "x@GMAIL.com"),
        sent("AAAAAA", '"a b>, x"@rival.example'),
        sent("AAAAAA", "boss@sub.firm.example"),
        sent("AAAAAA", "late@163.com").replace("status=sent", "status=deferred"),
        "virtual: AAAAAA: to=<archive@elsewhere.example>, relay=virtual, delay=0, status=sent (to maildir)",
        "qmgr: AAAAAA: removed",
    )
    assert (mail.login, mail.client, mail.sender, mail.size) == (
        "lin@firm.example",
        "2001:db8::7",
        "lin@firm.example",
        2232,
    )
    assert mail.sent == ["gmail.com", "rival.example"]
    assert (mail.first_line, mail.before, mail.message_id) == (1, "before 1", "<1@pc>")
    assert mail.sent_at == NOW


def test_an_address_that_looks_like_the_rest_of_the_line_hides_nothing() -> None:
    """As Postfix 3.7 writes them: quoted, whatever is in the quotes."""
    delivery = "relay=mx.x[192.0.2.1]:25, delay=0.2, delays=0/0/0/0, dsn=2.0.0, status="
    (mail,) = ended(
        log_of(),
        'qmgr: AAAAAA: from=<"x>, size=1, nrcpt="@firm.example>, size=2232, nrcpt=4 (queue active)',
        f'smtp: AAAAAA: to=<"x>, relay=local, "@gmail.com>, {delivery}sent ({CLEAN})',
        f'smtp: AAAAAA: to=<"x\\" status=sent ("@163.com>, {delivery}deferred (later)',
        "qmgr: AAAAAA: removed",
    )
    assert (mail.sent, mail.size) == (["gmail.com"], 2232)


def test_a_content_filter_that_gives_the_mail_back_makes_one_mail_of_two() -> None:
    log = log_of()
    found = ended(
        log,
        "smtpd: AAAAAA: client=pc[192.0.2.7], sasl_method=PLAIN, sasl_username=lin",
        "cleanup: AAAAAA: message-id=<1@pc>",
        "qmgr: AAAAAA: from=<lin@firm.example>, size=10, nrcpt=1 (queue active)",
        "smtpd: BBBBBB: client=localhost[127.0.0.1]",
        "cleanup: BBBBBB: message-id=<1@pc>",
        "qmgr: BBBBBB: from=<lin@firm.example>, size=12, nrcpt=1 (queue active)",
        sent(
            "AAAAAA",
            "x@gmail.com",
            "250 2.0.0 from MTA: 250 2.0.0 Ok: queued as BBBBBB",
            "127.0.0.1[127.0.0.1]:10024",
        ),
        "qmgr: AAAAAA: removed",
        sent("BBBBBB", "x@gmail.com"),
        "qmgr: BBBBBB: removed",
    )
    assert [(mail.queue_id, mail.login, mail.client, mail.sent) for mail in found] == [
        ("AAAAAA", "lin", "192.0.2.7", []),
        ("BBBBBB", "lin", "192.0.2.7", ["gmail.com"]),
    ]


def test_a_server_outside_cannot_hide_a_mail_by_answering_with_a_queue_id_of_ours() -> None:
    found = ended(
        log_of(),
        "smtpd: BBBBBB: client=pc[192.0.2.7]",
        "smtpd: AAAAAA: client=pc[192.0.2.7], sasl_method=PLAIN, sasl_username=lin",
        "cleanup: AAAAAA: message-id=<1@pc>",
        "cleanup: BBBBBB: message-id=<1@pc>",
        sent("AAAAAA", "x@rival.example", "250 2.0.0 Ok: queued as AAAAAA"),
        sent("AAAAAA", "y@rival.example", "250 2.0.0 Ok: queued as BBBBBB"),
        "qmgr: AAAAAA: removed",
    )
    assert [mail.sent for mail in found] == [["rival.example", "rival.example"]]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe" * 100,
        b"Nov 22 11:08:55 mx postfix/qmgr[1]: removed",
        b"Nov 22 11:08:55 mx postfix/smtp[1]: AAAAAA: to=<" + b"a@" * 400_000,
        b"Nov 22 11:08:55 mx postfix/smtp[1]: AAAAAA: to=<x@y>, orig_to=<" + b">, relay=" * 100_000,
        b"Nov 22 11:08:55 mx postfix/smtpd[1]: AAAAAA: client=" + b"[" * 500_000,
        b"Nov 22 11:08:55 mx postfix/cleanup[1]: AAAAAA: message-id=\x1b[31m" + b"x" * 900_000,
        b"Nov 22 11:08:55 mx postfix/qmgr[1]: AAAAAA: from=<" + b"x" * 900_000 + b">, size=1, nrcpt=1",
    ],
    ids=range(8),
)
def test_hostile_lines_neither_raise_nor_stay_in_memory(content: bytes) -> None:
    log = log_of()
    assert log.take(content, 1, None, NOW, 0) is None
    kept = str(list(log.under_way.values()))
    assert len(kept) < 3_000
    assert kept.isprintable()


def test_what_is_under_way_is_bounded_and_what_is_forgotten_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postfix_log, "OPEN_MAX", 100)
    log = log_of()
    ended(log, *(f"smtpd: {number:06d}: client=pc[192.0.2.7]" for number in range(150)))
    ended(log, *(sent("000149", f"x@d{number}.example") for number in range(1_100)))
    log.take(b"no syslog", 1, None, NOW, 0)
    assert len(log.under_way) == 100
    assert log.dropped() == {TOO_MANY_OPEN: 50, TOO_MANY_SENT: 100, NOT_SYSLOG: 1}
    log.forget_older(1_000_000)
    assert len(log.under_way) == 0
