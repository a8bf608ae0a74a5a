"""The made-up company: the same again from a seed, and told in events that collectors tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from click.testing import CliRunner

from event_schema.codec import decode_event, encode_event
from event_schema.ocsf_events import Event, account_of
from server.command_line import main as leaver
from server.evaluation.compared.activity_models import MODELS, model_scores
from server.evaluation.compared.baselines import RAW_FOREST, Z_SUM, Days, Floats, baseline_scores
from server.evaluation.compared.pictures import recall_picture, timeline_picture
from server.evaluation.compared.raw_counts import MEASURES, RawCounts
from server.evaluation.simulator.amounts import NAMES, PLACE
from server.evaluation.simulator.company import NEVER, Company
from server.evaluation.simulator.evaluation import PRODUCT, Timeline
from server.evaluation.simulator.leaks import SHAPES, Leaks
from server.evaluation.simulator.simulation import FIRST_DAY, Simulation

DAY_MS = 86_400_000
DAYS = 90


@pytest.fixture(scope="module")
def simulation() -> Simulation:
    return Simulation(seed=5, people=120, days=DAYS)


def events_of(simulation: Simulation, day: int) -> list[Event]:
    return list(simulation.events(day, (FIRST_DAY + day) * DAY_MS))


def test_a_seed_gives_the_same_events_again_and_another_gives_others(simulation: Simulation) -> None:
    def told(of: Simulation) -> list[bytes]:
        return [encode_event(event) for event in events_of(of, 61)]

    assert told(Simulation(5, 120, DAYS)) == told(simulation)
    assert told(Simulation(6, 120, DAYS)) != told(simulation)


def test_every_shape_is_planted_into_somebody_of_their_own_within_the_test(simulation: Simulation) -> None:
    leaks = simulation.leaks
    assert Counter(leak.shape for leak in leaks) == dict.fromkeys(SHAPES, 1)
    assert len({leak.person for leak in leaks}) == len(leaks)
    for leak in leaks:
        assert leak.days
        assert all(simulation.test_begins <= day < simulation.days for day in leak.days), leak.shape


def test_a_larger_company_has_more_of_each_shape() -> None:
    company = Company(1, 1000, 120, FIRST_DAY)
    found = Counter(leak.shape for leak in Leaks(company).leaks)
    assert found == {shape: 2 if shape == "shared_account" else 6 for shape in SHAPES}


def test_most_who_leave_take_nothing_along_and_some_of_them_look_as_if(simulation: Simulation) -> None:
    company = simulation.company
    leavers = set(np.flatnonzero(company.last_days < NEVER).tolist())
    assert len(leavers - {leak.person for leak in simulation.leaks}) >= 2
    # They hand over: in the last week before they go there is more reading than a month before.
    reads = PLACE["files_read"]
    some = [person for person in leavers if 40 < company.last_days[person] < DAYS]
    last = sum(company.day(int(company.last_days[p]) - back)[p, reads] for p in some for back in range(1, 8))
    before = sum(
        company.day(int(company.last_days[p]) - back)[p, reads] for p in some for back in range(29, 36)
    )
    assert last > before


def test_holidays_are_quiet_and_make_up_days_are_not(simulation: Simulation) -> None:
    # 2026: the Spring Festival from 15 to 23 February, made up for on Saturday 14 and 28.
    company = simulation.company
    busy = [int(company.day(day).any(axis=1).sum()) for day in range(60)]
    assert max(busy[41:50]) < 0.6 * min(busy[28:33])
    assert company.is_off[42] and not company.is_off[40] and not company.is_off[54]
    assert busy[54] > 0.8 * min(busy[28:33])


def test_who_joins_does_nothing_before_and_who_left_does_nothing_after_but_for_the_leak(
    simulation: Simulation,
) -> None:
    company = simulation.company
    for day in range(0, DAYS, 7):
        here = company.exists(day)
        assert not company.day(day)[~here].any()


def test_events_are_valid_and_carry_no_more_than_collectors_tell(simulation: Simulation) -> None:
    leak = next(leak for leak in simulation.leaks if leak.shape == "stick_burst")
    told = events_of(simulation, leak.days[0])
    for event in told:
        assert decode_event(encode_event(event)) == event
    begin = (FIRST_DAY + leak.days[0]) * DAY_MS
    assert all(begin <= event.time < begin + DAY_MS for event in told)
    channels = {event.metadata.log_name for event in told}
    assert {"logins", "access_log", "uploads", "mail", "removable_storage", "postgresql"} <= channels


def test_counts_of_events_are_the_amounts_that_they_were_made_of(simulation: Simulation) -> None:
    raw = RawCounts({desk.account: person for person, desk in enumerate(simulation.desks)})
    day = 10  # No leak has begun.
    raw.begin((FIRST_DAY + day) * DAY_MS)
    for event in events_of(simulation, day):
        raw.add(event)
    amounts = simulation.company.day(day)
    for mine, theirs in (
        ("records_read", "records_read"),
        ("documents_read", "files_read"),
        ("created", "orders"),
        ("pages", "pages"),
        ("rows", "rows"),
        ("queries", "queries"),
    ):
        counted = raw.day[:, MEASURES.index(mine)]
        planted = amounts[:, NAMES.index(theirs)]
        assert counted.tolist() == pytest.approx(planted.tolist()), mine


def test_a_shared_account_is_one_subject_on_one_server(simulation: Simulation) -> None:
    person = int(np.flatnonzero(simulation.company.is_shared)[0])
    account = simulation.desks[person].account
    hosts = {
        event.device.hostname
        for day in range(20, 30)
        for event in events_of(simulation, day)
        if (user := account_of(event)) is not None and user.name == account
    }
    assert hosts == {"orders"}
    assert simulation.subject(person) == f"account:{account}@orders"


def test_an_account_that_is_used_after_leaving_is_used_from_elsewhere(simulation: Simulation) -> None:
    leak = next(leak for leak in simulation.leaks if leak.shape == "after_leaving")
    assert simulation.company.last_days[leak.person] <= leak.days[0]
    desk = simulation.desks[leak.person]
    used = [
        event
        for event in events_of(simulation, leak.days[0])
        if (user := account_of(event)) is not None and user.name == desk.account
    ]
    assert used
    assert all(event.device.hostname != desk.host.hostname for event in used)


Scoring = Callable[[Days], Mapping[str, Floats]]


def _by_models(days: Days) -> Mapping[str, Floats]:
    nobody = np.zeros(days.exists.shape, dtype=bool)
    return {MODELS: model_scores(days, nobody, 739_000, 1)}


@pytest.mark.parametrize(
    "scored",
    [
        pytest.param(lambda days: baseline_scores(days, seed=1), id="baselines"),
        pytest.param(_by_models, id="models", marks=(pytest.mark.long, pytest.mark.timeout(900))),
    ],
)
def test_no_way_of_scoring_looks_ahead(scored: Scoring) -> None:
    dice = np.random.default_rng(1)
    counts = dice.poisson(3, (40, 60, len(MEASURES))).astype(np.float32)

    def days(of: npt.NDArray[np.float32]) -> Days:
        return Days(
            counts=of,
            is_off=np.zeros(60, dtype=bool),
            groups=["all"] * 40,
            exists=np.ones((40, 60), dtype=bool),
            test_begins=50,
        )

    later = counts.copy()
    later[:, 55:] *= 50
    first, second = scored(days(counts)), scored(days(later))
    assert first
    for name, scores in first.items():
        assert np.array_equal(scores[:, :5], second[name][:, :5]), name
        assert second[name][:, 5:].mean() > scores[:, 5:].mean(), name


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_pictures_are_the_same_again(tmp_path: Path, ending: str) -> None:
    timeline = Timeline("ramp", "person:x", (20000, 20001), (10.0, 80.0), (False, True), (20001,), ("much",))
    found = []
    for name in ("a", "b"):
        paths = [tmp_path / f"{name}-{what}.{ending}" for what in ("recall", "timeline")]
        recall_picture(paths[0], {PRODUCT: {2: 0.5, 5: 0.8}, "other": {2: 0.1, 5: 0.4}}, cases=9, seeds=[1])
        timeline_picture(paths[1], timeline)
        found.append([path.read_bytes() for path in paths])
    assert found[0] == found[1]
    assert found[0][0].startswith(b"\x89PNG" if ending == "png" else b"<?xml")


def test_a_picture_that_is_neither_png_nor_svg_is_refused() -> None:
    done = CliRunner().invoke(leaver, ["eval", "simulate", "--picture", "recall.bmp"])
    assert done.exit_code == 2
    assert "ends in .png or .svg" in done.output


def test_a_picture_in_a_folder_that_is_not_there_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    path = tmp_path / "none" / "recall.svg"
    done = CliRunner().invoke(leaver, ["eval", "simulate", "--picture", str(path)])
    assert done.exit_code == 2
    assert "there is no folder" in done.output


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_small_company_goes_through_the_pipeline_and_is_measured(tmp_path: Path) -> None:
    picture, timeline = tmp_path / "recall.svg", tmp_path / "timeline.png"
    arguments = ["--seed", "3", "--people", "50", "--days", "60"]
    done = CliRunner().invoke(
        leaver,
        [
            "eval",
            "simulate",
            *arguments,
            "--picture",
            str(picture),
            "--timeline",
            str(timeline),
            "--explain",
            "5",
            "--json",
        ],
    )
    assert done.exit_code == 0, done.output
    said = orjson.loads(done.stdout)
    assert set(said["recall"]) == {PRODUCT, MODELS, RAW_FOREST, Z_SUM, "forest on z", "ECOD on z"}
    company = said["seeds"][0]
    assert company["events"] > 10_000
    # Rules alone tell that an account is used by somebody who left.
    assert company["raised"]["after_leaving"]["found"] == 1
    explained = company["explained"]
    assert (len(explained["alerts"]), explained["wrong"]) == (5, [])
    assert explained["checked"] >= 5
    for each in explained["alerts"]:
        detail = each["detail"]
        assert sum(share["points"] for share in detail["shares"]) == detail["alert"]["score"]
    assert (
        sum("stands_out" in each["detail"]["explanation"].get("en", {}) for each in explained["alerts"]) >= 3
    )
    assert picture.stat().st_size > 1000
    assert timeline.stat().st_size > 1000
