"""Which model is in use: the latest, unless a person chose; no cold start in place of one that scores."""

from __future__ import annotations

import msgspec
import pytest
from sqlalchemy import func, insert, select, update

from analytics.anomaly_training import train
from analytics.sealed_bytes import StoredStateError
from server.store.database import Database
from server.store.tables import audit, models
from server.training.stored_models import (
    MODELS_KEPT,
    ModelSummary,
    StoredModel,
    UnknownModel,
    active_model,
    choose_model,
    is_usable,
    keep_model,
    load_model,
    model_before,
    stored_models,
)
from tests.analytics.company_days import company, panel_of
from tests.server.conftest import NOW

STATE = train(panel_of(company(3, 20, 6)), seed=1, trees=2).to_bytes()
SUMMARY = ModelSummary(
    subjects=20,
    days=30,
    first_day=20_000,
    last_day=20_029,
    cold_start=False,
    seed=1,
    alerts_per_1000_a_day=5.0,
    line=1e-4,
    slow_line=1.5e-7,
    software={"python": "3"},
    cpu_seconds=1.5,
)
COLD = msgspec.structs.replace(SUMMARY, cold_start=True)


def keep(database: Database, summary: ModelSummary = SUMMARY, *, by_hand: bool = False) -> StoredModel:
    with database.begin() as connection:
        return keep_model(connection, STATE, summary, now=NOW, by_hand=by_hand)


def choose(database: Database, model_id: int) -> StoredModel:
    with database.begin() as connection:
        return choose_model(connection, model_id, now=NOW, actor="cli:test", reason="the new one is loud")


def active(database: Database) -> int | None:
    with database.read() as connection:
        found = active_model(connection)
        number = connection.execute(select(func.count()).where(models.c.active)).scalar_one()
        assert number == (0 if found is None else 1)
        return None if found is None else found.id


def before(database: Database) -> int:
    with database.read() as connection:
        return model_before(connection).id


def test_each_further_model_takes_over_and_reads_back_as_it_was(database: Database) -> None:
    first, second = keep(database), keep(database)
    assert active(database) == second.id
    assert msgspec.structs.replace(second.summary, activated_at=None) == SUMMARY
    assert second.bytes == len(STATE)
    with database.read() as connection:
        assert load_model(connection, first.id).to_bytes() == STATE


def test_what_a_person_chose_stays_until_a_person_trains(database: Database) -> None:
    first, _ = keep(database), keep(database)
    assert choose(database, first.id).summary.chosen
    scheduled = keep(database)
    assert active(database) == first.id
    assert scheduled.summary.activated_at is None
    by_hand = keep(database, by_hand=True)
    assert active(database) == by_hand.id
    assert not by_hand.summary.chosen


def test_a_cold_start_model_takes_over_from_none_that_scores(database: Database) -> None:
    cold = keep(database, COLD)
    assert active(database) == cold.id
    scoring = keep(database)
    keep(database, COLD, by_hand=True)
    assert active(database) == scoring.id


def test_going_back_leads_further_back_each_time_past_those_never_in_use(database: Database) -> None:
    first, second = keep(database), keep(database)
    choose(database, second.id)
    never = keep(database)
    last = keep(database, by_hand=True)
    assert never.id < last.id
    assert before(database) == second.id
    choose(database, second.id)
    assert before(database) == first.id
    choose(database, first.id)
    with pytest.raises(UnknownModel, match="ever in use"):
        before(database)


def test_a_choice_is_on_the_record_with_its_reason(database: Database) -> None:
    first, second = keep(database), keep(database)
    choose(database, first.id)
    with database.read() as connection:
        row = connection.execute(select(audit)).one()
    assert (row.actor, row.action, row.object) == ("cli:test", "model.activate", f"model:{first.id}")
    assert (row.reason, row.detail) == ("the new one is loud", {"before": second.id})


def test_a_model_that_this_program_cannot_use_is_not_chosen(database: Database) -> None:
    kept = keep(database)
    with database.begin() as connection:
        broken = STATE[:-1] + bytes([STATE[-1] ^ 1])
        values = {"kind": "activities", "created_at": NOW, "active": False, "state": broken}
        connection.execute(insert(models).values(**values, summary=msgspec.to_builtins(SUMMARY)))
    with pytest.raises(StoredStateError, match="damaged"):
        choose(database, kept.id + 1)
    with pytest.raises(UnknownModel, match="999"):
        choose(database, 999)
    assert active(database) == kept.id


def test_a_model_of_another_version_holds_nothing_up_though_somebody_chose_it(database: Database) -> None:
    first = keep(database)
    choose(database, first.id)
    with database.begin() as connection:
        connection.execute(update(models).values(state=STATE[:8] + b"\xff\xff" + STATE[10:]))
        assert not is_usable(connection, first.id)
    assert active(database) == first.id
    assert keep(database, COLD).active


def test_the_latest_are_kept_and_the_active_one_however_old(database: Database) -> None:
    first = keep(database)
    choose(database, first.id)
    for _ in range(MODELS_KEPT + 3):
        keep(database)
    with database.read() as connection:
        found = stored_models(connection)
    assert len(found) == MODELS_KEPT + 1
    assert found[-1].id == first.id
    assert found[-1].active
