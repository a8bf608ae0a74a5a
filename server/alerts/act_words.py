"""A word for what was done, the same wherever alerts are shown: "create", "upload", "login refused"."""

from __future__ import annotations

from typing import Final

from event_schema.ocsf_account_events import (
    ApiActivity,
    Authentication,
    AuthenticationActivity,
    DatastoreActivity,
    Outcome,
)
from event_schema.ocsf_endpoint_events import (
    FileSystemActivity,
    PeripheralActivity,
    PeripheralActivityKind,
    ProcessActivity,
)
from event_schema.ocsf_events import Event
from event_schema.ocsf_transfer_events import EmailActivity, FileHostingActivity

_LOGIN_WORDS: Final = {
    AuthenticationActivity.LOGON: "login",
    AuthenticationActivity.LOGOFF: "logout",
    AuthenticationActivity.ACCOUNT_SWITCH: "account switch",
}


def act_of(event: Event) -> str:
    """Of whatever event; acts of applications are told by their own word elsewhere."""
    word = "act"
    match event:
        case FileSystemActivity():
            word = event.activity_id.name.lower()
        case PeripheralActivity():
            printed = event.activity_id is PeripheralActivityKind.OTHER
            word = "print" if printed else event.activity_id.name.lower()
        case ProcessActivity():
            word = "start"
        case FileHostingActivity():
            word = "sync" if event.metadata.log_name == "sync_folders" else "upload"
        case EmailActivity():
            word = "mail"
        case Authentication():
            refused = " refused" if event.status_id is Outcome.FAILURE else ""
            word = _LOGIN_WORDS[event.activity_id] + refused
        case DatastoreActivity():
            word = "export" if event.unmapped.result.is_export else "query"
        case ApiActivity():
            word = "act"
    return word
