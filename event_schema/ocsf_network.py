"""The OCSF 1.8 objects of what happens over networks and on servers, cut down to the fields with a purpose.

Source: OCSF schema 1.8.0 (objects network_endpoint, email, service, database, table, query_info, api,
resource_details). Field names and numbers are OCSF's; tests validate against the official schema.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta

from event_schema.ocsf_objects import File
from event_schema.struct_base import Count, Label, Name, Word, purpose

MAIL_RECIPIENTS_MAX = 200
MAIL_FILES_MAX = 100
_MAIL_ADDRESS = r"^[^@\s]{1,255}@[^@\s]{1,255}$"
_MAIL_DOMAIN = r"^\*@[^@\s*]{1,255}$"


Port = Annotated[int, Meta(ge=0, le=65535)]


class DatabaseType(IntEnum):
    UNKNOWN = 0
    RELATIONAL = 1


class SourceEndpoint(Word, frozen=True):
    """From where somebody acted. OCSF object `network_endpoint`; at least one field but the port is set."""

    hostname: Annotated[Name | None, purpose("from which machine", names_person=True)] = None
    ip: Annotated[Label | None, purpose("from which address", names_person=True)] = None
    port: Annotated[Port | None, purpose("tells connections apart")] = None
    uid: Annotated[Name | None, purpose("from which device, where the log tells", names_person=True)] = None
    name: Annotated[Name | None, purpose("where neither machine nor address is known: local")] = None

    def __post_init__(self) -> None:
        if self.hostname is self.ip is self.uid is self.name is None:
            raise ValueError("src_endpoint needs a hostname, an ip, a uid or a name")


class DestinationEndpoint(Word, frozen=True):
    """Where data went. OCSF object `network_endpoint`; at least one field but the port is set."""

    hostname: Annotated[Name | None, purpose("where to: its name as far as known")] = None
    ip: Annotated[Label | None, purpose("where to: its address")] = None
    port: Annotated[Port | None, purpose("which service there")] = None
    svc_name: Annotated[Name | None, purpose("where to: its name in the catalogue")] = None

    def __post_init__(self) -> None:
        if self.hostname is self.ip is self.svc_name is None:
            raise ValueError("dst_endpoint needs a hostname, an ip or a svc_name")


class Service(Word, frozen=True):
    """What somebody logged in to, or worked in. OCSF object `service`."""

    name: Annotated[Name, purpose("what somebody logged in to, or worked in")]


class Email(Word, frozen=True, rename={"sender_address": "from"}):
    """A mail that was sent: who, to which domains, which attachments. OCSF object `email`.

    Recipients are told by domain alone ("*@example.com"); neither subject nor body has a field.
    """

    sender_address: Annotated[
        str, purpose("who sent it", names_person=True, pattern=_MAIL_ADDRESS, max_length=512)
    ]
    to: Annotated[
        tuple[Annotated[str, Meta(pattern=_MAIL_DOMAIN)], ...],
        purpose("to which domains; a recipient's own name is left out", max_length=MAIL_RECIPIENTS_MAX),
    ]
    size: Annotated[Count | None, purpose("bytes sent")] = None
    files: Annotated[
        Annotated[tuple[File, ...], Meta(max_length=MAIL_FILES_MAX)] | None,
        purpose("what was attached: see files"),
    ] = None


class Database(Word, frozen=True):
    """OCSF object `database`."""

    name: Annotated[Name, purpose("which database was read")]
    type_id: Annotated[DatabaseType, purpose("required by OCSF")]


class DatabaseTable(Word, frozen=True):
    """OCSF object `table`."""

    name: Annotated[Name, purpose("which table was read, the first if several")]


class QueryInfo(Word, frozen=True):
    """A statement, recognised without its literals. OCSF object `query_info`."""

    uid: Annotated[Name, purpose("the same for statements that differ in literals only")]
    query_string: Annotated[
        str, purpose("the statement with its literals taken out, shortened", max_length=4096)
    ]
    bytes: Annotated[Count | None, purpose("how much the database sent")] = None


class Api(Word, frozen=True):
    """What was done in an application. OCSF object `api`."""

    operation: Annotated[Name, purpose("what was done, in the words of the mapping: create_manual_order")]
    service: Annotated[Service | None, purpose("in which application: see service")] = None


class Resource(Word, frozen=True):
    """What it was done to. OCSF object `resource_details`."""

    name: Annotated[Name, purpose("what it was done to; never with a query string")]
    type: Annotated[Name | None, purpose("what kind of thing it is")] = None
