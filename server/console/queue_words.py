"""What the queue says of an alert, in the viewer's language: severity, standing, verdict, title, leaving."""

from __future__ import annotations

from event_schema.leaver_fields import PersonStatus
from server.alerts.queue.views import QueueRowView, Title
from server.alerts.severity import Severity
from server.console.charts.svg import Text


def severity_word(severity: Severity, text: Text) -> str:
    return {
        Severity.CRITICAL: text("critical"),
        Severity.HIGH: text("high"),
        Severity.MEDIUM: text("medium"),
        Severity.LOW: text("low"),
    }[severity]


def verdict_word(verdict: str, text: Text) -> str:
    """What an alert was closed as."""
    words = {
        "confirmed": text("confirmed leak"),
        "expected": text("allowed business use"),
        "false": text("false alarm"),
        "duplicate": text("duplicate"),
    }
    return words.get(verdict, verdict)


def standing_word(row: QueueRowView, text: Text) -> str:
    words = {
        "new": text("new"),
        "in_work": text("in work"),
        "snoozed": text("snoozed"),
        "closed": text("closed"),
        "merged": text("merged into {alert}", alert=row.merged_into),
    }
    return words[row.standing]


def title_words(title: Title, text: Text) -> str:
    """A shipped rule's title is a phrase; what people wrote stands as it was masked."""
    if title.kind == "shipped":
        return text(title.words)
    return title.words if title.kind == "own" else family_word(title.words, text)


def family_word(family: str, text: Text) -> str:
    """What alerts of a policy family are about, where no rule says it."""
    words = {
        "removable_storage_copy": text("Unusual copying to removable storage"),
        "upload": text("Unusual uploads"),
        "outbound_mail": text("Unusual outgoing mail"),
        "database_export": text("Unusual reading from databases"),
        "file_server_export": text("Unusual exports from file servers"),
        "application_export": text("Unusual exports from applications"),
        "unusual_logins": text("Unusual logins"),
        "printing": text("Unusual printing"),
        "screenshots": text("Unusual screenshots"),
        "former_employee_access": text("Access by somebody who left"),
        "dormant_account": text("A dormant account wakes up"),
        "two_sessions": text("One account in two places"),
        "taken_in_steps": text("Data taken out in steps"),
    }
    return words.get(family, family.replace("_", " "))


def leaver_words(status: PersonStatus, days: int | None, text: Text) -> str:
    """Empty for whoever is not leaving."""
    if status is PersonStatus.LEFT:
        return text("left") if days is None or days >= 0 else text("left {n} d ago", n=-days)
    if status is not PersonStatus.NOTICE or days is None:
        return text("on notice") if status is PersonStatus.NOTICE else ""
    if days < 0:
        return text("left {n} d ago", n=-days)
    return text("last day today") if days == 0 else text("last day in {n} d", n=days)
