"""What was declared of an event's machine, storage device and destination: whose, and whether ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from event_schema.ocsf_events import Event
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity
from server.enrich.traits import Traits
from server.people.company_places import CompanyPlaces
from server.people.directory import Directory
from server.people.facts import LEARNED


def assigned_to(directory: Directory, traits: Iterable[str], time: int) -> str | None:
    """The id of whose the first of these is that is anybody's."""
    for trait in traits:
        holder = directory.holder(trait, time) if directory.holdings(trait) else None
        if holder is not None:
            return holder.id
    return None


def reissued(directory: Directory, traits: Iterable[str], time: int) -> bool | None:
    """Whether one of them is somebody's now and was declared to be somebody else's before. None: nothing is
    declared of them."""
    is_declared = False
    for trait in traits:
        holdings = directory.holdings(trait)
        holder = directory.holder(trait, time) if holdings else None
        is_declared = is_declared or bool(holdings)
        if holder is not None and any(
            each.person_id != holder.id and each.until is not None and each.until <= time for each in holdings
        ):
            return True
    return False if is_declared else None


def trusted(directory: Directory, shown: Traits, time: int) -> bool | None:
    """Whether the storage device is one that the company named; where there is none, whether the machine is
    declared to be somebody's. None: nobody named any, nothing is declared of the machine."""
    if shown.storage_names:
        return directory.places.trusts(shown.storage_names)
    if shown.machine is None:
        return None
    holdings = directory.holdings(shown.machine)
    if not holdings:
        return None
    declared = [each for each in holdings if each.source != LEARNED]
    return any(each.holds_at(time) for each in declared) if declared else None


def company_owned(event: Event, places: CompanyPlaces) -> bool | None:
    """Whether what was sent stays in the company: all destinations are its own. None: nothing was sent, or it
    is not known."""
    if isinstance(event, EmailActivity):
        each = [places.owns(address.removeprefix("*@"), None) for address in event.email.to]
        return None if not each or None in each else all(each)
    if isinstance(event, FileHostingActivity) and event.dst_endpoint is not None:
        return places.owns(event.dst_endpoint.hostname, event.dst_endpoint.ip)
    return None
