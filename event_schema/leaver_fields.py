"""The `leaver.*` fields: what the server's enrichment knew at the event's time.

They stand beside the event, never inside it. Sigma rules name them by their dotted path
(`leaver.person.status`). None means "not known", and matches no rule that asks for a value.
One marked `not_yet` would be a reserved word of rules that are still to come, which enrichment leaves None.
The registry of all of them, and of the event's own fields, is field_registry.py.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from event_schema.struct_base import Name, Word, purpose


class PersonStatus(StrEnum):
    ACTIVE = "active"
    NOTICE = "notice"
    LEFT = "left"
    UNKNOWN = "unknown"


class PersonFields(Word, frozen=True):
    status: Annotated[PersonStatus, purpose("employed, in the notice period, gone, or not known")]
    id: Annotated[Name | None, purpose("joins one person's acts", names_person=True)] = None
    days_to_last_day: Annotated[
        int | None, purpose("days until the last working day, in the person's time zone; negative after it")
    ] = None
    department: Annotated[Name | None, purpose("peers to compare with")] = None
    manager: Annotated[Name | None, purpose("whom to ask", names_person=True)] = None
    peer_group: Annotated[Name | None, purpose("peers to compare with: department, and role if known")] = None
    priority: Annotated[int | None, purpose("more sensitive work weighs more")] = None


class AccountFields(Word, frozen=True):
    kind: Annotated[
        Literal["personal", "shared", "service", "partner"] | None, purpose("whose act a shared login can be")
    ] = None
    owner_id: Annotated[Name | None, purpose("whom the account belongs to", names_person=True)] = None
    known_to_left: Annotated[
        bool | None,
        purpose("someone who left knew its password on leaving, and it was not changed since; see people.md"),
    ] = None
    rotated_since_left: Annotated[
        bool | None,
        purpose("its password was changed after all who knew it and left had left; none: nobody such"),
    ] = None
    dormant_days: Annotated[
        int | None, purpose("whole days that the account was not used, from 14 on: one that wakes up")
    ] = None
    first_seen_ip: Annotated[
        bool | None,
        purpose("first used from this address, not the company's own, within the last day; none: too early"),
    ] = None
    first_seen_device: Annotated[
        bool | None, purpose("first used from this machine within the last day; none: too early to tell")
    ] = None
    session_elsewhere: Annotated[
        Literal["company", "outside"] | None,
        purpose("at this login from a new network, where another open session of the account came from"),
    ] = None
    credential_issued_before_departure: Annotated[
        bool | None, purpose("a key that was in use before whose it is left, and is used now")
    ] = None


class DeviceFields(Word, frozen=True):
    assigned_to: Annotated[Name | None, purpose("whose device it is declared to be", names_person=True)] = (
        None
    )
    bound_to_left_person: Annotated[
        bool | None,
        purpose("of those who used the machine or the storage device then only people remain who left"),
    ] = None
    reissued: Annotated[
        bool | None, purpose("it is declared to be somebody's now, and to have been somebody else's")
    ] = None
    first_seen_for_person: Annotated[
        bool | None, purpose("the person never used this storage device before")
    ] = None
    trusted: Annotated[bool | None, purpose("an administrator named it as the company's own")] = None


class RemoteFields(Word, frozen=True):
    category: Annotated[Name | None, purpose("kind of destination")] = None
    company_owned: Annotated[
        bool | None, purpose("the destination is the company's own: see [company] in server.toml")
    ] = None
    first_seen_for_person: Annotated[bool | None, purpose("the person never sent there before")] = None
    historical_users: Annotated[
        int | None, purpose("how many people had come from this address before, not the company's own")
    ] = None
    corporate_network: Annotated[
        bool | None, purpose("they came from inside the company's network: see [company] in server.toml")
    ] = None
    bound_to_left_person: Annotated[
        bool | None, purpose("of those who came from the address then only people remain who left")
    ] = None


class SuspectFields(Word, frozen=True):
    """Somebody else than the account's person: who has left, and to whom the traits of the act lead."""

    id: Annotated[Name, purpose("joins acts behind whatever account", names_person=True)]
    days_since_left: Annotated[
        int,
        purpose("days since their last working day, in their time zone: older traits say less", ge=0),
    ]
    link: Annotated[
        Literal["manager", "team"] | None,
        purpose("the account is their former manager's, or that of somebody of their team"),
    ] = None


class TimeFields(Word, frozen=True):
    local_hour: Annotated[int, purpose("hour of the day where the person is", ge=0, le=23)]
    day_type: Annotated[Literal["work", "off"], purpose("working day or not, by the company's calendar")]
    off_shift: Annotated[bool | None, purpose("outside the company's working hours, where the person is")] = (
        None
    )


class FileFields(Word, frozen=True):
    known_export: Annotated[
        bool | None, purpose("content that a database or a file server is known to have given out")
    ] = None
    origin: Annotated[Name | None, purpose("where the content came from")] = None
    exported_at: Annotated[int | None, purpose("when it was given out, to find that act; ms UTC")] = None


class EvidenceFields(Word, frozen=True):
    fidelity: Annotated[Literal["exact", "likely", "possible"], purpose("how sure the event is")]
    gap: Annotated[Name | None, purpose("what could not be seen")] = None


class LeaverFields(Word, frozen=True):
    """All that enrichment says of one event. A part is None where the event has no such side."""

    person: Annotated[PersonFields, purpose("who it is about: see person")]
    account: Annotated[AccountFields, purpose("through which account: see account")]
    time: Annotated[TimeFields, purpose("when, where the person is: see time")]
    evidence: Annotated[EvidenceFields, purpose("how sure it is: see evidence")]
    device: Annotated[DeviceFields | None, purpose("with which device: see device")] = None
    remote: Annotated[RemoteFields | None, purpose("to which destination: see remote")] = None
    file: Annotated[FileFields | None, purpose("which content: see file")] = None
    suspect: Annotated[SuspectFields | None, purpose("who else it may have been: see suspect")] = None
