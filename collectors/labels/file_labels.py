"""The outcome: what a file holds, as counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from event_schema.ocsf_labels import (
    ClassificationStatus,
    ClassifierDetails,
    DataCategory,
    DataClassification,
    DiscoveryDetails,
)

LEAVER: Final = "leaver"
COMPANY_LISTS: Final = "company_lists"
_MOST_TYPES: Final = 32
_CATEGORIES: Final = {
    "resident_id": DataCategory.PERSONAL,
    "mobile_phone": DataCategory.PERSONAL,
    "phone": DataCategory.PERSONAL,
    "email_address": DataCategory.PERSONAL,
    "passport": DataCategory.PERSONAL,
    "bank_card": DataCategory.FINANCIAL,
    "mark_top_secret": DataCategory.GOVERNMENTAL,
    "mark_secret": DataCategory.GOVERNMENTAL,
    "mark_confidential": DataCategory.BUSINESS,
    "mark_internal": DataCategory.BUSINESS,
    "source_code": DataCategory.BUSINESS,
    "private_key": DataCategory.SECURITY,
    "encrypted_archive": DataCategory.SECURITY,
    "encrypted_document": DataCategory.SECURITY,
    "encrypted_container": DataCategory.SECURITY,
    "possibly_encrypted": DataCategory.SECURITY,
}

_Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_.]{0,63}$")]
_Mime = Annotated[str, Meta(pattern="^[!-~]{1,120}/[!-~]{1,120}$")]
_Gap = Annotated[str, Meta(pattern="^[ -~]{1,200}$")]
_Counts = Annotated[dict[_Name, Annotated[int, Meta(ge=1, le=2**53)]], Meta(max_length=64)]


class FileLabels(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one file holds. `counts` are of distinct values: 14 different resident ids."""

    status: ClassificationStatus
    mime_type: _Mime | None = None
    is_encrypted: bool | None = None
    """None: not known, as where bytes only look random."""
    counts: _Counts = msgspec.field(default_factory=dict)
    list_counts: _Counts = msgspec.field(default_factory=dict)
    """Of the company's own lists, by their names."""
    gap: _Gap | None = None
    """What could not be read, and why; None for a complete look."""

    def __post_init__(self) -> None:
        """The process that says so is not trusted: the agent must not stumble over it later."""
        for kind in self.counts:
            if kind.partition(".")[0] not in _CATEGORIES:
                raise ValueError("a label that there is not")

    def classifications(self) -> tuple[DataClassification, ...] | None:
        """For `file.data_classifications`; None where there is nothing to tell."""
        found = [
            DataClassification(
                category_id=category,
                classifier_details=ClassifierDetails(type=LEAVER),
                discovery_details=_details(self.counts, category),
                status_id=self.status,
            )
            for category in sorted({_category(kind) for kind in self.counts})
        ]
        if self.list_counts:
            details = tuple(DiscoveryDetails(type=kind, count=n) for kind, n in self.list_counts.items())
            found.append(
                DataClassification(
                    category_id=DataCategory.BUSINESS,
                    classifier_details=ClassifierDetails(type=COMPANY_LISTS),
                    discovery_details=details[:_MOST_TYPES],
                    status_id=self.status,
                )
            )
        if not found and self.status is not ClassificationStatus.COMPLETE:
            found.append(
                DataClassification(
                    category_id=DataCategory.UNKNOWN,
                    classifier_details=ClassifierDetails(type=LEAVER),
                    discovery_details=(),
                    status_id=self.status,
                )
            )
        return tuple(found) or None


def failed(why: str) -> FileLabels:
    """Labels of a file that could not be read at all."""
    return FileLabels(status=ClassificationStatus.FAIL, gap=why)


def _category(kind: str) -> DataCategory:
    return _CATEGORIES[kind.partition(".")[0]]


def _details(counts: Mapping[str, int], category: DataCategory) -> tuple[DiscoveryDetails, ...]:
    ordered = sorted((kind for kind in counts if _category(kind) is category), key=lambda k: (-counts[k], k))
    return tuple(DiscoveryDetails(type=kind, count=counts[kind]) for kind in ordered[:_MOST_TYPES])
