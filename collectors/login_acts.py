"""Out of what single lines say: who logged in, who was refused and why, who left. Pure.

sshd says one thing in several lines, by process: an account that PAM refuses shows as "account … has
expired", "Failed publickey …" and "Access denied …". Open connections and sessions are remembered, with
bounds; a connection that did not log in yet holds the resume mark back (`open_connections`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from collectors import login_messages as messages
from collectors.login_messages import Said
from event_schema.ocsf_account_events import LogonType

ActKind = Literal["logon", "logoff", "switch"]
CONNECTIONS_MAX: Final = 2_000
SESSIONS_MAX: Final = 4_096
UNAUTHENTICATED_MS: Final = 150_000
"""sshd ends a connection that does not log in after LoginGraceTime, 120 s."""
_OTHER_MODULE_MS: Final = 3_000
_AT_THE_MACHINE: Final = dict.fromkeys(
    (
        *("login", "gdm-password", "gdm-fingerprint", "gdm-smartcard", "gdm-autologin", "lightdm", "sddm"),
        *("lightdm-autologin", "sddm-autologin", "lxdm", "xdm", "greetd", "ly", "cinnamon-screensaver"),
    ),
    LogonType.INTERACTIVE,
)
_LOGONS: Final = {
    **_AT_THE_MACHINE,
    "sshd": LogonType.REMOTE_INTERACTIVE,
    "remote": LogonType.REMOTE_INTERACTIVE,
    "xrdp-sesman": LogonType.REMOTE_INTERACTIVE,
    "cockpit": LogonType.REMOTE_INTERACTIVE,
    "vsftpd": LogonType.NETWORK,
    "proftpd": LogonType.NETWORK,
    "samba": LogonType.NETWORK,
    "dovecot": LogonType.NETWORK,
}
"""PAM services that are a person's login. cron, systemd-user, polkit and the like are not."""
SWITCHES: Final = {"su": "su", "su-l": "su", "sudo": "sudo", "sudo-i": "sudo"}


class LoginAct(msgspec.Struct, frozen=True):
    """What somebody did. time: ms since 1970 UTC. `is_first_hand`: nobody else can have said it."""

    kind: ActKind
    time: int
    service: str
    pid: int
    user: str | None
    is_first_hand: bool
    uid: str | None = None
    by: str | None = None
    by_uid: str | None = None
    host: str | None = None
    port: int | None = None
    method: str | None = None
    credential: str | None = None
    reason: str | None = None
    """Why it failed; None: it worked."""
    times: int = 1
    may_be_withdrawn: bool = False
    """Another PAM module may yet say that it worked."""

    @property
    def key(self) -> tuple[str | None, ...]:
        """What equal failures and switches have in common."""
        return (self.kind, self.service, self.user, self.by, self.host, self.reason, self.method)


class Withdrawn(msgspec.Struct, frozen=True):
    """The failure was none: another module let the same person in."""

    act: LoginAct


class _Connection(msgspec.Struct):
    """One that did not log in yet."""

    began: int
    host: str | None = None
    port: int | None = None
    known_user: str | None = None
    refused: str | None = None
    is_refusal_told: bool = False
    offered: str | None = None
    failures: int = 0
    to_be_repeated: int = 0


class _Session(msgspec.Struct):
    user: str
    host: str | None
    port: int | None
    is_pam: bool = False


class LoginActs:
    """`uses_pam`: whether sessions of this host's sshd that were not seen to begin are PAM's. `is_account`:
    whether a name that PAM heard is an account's here; some of its modules repeat whatever was typed."""

    def __init__(self, *, uses_pam: bool, is_account: Callable[[str], bool] = lambda _: True) -> None:
        self._uses_pam, self._is_account = uses_pam, is_account
        self._connections: OrderedDict[int, _Connection] = OrderedDict()
        self._sessions: OrderedDict[int, _Session] = OrderedDict()
        self._pam_failures: OrderedDict[tuple[str, int], tuple[LoginAct, str | None]] = OrderedDict()
        self.forgotten = 0
        """Connections that were too many to remember."""

    @property
    def open_connections(self) -> frozenset[int]:
        """Process numbers whose lines so far must be read again after a restart."""
        return frozenset(self._connections)

    def said(self, said: Said, time: int, pid: int, *, is_first_hand: bool) -> LoginAct | Withdrawn | None:
        """The act that this line completes."""
        self._forget(time)
        act = LoginAct("logon", time, said.service, pid, said.user, is_first_hand, said.uid)
        match said.kind:
            case "session_opened" | "session_closed":
                return self._session(said, act)
            case "auth_failed" | "auth_worked":
                return self._pam_auth(said, act)
            case "switch_failed":
                return msgspec.structs.replace(
                    act,
                    kind="switch",
                    user=said.user or said.by or said.by_uid,
                    by=said.by,
                    by_uid=said.by_uid,
                    reason=said.reason,
                    times=said.times,
                )
            case "btmp_failed":
                return msgspec.structs.replace(act, host=said.host, reason=said.reason)
            case "disconnected":
                return self._disconnected(said, act)
            case _:
                return self._sshd(said, act) if said.service in messages.SSHD else None

    def _forget(self, time: int) -> None:
        while self._connections:
            pid, oldest = next(iter(self._connections.items()))
            # Either way: lines of two processes may come in the wrong order, and clocks are set back.
            if abs(time - oldest.began) < UNAUTHENTICATED_MS and len(self._connections) <= CONNECTIONS_MAX:
                return
            self.forgotten += len(self._connections) > CONNECTIONS_MAX
            del self._connections[pid]

    def _connection(self, act: LoginAct) -> _Connection:
        found = self._connections.get(act.pid)
        if found is None:
            found = self._connections[act.pid] = _Connection(act.time)
        return found

    def _sshd(self, said: Said, act: LoginAct) -> LoginAct | None:  # noqa: PLR0911 - one a kind of line
        if said.kind == "accepted":
            return self._accepted(said, act)
        connection = self._connection(act)
        connection.host = said.host or connection.host
        connection.port = said.port or connection.port
        match said.kind:
            case "connection":
                # The number is given out again: what was left open under it has ended.
                self._connections[act.pid] = _Connection(act.time, said.host, said.port)
                self._connections.move_to_end(act.pid)
            case "not_permitted":
                connection.known_user = said.user
                connection.refused = messages.NOT_PERMITTED
            case "account_refused":
                connection.refused = said.reason
            case "failed":
                if connection.to_be_repeated > 0:
                    connection.to_be_repeated -= 1
                    return None
                if said.method == "publickey" and connection.refused is None:
                    # Clients offer one key after the other; only if none is taken it was a failure.
                    connection.offered = said.credential or connection.offered
                    return None
                return self._refused(said, act, connection, messages.WRONG_CREDENTIAL)
            case "pam_refused":
                connection.to_be_repeated += said.times
                act = msgspec.structs.replace(act, method="keyboard-interactive")
                return self._refused(said, act, connection, said.reason or messages.WRONG_CREDENTIAL)
            case "denied":
                refused = None
                if not connection.is_refusal_told:
                    refused = self._refused(said, act, connection, messages.ACCOUNT_DENIED)
                self._connections.pop(act.pid, None)
                return refused
            case "left_unauthenticated":
                refused = None
                if not connection.failures:
                    refused = self._refused(said, act, connection, messages.NOTHING_ACCEPTED)
                self._connections.pop(act.pid, None)
                return refused
        return None

    def _refused(self, said: Said, act: LoginAct, connection: _Connection, reason: str) -> LoginAct:
        connection.failures += 1
        connection.is_refusal_told |= connection.refused is not None
        user, is_unknown = said.user, said.is_unknown
        if connection.known_user is not None and is_unknown:
            # sshd calls an account that it may not let in "invalid", too.
            user, is_unknown = connection.known_user, False
        if is_unknown:
            user, reason = None, messages.NO_SUCH_ACCOUNT
        return msgspec.structs.replace(
            act,
            user=user,
            host=connection.host,
            port=connection.port,
            method=said.method or act.method or (None if connection.offered is None else "publickey"),
            credential=None if is_unknown else said.credential or connection.offered,
            reason=connection.refused or reason,
            times=said.times,
        )

    def _accepted(self, said: Said, act: LoginAct) -> LoginAct:
        self._connections.pop(act.pid, None)
        while len(self._sessions) >= SESSIONS_MAX:
            self._sessions.popitem(last=False)
        self._sessions[act.pid] = _Session(said.user or "", said.host, said.port)
        return msgspec.structs.replace(
            act, host=said.host, port=said.port, method=said.method, credential=said.credential
        )

    def _session(self, said: Said, act: LoginAct) -> LoginAct | None:  # noqa: PLR0911 - one a kind of session
        is_sshd = said.service in messages.SSHD
        if said.kind == "session_opened":
            if is_sshd:
                self._uses_pam = True
                if act.pid in self._sessions:
                    self._sessions[act.pid].is_pam = True
                return None
            self._pam_failures.pop((said.service, act.pid), None)
            if said.service in SWITCHES:
                return msgspec.structs.replace(
                    act, kind="switch", service=SWITCHES[said.service], by=said.by, by_uid=said.by_uid
                )
            return act if said.service in _LOGONS else None
        if said.service not in _LOGONS:
            return None
        act = msgspec.structs.replace(act, kind="logoff")
        if not is_sshd:
            return act
        self._uses_pam = True
        session = self._sessions.pop(act.pid, None)
        if session is None:
            return act
        return msgspec.structs.replace(act, host=session.host, port=session.port)

    def _disconnected(self, said: Said, act: LoginAct) -> LoginAct | None:
        """Where PAM opened the session, it says when it is closed."""
        pid = next(
            (
                pid
                for pid, session in self._sessions.items()
                if (session.user, session.host, session.port) == (said.user, said.host, said.port)
            ),
            None,
        )
        if pid is None:
            if self._uses_pam or not act.is_first_hand:
                return None
        elif self._sessions[pid].is_pam:
            return None
        else:
            del self._sessions[pid]
            self._uses_pam = False
        return msgspec.structs.replace(act, kind="logoff", host=said.host, port=said.port)

    def _pam_auth(self, said: Said, act: LoginAct) -> LoginAct | Withdrawn | None:
        """Of services that say nothing themselves. Modules are asked in turn: the last word counts."""
        if said.service not in _LOGONS or said.service in messages.SSHD:
            return None
        place = (said.service, act.pid)
        before = self._pam_failures.get(place)
        is_recent = before is not None and abs(act.time - before[0].time) <= _OTHER_MODULE_MS
        if said.kind == "auth_worked":
            self._pam_failures.pop(place, None)
            return Withdrawn(before[0]) if before is not None and is_recent else None
        if before is not None and is_recent and before[1] != said.module:
            return None
        is_known = said.user is not None and not said.is_unknown and self._is_account(said.user)
        act = msgspec.structs.replace(
            act,
            user=said.user if is_known else None,
            host=said.host,
            reason=said.reason if is_known else messages.NO_SUCH_ACCOUNT,
            times=said.times,
            may_be_withdrawn=True,
        )
        self._pam_failures[place] = (act, said.module)
        while len(self._pam_failures) > CONNECTIONS_MAX:
            self._pam_failures.popitem(last=False)
        return act


def logon_type(service: str) -> LogonType:
    """Of a PAM service."""
    return _LOGONS.get(service, LogonType.INTERACTIVE if service in SWITCHES else LogonType.UNKNOWN)
