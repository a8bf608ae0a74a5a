"""What a file holds, told as counts: OCSF's data classification, cut down to what Leaver uses.

Source: OCSF schema 1.8.0 (objects data_classification, classifier_details, discovery_details). The
content itself, and what was found in it, never leaves the endpoint.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from event_schema.struct_base import Count, Word, purpose


class DataCategory(IntEnum):
    """OCSF's numbers."""

    UNKNOWN = 0
    PERSONAL = 1
    GOVERNMENTAL = 2
    FINANCIAL = 3
    BUSINESS = 4
    SECURITY = 6
    OTHER = 99


class ClassificationStatus(IntEnum):
    """How much of the file could be read."""

    UNKNOWN = 0
    COMPLETE = 1
    PARTIAL = 2
    FAIL = 3


class ClassifierDetails(Word, frozen=True):
    """Which classifier said so. OCSF object `classifier_details`."""

    type: Annotated[str, purpose("who labelled it: leaver, or the company's own lists", max_length=64)]


class DiscoveryDetails(Word, frozen=True):
    """How often one kind of thing was found. OCSF object `discovery_details`, without any value."""

    type: Annotated[
        str, purpose("what was found: resident_id, bank_card, source_code, a list's name", max_length=64)
    ]
    count: Annotated[Count, purpose("how often it was found; never what")]


class DataClassification(Word, frozen=True):
    """All findings of one category in one file. OCSF object `data_classification`."""

    category_id: Annotated[DataCategory, purpose("personal, financial, business … data")]
    classifier_details: Annotated[ClassifierDetails, purpose("who labelled it: see classifier_details")]
    discovery_details: Annotated[
        tuple[DiscoveryDetails, ...],
        purpose("what was found, as counts: see discovery_details", max_length=32),
    ]
    status_id: Annotated[ClassificationStatus | None, purpose("whether all of the file could be read")] = None
