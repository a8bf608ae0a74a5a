"""Behind whose account it was: the alert is about the one who left, and says whose account, and why."""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from event_schema.ocsf_events import Event
from server.alerts.view_types import Unmasking
from server.alerts.views import alert_detail, alert_views
from server.store.tables import (
    account_bindings,
    accounts,
    activity_days,
    alerts,
    people,
    rule_days,
    suspect_traits,
)
from tests.server.alerts.named_views import named_views
from tests.server.enrich.people_who_left import act
from tests.server.pipeline.conftest import DAY, NOW, NewServer, Server
from tests.server.pipeline.endpoint import Endpoint

TODAY = NOW // DAY
HOME, HERS, OFFICE = "198.51.100.7", "198.51.100.8", "10.1.2.3"
SECRETS = ("alice", "boris", "p1", "p2", "phone-1", HOME, "kefu")


def _company(server: Server, *, gone_since: int = 60) -> Endpoint:
    """Alice, who worked for Boris, left; Boris and Cora stay."""
    server.employ("p1", "alice", last_working_day=TODAY - gone_since)
    server.employ("p2", "boris")
    server.employ("p3", "cora", department="accounts")
    with server.database.begin() as connection:
        connection.execute(update(people).where(people.c.id == "p1").values(manager_id="p2"))
    endpoint = Endpoint()
    endpoint.enrol(server.database)
    return endpoint


def _earlier() -> list[Event]:
    """While she worked there."""
    own = [act("alice", NOW - n * DAY, device="phone-1", ip=HOME) for n in (100, 90, 80)]
    return own + [act("boris", NOW - n * DAY, device="pc-2", ip=HERS) for n in (100, 70, 40, 3)]


def _later() -> list[Event]:
    """From her telephone and her home, by her former manager's account."""
    return [act("boris", NOW - n * 3_600_000, device="phone-1", ip=HOME) for n in (5, 4, 3)]


def _share(server: Server, *, knows: tuple[str, ...]) -> None:
    named = {"system": "", "account": "kefu", "source": "flag"}
    with server.database.begin() as connection:
        connection.execute(accounts.insert().values(kind="shared", changed_at=0, **named))
        for person, relation in (("p2", "owner"), *((each, "knows") for each in knows)):
            bound = {"person_id": person, "relation": relation, "confidence": 1.0}
            connection.execute(account_bindings.insert().values(**bound, **named))


def _rows(server: Server, table: Any, *without: str) -> list[tuple[object, ...]]:
    columns = [column for column in table.c if column.name not in without]
    with server.database.read() as connection:
        return sorted((tuple(row) for row in connection.execute(select(*columns))), key=repr)


def test_the_alert_is_about_who_left_and_names_the_colleague_as_the_accounts_owner(server: Server) -> None:
    endpoint = _company(server)
    server.take(endpoint.record(_earlier()), endpoint.record(_later()), records_per_batch=1)
    [alert] = named_views(server.database, Unmasking("test", NOW, "case 1"))
    assert alert.family == "former_employee_access"
    assert (alert.who.id, alert.suspected_actor and alert.suspected_actor.id) == ("p1", "p1")
    assert alert.account_owner is not None
    assert alert.account_owner.id == "p2"
    assert alert.score >= 95
    assert "under an account of somebody else" in alert.sentence["en"]
    found = {trait.kind: trait for trait in alert.traits}
    assert found["device"].value == "phone-1"
    assert found["address"].value == HOME
    for trait in alert.traits:
        assert trait.leads_to is not None
        assert trait.through is not None
        assert (trait.leads_to.id, trait.through.id) == ("p1", "p2")
        assert (trait.since, trait.until) == (NOW - 100 * DAY, NOW - 80 * DAY)
        assert (trait.events, trait.others) == (3, 0)
    detail = alert_detail(server.database, alert.id)
    assert (detail.evidence.total, detail.proof.good) == (3, True)


def test_nobody_is_named_in_what_analysts_see(server: Server) -> None:
    endpoint = _company(server)
    server.take(endpoint.record(_earlier()), endpoint.record(_later()), records_per_batch=1)
    [alert] = alert_views(server.database)
    text = msgspec.json.encode(alert_detail(server.database, alert.id)).decode().casefold()
    # As words: a pseudonym's letters may come to "p1".
    assert [word for word in SECRETS if re.search(rf"\b{re.escape(word)}\b", text)] == []
    words = next(trait.words["en"] for trait in alert.traits if trait.kind == "device")
    assert alert.account_owner is not None
    assert f"used by {alert.who.pseudonym} 2026-08-10 to 2026-08-30, nobody else ever: 3 events" in words
    assert words.endswith(f"under the account of {alert.account_owner.pseudonym}")
    # The same device, and the same address, are called the same in the evidence.
    source = alert_detail(server.database, alert.id).evidence.largest[0].event["src_endpoint"]
    shown = {trait.kind: trait.value for trait in alert.traits}
    assert shown == {"device": source["uid"], "address": source["ip"]}


def test_the_colleagues_own_acts_of_that_day_stay_the_colleagues(server: Server) -> None:
    endpoint = _company(server)
    own = [act("boris", NOW - 2 * 3_600_000, device="pc-2", ip=HERS)]
    server.take(endpoint.record(_earlier()), endpoint.record([*_later(), *own]), records_per_batch=1)
    [alert] = alert_views(server.database)
    assert alert.events == 3
    with server.database.read() as connection:
        assert set(connection.execute(select(rule_days.c.subject)).scalars()) == {"person:p1"}
        today = select(activity_days.c.subject, activity_days.c.events).where(activity_days.c.day == TODAY)
        assert [tuple(row) for row in connection.execute(today)] == [("person:p2", 4)]


@pytest.mark.parametrize("cut", [1, 2, 100])
def test_neither_cuts_nor_the_order_of_the_later_acts_show(new_server: NewServer, cut: int) -> None:
    outcomes = []
    for seed in (None, 3):
        server = new_server()
        endpoint = _company(server)
        later = _later()
        if seed is not None:
            random.Random(seed).shuffle(later)
        server.take(endpoint.record(_earlier()))
        server.take(*(endpoint.record([event]) for event in later), records_per_batch=cut)
        outcomes.append(
            [
                _rows(server, table, *without)
                for table, without in (
                    (alerts, ("opened_at", "updated_at")),
                    (suspect_traits, ()),
                    (rule_days, ()),
                )
            ]
        )
    assert outcomes[0] == outcomes[1]


def test_a_password_that_one_of_those_who_left_knows_leads_to_them(server: Server) -> None:
    endpoint = _company(server, gone_since=3)
    _share(server, knows=("p1", "p3"))
    earlier = [act("kefu", NOW - n * DAY, ip=OFFICE) for n in (60, 30, 4)]
    orders = [act("kefu", NOW - n * 60_000, ip=HOME) for n in range(40, 0, -1)]
    server.take(endpoint.record(earlier), endpoint.record(orders), records_per_batch=1)
    [alert] = named_views(server.database, Unmasking("test", NOW, "case 2"))
    assert (alert.who.id, alert.events) == ("p1", 40)
    assert alert.account_owner is not None
    assert alert.account_owner.id == "p2"
    [trait] = alert.traits
    assert trait.kind == "password"
    assert trait.through is not None
    assert trait.through.pseudonym.startswith("A-")


def test_where_several_who_left_know_it_the_alert_is_about_the_account_and_lists_them(server: Server) -> None:
    endpoint = _company(server, gone_since=3)
    server.employ("p4", "dora", last_working_day=TODAY - 20)
    _share(server, knows=("p1", "p4"))
    earlier = [act("kefu", NOW - n * DAY, ip=OFFICE) for n in (60, 30, 4)]
    server.take(endpoint.record(earlier), endpoint.record([act("kefu", NOW, ip=HOME)]), records_per_batch=1)
    [alert] = named_views(server.database, Unmasking("test", NOW, "case 2"))
    assert (alert.who.pseudonym[:2], alert.suspected_actor) == ("A-", None)
    assert {trait.leads_to.id for trait in alert.traits if trait.leads_to} == {"p1", "p4"}


def test_an_act_years_later_weighs_less_and_still_makes_an_alert(server: Server) -> None:
    endpoint = _company(server, gone_since=700)
    own = [act("alice", NOW - n * DAY, device="phone-1", ip=HOME) for n in (800, 750)]
    usual = [act("boris", NOW - n * DAY, device="pc-2", ip=HERS) for n in (800, 3)]
    server.take(endpoint.record(own + usual), endpoint.record(_later()), records_per_batch=1)
    [alert] = alert_views(server.database)
    assert 50 <= alert.score < 80
