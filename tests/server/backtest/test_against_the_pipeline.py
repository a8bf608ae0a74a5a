"""The rules that run, replayed against themselves, find what the pipeline raised: same days, same scores."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import select

from event_schema.ocsf_events import Event
from event_schema.wire import WireRecord
from policies.rule_file import SHIPPED_RULES
from server.alerts.queries import Verdict
from server.store.tables import alerts, rule_days
from tests.server.backtest.trials import close, found, raised, replayed, saved, tried
from tests.server.enrich.people_who_left import act
from tests.server.look_back.company import STAYS, TODAY, enrolled, flag, take_over
from tests.server.look_back.outcomes import look_back
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.pipeline.scored_company import activate, learnt_models
from tests.server.pipeline.test_suspects import HOME, _company, _earlier, _later
from tests.server.policies.rule_texts import COPIED

SMALL_COPIES = "3f64dc6a-150b-4ed7-ab3c-e7ec1f4908b3"


def _copies(dice: random.Random, account: str, host: str) -> list[Event]:
    """One sitting: some files, or the many small ones that add up."""
    at = NOW - dice.randrange(28) * DAY - dice.randrange(DAY)
    many = dice.random() < 0.15
    return [
        copied_file(
            at + number * 1000,
            name=f"{dice.randrange(10**6)}.{dice.choice(('zip', 'xlsx', 'pdf', 'sql'))}",
            size=19_000_000 if many else dice.choice((1000, 10**6, 10**9)),
            account=account,
            device=f"stick-{dice.randrange(4)}",
            host=host,
        )
        for number in range(200 if many else dice.randint(1, 6))
    ]


def _records(dice: random.Random, endpoints: list[Endpoint]) -> list[WireRecord]:
    """Four weeks of three people and an account of nobody, some of it late, some twice."""
    records: list[WireRecord] = []
    for _ in range(40):
        endpoint = dice.choice(endpoints)
        account = dice.choice(("alice", "alice", "bob", "carol", "nobody"))
        records.append(endpoint.record(_copies(dice, account, endpoint.name)))
        if dice.random() < 0.2:
            records.append(dice.choice(records))
    return records


def _is_known_at_once(server: Server) -> None:
    flag(server)


def _is_known_late(server: Server) -> None:
    """After the copies: they are looked back at."""


@pytest.mark.parametrize("flagged", [_is_known_at_once, _is_known_late])
def test_what_runs_against_itself_finds_what_was_raised(
    server: Server, flagged: Callable[[Server], None]
) -> None:
    dice = random.Random(1)
    endpoints = [Endpoint("desk-1"), Endpoint("desk-2", epoch="e" * 16)]
    enrolled(server, endpoints)
    take_over(server, STAYS)
    flagged(server)
    activate(server.database, learnt_models()[0])
    server.take(*_records(dice, endpoints), records_per_batch=dice.randint(1, 5))
    if flagged is _is_known_late:
        flag(server)
        assert look_back(server) == 1
    live = raised(server)
    assert len(live) > 1, "a flow that raises nothing shows nothing"
    told = replayed(server)
    assert found(told, 0) == found(told, 1) == live
    with server.database.read() as connection:
        hits = Counter[tuple[str, int]]()
        for each in connection.execute(select(rule_days)):
            hits[each.rule_id, each.day] += each.hits
    again = {
        (rule_id, day): count for (rule_id, day, side), count in told.totals.rule_days.items() if side == 0
    }
    assert again == hits
    assert SMALL_COPIES in {rule_id for rule_id, _ in hits}, "correlations are among them"


@pytest.mark.long
def test_processes_that_share_the_work_find_the_same(server: Server) -> None:
    dice = random.Random(7)
    endpoints = [Endpoint("desk-1"), Endpoint("desk-2", epoch="e" * 16), Endpoint("log", epoch="f" * 16)]
    enrolled(server, endpoints)
    take_over(server, STAYS)
    flag(server)
    server.take(*_records(dice, endpoints), records_per_batch=7)
    alone, shared = replayed(server), replayed(server, processes=2)
    assert found(shared, 0) == found(alone, 0) == raised(server)
    assert shared.totals.rule_days == alone.totals.rule_days
    assert shared.totals.rules == alone.totals.rules
    assert shared.totals.blocks >= alone.totals.blocks


def test_what_counts_for_somebody_who_left_is_found_to_count_for_them(server: Server) -> None:
    endpoint = _company(server)
    server.take(endpoint.record(_earlier()), endpoint.record(_later()), records_per_batch=1)
    live = raised(server)
    assert ("person:p1", "former_employee_access") in live
    told = replayed(server)
    assert found(told, 0) == found(told, 1) == live


@pytest.mark.long
def test_a_new_rule_about_suspects_finds_acts_of_machines_that_told_nothing_of_them(server: Server) -> None:
    hers = _company(server)
    # Two machines whose blocks are two processes'.
    other = Endpoint("log", epoch="f" * 16)
    other.enrol(server.database)
    saved(server, COPIED)
    own, boris = _earlier()[:3], _earlier()[3:]
    mine = act("alice", NOW - 70 * DAY, device="phone-1", ip=HOME)
    server.take(hers.record([*own, mine]), other.record([*boris, *_later()]), records_per_batch=1)
    text = (SHIPPED_RULES / "former_employee_machine_under_other_account.yml").read_text()
    alone, shared = (tried(server, text, days=90, processes=number) for number in (1, 2))
    (rule,) = [each for each in alone.rules if each.change == "new"]
    assert rule.hits == (0, 3)
    assert [each.hits for each in shared.rules] == [each.hits for each in alone.rules]
    assert shared.alerts == alone.alerts == (0, 1)


def test_a_closed_alert_and_the_one_after_it_are_two_on_both_sides(server: Server) -> None:
    endpoint = Endpoint()
    enrolled(server, [endpoint])
    take_over(server, STAYS)
    flag(server)
    for number, day in enumerate((21, 12, 1)):
        archives = [
            copied_file(NOW - day * DAY, name="all.zip", size=10**9, host=f"desk-{number}") for _ in range(3)
        ]
        server.take(endpoint.record(archives))
        if day > 1:
            with server.database.read() as connection:
                opened = connection.execute(select(alerts.c.id).where(alerts.c.status == "open")).scalars()
                numbers = list(opened)
            assert numbers
            for each in numbers:
                close(server, each, Verdict.CONFIRMED if day == 21 else Verdict.FALSE)
    told = replayed(server)
    assert found(told, 0) == raised(server)
    with server.database.read() as connection:
        closed = [
            (row.subject, row.family, row.verdict, row.score)
            for row in connection.execute(select(alerts).where(alerts.c.status == "closed"))
        ]
    assert sorted(closed) == sorted(
        (pair.subject, pair.family, pair.closed[1], pair.before.score)
        for pair in told.totals.pairs
        if pair.closed is not None and pair.before is not None
    )
    assert {day for pair in told.totals.pairs for day in (pair.before or pair.after).days} == {  # type: ignore[union-attr]
        TODAY - 21, TODAY - 12, TODAY - 1,
    }  # fmt: skip


def test_rules_that_say_the_same_are_not_replayed(server: Server) -> None:
    saved(server, COPIED)
    report = tried(server, COPIED.replace("status: test", "status: stable"))
    assert not report.differs
    assert report.blocks == 0
