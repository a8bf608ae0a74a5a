"""What must be found: the three cases that Leaver exists for, and what else people do after leaving."""

from __future__ import annotations

import msgspec

from event_schema.ocsf_events import Event
from server.evaluation.departures import observed_acts as acts
from server.evaluation.departures.company import Employee, Machine
from server.evaluation.departures.ordinary_days import (
    ServiceDesk,
    everybody_works,
    is_weekend,
    opens_page,
    ssh_key,
    works,
    works_on,
)
from server.evaluation.departures.script import HrRow, Script, Stream

_WORK_CHAT = "work_chat"
_CHAT_SERVER = acts.server("srv-chat")
_ORDERS = 153
_RECORDS = 6000


def _old_teams_chat(script: Script) -> None:
    dice, company = script.dice, script.company
    lead, leaver = company.lead("sales"), dice.choice(company.some("sales"))
    own = company.new_machine("private")
    last_day = dice.randrange(32, 50)
    begins = last_day + dice.randrange(60, 200)
    ends = begins + dice.randrange(60, 100)
    script.roster()
    everybody_works(script, range(1, ends), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    for day in dice.sample(range(2, last_day), 10):
        # In the evening, at home, on a machine of their own.
        opens_page(script, script.some_time(day, 19, 22), leaver.account, leaver.home, own, user=leaver)
    script.leaves(leaver, last_day, told=last_day - dice.randrange(10, 28))
    script.suspect, script.owner = leaver.id, lead.id
    if company.device_ids == "browser" and dice.random() < 0.5:
        # Meanwhile the provider gave the home another address.
        leaver = msgspec.structs.replace(leaver, home=company.public_address())
    records = 0
    for day in sorted(dice.sample(range(begins, ends), 40)):
        time = script.some_time(day, 19, 23)
        script.leak(_chat(script, time, lead, leaver, own))
        for _ in range(dice.randint(6, 12)):
            time += dice.randrange(20_000, 240_000)
            taken = dice.randint(8, 30)
            records += taken
            script.leak(_enquiries(script, time, lead, leaver, own, taken))
    while records < _RECORDS:
        time += dice.randrange(20_000, 240_000)
        records += 30
        script.leak(_enquiries(script, time, lead, leaver, own, 30))


def _chat(script: Script, time: int, account: Employee, who: Employee, machine: Machine) -> Event:
    return acts.act(
        time,
        _CHAT_SERVER,
        _WORK_CHAT,
        account.account,
        "signed_in",
        address=who.home,
        device=script.device(machine, who),
    )


def _enquiries(
    script: Script, time: int, account: Employee, who: Employee, machine: Machine, count: int
) -> Event:
    return acts.act(
        time,
        acts.server("srv-office"),
        "back_office",
        account.account,
        "enquiry_opened",
        address=who.home,
        device=script.device(machine, who),
        object_type="enquiry",
        count=count,
    )


def _shared_service_login(script: Script) -> None:
    dice, company = script.dice, script.company
    clerks = [company.lead("support"), *company.some("support")]
    joined = dice.randrange(20, 40)
    leaver = company.new_employee("support", clerks[0].id)
    last_day = joined + dice.randrange(9, 25)
    begins = last_day + dice.randrange(2, 20)
    # That the clerk knows the password is declared, or shows, where the application tells devices apart: at
    # an own desk, or at the rostered ones.
    shows = ("declared", "own desk", "rostered desks")
    known_by = "declared" if company.device_ids == "none" else dice.choice(shows)
    desk = ServiceDesk(script)
    own = company.new_machine("desk") if known_by == "own desk" else None
    devices = () if own is None else (own.name,)
    script.roster(HrRow(leaver, (leaver.account,), devices, None, "support", start=joined))
    desk.declare(clerks[0], knows=(leaver,) if known_by == "declared" else ())
    everybody_works(script, range(1, begins + 5), but=clerks)
    desk.works(clerks, range(1, joined))
    desk.works([*clerks, leaver], range(joined, last_day + 1), own={leaver.id: own} if own else {})
    desk.works(clerks, range(last_day + 1, begins + 6))
    script.leaves(leaver, last_day, told=last_day + 1, leaving_type="dismissed", notice=last_day)
    script.suspect, script.owner = leaver.id, clerks[0].id
    phone = company.new_machine("phone")
    for number in range(_ORDERS):
        day = begins + number * 4 // _ORDERS
        time = script.some_time(day, *dice.choice(((0.5, 3), (10, 13), (20, 23.5))))
        desk.act(time, "manual_order_created", phone, leaver.home, leaver, leak=True)


def _long_goodbye(script: Script) -> None:
    dice, company = script.dice, script.company
    leaver = dice.choice(company.staff[1:])
    told = dice.randrange(35, 50)
    last_day = told + dice.randrange(18, 35)
    script.roster()
    everybody_works(script, range(1, last_day + 1), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    script.leaves(leaver, last_day, told=told)
    script.suspect = script.owner = leaver.id
    days = [day for day in range(told + 1, last_day) if not is_weekend(day)]
    way = dice.choice(("all at once", "a little a day", "table"))
    if way == "table":
        _takes_table(script, leaver, dice.choice(days[2:]))
        return
    stick = dice.randbytes(6).hex().upper()
    chosen = [dice.choice(days)] if way == "all at once" else sorted(dice.sample(days, 8))
    for day in chosen:
        for number in range(dice.randint(60, 150) if len(chosen) == 1 else dice.randint(2, 5)):
            script.leak(_copied(script, leaver, day, number, stick))


def _copied(script: Script, who: Employee, day: int, number: int, stick: str) -> Event:
    dice = script.dice
    return acts.copy_to_stick(
        script.some_time(day, 12, 13),
        acts.laptop(who.machine.name),
        who.account,
        stick=stick,
        name=f"{dice.choice(('客户名单', 'customers', 'quotations'))}-{day}-{number}.xlsx",
        size=dice.randrange(40_000, 4_000_000),
        digest=dice.randbytes(32).hex(),
    )


def _takes_table(script: Script, leaver: Employee, day: int) -> None:
    dice = script.dice
    time = script.some_time(day, 9.5, 16)
    script.leak(
        acts.table_copied(
            time,
            acts.server("srv-db"),
            leaver.account,
            address=script.address(leaver.machine, day=day),
            table="public.customers",
            rows=dice.randrange(3000, 80_000),
        )
    )
    application, category = dice.choice((("WeChat", "messenger"), ("Nutstore", "cloud_drive")))
    script.leak(
        acts.upload(
            time + dice.randrange(120_000, 3_600_000),
            acts.laptop(leaver.machine.name),
            leaver.account,
            application=application,
            category="messenger" if category == "messenger" else "cloud_drive",
            name="customers.csv",
            size=dice.randrange(300_000, 9_000_000),
            digest=dice.randbytes(32).hex(),
        )
    )


def _copied_before_it_was_known(script: Script) -> None:
    """Counted from the moment at which somebody is flagged: only then the copies are a case."""
    dice, company = script.dice, script.company
    leaver = dice.choice(company.staff[1:])
    told = dice.randrange(45, 60)
    script.roster()
    everybody_works(script, range(1, told + 5), but=(leaver,))
    works(script, leaver, range(1, told + 5), leaving=True)
    day = dice.choice([day for day in range(told - 30, told - 1) if not is_weekend(day)])
    stick = dice.randbytes(6).hex().upper()
    for number in range(dice.randint(5, 60)):
        script.send(_copied(script, leaver, day, number, stick))
    hour = dice.uniform(9, 17)
    script.flag(told, hour, leaver, told + dice.randrange(0, 20), dice.choice((None, 1050)))
    script.suspect = script.owner = leaver.id
    script.leak_begins = script.at(told, hour)


def _own_account_still_open(script: Script) -> None:
    """X1."""
    dice, company = script.dice, script.company
    leaver = dice.choice(company.staff[1:])
    last_day = dice.randrange(30, 50)
    begins = last_day + dice.randrange(2, 60)
    script.roster()
    everybody_works(script, range(1, begins + 8), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    script.leaves(
        leaver, last_day, told=last_day - dice.randrange(1, 28), last_hour=dice.choice(("", "17:30"))
    )
    script.suspect = script.owner = leaver.id
    own = company.new_machine("private")
    for day in range(begins, begins + 4):
        for _ in range(dice.randint(2, 8)):
            script.leak(_enquiries(script, script.some_time(day, 18, 23), leaver, leaver, own, 3))


def _key_that_outlived(script: Script) -> None:
    """X5: a key that somebody used while employed opens a service account after they left."""
    dice, company = script.dice, script.company
    leaver = next(e for e in company.staff if e.department == "engineering")
    admin = next(e for e in company.staff if e.department == "it")
    last_day = dice.randrange(30, 50)
    begins = last_day + dice.randrange(3, 60)
    build = acts.server("srv-build")
    key = ssh_key(leaver.account)
    script.roster()
    script.account(0, 0.7, "deploy", kind="service", owner=admin)
    everybody_works(script, range(1, begins + 4), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    for day in range(3, last_day):
        if not is_weekend(day) and dice.random() < 0.4:
            time, address = script.some_time(day, 10, 17), script.address(leaver.machine, day=day)
            script.send(acts.login(time, build, leaver.account, service="sshd", address=address, key=key))
            script.send(acts.login(time + 60_000, build, "deploy", service="sshd", address=address, key=key))
    script.leaves(leaver, last_day, told=last_day - dice.randrange(1, 28))
    script.suspect, script.owner = leaver.id, admin.id
    for day in range(begins, begins + 3):
        time = script.some_time(day, 19, 23)
        script.leak(acts.login(time, build, "deploy", service="sshd", address=leaver.home, key=key))


def _partner_after_contract(script: Script) -> None:
    """X6."""
    dice, company = script.dice, script.company
    partner = company.new_employee("support", machine="private")
    last_day = dice.randrange(30, 50)
    begins = last_day + dice.randrange(5, 60)
    script.roster(HrRow(partner, (partner.account,), (), None, "support", start=-200, kind="partner"))
    if dice.random() < 0.5:
        script.account(0, 0.7, partner.account, kind="partner")
    everybody_works(script, range(1, begins + 4))
    for day in range(1, last_day + 1):
        if not is_weekend(day):
            works_on(script, partner, day, at_home=True)
    script.leaves(partner, last_day, told=last_day - 10, leaving_type="partner end")
    script.suspect = script.owner = partner.id
    elsewhere = company.new_employee("support", machine="private")
    for day in range(begins, begins + 3):
        time = script.some_time(day, 10, 23)
        script.leak(_enquiries(script, time, partner, elsewhere, elsewhere.machine, dice.randint(3, 30)))


def _dormant_account_wakes(script: Script) -> None:
    """X4: a second account that nobody used for months works at night, from a machine and an address
    that nobody ever came from."""
    dice, company = script.dice, script.company
    owner = next(e for e in company.staff if e.department == "engineering")
    account = msgspec.structs.replace(owner, account=f"adm.{owner.account}")
    script.roster(msgspec.structs.replace(script.row(owner), accounts=(owner.account, account.account)))
    last_used = dice.randrange(12, 20)
    wakes = last_used + dice.randrange(50, 150)
    everybody_works(script, range(1, wakes + 3))
    for day in range(1, last_used, 2):
        address = script.address(owner.machine, day=day)
        time = script.some_time(day, 10, 17)
        opens_page(script, time, account.account, address, owner.machine, user=owner)
    script.suspect = script.owner = owner.id
    stranger = company.new_employee("", machine="private")
    for day in range(wakes, wakes + 2):
        time = script.some_time(day, 0.5, 4)
        script.leak(_enquiries(script, time, account, stranger, stranger.machine, dice.randint(5, 40)))


STREAMS = (
    Stream(
        "old_teams_chat",
        "alert",
        "Months after leaving, somebody works with the former manager's account from home",
        _old_teams_chat,
    ),
    Stream(
        "shared_service_login",
        "alert",
        "A dismissed clerk makes 153 orders with the shared login of customer service",
        _shared_service_login,
    ),
    Stream(
        "long_goodbye",
        "alert",
        "Somebody on notice copies customer lists to a stick, or sends an exported table away",
        _long_goodbye,
    ),
    Stream(
        "copied_before_it_was_known",
        "alert",
        "Customer lists were copied weeks before somebody is flagged as leaving",
        _copied_before_it_was_known,
    ),
    Stream(
        "own_account_still_open",
        "alert",
        "Weeks after leaving, the own account still works",
        _own_account_still_open,
    ),
    Stream(
        "dormant_account_wakes",
        "alert",
        "An account that slept for months works at night, from a place of nobody's",
        _dormant_account_wakes,
    ),
    Stream(
        "key_that_outlived",
        "alert",
        "The key of somebody who left opens a service account",
        _key_that_outlived,
    ),
    Stream(
        "partner_after_contract",
        "alert",
        "A partner's account is used after the contract's end, from a new network",
        _partner_after_contract,
    ),
)
