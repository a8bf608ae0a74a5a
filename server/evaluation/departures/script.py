"""What happens in one variant of a stream: what agents see and when it arrives, what is declared and when.

Days count from the script's first day, a Monday, in the company's time zone; hours are local. All chance
comes from the script's dice, so that a seed gives the same script again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import random
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection

from event_schema.ocsf_events import Event
from server.evaluation.departures.company import Company, Employee, Machine, Office
from server.people.account_facts import AccountWords, declare_account
from server.people.company import keep_company
from server.people.company_places import PRIVATE_NETWORKS, NamedPlaces
from server.people.directory import raise_people_version
from server.people.facts import AccountKind, LeaverFlag
from server.people.flags import flag_person, unflag_person
from server.people.hr_import import import_people
from server.people.local_time import DAY_ZERO

ACTOR: Final = "evaluation"
_MONDAY: Final = date(2026, 1, 5)
_COLUMNS: Final = (
    "id,name,accounts,devices,since,department,manager,time zone,start date,notice date,"
    "last working day,last hour,leaving type,kind,employment"
)


class ScriptFailed(Exception):
    """A script declares what the product refuses: the script is wrong, or the product."""


class Sent(NamedTuple):
    """An event on its way from the agent of its device. `time`, `arrives`: ms UTC. `is_leak`: of the act that
    must be found."""

    time: int
    arrives: int
    agent: str
    event: Event
    is_leak: bool = False


class Declared(NamedTuple):
    at: int
    apply: Callable[[Connection, int], None]


class HrRow(msgspec.Struct, frozen=True):
    """A row of HR's file. Days are the script's. `since`: from when accounts and machines that are new in the
    row are the person's."""

    employee: Employee
    accounts: tuple[str, ...]
    devices: tuple[str, ...]
    since: int | None = None
    department: str = ""
    start: int | None = None
    notice: int | None = None
    last_day: int | None = None
    last_hour: str = ""
    leaving_type: str = ""
    kind: str = "employee"
    employment: str = ""
    time_zone: str = ""
    """Where that is not the company's."""


class Script:
    """`suspect`: who does it; of whom an alert must say so. `owner`: whose account is used. `leak_begins`:
    the first event of the act, ms UTC. `offline`: when an agent cannot send: (machine, from, until)."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.company = Company(dice)
        self.first_date = _MONDAY + timedelta(weeks=dice.randrange(30))
        self.sent: list[Sent] = []
        self.declared: list[Declared] = []
        self.offices: list[tuple[int, Office]] = [(0, self.company.office)]
        self.suspect: str | None = None
        self.owner: str | None = None
        self.leak_begins: int | None = None
        self.offline: list[tuple[str, int, int]] = []
        self._rows: dict[str, HrRow] = {}

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.company.time_zone)

    # ---- when ---------------------------------------------------------------------------------------------

    def at(self, day: int, hour: float, *, fold: int = 0) -> int:
        """ms UTC. hour: local, may be 24 and more. fold: of an hour that clocks show twice, the second."""
        local = datetime.combine(self.first_date, datetime.min.time()) + timedelta(days=day, hours=hour)
        return int(local.replace(tzinfo=self.zone, fold=fold).timestamp() * 1000)

    def date(self, day: int) -> date:
        return self.first_date + timedelta(days=day)

    def local_day(self, day: int) -> int:
        """Since 1970, as people's dates are stored."""
        return self.date(day).toordinal() - DAY_ZERO

    def some_time(self, day: int, first: float, last: float) -> int:
        return self.at(day, self.dice.uniform(first, last))

    # ---- what agents see ----------------------------------------------------------------------------------

    def send(self, event: Event, *, is_leak: bool = False) -> None:
        agent = event.device.uid
        assert agent is not None
        arrives = event.time + self.dice.randint(800, 4000)
        self.sent.append(Sent(event.time, arrives, agent, event, is_leak))

    def leak(self, event: Event) -> None:
        """An event of the act that must be found."""
        self.leak_begins = event.time if self.leak_begins is None else min(self.leak_begins, event.time)
        self.send(event, is_leak=True)

    def is_offline(self, machine: str, first: int, last: int) -> None:
        """From one moment to another (ms UTC): what it saw arrives afterwards."""
        self.offline.append((machine, first, last))

    def device(self, machine: Machine, user: Employee) -> str | None:
        """As an application's log tells it, if it does. `user`: of the machine, whatever account they use."""
        match self.company.device_ids:
            case "browser":
                return hashlib.sha256(f"{machine.name}/{user.id}".encode()).hexdigest()[:16]
            case "certificate":
                return machine.name if machine.is_companys else None
            case _:
                return None

    def address(self, machine: Machine, *, day: int) -> str:
        """From where applications see a machine that stands in the office."""
        office = [each for since, each in self.offices if since <= day][-1]
        if not office.is_inside:
            return office.exit
        return f"{office.network.removesuffix('.0/24')}.{machine.address.rpartition('.')[2]}"

    # ---- what is declared ---------------------------------------------------------------------------------

    def declare(self, day: int, hour: float, apply: Callable[[Connection, int], None]) -> None:
        self.declared.append(Declared(self.at(day, hour), apply))

    def row(self, employee: Employee) -> HrRow:
        """As HR has it now."""
        found = self._rows.get(employee.id)
        if found is None:
            own = HrRow(employee, (employee.account,), (employee.machine.name,), None, employee.department)
            found = self._rows[employee.id] = own
        return found

    def hr_file(self, day: int, hour: float, *rows: HrRow) -> None:
        """HR's export arrives and is imported; people who are not in it stay as they are."""
        for row in rows:
            self._rows[row.employee.id] = row
        data = self._csv(rows)

        def take_over(connection: Connection, at: int) -> None:
            report = import_people(connection, data, actor=ACTOR, at=at)
            if report.stopped is not None or report.problems:
                raise ScriptFailed(f"HR's file: {report.stopped} {report.problems}")

        self.declare(day, hour, take_over)

    def roster(self, *more: HrRow) -> None:
        """The first file, before anything happens: all of the staff, and these rows."""
        rows = {employee.id: self.row(employee) for employee in self.company.staff}
        self.hr_file(0, 0.5, *(rows | {row.employee.id: row for row in more}).values())

    def leaves(
        self,
        employee: Employee,
        last_day: int,
        *,
        told: int,
        told_hour: float = 2.0,
        notice: int | None = None,
        last_hour: str = "",
        leaving_type: str = "resigned",
    ) -> None:
        """HR's file of the night says so."""
        row = msgspec.structs.replace(
            self.row(employee),
            last_day=last_day,
            notice=told if notice is None else notice,
            last_hour=last_hour,
            leaving_type=leaving_type,
        )
        self.hr_file(told, told_hour, row)

    def flag(self, day: int, hour: float, employee: Employee, last_day: int, last_minute: int | None) -> None:
        """By hand."""
        said = LeaverFlag(self.local_day(last_day), None, last_minute, "dismissed")

        def apply(connection: Connection, at: int) -> None:
            flag_person(connection, employee.id, said, actor=ACTOR, at=at, reason="case")

        self.declare(day, hour, apply)

    def unflag(self, day: int, hour: float, employee: Employee) -> None:
        def apply(connection: Connection, at: int) -> None:
            unflag_person(connection, employee.id, actor=ACTOR, at=at, reason="withdrawn")

        self.declare(day, hour, apply)

    def account(
        self,
        day: int,
        hour: float,
        account: str,
        *,
        system: str = "",
        kind: AccountKind | None = None,
        owner: Employee | None = None,
        knows: tuple[Employee, ...] = (),
        rotated: bool = False,
    ) -> None:
        """An administrator declares an account, as `leaver people account` does."""
        at_moment = self.at(day, hour)
        said = AccountWords(
            account,
            system,
            kind,
            owner=None if owner is None else owner.id,
            knows=tuple(each.id for each in knows),
            rotated_at=at_moment if rotated else None,
        )

        def apply(connection: Connection, at: int) -> None:
            declare_account(connection, said, actor=ACTOR, at=at, reason=None)

        self.declare(day, hour, apply)

    def moves_office(self, day: int, office: Office) -> None:
        """From that day machines are seen from there. An administrator names its addresses before."""
        self.offices.append((day, office))
        self.company.names_networks = True
        self.declare(day, 0.2, lambda connection, _at: self.settings(connection))

    def settings(self, connection: Connection) -> None:
        """The company's own, as `leaver up` writes them at its start."""
        company = self.company
        named = (
            [net for _, office in self.offices for net in office.networks] if company.names_networks else []
        )
        keep_company(
            connection,
            calendar="",
            time_zone=company.time_zone,
            working_hours=company.working_hours,
            places=NamedPlaces(networks=(*PRIVATE_NETWORKS, *named)),
        )
        raise_people_version(connection)

    def _csv(self, rows: tuple[HrRow, ...]) -> bytes:
        lines = io.StringIO()
        writer = csv.writer(lines)
        writer.writerow(_COLUMNS.split(","))
        for row in rows:
            writer.writerow(
                [
                    row.employee.id,
                    row.employee.name,
                    ";".join(row.accounts),
                    ";".join(row.devices),
                    self._day(row.since),
                    row.department,
                    row.employee.manager,
                    row.time_zone or self.company.time_zone,
                    self._day(row.start),
                    self._day(row.notice),
                    self._day(row.last_day),
                    row.last_hour,
                    row.leaving_type,
                    row.kind,
                    row.employment,
                ]
            )
        return lines.getvalue().encode()

    def _day(self, day: int | None) -> str:
        return "" if day is None else self.date(day).isoformat()


Expectation = Literal["alert", "silence"]


class Stream(msgspec.Struct, frozen=True):
    """`says`: what happens, in a line. `write`: puts one variant into a script."""

    name: str
    expects: Expectation
    says: str
    write: Callable[[Script], None]
