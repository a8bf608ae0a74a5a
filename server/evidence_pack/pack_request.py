"""What somebody asks for, when they ask for a pack."""

from __future__ import annotations

from typing import Literal

import msgspec

from server.alerts.view_types import Unmasking


class PackRequest(msgspec.Struct, frozen=True):
    """`unmasking`: whoever asks may see names, and why; kept in the audit trail. at: ms UTC. `records`: with
    names, also what agents signed, which tells of people whom nobody unmasked."""

    made_by: str
    at: int
    language: Literal["en", "zh"] = "en"
    unmasking: Unmasking | None = None
    records: bool = False

    @property
    def with_records(self) -> bool:
        return self.records and self.unmasking is not None
