"""The model learns what is usual, finds what is not, keeps to its budget, and comes back from its bytes."""

from __future__ import annotations

import hashlib
import struct

import msgspec
import numpy as np
import pytest

from analytics.alert_queues import DAY_QUEUE
from analytics.anomaly_explanation import explain_day
from analytics.anomaly_model import AnomalyModel, Known, Scores, Today
from analytics.anomaly_training import train
from analytics.measures import ACTIVITIES, VALUE_MAX
from analytics.panel import ActivityDays, PanelError
from analytics.sealed_bytes import StoredStateError, seal, unseal
from tests.analytics.company_days import GROUPS, company, day_types, panel_of, quiet_today, subject

PEOPLE, DAYS = 60, 92
NAMES = [GROUPS[i % len(GROUPS)] for i in range(PEOPLE)]
OFF = np.array([day_type == "off" for day_type in day_types(DAYS)])


@pytest.fixture(scope="module")
def history() -> dict[str, ActivityDays]:
    return company(11, PEOPLE, DAYS)


@pytest.fixture(scope="module")
def model(history: dict[str, ActivityDays]) -> AnomalyModel:
    return train(panel_of(history), seed=3, trees=40)


@pytest.fixture(scope="module")
def known(model: AnomalyModel, history: dict[str, ActivityDays]) -> Known:
    return model.known(history, OFF, False, NAMES)


def with_value(row: int, activity: str, **values: int) -> dict[str, Today]:
    today = quiet_today(PEOPLE)
    names = [measure.name for measure in ACTIVITIES[activity]]
    for name, value in values.items():
        today[activity].values[row, names.index(name)] = value
    return today


def same(one: Scores, other: Scores) -> bool:
    return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in one.__struct_fields__)


def test_a_large_copy_alerts_and_a_quiet_day_does_not(model: AnomalyModel, known: Known) -> None:
    scores = model.score(with_value(5, "removable_storage", bytes=40 * 10**9, files=9_000), known)
    assert scores.a_day[5] > 60
    assert np.delete(scores.a_day, 5).max() < 50
    assert model.activities[int(scores.evidence[5].argmax())] == "removable_storage"


def test_two_activities_together_are_stranger_than_each_alone(model: AnomalyModel, known: Known) -> None:
    reads = with_value(7, "files", sensitive_reads=150)
    sent = with_value(7, "messaging", bytes=150_000_000, files=60)
    both = {**reads, "messaging": sent["messaging"]}
    alone = [model.score(each, known).strength[7] for each in (reads, sent)]
    assert model.score(both, known).strength[7] > max(alone) * 1.2


def test_people_on_notice_weigh_more(model: AnomalyModel, known: Known) -> None:
    today = with_value(7, "files", sensitive_reads=60)
    weight = np.ones(PEOPLE)
    weight[7] = 5.0
    plain, weighed = model.score(today, known), model.score(today, known, weight)
    assert weighed.p_day[7] == pytest.approx(max(plain.p_day[7] / 5, 1e-9))
    with pytest.raises(ValueError, match="positive"):
        model.score(today, known, np.zeros(PEOPLE))


def test_the_training_days_themselves_keep_to_the_budget(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    last: dict[int, int] = {}
    alerts = 0
    for day in range(DAYS - 28, DAYS):
        past = {name: each.ending(day) for name, each in history.items()}
        known = model.known(past, OFF[:day], bool(OFF[day]), NAMES)
        today = {name: Today(each.values[:, day], each.seen[:, day]) for name, each in history.items()}
        for row in np.flatnonzero(model.score(today, known).a_day >= 50 - 1e-6).tolist():
            if day - last.get(row, -99) >= 7:
                last[row] = day
                alerts += 1
    assert alerts <= DAY_QUEUE.share * 5 * PEOPLE / 1000 * 28


def test_what_nobody_watched_is_neither_strange_nor_quiet(model: AnomalyModel, known: Known) -> None:
    today = with_value(5, "removable_storage", bytes=40 * 10**9)
    today["removable_storage"].seen[5] = False
    scores = model.score(today, known)
    assert scores.evidence[5, model.activities.index("removable_storage")] == 0
    assert scores.a_day[5] < 50


def test_the_same_panel_and_seed_give_the_same_bytes_and_progress_is_told(
    model: AnomalyModel, history: dict[str, ActivityDays]
) -> None:
    told: list[tuple[str, float]] = []
    again = train(panel_of(history), seed=3, trees=40, progress=lambda what, part: told.append((what, part)))
    assert again.to_bytes() == model.to_bytes()
    assert [what for what, _ in told] == [*ACTIVITIES, "drift"]
    assert [part for _, part in told] == sorted(part for _, part in told)


def test_a_model_comes_back_from_its_bytes_and_scores_the_same(model: AnomalyModel, known: Known) -> None:
    again = AnomalyModel.from_bytes(model.to_bytes())
    today = with_value(5, "database", rows=10**6)
    assert same(again.score(today, known), model.score(today, known))
    content = again.content
    assert (content.last_day - content.first_day + 1, content.subjects) == (DAYS, PEOPLE)
    assert set(content.software) == {"python", "numpy", "scikit-learn"}


def test_one_subject_alone_scores_as_in_the_company(
    model: AnomalyModel, history: dict[str, ActivityDays], known: Known
) -> None:
    today = with_value(9, "cloud", bytes=3 * 10**9, files=200)
    everybody = model.score(today, known)
    own = {name: each.of(slice(9, 10)) for name, each in history.items()}
    alone = model.score(
        {name: Today(day.values[9:10], day.seen[9:10]) for name, day in today.items()},
        model.known(own, OFF, False, NAMES[9:10]),
    )
    assert alone.p_day[0] == pytest.approx(everybody.p_day[9])
    assert alone.p_slow[0] == pytest.approx(everybody.p_slow[9])


def test_damaged_or_foreign_bytes_are_refused_and_say_what_to_do(model: AnomalyModel) -> None:
    data = model.to_bytes()
    content = bytes(unseal(data, b"LVANOMAL", 1, "x"))
    broken = msgspec.msgpack.decode(content)
    broken["activities"]["mail"]["features"][0] = "bites burst"
    cut = msgspec.msgpack.decode(content)
    cut["activities"]["mail"]["peers"]["q90"][2] = b"short"
    without = msgspec.msgpack.decode(content)
    del without["activities"]["screenshots"]
    for bad in (
        data[:-1],
        seal(b"LVANOMAL", 1, msgspec.msgpack.encode(without)),
        data[:500] + b"\x00" + data[501:],
        b"",
        seal(b"LVANOMAL", 2, content),
        seal(b"LVANOMAL", 1, b"\xc1nonsense"),
        seal(b"LVANOMAL", 1, msgspec.msgpack.encode(broken)),
        seal(b"LVANOMAL", 1, msgspec.msgpack.encode(cut)),
        struct.pack("<8sH", b"LVANOMAL", 1) + hashlib.sha256(b"").digest(),
    ):
        with pytest.raises(StoredStateError):
            AnomalyModel.from_bytes(bad)


def test_thirteen_days_make_a_cold_model_that_never_alerts_but_ranks() -> None:
    short = company(12, 40, 13)
    model = train(panel_of(short), seed=1, trees=20)
    assert model.cold_start
    again = AnomalyModel.from_bytes(model.to_bytes())
    names = NAMES[:40]
    known = again.known(short, OFF[:13], False, names)
    today = {name: Today(each.values[:, 3], each.seen[:, 3]) for name, each in short.items()}
    today["removable_storage"].values[4] = (10**12, 10**5, 3)
    scores = again.score(today, known)
    assert not scores.a_day.any()
    assert int(scores.strength.argmax()) == 4


def test_forty_days_make_a_model_without_drift() -> None:
    model = train(panel_of(company(13, 40, 40)), seed=1)
    assert not model.cold_start
    assert model.slow_line == 0


@pytest.mark.parametrize(("people", "days"), [(0, 0), (1, 1), (1, 90), (3, 30)])
def test_one_day_or_one_person_or_nobody_trains_without_a_crash(people: int, days: int) -> None:
    history = company(14, people, days)
    model = AnomalyModel.from_bytes(train(panel_of(history), seed=1, trees=20).to_bytes())
    names = NAMES[:people]
    known = model.known(history, OFF[:days], False, names)
    scores = model.score(quiet_today(people), known)
    assert len(scores.p_day) == people
    assert np.isfinite(scores.a_day).all()


def test_all_zeros_and_constants_train_and_a_first_surprise_still_shows() -> None:
    history = company(15, 40, 45)
    for name, each in history.items():
        values = np.zeros(each.values.shape, dtype=np.int64)
        if name == "logins":
            values[each.seen] = 3
        history[name] = ActivityDays(values, each.seen)
    model = train(panel_of(history), seed=1, trees=20)
    known = model.known(history, OFF[:45], False, NAMES[:40])
    today = quiet_today(40)
    assert (model.score(today, known).a_day < 50).all()
    today["cloud"].values[3] = (10**9, 20, 1)
    assert model.score(today, known).a_day[3] >= 50


def test_the_largest_numbers_there_are_stay_finite() -> None:
    history = company(16, 40, 64)
    history["files"].values[3] = 10**18
    model = train(panel_of(history), seed=1, trees=20)
    known = model.known(
        {n: ActivityDays(np.minimum(e.values, VALUE_MAX), e.seen) for n, e in history.items()},
        OFF[:64],
        False,
        NAMES[:40],
    )
    today = quiet_today(40)
    for day in today.values():
        day.values[:] = VALUE_MAX
    scores = model.score(today, known)
    assert all(np.isfinite(getattr(scores, name)).all() for name in scores.__struct_fields__)
    own = {name: Today(day.values[:1], day.seen[:1]) for name, day in today.items()}
    assert np.isfinite(explain_day(model, subject(history, 0, own, off=False)).points)


def test_a_clock_that_jumped_ahead_leaves_days_that_nobody_saw() -> None:
    history = company(17, 30, 60)
    for name, each in history.items():
        gap = np.zeros((30, 70, each.values.shape[2]), dtype=np.int64)
        values = np.concatenate([each.values[:, :30], gap, each.values[:, 30:]], axis=1)
        unseen = np.zeros((30, 70), dtype=np.bool_)
        history[name] = ActivityDays(
            values, np.concatenate([each.seen[:, :30], unseen, each.seen[:, 30:]], axis=1)
        )
    model = train(panel_of(history), seed=1, trees=20)
    assert model.content.days_seen == 60
    off = np.array([day_type == "off" for day_type in day_types(130)])
    scores = model.score(quiet_today(30), model.known(history, off, False, NAMES[:30]))
    assert (scores.a_day < 50).all()


def test_a_backup_job_that_became_usual_no_longer_alerts(
    history: dict[str, ActivityDays],
) -> None:
    busy = {
        name: ActivityDays(each.values[:, 42:].copy(), each.seen[:, 42:]) for name, each in history.items()
    }
    busy["files"].values[2, 10:, 1] = 2_000_000
    busy["files"] = ActivityDays(
        np.where(busy["files"].seen[:, :, None], busy["files"].values, 0), busy["files"].seen
    )
    model = train(panel_of(busy), seed=1, trees=20)
    scores = model.score(with_value(2, "files", reads=2_000_000), model.known(busy, OFF[42:], False, NAMES))
    assert scores.a_day[2] < 50


def test_numbers_that_are_none_are_refused_with_the_activity() -> None:
    history = company(18, 10, 40)
    broken = history["mail"].values.astype(np.float64)
    broken[3, 5, 0] = np.nan
    history["mail"] = ActivityDays(broken, history["mail"].seen)  # type: ignore[arg-type]
    with pytest.raises(PanelError, match="mail"):
        train(panel_of(history), seed=1, trees=20)
