"""A made-up company: who works there, on which machines, from which addresses. Made from dice.

Addresses are made up too; nothing is ever sent to them. They do not come from the ranges that are kept for
documentation, since these are private to whoever sorts addresses.
"""

from __future__ import annotations

import random
from typing import Literal

import msgspec

_GIVEN = ("Wei", "Na", "Jun", "Min", "Li", "Hao", "Yan", "Bo", "Anna", "Ben", "Clara", "Eva", "Felix", "Ines")
_FAMILY = ("Chen", "Wang", "Zhao", "Liu", "Sun", "Weber", "Rossi", "Novak", "Silva", "Haas", "Costa", "Zhou")
_DEPARTMENTS = ("sales", "sales", "sales", "support", "support", "support", "finance", "engineering", "it")
_TIME_ZONES = ("Asia/Shanghai", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "UTC")
_CARRIERS = (59, 60, 101, 113, 117, 119, 171, 180, 183, 218, 222)
_MANAGERS = {"sales": 0, "support": 3}
DeviceIds = Literal["none", "browser", "certificate"]
"""By what applications tell devices apart: not at all; by what they left in a browser, which is of one
machine and one user of it; by the name in a certificate that the company's own machines have."""
_PRIVATE = frozenset({"private", "phone"})


class Machine(msgspec.Struct, frozen=True):
    """`address`: in the office. `is_companys`: handed out by the company, with a certificate of its own."""

    name: str
    address: str
    is_companys: bool


class Employee(msgspec.Struct, frozen=True):
    """`machine`: their own. `home`: the address from which they work at home, `homeworking`: on which share
    of their days. `manager`: a person's id, empty for who leads."""

    id: str
    name: str
    account: str
    department: str
    manager: str
    machine: Machine
    home: str
    homeworking: float


class Office(msgspec.Struct, frozen=True):
    """`network`: its own addresses. `exit`: the address that the internet sees, `vpn`: that of its VPN.
    `is_inside`: its applications stand in that network and see machines' own addresses."""

    network: str
    exit: str
    vpn: str
    is_inside: bool

    @property
    def networks(self) -> tuple[str, ...]:
        """What an administrator would name as the company's own."""
        return (self.network, f"{self.exit}/32", f"{self.vpn}/32")


class Company:
    """Its first staff, and makers of what comes later. `device_ids`: whether applications write down from
    which device somebody works. `names_networks`: whether an administrator named the office's addresses
    as the company's own; `working_hours`: whether and when people work, as settings say."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._names = [f"{given} {family}" for given in _GIVEN for family in _FAMILY]
        dice.shuffle(self._names)
        self._numbers = dice.sample(range(1000, 9999), 200)
        self.time_zone = dice.choice(_TIME_ZONES)
        self.device_ids: DeviceIds = dice.choice(("none", "browser", "certificate"))
        self.office = self.new_office()
        self.names_networks = dice.random() < 0.7
        self.working_hours = dice.choice(("", "07:30-19:00"))
        self.staff: list[Employee] = []
        for department in _DEPARTMENTS:
            lead = _MANAGERS.get(department)
            manager = self.staff[lead].id if lead is not None and lead < len(self.staff) else ""
            self.staff.append(self.new_employee(department, manager))

    def new_office(self) -> Office:
        net = f"10.{self._dice.randrange(1, 250)}.{self._dice.randrange(250)}"
        return Office(f"{net}.0/24", self.public_address(), self.public_address(), self._dice.random() < 0.5)

    def public_address(self) -> str:
        """One of an internet provider's."""
        parts = [self._dice.choice(_CARRIERS), *(self._dice.randrange(1, 255) for _ in range(3))]
        return ".".join(map(str, parts))

    def new_machine(self, kind: str = "laptop") -> Machine:
        return Machine(
            name=f"{kind}-{self._numbers.pop()}",
            address=f"{self.office.network.removesuffix('.0/24')}.{self._dice.randrange(2, 254)}",
            is_companys=kind not in _PRIVATE,
        )

    def new_employee(self, department: str, manager: str = "", *, machine: str = "laptop") -> Employee:
        """Not on the staff list: somebody who comes later, or a partner's. `machine`: its kind."""
        name = self._names.pop()
        return Employee(
            id=f"E{self._numbers.pop()}",
            name=name,
            account=name.lower().replace(" ", "."),
            department=department,
            manager=manager,
            machine=self.new_machine(machine),
            home=self.public_address(),
            homeworking=self._dice.choice((0.0, 0.2, 0.4)),
        )

    def lead(self, department: str) -> Employee:
        """Of sales or of support."""
        return self.staff[_MANAGERS[department]]

    def some(self, department: str) -> list[Employee]:
        """Of the department, without its lead."""
        return [
            e for e in self.staff if e.department == department and e is not self._lead_or_none(department)
        ]

    def _lead_or_none(self, department: str) -> Employee | None:
        return self.lead(department) if department in _MANAGERS else None
