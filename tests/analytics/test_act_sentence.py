"""What an alert on a channel without a model says in one sentence, in both languages."""

from __future__ import annotations

import pytest

from analytics.act_sentence import ActFacts, ChannelAmount, act_sentence


@pytest.mark.parametrize(
    ("channel", "items", "size", "english", "chinese"),
    [
        ("uploads", 1, 2_000, "1 file (2 kB) sent out", "向外发送 1 个文件（2 kB）"),
        ("mail", 3, 100, "3 attachments (100 B) mailed", "以邮件发送 3 个附件（100 B）"),
        ("mail", 0, 100, "0 attachments (100 B) mailed", "以邮件发送 0 个附件（100 B）"),
        ("mariadb", 12_000, 0, "12,000 rows read from databases", "从数据库读取 12,000 行"),
        ("postgresql", 0, 0, "an unknown number of rows read from databases", "从数据库读取若干行"),
        ("printing", 0, 0, "an unknown number of pages printed", "打印若干页"),
        ("access_log", 1, 0, "1 record seen or changed in applications", "在业务系统中查看或更改 1 条记录"),
        ("logins", 2, 0, "2 login attempts", "登录 2 次"),
        ("another_channel", 2, 0, "2 another channel", "another_channel 2 次"),
    ],
)
def test_what_was_done_and_how_much(channel: str, items: int, size: int, english: str, chinese: str) -> None:
    facts = ActFacts(channel, items, size, new_place=False, days_to_last_day=None, person_known=True)
    assert act_sentence(facts) == english
    assert act_sentence(facts, "zh") == chinese


def test_a_new_place_a_strangers_account_and_the_last_day_are_said_too() -> None:
    facts = ActFacts("uploads", 2, 0, new_place=True, days_to_last_day=6, person_known=False)
    assert act_sentence(facts) == (
        "2 files sent out, to a destination first seen that day, by an account that belongs to nobody known;"
        " 6 days before the last day"
    )


def test_other_channels_and_other_days_of_the_alert_are_said() -> None:
    facts = ActFacts(
        *("uploads", 2, 227_000, False, None, True),
        others=(ChannelAmount("sync_folders", 1, 23_000),),
        other_days=2,
    )
    assert act_sentence(facts) == (
        "2 files (227 kB) sent out, and 1 file (23 kB) put into a synchronised folder; more on 2 other days"
    )
    assert act_sentence(facts, "zh") == (
        "向外发送 2 个文件（227 kB），另放入同步文件夹 1 个文件（23 kB）；另有 2 天也有记录"
    )


def test_an_act_under_an_account_of_somebody_else_is_said_to_be_so() -> None:
    facts = ActFacts("access_log", 153, 0, False, -3, True, borrowed=True)
    assert act_sentence(facts) == (
        "153 records seen or changed in applications, under an account of somebody else; "
        "3 days after the last working day"
    )
    assert act_sentence(facts, "zh").startswith("在业务系统中查看或更改 153 条记录，使用他人或共用账号；")
