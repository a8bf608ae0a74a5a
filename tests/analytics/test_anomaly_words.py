"""Lines that a person would say, in both languages, for every measure there is."""

from __future__ import annotations

from analytics.anomaly_explanation import Change, Reason
from analytics.anomaly_words import LABELS, ONE, amount, change_line, reason_line, slow_line
from analytics.measures import MEASURES
from analytics.slow_explanation import SlowReason


def reason(**changes: object) -> Reason:
    values: dict[str, object] = {
        "activity": "removable_storage",
        "measure": "bytes",
        "strength": 9.0,
        "days": 1,
        "value": 4_100_000_000,
        "usual": 102_000_000.0,
        "peers_percentile": 100.0,
        "first_in_days": None,
    }
    return Reason(**{**values, **changes})  # type: ignore[arg-type]


def test_every_measure_has_words_and_no_words_are_left_over() -> None:
    assert set(LABELS) == {measure.key for measure in MEASURES}


def test_words_say_the_way_that_data_went_and_what_was_counted() -> None:
    for measure in MEASURES:
        english, chinese = LABELS[measure.key]
        if measure.activity in ("messaging", "cloud", "code", "web_upload"):
            assert any(word in english for word in ("sent", "put into", "upload", "destinations")), measure
            assert any(word in chinese for word in ("发送", "上传", "目的地")), measure
        if measure.key == "logins.off_hours":
            assert "logins" in english
            assert "登录" in chinese


def test_one_of_a_kind_is_said_in_the_singular() -> None:
    assert set(ONE) == {measure.key for measure in MEASURES if measure.unit == "count"}
    assert amount("logins", "new_addresses", 1) == "1 address used for the first time"
    assert amount("logins", "new_addresses", 2) == "2 addresses used for the first time"
    assert amount("logins", "new_addresses", 1, "zh") == "1 个首次使用的地址"


def test_of_what_is_new_no_ratio_is_told() -> None:
    found = reason(measure="new_devices", value=1, usual=1.5)
    assert reason_line(found) == "1 storage device used for the first time, above all peers' days"


def test_a_day_s_reason_says_amount_times_usual_and_peers() -> None:
    assert reason_line(reason()) == "4.1 GB copied to removable storage, 40 × usual, above all peers' days"
    assert reason_line(reason(), "zh") == "4.1 GB 复制到移动存储，平常的 40 倍，高于同组所有日子"


def test_a_first_time_says_so_instead_of_a_ratio() -> None:
    found = reason(measure="files", value=312, usual=None, first_in_days=58, peers_percentile=97.0)
    said = "312 files copied to removable storage, the first in 58 days, above 97 % of peers' days"
    assert reason_line(found) == said


def test_a_sum_says_over_how_many_days_and_absurd_ratios_are_not_spelt_out() -> None:
    found = reason(days=7, usual=1.0, peers_percentile=None)
    assert reason_line(found) == "4.1 GB copied to removable storage in 7 days, over 1,000 × usual"


def test_drift_compares_with_the_months_before() -> None:
    found = SlowReason("messaging", "bytes", 5.0, 28, 30_000_000, 7_500_000)
    assert (
        slow_line(found)
        == "30 MB sent by messenger a day over 28 days, 4 × what it was one to three months ago"
    )
    steady = SlowReason("mail", "bytes", 2.0, 28, 13_100_000, 21_000_000)
    assert slow_line(steady) == (
        "13.1 MB mailed outside a day over 28 days, more steadily than one to three months ago"
    )
    never = SlowReason("printing", "pages", 5.0, 14, 40, 0)
    assert slow_line(never) == "40 pages printed a day over 14 days, none one to three months ago"
    assert slow_line(never, "zh").endswith("一至三个月前没有")


def test_the_change_lists_what_would_have_been_normal() -> None:
    changes = (
        Change("removable_storage", "bytes", 4_100_000_000, 250_000_000),
        Change("removable_storage", "files", 312, 20),
    )
    said = (
        "at most 250 MB copied to removable storage and 20 files copied to removable storage "
        "would have been a normal day, all else as it was"
    )
    assert change_line(changes) == said
    assert change_line(()) == ""
    nothing = tuple(Change("removable_storage", each, 312, 0) for each in ("bytes", "files"))
    assert change_line(nothing) == (
        "nothing copied to removable storage would have been a normal day, all else as it was"
    )
    none = Change("removable_storage", "bytes", 4_100_000_000, 0)
    without = (*changes[1:], none, Change("logins", "new_hosts", 1, 0))
    assert change_line(without) == (
        "at most 20 files copied to removable storage, nothing copied to removable storage "
        "and no machines used for the first time would have been a normal day, all else as it was"
    )
    assert change_line(changes[:1], "zh") == "其余不变，若不超过 250 MB 复制到移动存储，当天即属正常"
