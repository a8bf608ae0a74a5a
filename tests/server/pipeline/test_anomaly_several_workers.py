"""Days are as strange under several workers as under one."""

from __future__ import annotations

import random
from functools import partial

import pytest

from tests.server.pipeline.company import SetShare
from tests.server.pipeline.endpoint import copied_file
from tests.server.pipeline.scored_company import (
    acts_of,
    learnt_company,
    learnt_models,
    records,
    stored_anomalies,
)
from tests.server.pipeline.test_several_workers import NewCompany, new_company, two_endpoints

__all__ = ["new_company"]

pytestmark = [pytest.mark.kafka, pytest.mark.long, pytest.mark.databases("postgresql")]


def test_a_person_on_two_machines_under_two_workers_becomes_as_strange_as_under_one(
    new_company: NewCompany,
) -> None:
    found = []
    for several in (True, False):
        company, dice = new_company(), random.Random(3)
        learnt_company(company.server.database, learnt_models()[0])
        first, place, other, other_place = two_endpoints(company)
        acts = acts_of(3, dice, 60)
        copies = [each for each in acts if type(each) is type(copied_file(0))]
        others = [each for each in acts if each not in copies]
        # What each machine tells is of activities of its own.
        company.log.append([*records(first, copies, range(3, len(copies), 3))])
        company.log.append([*records(other, others, range(7, len(others), 7))])
        if several:
            ours = company.worker(SetShare("ours", place), 1)
            theirs = company.worker(SetShare("theirs", other_place), 1)
            conflicts = 0
            while True:
                ours.meanwhile = partial(theirs.step, 5)
                done = ours.step(5)
                conflicts += done.conflicts
                if not done.records and not theirs.step(5).records:
                    break
            assert conflicts > 0
        else:
            alone = company.worker(SetShare("alone", place, other_place))
            while alone.step(5).records:
                pass
        with company.server.database.read() as connection:
            (row,) = stored_anomalies(connection)
        found.append((row["evidence"], row["points"], row["uncalmed"]))
    assert found[0] == found[1]
    assert found[0][1] > 0
    assert len(found[0][0]) > 3
