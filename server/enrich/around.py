"""What the uses of account, device and address say of one event, as `leaver.*` fields. Pure."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import msgspec

from event_schema.leaver_fields import AccountFields, DeviceFields, LeaverFields, RemoteFields


class Around(NamedTuple):
    """Fields as event_schema/leaver_fields.py has them. A tuple, since it is a part of a key for each event.
    `has_device`, `has_address`: whether the event has such a side."""

    known_to_left: bool | None = None
    rotated_since_left: bool | None = None
    dormant_days: int | None = None
    first_seen_ip: bool | None = None
    first_seen_device: bool | None = None
    session_elsewhere: Literal["company", "outside"] | None = None
    has_device: bool = False
    device_of_left: bool | None = None
    has_address: bool = False
    address_of_left: bool | None = None
    historical_users: int | None = None
    corporate_network: bool | None = None
    credential_outlived: bool | None = None
    assigned_to: str | None = None
    reissued: bool | None = None
    trusted: bool | None = None
    company_owned: bool | None = None
    off_shift: bool | None = None


NOTHING_AROUND: Final = Around()


def as_it_was(around: Around, was: LeaverFields) -> Around:
    """With what was known when the event came of what HR does not say: later uses are known by now."""
    return around._replace(
        dormant_days=was.account.dormant_days,
        first_seen_ip=was.account.first_seen_ip,
        first_seen_device=was.account.first_seen_device,
        session_elsewhere=was.account.session_elsewhere,
        historical_users=None if was.remote is None else was.remote.historical_users,
    )


def account_fields(account: AccountFields, around: Around) -> AccountFields:
    return msgspec.structs.replace(
        account,
        known_to_left=around.known_to_left,
        rotated_since_left=around.rotated_since_left,
        dormant_days=around.dormant_days,
        first_seen_ip=around.first_seen_ip,
        first_seen_device=around.first_seen_device,
        session_elsewhere=around.session_elsewhere,
        credential_issued_before_departure=around.credential_outlived,
    )


def device_fields(around: Around, first_seen_for_person: bool | None) -> DeviceFields | None:
    """None: the event has no such side."""
    if not around.has_device and first_seen_for_person is None:
        return None
    return DeviceFields(
        assigned_to=around.assigned_to,
        bound_to_left_person=around.device_of_left,
        reissued=around.reissued,
        first_seen_for_person=first_seen_for_person,
        trusted=around.trusted,
    )


def remote_fields(
    around: Around, category: str | None, first_seen_for_person: bool | None
) -> RemoteFields | None:
    """Of the destination, or of the address that somebody came from. None: the event has no such side."""
    if category is None and not around.has_address:
        return None
    return RemoteFields(
        category=category,
        company_owned=around.company_owned,
        first_seen_for_person=first_seen_for_person,
        historical_users=around.historical_users,
        corporate_network=around.corporate_network,
        bound_to_left_person=around.address_of_left,
    )
