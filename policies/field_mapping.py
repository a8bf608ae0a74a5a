"""From the logsources and field names of public Sigma rules to our classes of events and their fields.

A rule of `product: leaver` names our fields itself. A rule of another logsource that stands in SOURCES is
rewritten by a pySigma pipeline: its fields get our names, and it looks at the class and activity alone that
the logsource means. docs/policies.md shows the table; a test holds both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sigma.rule import SigmaRule

_PROGRAM: Final = {
    "Image": "actor.process.file.path",
    "ProcessId": "actor.process.pid",
    "User": "actor.user.name",
    "Computer": "device.hostname",
    "ComputerName": "device.hostname",
}


class MappedSource(msgspec.Struct, frozen=True):
    """`logsource`: the keys that a rule's logsource must have. `only`: what the event must be."""

    logsource: dict[str, str]
    only: dict[str, int]
    fields: dict[str, str]


SOURCES: Final = (
    MappedSource(
        {"category": "file_event"},
        {"class_uid": 1001, "activity_id": 1},
        {**_PROGRAM, "TargetFilename": "file.path"},
    ),
    MappedSource(
        {"category": "file_delete"},
        {"class_uid": 1001, "activity_id": 4},
        {**_PROGRAM, "TargetFilename": "file.path"},
    ),
    MappedSource(
        {"category": "file_rename"},
        {"class_uid": 1001, "activity_id": 5},
        {**_PROGRAM, "SourceFilename": "file.path", "TargetFilename": "file_result.path"},
    ),
    MappedSource(
        {"product": "linux", "service": "sshd"},
        {"class_uid": 3002},
        {
            "User": "user.name",
            "SourceIp": "src_endpoint.ip",
            "SourcePort": "src_endpoint.port",
            "Computer": "device.hostname",
        },
    ),
    MappedSource(
        {"product": "linux", "service": "auth"},
        {"class_uid": 3002},
        {"User": "user.name", "SourceIp": "src_endpoint.ip", "Computer": "device.hostname"},
    ),
    MappedSource(
        {"category": "proxy"},
        {"class_uid": 6006, "activity_id": 1},
        {
            "cs-host": "dst_endpoint.hostname",
            "r-dns": "dst_endpoint.hostname",
            "dst_ip": "dst_endpoint.ip",
            "cs-username": "actor.user.name",
            "cs-bytes": "unmapped.transfer.bytes_sent",
        },
    ),
    MappedSource(
        {"category": "database"},
        {"class_uid": 6005},
        {
            "user": "actor.user.name",
            "database": "database.name",
            "table": "unmapped.result.tables",
            "src_ip": "src_endpoint.ip",
            "rows": "unmapped.result.rows",
        },
    ),
)
NEVER_COLLECTED: Final = {
    "CommandLine": "command lines are never collected",
    "ParentCommandLine": "command lines are never collected",
    "c-uri": "addresses of pages are never collected",
    "cs-uri-query": "addresses of pages are never collected",
    "Subject": "subjects of mails are never collected",
}


def mapped_source(logsource: Mapping[str, Any]) -> MappedSource | None:
    """The first whose keys the logsource has. None: not a logsource that Leaver has events of."""
    return next((each for each in SOURCES if each.logsource.items() <= logsource.items()), None)


def map_fields(rule: SigmaRule, source: MappedSource) -> None:
    """Rewrites pySigma's rule in place."""
    # Imported here, for it takes a tenth of a second that few rules need.
    from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline  # noqa: PLC0415
    from sigma.processing.transformations import (  # noqa: PLC0415
        AddConditionTransformation,
        FieldMappingTransformation,
    )

    names: dict[str | None, str | list[str]] = dict(source.fields.items())
    only: dict[str, Any] = dict(source.only)
    ProcessingPipeline(
        items=[
            ProcessingItem(FieldMappingTransformation(names)),
            ProcessingItem(AddConditionTransformation(only)),
        ]
    ).apply(rule)
