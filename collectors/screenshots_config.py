"""Configuration of the screenshots collector: table [collectors.screenshots]."""

from __future__ import annotations

import msgspec


class ScreenshotsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The collector has nothing to set but itself."""

    enabled: bool = True
    """Whether the collector runs at all."""
