"""From a signed event after the last day to the ledger: which account, machine, password; and erased."""

from __future__ import annotations

from event_schema.ocsf_events import Event
from server.leavers.ledger import LedgerRow, Urgency, ledger
from server.people.account_facts import AccountWords, declare_account
from server.people.hr_import import ImportOptions, import_people
from server.people.roles import Role
from tests.server.enrich.people_who_left import act
from tests.server.erasure.shared_machine import erase
from tests.server.pipeline.conftest import DAY, NOW, Server
from tests.server.pipeline.endpoint import Endpoint, copied_file

STAFF = """id,accounts,devices,notice date,last working day
E1,ann,ann-pc,2026-09-01,2026-11-10
E2,bob,bob-pc,,
"""
GONE_FOR = 5 * DAY
"""Ann's last day is eight days ago."""


def _prepare(server: Server, *endpoints: Endpoint) -> None:
    with server.database.begin() as connection:
        options = ImportOptions(expect_leavers=5)
        import_people(connection, STAFF.encode(), actor="test", at=NOW, options=options)
        desk = AccountWords("kefu", "shipping", kind="shared", owner="E2")
        declare_account(connection, desk, actor="test", at=NOW, reason=None)
    for endpoint in endpoints:
        endpoint.enrol(server.database)


def _rows(server: Server, role: Role = Role.ADMINISTRATOR) -> dict[str, LedgerRow]:
    found = ledger(server.database, role, now=NOW, everybody=True)
    return {row.person: row for row in found.rows}


def _happen(server: Server, endpoint: Endpoint, *events: Event) -> None:
    server.take(endpoint.record(list(events)))


def test_what_worked_up_to_the_last_day_is_no_use_since(server: Server) -> None:
    pc = Endpoint("ann-pc")
    _prepare(server, pc)
    _happen(server, pc, copied_file(NOW - 20 * DAY, account="ann", host="ann-pc"))
    row = _rows(server)["E1"]
    assert (row.urgency, row.used_at) == (Urgency.LEFT_OPEN, None)


def test_an_act_after_the_last_day_shows_on_the_account_and_on_the_machine_that_was_not_given_back(
    server: Server,
) -> None:
    pc = Endpoint("ann-pc")
    _prepare(server, pc)
    at = NOW - GONE_FOR
    _happen(server, pc, copied_file(at, account="ann", host="ann-pc"))
    row = _rows(server)["E1"]
    assert (row.urgency, row.used_at) == (Urgency.USED, at)
    assert [each.used_at for each in row.accounts] == [at]
    assert [each.used_at for each in row.machines] == [at]
    # HR's row knows nothing of it.
    told = _rows(server, Role.HR)["E1"]
    assert (told.urgency, told.used_at) == (Urgency.LEFT_OPEN, None)
    assert [each.used_at for each in told.accounts] == [None]


def test_a_door_that_stayed_shut_is_no_use(server: Server) -> None:
    app = Endpoint("app-1")
    _prepare(server, app)
    _happen(server, app, act("ann", NOW - GONE_FOR, ip="203.0.113.9", failed=True))
    assert _rows(server)["E1"].used_at is None
    _happen(server, app, act("ann", NOW - GONE_FOR, ip="203.0.113.9"))
    assert _rows(server)["E1"].used_at == NOW - GONE_FOR


def test_who_used_the_shared_login_from_her_own_machine_knows_its_password_until_it_is_changed(
    server: Server,
) -> None:
    app = Endpoint("app-1")
    _prepare(server, app)
    _happen(server, app, act("kefu", NOW - 20 * DAY, host="ann-pc"), act("kefu", NOW - DAY, host="bob-pc"))
    (secret,) = _rows(server)["E1"].secrets
    assert (secret.account, secret.system, secret.by_use, secret.state) == ("kefu", "shipping", True, "open")
    assert _rows(server, Role.HR)["E1"].secrets == ()
    with server.database.begin() as connection:
        changed = AccountWords("kefu", "shipping", rotated_at=NOW - DAY)
        declare_account(connection, changed, actor="test", at=NOW, reason=None)
    (secret,) = _rows(server)["E1"].secrets
    assert secret.state == "rotated"


def test_erased_she_is_on_it_no_more(server: Server) -> None:
    pc = Endpoint("ann-pc")
    _prepare(server, pc)
    _happen(server, pc, copied_file(NOW - GONE_FOR, account="ann", host="ann-pc"))
    assert "E1" in _rows(server)
    erase(server, person="E1")
    assert _rows(server) == {}
