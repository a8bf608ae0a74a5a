"""What was declared of machines, sticks, keys and destinations, as an event shows it."""

from __future__ import annotations

import msgspec

from event_schema.ocsf_account_events import (
    Authentication,
    AuthenticationActivity,
    LogonType,
    Outcome,
    authentication,
)
from event_schema.ocsf_events import Event, event_metadata
from event_schema.ocsf_network import DestinationEndpoint, Service, SourceEndpoint
from event_schema.ocsf_objects import Actor, Host, HostType, User
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from event_schema.ocsf_unmapped import Evidence, Unmapped
from server.enrich.around import Around
from server.people.company_places import CompanyPlaces, NamedPlaces
from server.people.holders import Binding
from tests.event_schema.sample_events import sample_events
from tests.server.enrich.people_who_left import DAY, LEFT, Company, act, shared
from tests.server.pipeline.endpoint import copied_file

PLACES = CompanyPlaces(NamedPlaces(destinations=("corp.example",), devices=("0951:*",)))


def _around(company: Company, event: Event) -> Around:
    return company.around.look_at(event, company.who.who(event, event.time), event.time)


def test_a_machine_is_whose_it_is_declared_to_be_and_tells_that_it_was_passed_on() -> None:
    given = LEFT + 10 * DAY
    traits = {
        "host:laptop-1": (Binding("ana", until=given), Binding("cem", since=given)),
        "host:pc-2": (Binding("ben"),),
        "device:phone": (Binding("dora", until=LEFT),),
    }
    company = Company(traits=traits)

    def declared(event: Event) -> tuple[str | None, bool | None, bool | None]:
        found = _around(company, event)
        return found.assigned_to, found.reissued, found.trusted

    assert declared(act("ben", given - 1, host="LAPTOP-1")) == ("ana", False, True)
    assert declared(act("ben", given, host="laptop-1")) == ("cem", True, True)
    assert declared(act("ben", given, host="pc-2")) == ("ben", False, True)
    assert declared(act("ben", given, device="phone")) == (None, False, False)
    assert declared(act("ben", given, host="unheard-of")) == (None, None, None)


def test_a_stick_is_trusted_where_the_company_named_it() -> None:
    ours = copied_file(LEFT, account="ben", device="0951:1666:77")
    assert _around(Company(places=PLACES), ours).trusted is True
    assert _around(Company(places=PLACES), copied_file(LEFT, account="ben")).trusted is False
    assert _around(Company(), ours).trusted is None


def test_what_stays_in_the_company_is_sent_to_its_own_destinations_alone() -> None:
    upload = next(e for e in sample_events() if isinstance(e, FileHostingActivity))
    mail = next(e for e in sample_events() if isinstance(e, EmailActivity))

    def sent(*domains: str) -> bool | None:
        email = msgspec.structs.replace(mail.email, to=tuple(f"*@{domain}" for domain in domains))
        return _around(Company(places=PLACES), msgspec.structs.replace(mail, email=email)).company_owned

    assert sent("corp.example", "eu.corp.example") is True
    assert sent("corp.example", "qq.com") is False
    for host, owned in (("files.corp.example", True), ("qq.com", False)):
        there = msgspec.structs.replace(upload, dst_endpoint=DestinationEndpoint(hostname=host))
        assert _around(Company(places=PLACES), there).company_owned is owned
        assert _around(Company(), there).company_owned is None
    assert _around(Company(places=PLACES), act("ben", LEFT)).company_owned is None


def _login(account: str, time: int, key: str | None, **more: object) -> Authentication:
    event = authentication(
        AuthenticationActivity.LOGON,
        time=time,
        metadata=event_metadata("logins", "0.1.0"),
        actor=Actor(app_name="sshd"),
        device=Host(hostname="web-1", type_id=HostType.SERVER),
        user=User(name=account, credential_uid=key),
        service=Service(name="sshd"),
        status_id=Outcome.SUCCESS,
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="journald")),
        src_endpoint=SourceEndpoint(ip="198.51.100.9"),
        logon_type_id=LogonType.REMOTE_INTERACTIVE,
    )
    return msgspec.structs.replace(event, **more)


def test_a_key_that_was_in_use_before_its_person_left_outlived_them() -> None:
    company = Company()
    company.acts(_login("ana", LEFT - 9 * DAY, "SHA256:a"), _login("ben", LEFT - 9 * DAY, "SHA256:b"))

    def outlived(account: str, time: int, key: str | None) -> bool | None:
        return _around(company, _login(account, time, key)).credential_outlived

    assert outlived("ana", LEFT - DAY, "SHA256:a") is False
    assert outlived("ana", LEFT + DAY, "SHA256:a") is True
    assert outlived("kefu", LEFT + DAY, "SHA256:a") is True
    assert outlived("ben", LEFT + DAY, "SHA256:b") is False
    assert outlived("ana", LEFT + DAY, None) is None
    # Nobody knows when this one was made.
    assert outlived("ana", LEFT + DAY, "SHA256:new") is None


def test_a_services_key_with_a_new_owner_is_theirs() -> None:
    key, before = "SHA256:svc", LEFT - 100 * DAY
    handed_over = (Binding("ana", until=LEFT), Binding("ben", since=LEFT))
    for owners, outlived in (((Binding("ana"),), True), (handed_over, False)):
        company = Company(kefu=shared(owners=owners))
        company.act(_login("kefu", before, key))
        assert _around(company, _login("kefu", LEFT + DAY, key)).credential_outlived is outlived
    declared = Company(kefu=shared(owners=(Binding("ana"),)), traits={f"key:{key}": (Binding("cem"),)})
    declared.act(_login("kefu", before, key))
    assert _around(declared, _login("kefu", LEFT + DAY, key)).credential_outlived is False


def test_a_login_at_a_machines_own_screen_is_from_that_machine_and_one_from_elsewhere_is_not() -> None:
    company = Company()
    screen = _login("ben", LEFT, None, src_endpoint=None, logon_type_id=LogonType.INTERACTIVE)
    company.acts(screen, _login("cem", LEFT, None))
    switch = msgspec.structs.replace(
        screen, activity_id=AuthenticationActivity.ACCOUNT_SWITCH, type_uid=300_207
    )
    company.act(switch)
    assert sorted((row["trait"], row["count"]) for row in company.uses.rows()) == [
        ("account:ben", 1),
        ("account:cem", 1),
        ("address:198.51.100.9", 1),
        ("host:web-1", 1),
    ]


def test_off_shift_is_known_where_the_company_named_its_hours() -> None:
    company = Company(working_hours="08:00-17:00")
    noon = LEFT + DAY + DAY // 2
    assert [_around(company, act("ben", at)).off_shift for at in (noon, noon + DAY // 3)] == [False, True]
    assert _around(Company(), act("ben", noon)).off_shift is None
