"""What was done, and what a file holds, in the viewer's language."""

from __future__ import annotations

from server.console.charts.svg import Text


def act_word(act: str, text: Text) -> str:
    """Of an act as server/alerts/act_words.py calls it."""
    words = {
        "create": text("file written"),
        "update": text("file changed"),
        "rename": text("renamed"),
        "delete": text("deleted"),
        "connect": text("device in"),
        "disconnect": text("device out"),
        "print": text("printed"),
        "start": text("program started"),
        "upload": text("uploaded"),
        "sync": text("into a synced folder"),
        "mail": text("mailed"),
        "login": text("logged in"),
        "login refused": text("login refused"),
        "logout": text("logged out"),
        "logout refused": text("logout refused"),
        "account switch": text("changed account"),
        "account switch refused": text("account change refused"),
        "act": text("act"),
        "query": text("queried"),
        "export": text("exported"),
    }
    return words.get(act, act)


def label_word(label: str, text: Text) -> str:
    """Of a kind of data as agents label it; one that is not listed goes by its own name."""
    words = {
        "encrypted": text("encrypted"),
        "source_code": text("source code"),
        "private_key": text("private keys"),
        "resident_id": text("resident ids"),
        "phone": text("phone numbers"),
        "bank_card": text("bank cards"),
        "email_address": text("mail addresses"),
        "mobile_phone": text("mobile numbers"),
        "passport": text("passports"),
        "mark_top_secret": text("top secret"),
        "mark_secret": text("secret"),
        "mark_confidential": text("confidential"),
        "mark_internal": text("internal"),
    }
    return words.get(label, label.replace("_", " "))


def sure_word(fidelity: str, text: Text) -> str:
    """How sure an event is."""
    words = {"exact": text("exact"), "likely": text("likely"), "possible": text("possible")}
    return words.get(fidelity, fidelity)
