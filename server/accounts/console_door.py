"""The one door of a listener: its settings, its waits and its places for passwords that are being checked."""

from __future__ import annotations

from server.accounts.signing_in import Door
from server.console.page import Console


class ConsoleDoor(Door):
    """As `Console.made` makes it."""

    def __init__(self, console: Console) -> None:
        super().__init__(console.config.sign_in, per_minute=console.config.limits.enrol_failures_per_minute)
