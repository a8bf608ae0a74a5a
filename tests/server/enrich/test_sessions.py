"""Two sessions of one account at once: what is somebody else's perhaps, and what is known not to be."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from event_schema.ocsf_account_events import Authentication
from event_schema.ocsf_events import Event
from server.enrich.sessions import OPEN_MS, SESSIONS_MAX, OpenSessions, opened
from server.enrich.trait_uses import Use
from server.enrich.traits import address_trait
from server.evaluation.departures.observed_acts import login, logout, server
from server.people.company_places import CompanyPlaces, NamedPlaces
from server.store.database import Database
from server.store.tables import trait_uses
from server.store.upsert import Row
from tests.server.enrich.people_who_left import DAY, LEFT, Company, act

PLACES = CompanyPlaces(NamedPlaces(networks=("10.0.0.0/8",)))
OFFICE, HOME, STRANGE = "10.1.2.3", "60.1.1.1", "101.7.7.7"
HOUR = 3_600_007
"""And a little: by its milliseconds a made-up login has another process."""
NOON = LEFT + 30 * DAY
MINE, OTHERS = "SHA256:mine", "SHA256:others"
SERVER = server("srv-1")


def _company() -> Company:
    """Ben works from the office and from home for weeks, without a session open now."""
    company = Company(places=PLACES)
    company.acts(act("ben", NOON - 20 * DAY, ip=HOME))
    return company


def _ssh(time: int, address: str, *, key: str | None = None, account: str = "ben") -> Event:
    return login(time, SERVER, account, service="sshd", address=address, key=key)


def _elsewhere(company: Company, event: Event) -> str | None:
    return company.around.look_at(event, company.who.who(event, event.time), event.time).session_elsewhere


def test_the_office_is_logged_in_while_a_strange_network_logs_in_by_password_or_by_another_key() -> None:
    company = _company()
    company.act(_ssh(NOON, OFFICE, key=MINE))
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE)) == "company"
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE, key=OTHERS)) == "company"


def test_two_networks_outside_are_told_apart_from_the_office() -> None:
    company = _company()
    company.act(_ssh(NOON, HOME))
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE)) == "outside"
    assert _elsewhere(company, _ssh(NOON + HOUR, OFFICE)) is None, "the one inside is not the strange one"


def test_the_same_key_is_the_same_machine() -> None:
    company = _company()
    company.act(_ssh(NOON, OFFICE, key=MINE))
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE, key=MINE)) is None


def test_a_session_is_over_when_its_end_was_told_or_when_it_would_be_very_long() -> None:
    company = _company()
    company.act(_ssh(NOON, OFFICE))
    company.act(logout(NOON + 1, server("srv-2"), "ben", began=NOON))
    elsewhere = server("srv-3")
    late = login(NOON + OPEN_MS, elsewhere, "ben", service="sshd", address=STRANGE)
    assert _elsewhere(company, late) is None
    assert _elsewhere(company, _ssh(NOON + OPEN_MS - 1, STRANGE)) == "company"
    company.act(logout(NOON + HOUR, SERVER, "ben", began=NOON))
    assert _elsewhere(company, _ssh(NOON + 2 * HOUR, STRANGE)) is None
    assert _elsewhere(company, _ssh(NOON + HOUR - 1, STRANGE)) == "company", "it was open then"


def test_the_end_of_an_earlier_session_of_that_process_number_ends_nothing() -> None:
    company = _company()
    company.act(logout(NOON - HOUR, SERVER, "ben", began=NOON))
    company.act(_ssh(NOON, OFFICE))
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE)) == "company"


def test_a_hop_from_a_jump_host_is_no_other_place() -> None:
    company = _company()
    company.act(_ssh(NOON, STRANGE))
    company.act(_ssh(NOON + 1000, OFFICE))
    assert _elsewhere(company, _ssh(NOON + HOUR, "113.9.9.9")) == "outside"


@pytest.mark.parametrize("address", ["60.1.200.9", HOME, "100.64.3.3", "127.0.0.1"])
def test_a_network_that_the_account_knows_or_that_is_nobodys_is_not_strange(address: str) -> None:
    company = _company()
    company.act(_ssh(NOON, OFFICE))
    assert _elsewhere(company, _ssh(NOON + HOUR, address)) is None


def test_a_strange_network_stays_strange_for_the_day() -> None:
    company = _company()
    company.act(_ssh(NOON, OFFICE))
    company.act(_ssh(NOON + HOUR, STRANGE))
    again = login(NOON + 2 * HOUR, server("srv-2"), "ben", service="sshd", address=STRANGE)
    assert _elsewhere(company, again) == "company"


@pytest.mark.parametrize("account", ["kefu", "nobodys"])
def test_accounts_of_several_or_of_nobody_may_be_in_many_places(account: str) -> None:
    company = _company()
    company.acts(_ssh(NOON, OFFICE, account=account))
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE, account=account)) is None
    assert not any(row["trait"].startswith("session:") for row in company.uses.rows())


def test_logins_at_the_screen_and_failed_ones_are_no_sessions() -> None:
    company = _company()
    company.acts(
        login(NOON, SERVER, "ben"),
        login(NOON, SERVER, "ben", service="sshd", address=OFFICE, failed="wrong password"),
        login(NOON, SERVER, "ben", service="dovecot", address=OFFICE),
    )
    assert _elsewhere(company, _ssh(NOON + HOUR, STRANGE)) is None


def test_what_is_kept_has_the_companys_addresses_in_no_row() -> None:
    company = _company()
    company.acts(_ssh(NOON, OFFICE, key=MINE), logout(NOON + HOUR, SERVER, "ben", began=NOON))
    kept = [
        row["trait"] for row in company.uses.rows() if "ed:" in row["trait"] or "session:" in row["trait"]
    ]
    pid = str(_pid(_ssh(NOON, OFFICE)))
    assert sorted(kept) == [f"ended:srv-1\\{pid}", f"session:srv-1\\{pid}\\company\\{MINE}"]


def _pid(event: Event) -> int:
    assert isinstance(event, Authentication)
    assert event.actor.process is not None
    return event.actor.process.pid


def test_sessions_of_earlier_batches_are_loaded(database: Database) -> None:
    uses = [
        Use("person:ben", "account:ben", NOON - 9 * DAY, NOON - 9 * DAY),
        Use("person:ben", "account:ben", NOON, NOON),
    ]
    traits = [f"address:{HOME}", "session:srv-1\\77\\company\\"]
    rows = [
        {
            "trait": trait,
            "subject": use.subject,
            "account": use.account,
            "first_time": use.first_time,
            "last_time": use.last_time,
            "count": 1,
        }
        for trait, use in zip(traits, uses, strict=True)
    ]
    with database.begin() as connection:
        connection.execute(insert(trait_uses), rows)
    here, known = (opened(_login(address), PLACES) for address in (STRANGE, "60.1.9.9"))
    assert here is not None
    assert known is not None
    sessions = OpenSessions()
    with database.read() as connection:
        sessions.load(connection, {"account:ben": {here.place, known.place}})
    assert sessions.elsewhere(("account:ben",), here, NOON + HOUR) == "company"
    assert sessions.elsewhere(("account:ben",), known, NOON + HOUR) is None
    assert sessions.elsewhere(("account:cem",), here, NOON + HOUR) is None


def _row(account: str, trait: str, first: int, last: int | None = None) -> Row:
    times = {"first_time": first, "last_time": last or first, "count": 1}
    return {"trait": trait, "subject": "person:" + account, "account": f"account:{account}"} | times


def _loaded(database: Database, rows: list[Row], *accounts: str) -> OpenSessions:
    """As in a batch in which these come from STRANGE."""
    with database.begin() as connection:
        connection.execute(insert(trait_uses), rows)
    sessions = OpenSessions()
    with database.read() as connection:
        sessions.load(connection, {f"account:{name}": {f"address:{STRANGE}"} for name in accounts})
    return sessions


def test_a_script_that_logs_in_all_the_time_hides_the_sessions_of_nobody_else(database: Database) -> None:
    rows = [_row("ben", "session:srv-1\\77\\company\\", NOON)]
    rows += [_row("bot", f"session:srv-2\\{n}\\company\\", NOON + 1 + n) for n in range(20_001)]
    sessions = _loaded(database, rows, "ben", "bot")
    here = opened(_login(STRANGE), PLACES)
    assert here is not None
    assert sessions.elsewhere(("account:ben",), here, NOON + HOUR) == "company"
    assert sessions.elsewhere(("account:bot",), here, NOON + HOUR) == "company"
    assert sessions.dropped == 20_001 - 2 * SESSIONS_MAX, "and what is not looked at is counted"


def test_a_network_that_an_account_knows_stays_known_however_many_addresses_others_had(
    database: Database,
) -> None:
    rows = [_row("ben", "address:101.7.1.1", NOON - 20 * DAY)]
    rows += [_row("ben", "address:101.7.1.2", NOON - 1)]
    rows += [_row(name, "session:srv-1\\77\\company\\", NOON) for name in ("ben", "cem", "dora")]
    rows += [_row("cem", "address:101.70.1.1", NOON - 20 * DAY), _row("dora", "address:101.7.1.1", NOON)]
    rows += [_row("cem", f"address:60.{n >> 8}.{n & 255}.1", NOON - 9 * DAY, NOON) for n in range(20_001)]
    sessions = _loaded(database, rows, "ben", "cem", "dora")
    here = opened(_login(STRANGE), PLACES)
    assert here is not None
    assert sessions.elsewhere(("account:ben",), here, NOON + HOUR) is None
    assert sessions.elsewhere(("account:cem",), here, NOON + HOUR) == "company", "101.70 is not 101.7"
    assert sessions.elsewhere(("account:dora",), here, NOON + HOUR) == "company", "since today only"


@pytest.mark.parametrize(
    ("known", "address", "is_known"),
    [
        ("2a01:4f8:1:2::9", "2a01:4f8:ffff:2::1", True),
        ("2a01:4f8:1:2::9", "2a01:4f80:1:2::1", False),
        ("2a01::9", "2a01:0:7:2::1", True),
        ("2a01:0:7:2::9", "2a01::1", True),
        ("2a01:1::9", "2a01::1", False),
    ],
)
def test_stored_networks_of_ipv6_are_found_however_zeros_are_written(
    database: Database, known: str, address: str, is_known: bool
) -> None:
    trait, here = address_trait(known), opened(_login(address), PLACES)
    assert trait is not None
    assert here is not None
    rows = [_row("ben", trait, NOON - DAY), _row("ben", "session:srv-1\\77\\company\\", NOON)]
    with database.begin() as connection:
        connection.execute(insert(trait_uses), rows)
    sessions = OpenSessions()
    with database.read() as connection:
        sessions.load(connection, {"account:ben": {here.place}})
    assert sessions.elsewhere(("account:ben",), here, NOON + HOUR) == (None if is_known else "company")


def _login(address: str) -> Authentication:
    event = _ssh(NOON + HOUR, address)
    assert isinstance(event, Authentication)
    return event


def test_of_an_account_that_logs_in_all_the_time_the_latest_sessions_count() -> None:
    sessions = OpenSessions()
    sessions.note("account:ben", "session:srv\\open\\company\\", NOON + DAY)
    for number in range(5 * SESSIONS_MAX):
        sessions.note("account:ben", f"session:srv\\{number}\\company\\", NOON + number)
        sessions.note("account:ben", f"ended:srv\\{number}", NOON + number + 1)
    here = opened(_login(STRANGE), PLACES)
    assert here is not None
    assert sessions.elsewhere(("account:ben",), here, NOON + DAY + HOUR) == "company"
    kept = sum(map(len, (sessions._begun["account:ben"], sessions._ended["account:ben"])))
    assert kept <= 4 * SESSIONS_MAX
    assert sessions.dropped == 10 * SESSIONS_MAX + 1 - kept


def test_ipv6_networks_are_compared_by_their_first_32_bits() -> None:
    company = _company()
    company.act(act("ben", NOON - 20 * DAY, ip="2a01:4f8:1:2::9"))
    company.act(_ssh(NOON, OFFICE))
    assert _elsewhere(company, _ssh(NOON + HOUR, "2a01:4f8:ffff:2::1")) is None
    assert _elsewhere(company, _ssh(NOON + HOUR, "2a02:4f8:ffff:2::1")) == "company"
