"""What `watch` writes for people says what left, how much of it, and where to."""

from __future__ import annotations

from typing import Literal

from agent.event_lines import readable_line
from event_schema.ocsf_account_events import ApiActivityKind, Outcome, api_activity
from event_schema.ocsf_events import event_metadata
from event_schema.ocsf_labels import (
    ClassifierDetails,
    DataCategory,
    DataClassification,
    DiscoveryDetails,
)
from event_schema.ocsf_network import Api, DestinationEndpoint, Resource, Service, SourceEndpoint
from event_schema.ocsf_objects import Actor, File, FileType, Host, HostType, User
from event_schema.ocsf_transfer_events import file_upload
from event_schema.ocsf_unmapped import Evidence, Transfer, TransferUnmapped, Unmapped

HOST = Host(hostname="desk-1", type_id=HostType.DESKTOP)


def upload(observed_by: Literal["fanotify_open", "watchdog"], bytes_sent: int | None) -> str:
    found = DataClassification(
        category_id=DataCategory.PERSONAL,
        classifier_details=ClassifierDetails(type="leaver"),
        discovery_details=(DiscoveryDetails(count=1200, type="resident_id"),),
    )
    event = file_upload(
        time=0,
        metadata=event_metadata("uploads", "0", labelled=True),
        actor=Actor(user=User(name="lin")),
        device=HOST,
        file=File(
            name="list.csv",
            type_id=FileType.REGULAR,
            path="/home/lin/list.csv",
            size=2_500_000,
            data_classifications=(found,),
        ),
        unmapped=TransferUnmapped(
            evidence=Evidence(fidelity="likely", observed_by=observed_by, actor_from="proc"),
            transfer=Transfer(category="cloud_drive", bytes_sent=bytes_sent),
        ),
        dst_endpoint=DestinationEndpoint(svc_name="Nextcloud"),
    )
    return " ".join(readable_line(event).split()[1:])


def act(status: Outcome) -> str:
    event = api_activity(
        ApiActivityKind.CREATE,
        time=0,
        metadata=event_metadata("access_log", "0"),
        actor=Actor(user=User(name="kefu"), app_name="shop"),
        device=HOST,
        src_endpoint=SourceEndpoint(ip="203.0.113.66"),
        api=Api(operation="manual_order_created", service=Service(name="shop")),
        unmapped=Unmapped(evidence=Evidence(fidelity="exact", observed_by="log_file", actor_from="server")),
        resources=(Resource(name="M-1001", type="order"),),
        status_id=status,
    )
    return " ".join(readable_line(event).split()[1:])


def test_an_upload_shows_its_labels_and_how_much_was_sent() -> None:
    told = "lin uploaded 2.5 MB Nextcloud /home/lin/list.csv [1,200 resident_id], 2.6 MB sent"
    assert upload("fanotify_open", 2_600_000) == told


def test_what_came_into_a_sync_folder_is_not_called_uploaded() -> None:
    told = "lin synced 2.5 MB Nextcloud /home/lin/list.csv [1,200 resident_id]"
    assert upload("watchdog", None) == told


def test_an_act_names_the_application_and_what_it_was_done_to() -> None:
    told = "203.0.113.66 shop: manual_order_created order M-1001"
    assert act(Outcome.SUCCESS) == f"kefu created {told}"
    assert act(Outcome.FAILURE) == f"kefu refused {told}"
