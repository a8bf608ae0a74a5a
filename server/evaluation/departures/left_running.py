"""Look-alikes: what goes on after somebody left because machines, successors or partners go on."""

from __future__ import annotations

import msgspec

from server.evaluation.departures import observed_acts as acts
from server.evaluation.departures.company import Employee
from server.evaluation.departures.ordinary_days import everybody_works, is_weekend, works, works_on
from server.evaluation.departures.script import HrRow, Script, Stream

_FILES = ("plan.docx", "minutes.docx", "prices-of-lunch.pdf", "team.jpg", "agenda.pdf")


def _one_leaves(script: Script, department: str = "", after: int = 30) -> tuple[Employee, int]:
    """Ordinary weeks of all; (who leaves, last day)."""
    dice, company = script.dice, script.company
    leaver = dice.choice(company.some(department) if department else company.some("sales"))
    last_day = dice.randrange(28, 42)
    script.roster()
    everybody_works(script, range(1, last_day + after), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    return leaver, last_day


def _mail_client_keeps_trying(script: Script) -> None:
    """The account is closed; a phone goes on asking for mail with the old password."""
    leaver, last_day = _one_leaves(script)
    dice = script.dice
    script.leaves(leaver, last_day, told=last_day - dice.randrange(3, 20))
    why = dice.choice(("wrong_credential", "account_expired"))
    for day in range(last_day + 1, last_day + dice.randrange(3, 20)):
        for hour in range(0, 24, dice.choice((1, 2, 4))):
            time = script.at(day, hour + dice.random())
            script.send(
                acts.login(
                    time,
                    acts.server("mx"),
                    leaver.account,
                    service="dovecot",
                    address=leaver.home,
                    failed=why,
                    count=dice.randint(1, 12),
                )
            )


def _sync_client_runs_on(script: Script) -> None:
    """The laptop lies at IT, switched on; what colleagues put into a shared folder still comes down to it."""
    leaver, last_day = _one_leaves(script)
    dice = script.dice
    # Nobody told before: on notice, a rule of its own asks for every file in a cloud drive's folder.
    script.leaves(leaver, last_day, told=last_day + 1, notice=last_day, last_hour="17:30")
    runs = [*range(2, last_day), *range(last_day + 1, last_day + dice.randrange(3, 9))]
    application = dice.choice(("Nutstore", "OneDrive"))
    for day in runs:
        for _ in range(dice.randint(0, 4)):
            script.send(
                acts.synchronised(
                    script.some_time(day, 8, 19),
                    acts.laptop(leaver.machine.name),
                    leaver.account,
                    application=application,
                    name=dice.choice(_FILES),
                    size=dice.randrange(10_000, 3_000_000),
                    digest=dice.randbytes(32).hex(),
                )
            )


def _service_key_has_new_owner(script: Script) -> None:
    """A job runs every night with a key that somebody made who has left; a colleague answers for it now."""
    leaver, last_day = _one_leaves(script, "engineering")
    dice, company = script.dice, script.company
    admin = next(e for e in company.staff if e.department == "it")
    script.account(0, 0.7, "backup", kind="service", owner=leaver)
    script.leaves(leaver, last_day, told=last_day - dice.randrange(3, 20))
    script.account(last_day - dice.randint(0, 3), 15, "backup", owner=admin)
    runner = company.new_machine("runner")
    for day in range(1, last_day + 30):
        script.send(
            acts.login(
                script.at(day, 2 + dice.random() / 10),
                acts.server("srv-build"),
                "backup",
                service="sshd",
                address=script.address(runner, day=day),
                key="SHA256:backup0000000000000000000000000000000000000",
            )
        )


def _handover_to_successor(script: Script) -> None:
    """A second account of whoever left, a region's, goes to the successor with the day after."""
    dice, company = script.dice, script.company
    leaver, successor = dice.sample(company.some("sales"), 2)
    region = f"region.{dice.choice(('north', 'south', 'east', 'west'))}"
    last_day = dice.randrange(28, 42)
    script.roster(
        msgspec.structs.replace(script.row(leaver), accounts=(leaver.account, region)),
    )
    everybody_works(script, range(1, last_day + 30), but=(leaver,))
    works(script, leaver, range(1, last_day + 1), leaving=True)
    script.leaves(leaver, last_day, told=last_day - 14)
    for day in range(1, last_day + 30):
        who = leaver if day <= last_day else successor
        if not is_weekend(day) and dice.random() < 0.6:
            works_on(script, who, day, account=region, at_home=False)
    takes = msgspec.structs.replace(
        script.row(successor), accounts=(successor.account, region), since=last_day + 1
    )
    gives = msgspec.structs.replace(script.row(leaver), accounts=(leaver.account,))
    script.hr_file(last_day - dice.randint(0, 3), 20, takes, gives)


def _partners_dates_come_late(script: Script) -> None:
    """A partner's contract goes on; that it does is told days after its old end."""
    dice, company = script.dice, script.company
    partner = company.new_employee("support", machine="private")
    ended = 7 * dice.randrange(4, 6) + 4
    told = ended + dice.randrange(4, 8)
    row = HrRow(
        partner,
        (partner.account,),
        (),
        None,
        "support",
        start=-200,
        last_day=ended,
        notice=ended,
        kind="partner",
    )
    script.roster(row)
    if dice.random() < 0.5:
        script.account(0, 0.7, partner.account, kind="partner")
    everybody_works(script, range(1, told + 20))
    for day in range(1, told + 20):
        if not is_weekend(day):
            works_on(script, partner, day, at_home=True)
    script.hr_file(told, 2, msgspec.structs.replace(row, last_day=None, notice=None))


STREAMS = (
    Stream(
        "mail_client_keeps_trying",
        "silence",
        "A phone asks for mail with a closed account",
        _mail_client_keeps_trying,
    ),
    Stream(
        "sync_client_runs_on",
        "silence",
        "A returned laptop goes on synchronising a folder",
        _sync_client_runs_on,
    ),
    Stream(
        "service_key_has_new_owner",
        "silence",
        "A nightly job's key outlives its maker; a colleague answers for it",
        _service_key_has_new_owner,
    ),
    Stream(
        "handover_to_successor", "silence", "A second account goes to the successor", _handover_to_successor
    ),
    Stream(
        "partners_dates_come_late",
        "silence",
        "A partner works on from their own network; the new contract is told late",
        _partners_dates_come_late,
    ),
)
