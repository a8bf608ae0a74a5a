"""What the keys of policies, versions, dry runs and exceptions are called."""

from __future__ import annotations

from server.console.channel_words import channel_name
from server.console.charts.svg import Text


class Words:
    """In the viewer's language; a key that is not known goes by its own name."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def who(self, actor: str) -> str:
        """Of the console by name alone."""
        return actor.removeprefix("user:")

    def state(self, key: str) -> str:
        text = self._text
        return {
            "on": text("on"),
            "off": text("off"),
            "gone": text("gone"),
            "faulty": text("faulty"),
            "ended": text("ran out"),
        }.get(key, key)

    def level(self, key: str) -> str:
        text = self._text
        return {
            "critical": text("critical"),
            "high": text("high"),
            "medium": text("medium"),
            "low": text("low"),
            "informational": text("informational"),
        }.get(key, "–")

    def severity(self, key: str | None) -> str:
        """Of an alert of a dry run; None: it is not raised."""
        return self._text("not raised") if key is None else self.level(key)

    def channel(self, key: str) -> str:
        """Also the services of rules about several."""
        return self._text("Databases") if key == "database" else channel_name(key, self._text)

    def family(self, key: str) -> str:
        text = self._text
        names = {
            "application_export": text("exports from applications"),
            "database_export": text("exports from databases"),
            "dormant_account": text("dormant accounts"),
            "file_server_export": text("exports from file servers"),
            "former_employee_access": text("access by former employees"),
            "outbound_mail": text("mail to the outside"),
            "printing": text("prints"),
            "removable_storage_copy": text("copies to removable storage"),
            "screenshots": text("pictures of the screen"),
            "taken_in_steps": text("taken in steps"),
            "two_sessions": text("two sessions at once"),
            "upload": text("files that were uploaded"),
            "": text("building block"),
        }
        return names.get(key, key)

    def kind(self, key: str) -> str:
        text = self._text
        return {"rule": text("rule"), "exception": text("exception"), "correlation": text("correlation")}.get(
            key, key
        )

    def origin(self, key: str) -> str:
        text = self._text
        return {
            "shipped": text("shipped with Leaver"),
            "folder": text("from the folder"),
            "saved": text("saved here"),
        }.get(key, key)

    def change(self, key: str) -> str:
        """What becomes of an alert."""
        text = self._text
        return {
            "new": text("new alert"),
            "gone": text("gone with it"),
            "more": text("says more"),
            "less": text("says less"),
        }.get(key, key)

    def status(self, key: str) -> str:
        """Of a dry run."""
        text = self._text
        return {
            "running": text("under way"),
            "done": text("done"),
            "failed": text("failed"),
            "cancelled": text("cancelled"),
        }.get(key, key)

    def verdict(self, key: str | None) -> str:
        text = self._text
        return {
            "confirmed": text("confirmed"),
            "expected": text("expected"),
            "false": text("false alarm"),
            "duplicate": text("duplicate"),
        }.get(key or "", "–")

    def excepted(self, key: str) -> str:
        text = self._text
        return {
            "person": text("a person"),
            "group": text("a department"),
            "device": text("a removable device"),
            "destination": text("a destination"),
            "sha256": text("a file by its content"),
            "host": text("a machine"),
            "account": text("an account"),
        }.get(key, key)
