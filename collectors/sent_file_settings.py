"""Settings of every collector that reads files after they were sent (sent_files.py)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from collectors.contract import narrowed_by


class SentFileSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What reading sent files may cost, and how long their events may wait for it."""

    hash_cpu_share: Annotated[float, Meta(gt=0, le=1), narrowed_by("smaller")] = 0.25
    """How much of one core hashing may use; all who hash and label take turns (reading_pace.py)."""
    hash_max_bytes: Annotated[int, Meta(ge=0), narrowed_by("smaller")] = 2 * 1024**3
    """Larger files are reported without a hash; 0 hashes nothing."""
    hash_wait_s: Annotated[float, Meta(ge=0, le=3_600)] = 30.0
    """No event waits longer than this for its hash and its labels."""
    labels: Annotated[bool, narrowed_by("and")] = True
    """Whether files are labelled, as the table [labels] says."""
