"""OCSF 1.8 classes of what accounts do on servers.

| class | uid | used for |
|---|---|---|
| Authentication | 3002 | a login that worked or failed (Logon), its end (Logoff), su, sudo (Account Switch) |
| API Activity | 6003 | an act in a company's own application, from its access log |
| Datastore Activity | 6005 | a database statement that gave out data (Query), an export (Read) |
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final, Literal

from msgspec import Meta

from event_schema.ocsf_network import (
    Api,
    Database,
    DatabaseTable,
    QueryInfo,
    Resource,
    Service,
    SourceEndpoint,
)
from event_schema.ocsf_objects import Actor, Host, Metadata, User
from event_schema.ocsf_unmapped import QueryUnmapped, Unmapped
from event_schema.struct_base import Count, Milliseconds, Name, Word, check_type_uid, purpose

RESOURCES_MAX = 32
UNKNOWN_ACCOUNT: Final = "(no such account)"
"""In `user.name` of a login: stands for every name that no account has, since people type their password
where the name belongs. Nobody is called so: such an event is about no subject."""


class AuthenticationActivity(IntEnum):
    LOGON = 1
    LOGOFF = 2
    ACCOUNT_SWITCH = 7
    """su, sudo: `actor.user` became, or tried to become, `user`."""


class Outcome(IntEnum):
    """OCSF's status_id."""

    UNKNOWN = 0
    SUCCESS = 1
    FAILURE = 2


class LogonType(IntEnum):
    UNKNOWN = 0
    INTERACTIVE = 2
    NETWORK = 3
    BATCH = 4
    REMOTE_INTERACTIVE = 10


class ApiActivityKind(IntEnum):
    CREATE = 1
    READ = 2
    UPDATE = 3
    DELETE = 4
    OTHER = 99


class DatastoreActivityKind(IntEnum):
    READ = 1
    """An export: the result went into a file, or is a dump."""
    QUERY = 4


class Authentication(Word, frozen=True, tag_field="class_uid", tag=3002):
    """Somebody logged in, or tried to. `user` is the account; `actor` is the program that said so, and at an
    account switch who did it."""

    activity_id: Annotated[AuthenticationActivity, purpose("what was done")]
    category_uid: Annotated[Literal[3], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the endpoint's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("which program reported it: see actor")]
    device: Annotated[Host, purpose("on which machine: see device")]
    user: Annotated[User, purpose("which account: see user")]
    service: Annotated[Service, purpose("what it logged in to: see service")]
    status_id: Annotated[Outcome, purpose("whether it worked")]
    unmapped: Annotated[Unmapped, purpose("what OCSF has no field for: see unmapped")]
    status_detail: Annotated[Name | None, purpose("why it failed: wrong password, expired account …")] = None
    src_endpoint: Annotated[SourceEndpoint | None, purpose("from where: see src_endpoint")] = None
    logon_type_id: Annotated[LogonType | None, purpose("at the machine or over the network")] = None
    auth_protocol: Annotated[Name | None, purpose("password, key or another way")] = None
    count: Annotated[
        Count | None, purpose("how many of the same within a minute, where failures were put together")
    ] = None

    def __post_init__(self) -> None:
        check_type_uid(3002, self.activity_id, self.type_uid)


class ApiActivity(Word, frozen=True, tag_field="class_uid", tag=6003):
    """Somebody did something in an application whose log an administrator mapped."""

    activity_id: Annotated[ApiActivityKind, purpose("what was done")]
    category_uid: Annotated[Literal[6], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the log's own time")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which server: see device")]
    src_endpoint: Annotated[SourceEndpoint, purpose("from where: see src_endpoint")]
    api: Annotated[Api, purpose("what was done: see api")]
    unmapped: Annotated[Unmapped, purpose("what OCSF has no field for: see unmapped")]
    resources: Annotated[
        Annotated[tuple[Resource, ...], Meta(max_length=RESOURCES_MAX)] | None,
        purpose("to what: see resources"),
    ] = None
    status_id: Annotated[Outcome | None, purpose("whether it worked")] = None
    count: Annotated[Count | None, purpose("how many things it was done to: exported rows, orders")] = None

    def __post_init__(self) -> None:
        check_type_uid(6003, self.activity_id, self.type_uid)


class DatastoreActivity(Word, frozen=True, tag_field="class_uid", tag=6005):
    """A database gave out data."""

    activity_id: Annotated[DatastoreActivityKind, purpose("what was done")]
    category_uid: Annotated[Literal[6], purpose("required by OCSF")]
    type_uid: Annotated[int, purpose("required by OCSF: class_uid * 100 + activity_id")]
    severity_id: Annotated[Literal[1], purpose("required by OCSF: informational; the server judges")]
    time: Annotated[Milliseconds, purpose("when it was done, by the database server's clock")]
    metadata: Annotated[Metadata, purpose("who reports it: see metadata")]
    actor: Annotated[Actor, purpose("who did it: see actor")]
    device: Annotated[Host, purpose("on which server: see device")]
    src_endpoint: Annotated[SourceEndpoint, purpose("from where: see src_endpoint")]
    database: Annotated[Database, purpose("which database: see database")]
    query_info: Annotated[QueryInfo, purpose("which statement: see query_info")]
    unmapped: Annotated[QueryUnmapped, purpose("what OCSF has no field for: see unmapped")]
    table: Annotated[DatabaseTable | None, purpose("which table: see table")] = None
    status_id: Annotated[Outcome | None, purpose("whether it worked")] = None
    count: Annotated[
        Count | None, purpose("how many of the same within a minute, where small ones were put together")
    ] = None

    def __post_init__(self) -> None:
        check_type_uid(6005, self.activity_id, self.type_uid)


def authentication(
    activity: AuthenticationActivity,
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    user: User,
    service: Service,
    status_id: Outcome,
    unmapped: Unmapped,
    status_detail: str | None = None,
    src_endpoint: SourceEndpoint | None = None,
    logon_type_id: LogonType | None = None,
    auth_protocol: str | None = None,
    count: int | None = None,
) -> Authentication:
    """An Authentication event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return Authentication(
        activity_id=activity,
        category_uid=3,
        type_uid=300_200 + activity,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        user=user,
        service=service,
        status_id=status_id,
        unmapped=unmapped,
        status_detail=status_detail,
        src_endpoint=src_endpoint,
        logon_type_id=logon_type_id,
        auth_protocol=auth_protocol,
        count=count,
    )


def api_activity(
    activity: ApiActivityKind,
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    src_endpoint: SourceEndpoint,
    api: Api,
    unmapped: Unmapped,
    resources: tuple[Resource, ...] | None = None,
    status_id: Outcome | None = None,
    count: int | None = None,
) -> ApiActivity:
    """An API Activity event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return ApiActivity(
        activity_id=activity,
        category_uid=6,
        type_uid=600_300 + activity,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        src_endpoint=src_endpoint,
        api=api,
        unmapped=unmapped,
        resources=resources,
        status_id=status_id,
        count=count,
    )


def datastore_activity(
    activity: DatastoreActivityKind,
    *,
    time: int,
    metadata: Metadata,
    actor: Actor,
    device: Host,
    src_endpoint: SourceEndpoint,
    database: Database,
    query_info: QueryInfo,
    unmapped: QueryUnmapped,
    table: DatabaseTable | None = None,
    status_id: Outcome | None = None,
    count: int | None = None,
) -> DatastoreActivity:
    """A Datastore Activity event with OCSF's derived numbers filled in. time: ms since 1970 UTC."""
    return DatastoreActivity(
        activity_id=activity,
        category_uid=6,
        type_uid=600_500 + activity,
        severity_id=1,
        time=time,
        metadata=metadata,
        actor=actor,
        device=device,
        src_endpoint=src_endpoint,
        database=database,
        query_info=query_info,
        unmapped=unmapped,
        table=table,
        status_id=status_id,
        count=count,
    )
