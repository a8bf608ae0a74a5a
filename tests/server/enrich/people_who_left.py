"""A small company for tests of uses: Ana left, Ben, Cem and Dora stay; Ben answers for shared `kefu`."""

from __future__ import annotations

from event_schema.ocsf_account_events import ApiActivityKind, Outcome, api_activity
from event_schema.ocsf_events import Event, event_metadata
from event_schema.ocsf_network import Api, Service, SourceEndpoint
from event_schema.ocsf_objects import Actor, Host, HostType, User
from event_schema.ocsf_unmapped import Evidence, Unmapped
from server.enrich.surroundings import Surroundings, surroundings_of
from server.enrich.trait_uses import TraitUses
from server.enrich.who import WhoIsWho
from server.people.company_places import CompanyPlaces
from server.people.directory import AccountRecord, Directory, PersonRecord
from server.people.facts import Employment
from server.people.holders import Binding
from tests.server.people.directories import day, owned

DAY = 86_400_000
LEFT_DAY = day("2026-06-30")
LEFT = (LEFT_DAY + 1) * DAY
"""When Ana is gone."""


def shared(
    *,
    rotated_at: int | None = None,
    knowers: tuple[Binding, ...] = (),
    owners: tuple[Binding, ...] = (Binding("ben"),),
) -> AccountRecord:
    return AccountRecord("kefu", "", "shared", rotated_at, owners, knowers)


class Company:
    """Acts are looked at and noted one after the other, as the pipeline does."""

    def __init__(
        self,
        *,
        kefu: AccountRecord | None = None,
        traits: dict[str, tuple[Binding, ...]] | None = None,
        places: CompanyPlaces | None = None,
        ana: tuple[Employment, ...] = (Employment(last_day=LEFT_DAY),),
        working_hours: str = "",
    ) -> None:
        people = [PersonRecord("ana", employments=ana), *map(PersonRecord, ("ben", "cem", "dora"))]
        accounts = owned({"ana": "ana", "ben": "ben", "cem": "cem", "dora": "dora"})
        self.directory = Directory(
            1, people, [*accounts, kefu or shared()], traits, places=places, working_hours=working_hours
        )
        self.who = WhoIsWho(self.directory)
        self.uses = TraitUses()
        self.around: Surroundings = surroundings_of(self.who, self.uses)

    def act(self, event: Event) -> None:
        """Happens, and is noted."""
        self.around.note(event, self.who.who(event, event.time), event.time)

    def acts(self, *events: Event) -> None:
        for event in events:
            self.act(event)

    def of_left(self, event: Event) -> tuple[str, ...]:
        """Traits of an act that are bound to people who left."""
        who = self.who.who(event, event.time)
        return tuple(found.trait for found in self.around.left_traits(event, who, event.time))


def act(
    account: str,
    time: int,
    *,
    ip: str | None = None,
    device: str | None = None,
    host: str | None = None,
    failed: bool = False,
    system: str = "shipping",
) -> Event:
    """Something done in an application, as its access log tells it."""
    name = "unknown" if ip is device is host is None else None
    source = SourceEndpoint(ip=ip, uid=device, hostname=host, name=name)
    return api_activity(
        ApiActivityKind.CREATE,
        time=time,
        metadata=event_metadata("access_log", "0.1.0"),
        actor=Actor(user=User(name=account)),
        device=Host(hostname="app-1", type_id=HostType.SERVER),
        src_endpoint=source,
        api=Api(operation="create_manual_order", service=Service(name=system)),
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="log_file")),
        status_id=Outcome.FAILURE if failed else Outcome.SUCCESS,
    )
