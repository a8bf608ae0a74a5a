"""What is done at a LoginHost, and what must be told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import msgspec

from event_schema.ocsf_account_events import UNKNOWN_ACCOUNT, Authentication, AuthenticationActivity, Outcome
from event_schema.ocsf_events import Event
from tests.login_host.host import ACCOUNTS, PASSWORD, LoginHost


class Told(msgspec.Struct, frozen=True):
    """What matters of an event; `reason` None: it worked."""

    act: str
    user: str
    service: str = "sshd"
    reason: str | None = None
    method: str | None = None
    by: str | None = None
    has_key: bool = False
    source: str | None = "127.0.0.1"


_NAMES: Final = {str(uid): name for name, uid in ACCOUNTS.items()}
"""They are accounts of the host alone, so that nobody outside knows their names by number."""
Step = tuple[Callable[[LoginHost], int], int, tuple[Told, ...]]
"""What to do, the exit code that shows it happened, what must be told."""
_OFF: Final = Told("logoff", "anna")
_BEN: Final = (Told("logon", "ben", method="password"), Told("logoff", "ben"))
_ANNA: Final = (Told("logon", "anna", method="password"), _OFF)


def _su(told: str | None, by: str, user: str, service: str) -> Told:
    return Told("account_switch", user, service, told, by=by, source=None)


STEPS: Final[tuple[Step, ...]] = (
    (
        lambda host: host.ssh("anna", key=host.key),
        0,
        (Told("logon", "anna", method="publickey", has_key=True), _OFF),
    ),
    (lambda host: host.ssh("anna", password=PASSWORD), 0, _ANNA),
    (
        lambda host: host.ssh("anna", password="wrong"),
        255,
        (Told("logon", "anna", reason="wrong_credential", method="password"),),
    ),
    (
        lambda host: host.ssh("anna", key=host.other_key),
        255,
        (Told("logon", "anna", reason="no_credential_accepted"),),
    ),
    (
        lambda host: host.ssh("hunter2", password="wrong"),
        255,
        (Told("logon", UNKNOWN_ACCOUNT, reason="no_such_account", method="password"),),
    ),
    (
        lambda host: host.ssh("hunter2", key=host.key),
        255,
        (Told("logon", UNKNOWN_ACCOUNT, reason="no_such_account"),),
    ),
    (
        lambda host: host.ssh("barred", password=PASSWORD),
        255,
        (Told("logon", "barred", reason="not_permitted", method="password"),),
    ),
    (
        lambda host: host.ssh("gone", key=host.key),
        255,
        # At LogLevel INFO sshd does not say from where.
        (Told("logon", "gone", reason="account_expired", source=None),),
    ),
    (
        lambda host: host.ssh("gone", password=PASSWORD),
        255,
        (Told("logon", "gone", reason="account_expired", method="password"),),
    ),
    (
        lambda host: host.ssh("ben", "sudo -S true", password=PASSWORD, stdin=f"{PASSWORD}\n"),
        0,
        (*_BEN, _su(None, "ben", "root", "sudo")),
    ),
    (
        lambda host: host.ssh("ben", "sudo -S true", password=PASSWORD, stdin="a\nb\nc\n"),
        1,
        (*_BEN, *[_su("wrong_credential", "ben", "root", "sudo")] * 3),
    ),
    (
        lambda host: host.ssh("anna", "sudo -S true", password=PASSWORD, stdin=f"{PASSWORD}\n"),
        1,
        (*_ANNA, _su("not_permitted", "anna", "root", "sudo")),
    ),
    (
        lambda host: host.ssh("anna", "su ben -c true", password=PASSWORD, stdin=f"{PASSWORD}\n"),
        0,
        (*_ANNA, _su(None, "anna", "ben", "su")),
    ),
    (
        lambda host: host.ssh("anna", "su ben -c true", password=PASSWORD, stdin="wrong\n"),
        1,
        (*_ANNA, _su("wrong_credential", "anna", "ben", "su")),
    ),
    (lambda host: host.inside("su", "-", "anna", "-c", "true"), 0, (_su(None, "root", "anna", "su"),)),
)


def do_all(host: LoginHost, rounds: int = 1) -> Counter[Told]:
    """Does every step so often, several at a time; what must be told of it, and how often."""
    steps = STEPS * rounds
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda step: step[0](host), steps))
    assert codes == [code for _, code, _ in steps]
    return Counter(told for _, _, tolds in steps for told in tolds)


def told_by(events: Iterable[Event]) -> Counter[Told]:
    """How often each thing was told, counts taken as so many."""
    found: Counter[Told] = Counter()
    for event in events:
        assert isinstance(event, Authentication)
        by = event.actor.user
        told = Told(
            AuthenticationActivity(event.activity_id).name.lower(),
            event.user.name or "",
            event.service.name,
            event.status_detail if event.status_id is Outcome.FAILURE else None,
            event.auth_protocol,
            None if by is None else _NAMES.get(by.uid or "", by.name),
            event.user.credential_uid is not None,
            None if event.src_endpoint is None else event.src_endpoint.ip,
        )
        found[told] += event.count or 1
    return found
