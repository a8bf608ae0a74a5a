"""What people do on ordinary days: log in, work in applications, now and then copy or send something."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from server.evaluation.departures import observed_acts as acts
from server.evaluation.departures.company import Employee, Machine
from server.evaluation.departures.script import Script

BACK_OFFICE: Final = "back_office"
SHIPPING: Final = "shipping"
SERVICE_LOGIN: Final = "kefu"
"""The account that customer service shares in the shipping back-end."""
_OFFICE_SERVER: Final = acts.server("srv-office")
_SHIPPING_SERVER: Final = acts.server("srv-shipping")
_BUILD_SERVER: Final = acts.server("srv-build")
_MAIL_SERVER: Final = acts.server("mx")
_FILES: Final = ("slides.pptx", "poster.pdf", "minutes.docx", "floorplan.png", "agenda.pdf", "photo.jpg")
_STICKS_SHARE: Final = 0.2
_OFFLINE_SHARE: Final = 0.3
EARLY: Final = (8.0, 15.8)
LATE: Final = (16.0, 23.5)


def is_weekend(day: int) -> bool:
    return day % 7 >= 5


def everybody_works(script: Script, days: Iterable[int], *, but: Sequence[Employee] = ()) -> None:
    """The staff, each on their own days and in their own way, `but` those who leave."""
    days = tuple(days)
    for employee in script.company.staff:
        if employee in but:
            continue
        works(script, employee, days)
        if script.dice.random() < _OFFLINE_SHARE:
            # A trip without a network: what the laptop saw arrives afterwards.
            first = script.dice.choice(days)
            last = first + script.dice.randint(1, 4)
            script.is_offline(employee.machine.name, script.at(first, 12), script.at(last, 9))


def works(
    script: Script,
    employee: Employee,
    days: Iterable[int],
    *,
    machine: Machine | None = None,
    leaving: bool = False,
) -> None:
    """Working days among `days`; a few are missed. `machine`: instead of their own. `leaving`: uses no stick,
    since rules of their own say that every copy of somebody on notice is an alert."""
    dice = script.dice
    uses_stick = not leaving and dice.random() < _STICKS_SHARE
    stick = dice.randbytes(6).hex().upper() if uses_stick else None
    for day in days:
        if not is_weekend(day) and dice.random() < 0.94:
            works_on(script, employee, day, machine=machine, stick=stick)


def works_on(
    script: Script,
    employee: Employee,
    day: int,
    *,
    machine: Machine | None = None,
    at_home: bool | None = None,
    stick: str | None = None,
    until: float = 17.5,
    account: str | None = None,
) -> None:
    """One day. at_home: as usual by default. until: the hour at which they stop."""
    dice = script.dice
    own = machine or employee.machine
    name = account or employee.account
    if at_home is None:
        at_home = dice.random() < employee.homeworking
    address = employee.home if at_home else script.address(own, day=day)
    begins = min(dice.uniform(8.0, 9.5), until - 0.5)
    if own.is_companys:
        # Others have no agent.
        script.send(acts.login(script.at(day, begins), acts.laptop(own.name), name))
    for _ in range(dice.randint(2, 5)):
        time = script.some_time(day, begins + 0.1, until)
        opens_page(script, time, name, address, own, user=employee)
    if employee.department in {"it", "engineering"} and dice.random() < 0.7:
        key = ssh_key(name)
        time = script.some_time(day, begins + 0.1, until)
        script.send(acts.login(time, _BUILD_SERVER, name, service="sshd", address=address, key=key))
    if dice.random() < 0.1:
        script.send(
            acts.mail(
                script.some_time(day, begins + 0.1, until),
                _MAIL_SERVER,
                name,
                domain="partner.example",
                category="other",
                address=address,
                name="minutes.pdf",
                mime_type="application/pdf",
                size=dice.randrange(10_000, 3_000_000),
                digest=dice.randbytes(32).hex(),
            )
        )
    if stick is not None and dice.random() < 0.1:
        script.send(
            acts.copy_to_stick(
                script.some_time(day, begins + 0.1, until),
                acts.laptop(own.name),
                name,
                stick=stick,
                name=dice.choice(_FILES),
                size=dice.randrange(10_000, 40_000_000),
                digest=dice.randbytes(32).hex(),
            )
        )


def opens_page(
    script: Script, time: int, account: str, address: str, machine: Machine, *, user: Employee
) -> None:
    """In the back office. `user`: who sits at the machine."""
    script.send(
        acts.act(
            time,
            _OFFICE_SERVER,
            BACK_OFFICE,
            account,
            "page_viewed",
            address=address,
            device=script.device(machine, user),
            object_type="page",
            count=script.dice.randint(1, 12),
        )
    )


def ssh_key(account: str) -> str:
    """The fingerprint of the account's key."""
    return f"SHA256:{account.encode().hex():0<43.43}"


class ServiceDesk:
    """Customer service: clerks in two shifts at rostered machines, who share one login in the shipping
    back-end. Each logs in to the machine, and looks into the back office, with an account of their own."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.machines = [script.company.new_machine("desk") for _ in range(script.dice.choice((2, 3)))]
        self.usual_orders = script.dice.uniform(1.5, 4)

    def declare(self, owner: Employee, knows: tuple[Employee, ...] = ()) -> None:
        """`knows`: of whom an administrator said that they know its password."""
        self.script.account(0, 0.7, SERVICE_LOGIN, system=SHIPPING, kind="shared", owner=owner, knows=knows)

    def works(
        self,
        clerks: Sequence[Employee],
        days: Iterable[int],
        *,
        orders: float = 1.0,
        own: Mapping[str, Machine] | None = None,
    ) -> None:
        """On all days of the week, the clerks by turns. orders: how many times as many as usual. `own`:
        machines of those, by id, who do not sit at the rostered ones."""
        for day in days:
            for number, shift in enumerate((EARLY, LATE)):
                clerk = clerks[(day + number) % len(clerks)]
                self.shift(clerk, day, shift, orders=orders, machine=(own or {}).get(clerk.id))

    def shift(
        self,
        clerk: Employee,
        day: int,
        hours: tuple[float, float],
        *,
        orders: float = 1.0,
        machine: Machine | None = None,
        address: str | None = None,
    ) -> None:
        script, dice = self.script, self.script.dice
        machine = machine or dice.choice(self.machines)
        address = address or script.address(machine, day=day)
        first, last = hours
        script.send(
            acts.login(script.some_time(day, first, first + 0.2), acts.laptop(machine.name), clerk.account)
        )
        for _ in range(2):
            time = script.some_time(day, first + 0.2, last)
            opens_page(script, time, clerk.account, address, machine, user=clerk)
        for _ in range(3):
            self.act(script.some_time(day, first + 0.2, last), "orders_viewed", machine, address, clerk)
        for _ in range(round(dice.gauss(1, 0.3) * self.usual_orders * orders)):
            self.act(
                script.some_time(day, first + 0.2, last), "manual_order_created", machine, address, clerk
            )

    def act(
        self, time: int, action: str, machine: Machine, address: str, user: Employee, *, leak: bool = False
    ) -> None:
        """With the shared login."""
        creates = action == "manual_order_created"
        script = self.script
        event = acts.act(
            time,
            _SHIPPING_SERVER,
            SHIPPING,
            SERVICE_LOGIN,
            action,
            address=address,
            device=script.device(machine, user),
            activity="create" if creates else "read",
            object_type="order",
            name=f"M-{script.dice.randrange(10**6)}" if creates else None,
            count=None if creates else script.dice.randint(3, 40),
        )
        (script.leak if leak else script.send)(event)
