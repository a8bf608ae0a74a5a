"""The console's own sheet of policies, which it keeps."""

from __future__ import annotations

from server.console.page import Console
from server.policies.sheet import PolicySheets


class Sheets:
    def __init__(self, console: Console) -> None:
        self.of = PolicySheets(console.database)
