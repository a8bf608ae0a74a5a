r"""What a line of sshd, PAM, su or sudo says about a login. Pure.

The texts are of OpenSSH 7–10, Linux-PAM, util-linux and sudo. A name that a stranger typed stands inside
them, so patterns are read from both ends: an account "x from 10.0.0.1 port 1" moves no address.
Commands and folders that sudo writes are not taken.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

Kind = Literal[
    "accepted",
    "failed",
    "pam_refused",
    "invalid_user",
    "not_permitted",
    "account_refused",
    "denied",
    "connection",
    "left_unauthenticated",
    "disconnected",
    "session_opened",
    "session_closed",
    "auth_failed",
    "auth_worked",
    "switch_failed",
    "btmp_failed",
]
SSHD: Final = frozenset({"sshd", "sshd-session", "sshd-auth"})
WRONG_CREDENTIAL: Final = "wrong_credential"
NO_SUCH_ACCOUNT: Final = "no_such_account"
ACCOUNT_EXPIRED: Final = "account_expired"
ACCOUNT_DENIED: Final = "account_denied"
NOT_PERMITTED: Final = "not_permitted"
NOTHING_ACCEPTED: Final = "no_credential_accepted"
MESSAGE_CHARACTERS: Final = 4096
"""A longer message is none of these programs'."""


class Said(msgspec.Struct, frozen=True):
    """One message, understood. `service` is PAM's ("sshd", "su-l", "gdm-password")."""

    kind: Kind
    service: str
    user: str | None = None
    uid: str | None = None
    by: str | None = None
    by_uid: str | None = None
    host: str | None = None
    port: int | None = None
    method: str | None = None
    credential: str | None = None
    reason: str | None = None
    module: str | None = None
    is_unknown: bool = False
    """The name is no account's, as far as the program knows."""
    times: int = 1


_FROM: Final = r"(?P<user>.*) from (?P<host>\S+) port (?P<port>\d+)"
_ENDS: Final = (
    r"(?:Connection closed by|Connection reset by|Disconnected from|Disconnecting"
    r"|Timeout, client not responding from|Connection timed out.*:)"
)
_PATTERNS: Final[tuple[tuple[Kind, str], ...]] = (
    (
        "accepted",
        r"Accepted (?P<method>\S+) for (?P<user>\S+) from (?P<host>\S+) port (?P<port>\d+)(?: ssh2)?"
        r"(?:: \S+ (?P<credential>(?:SHA256|MD5):\S+)(?: .*)?)?",
    ),
    (
        "failed",
        r"Failed (?P<method>\S+) for (?P<unknown>invalid user )?" + _FROM + r"(?: ssh2)?"
        r"(?:: \S+ (?P<credential>(?:SHA256|MD5):\S+)(?: .*)?)?",
    ),
    (
        "pam_refused",
        r"error: PAM: (?P<reason>[^:]+?) for (?P<unknown>illegal user )?(?P<user>.*) from (?P<host>\S+)",
    ),
    ("invalid_user", r"(?:Invalid|Illegal) user " + _FROM),
    ("not_permitted", r"User (?P<user>.+) from (?P<host>\S+) not allowed because .*"),
    ("not_permitted", r"User (?P<user>\S+) not allowed because .*"),
    ("denied", r"(?:fatal: )?Access denied for user (?P<user>\S+) by PAM account configuration"),
    ("connection", r"Connection from (?P<host>\S+) port (?P<port>\d+) on .*"),
    (
        "left_unauthenticated",
        _ENDS + r" (?P<state>invalid|authenticating) user (?P<user>.*) (?P<host>\S+) port (?P<port>\d+)"
        r"(?:: .*)?",
    ),
    ("disconnected", _ENDS + r" user (?P<user>\S+) (?P<host>\S+) port (?P<port>\d+)(?:: .*)?"),
)
_SSHD: Final = tuple((kind, re.compile(pattern, re.DOTALL)) for kind, pattern in _PATTERNS)
_REPEATED: Final = re.compile(r"message repeated (?P<times>\d{1,9}) times: \[ ?(?P<message>.*)\]", re.DOTALL)
_PAM: Final = re.compile(
    r"pam_(?P<module>\w+)\((?P<service>[^:()]+):(?P<type>\w+)\): (?P<text>.*)", re.DOTALL
)
_OPENED: Final = re.compile(
    r"session opened for user (?P<user>\S+?)(?:\(uid=(?P<uid>\d+)\))? by (?P<by>\S*?)\(uid=(?P<by_uid>\d+)\)"
)
_CLOSED: Final = re.compile(r"session closed for user (?P<user>\S+)")
_AUTH_FAILED: Final = re.compile(
    r"(?:(?P<times>\d{1,6}) more )?authentication failures?; .*?\brhost=(?P<host>\S*)"
    r"(?: +user=(?P<user>\S+))?\s*"
)
_AUTH_WORKED: Final = re.compile(r"authentication success; .*")
_SU_FAILED: Final = (
    re.compile(r"FAILED SU \(to (?P<user>\S+)\) (?P<by>\S+) on .*"),
    re.compile(r"FAILED su for (?P<user>\S+) by (?P<by>\S+)"),
)
_SUDO_FAILED: Final = re.compile(
    r" *(?P<by>\S+) : (?:(?P<times>\d{1,6}) incorrect password attempts?"
    r"|(?P<not_permitted>user NOT in sudoers|user NOT authorized on host|command not allowed)) ; .*",
    re.DOTALL,
)
_SUDO_TARGET: Final = re.compile(r" ; USER=(\S+)")
_PREAUTH: Final = " [preauth]"


def understand(program: str, message: str) -> Said | None:  # noqa: PLR0911 - one return a program
    """None where the message is about nothing that matters here."""
    if len(message) > MESSAGE_CHARACTERS:
        return None
    repeated = _REPEATED.fullmatch(message)
    if repeated is not None:
        said = understand(program, repeated["message"])
        if said is None or said.kind not in {"failed", "pam_refused", "auth_failed"}:
            return None
        return msgspec.structs.replace(said, times=int(repeated["times"]) * said.times)
    if message.startswith("pam_"):
        return _pam(message)
    if program in SSHD:
        return _sshd(message.removesuffix(_PREAUTH))
    if program == "su":
        failed = _SU_FAILED[0].fullmatch(message) or _SU_FAILED[1].fullmatch(message)
        if failed is None:
            return None
        return Said("switch_failed", "su", user=failed["user"], by=failed["by"], reason=WRONG_CREDENTIAL)
    return _sudo(message) if program == "sudo" else None


def _sshd(message: str) -> Said | None:
    for kind, pattern in _SSHD:
        found = pattern.fullmatch(message)
        if found is None:
            continue
        groups = found.groupdict()
        method = groups.get("method")
        if method == "none":
            # What every client asks first: which methods there are.
            return None
        port = groups.get("port")
        return Said(
            kind,
            "sshd",
            user=groups.get("user"),
            host=groups.get("host"),
            port=None if port is None or int(port) > 65_535 else int(port),
            method=None if method is None else method.partition("/")[0],
            credential=groups.get("credential"),
            reason=_pam_reason(groups.get("reason")),
            is_unknown=bool(groups.get("unknown")) or groups.get("state") == "invalid",
        )
    return None


def _pam_reason(text: str | None) -> str | None:
    if text is None:
        return None
    if "expired" in text:
        return ACCOUNT_EXPIRED
    return WRONG_CREDENTIAL if "uthentication" in text else ACCOUNT_DENIED


def _pam(message: str) -> Said | None:  # noqa: PLR0911 - one return a kind of line
    found = _PAM.fullmatch(message)
    if found is None:
        return None
    service, module, text = found["service"], found["module"], found["text"]
    if found["type"] == "session":
        opened = _OPENED.fullmatch(text)
        if opened is not None:
            who = opened.groupdict()
            return Said(
                "session_opened",
                service,
                user=who["user"],
                uid=who["uid"],
                by=who["by"] or None,
                by_uid=who["by_uid"],
                module=module,
            )
        closed = _CLOSED.fullmatch(text)
        return None if closed is None else Said("session_closed", service, user=closed["user"], module=module)
    if found["type"] == "account":
        if "expired" in text:
            return Said("account_refused", service, reason=ACCOUNT_EXPIRED, module=module)
        if "denied" in text.lower():
            return Said("account_refused", service, reason=ACCOUNT_DENIED, module=module)
        return None
    if _AUTH_WORKED.fullmatch(text):
        return Said("auth_worked", service, module=module)
    failed = _AUTH_FAILED.fullmatch(text)
    if failed is None:
        return None
    return Said(
        "auth_failed",
        service,
        user=failed["user"],
        host=failed["host"] or None,
        reason=WRONG_CREDENTIAL if failed["user"] else NO_SUCH_ACCOUNT,
        is_unknown=not failed["user"],
        module=module,
        times=int(failed["times"] or 1),
    )


def _sudo(message: str) -> Said | None:
    found = _SUDO_FAILED.fullmatch(message)
    if found is None:
        return None
    # A folder's or a command's name may hold the same words: then nobody can tell which is sudo's.
    targets = _SUDO_TARGET.findall(message)
    return Said(
        "switch_failed",
        "sudo",
        user=targets[0] if len(targets) == 1 else None,
        by=found["by"],
        reason=NOT_PERMITTED if found["not_permitted"] else WRONG_CREDENTIAL,
        times=int(found["times"] or 1),
    )
