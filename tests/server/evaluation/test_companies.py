"""Companies that are evaluated at a time say what each says by itself."""

from __future__ import annotations

import msgspec
import pytest

from server.evaluation.simulator.companies import evaluate_companies
from server.evaluation.simulator.evaluation import SeedResult

PEOPLE, DAYS = 12, 32


def _but_for_the_time(result: SeedResult) -> SeedResult:
    return msgspec.structs.replace(result, seconds=0.0)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_company_is_the_same_alone_and_beside_another_in_a_process_of_its_own() -> None:
    told: list[tuple[str, int, int]] = []
    both = evaluate_companies((3, 4), PEOPLE, DAYS, lambda *said: told.append(said), processes=2)
    (alone,) = evaluate_companies((4,), PEOPLE, DAYS, lambda *_: None)
    assert [each.seed for each in both] == [3, 4]
    assert told[-1] == ("companies", 2, 2)
    assert _but_for_the_time(both[1]) == _but_for_the_time(alone)
    assert alone.events > 5_000
