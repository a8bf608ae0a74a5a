"""What counts as an identifier, and what only looks like one."""

from __future__ import annotations

import pytest

from collectors.labels.bank_card import BankCards
from collectors.labels.classification_mark import ClassificationMarks, mark_of
from collectors.labels.email_address import EmailAddresses
from collectors.labels.keyword_lists import KeywordLists
from collectors.labels.passport import Passports
from collectors.labels.phone import Phones
from collectors.labels.private_key import PrivateKeys
from collectors.labels.resident_id import ResidentIds

MRZ = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
"""The specimen in ICAO 9303."""


def ids(text: str) -> int:
    found = ResidentIds()
    found.feed(text)
    return found.counts()["resident_id"]


def cards(text: str) -> int:
    found = BankCards()
    found.feed(text)
    return found.counts().get("bank_card", 0)


def phones(text: str) -> dict[str, int]:
    found = Phones()
    found.feed(text)
    return {kind: count for kind, count in found.counts().items() if count}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("身份证11010519491231002X。", 1),
        ("11010519491231002x,11010519491231002X", 1),
        ("110105194912310021", 0),
        ("99010519491231002X", 0),
        ("11010519490231002X", 0),
        ("a11010519491231002X", 0),
        ("111010519491231002X", 0),
    ],
)
def test_a_resident_id_has_a_province_a_date_and_its_check_digit(text: str, count: int) -> None:
    assert ids(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("card 4111 1111 1111 1111", 0),
        ("card 4012 8888 8888 1881", 1),
        ("银行卡号：6222021234567890128", 1),
        ("6222021234567890128", 0),
        ("order 6222021234567890128", 0),
        ("card 6222021234567890129", 0),
        ("4012888888881881\n5105105105105100\n378282246310005", 3),
        ("card 0.4012888888881881", 0),
    ],
)
def test_a_bank_card_is_luhn_valid_of_a_known_range_and_not_alone(text: str, count: int) -> None:
    assert cards(text) == count


def test_numbers_of_which_most_have_no_right_check_digit_are_no_cards() -> None:
    assert cards("card\n" + "\n".join(f"62220212345678{n:05d}" for n in range(500))) == 0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("电话 13800138000", {"mobile_phone": 1}),
        ("13800138000", {}),
        ("call 138-0013-8000", {"mobile_phone": 1}),
        ("+86 138 0013 8000", {"mobile_phone": 1}),
        ("13800138000\n13900139001\n15912345678", {"mobile_phone": 3}),
        ("order 12000138000\n98765432101\n13800138000", {}),
        ("+1 650-253-0000", {"phone": 1}),
        ("+1 650-253-00", {}),
        ("phone 1380013800012", {}),
    ],
)
def test_a_phone_number_fits_a_plan_and_is_told_by_how_it_stands_there(
    text: str, found: dict[str, int]
) -> None:
    assert phones(text) == found


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("li.wei@acme-corp.cn LI.WEI@acme-corp.cn", 1),
        ("icon@2x.png getty@tty1.service git@github.com user@example.com", 0),
        ("a@b, @c.cn, d@e..cn", 0),
        ("见 wang@公司.cn 或 wang@corp.com.cn。", 1),
    ],
)
def test_an_address_is_one_that_mail_could_reach(text: str, count: int) -> None:
    found = EmailAddresses()
    found.feed(text)
    assert found.counts()["email_address"] == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (MRZ, 1),
        (MRZ.replace("C36", "C37"), 0),
        ("护照号码 E12345678", 1),
        ("part E12345678", 0),
    ],
)
def test_a_passport_has_its_check_digits_or_a_word_beside_it(text: str, count: int) -> None:
    found = Passports()
    found.feed(text)
    assert found.counts()["passport"] == count


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("绝密", "mark_top_secret"),
        ("机密★10年", "mark_secret"),
        ("密级：秘密", "mark_confidential"),
        ("内部资料 严禁外传", "mark_internal"),
        ("机密 2026年 11月 第 3 页 共 9 页", "mark_secret"),
        ("CONFIDENTIAL - do not copy - © 2026 ACME", "mark_confidential"),
        ("Strictly Confidential", "mark_confidential"),
        ("ACME Confidential | Page 3 of 9", "mark_confidential"),
        ("For internal use only", "mark_internal"),
        ("Classification: Top Secret", "mark_top_secret"),
        ("他知道一个秘密", None),
        ("Confidential Information means any information", None),
        ("the shared secret must be long", None),
        ("内部结构", None),
    ],
)
def test_a_mark_says_nothing_else(line: str, kind: str | None) -> None:
    assert mark_of(line) == kind


@pytest.mark.parametrize("rest", ["1" * 100 + "x", "©" * 50 + "x" * 62, "第1页" * 30 + "x", " _" * 50 + "x"])
def test_a_line_that_fits_no_mark_in_very_many_ways_is_given_up_at_once(rest: str) -> None:
    """Trying them all would take years: the limit of time that all tests have would end this one."""
    assert mark_of(f"机密 {rest}") is None


def test_a_mark_stands_where_marks_stand() -> None:
    text = "\n".join(["A word a line"] * 60 + ["Confidential"] + ["more"] * 60)
    found = ClassificationMarks()
    found.feed(text)
    assert found.counts() == {}
    found.feed("Confidential", is_margin=True)
    assert found.counts() == {"mark_confidential": 1}


def test_keys_are_counted_not_the_words_for_them() -> None:
    found = PrivateKeys()
    body = "QWxsIHdvcmsgYW5kIG5vIHBsYXkgbWFrZXMgSmFjayBhIGR1bGwgYm95Cg=="
    found.feed("-----BEGIN PRIVATE KEY----- is how it begins")
    found.feed(f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n")
    assert found.counts() == {"private_key": 1}


def test_words_of_the_company_match_whole_and_in_any_case() -> None:
    counts: dict[str, int] = {}
    KeywordLists({"projects": ("Phoenix", "凤凰计划")}).count("PHOENIX phoenixes 新凤凰计划书", counts)
    assert counts == {"projects": 2}
