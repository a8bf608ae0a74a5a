"""The logins collector on a real sshd, su and sudo, told by a real journald and a real rsyslogd."""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collectors.contract import Collector, Observation
from collectors.logins import LoginsCollector, LoginsConfig
from event_schema.codec import encode_event
from event_schema.ocsf_account_events import Authentication, Outcome
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.drives import needs_root
from tests.collectors.observing import Observing
from tests.login_host.acts import Told, do_all, told_by
from tests.login_host.host import PASSWORD, LoginHost

pytestmark = [pytest.mark.root, pytest.mark.long, needs_root]
HOST = Host(hostname="server-1", type_id=HostType.SERVER)
MakeHost = Callable[..., LoginHost]


@pytest.fixture(scope="module")
def make_host() -> Iterator[MakeHost]:
    hosts: list[LoginHost] = []

    def make(kind: str, **settings: object) -> LoginHost:
        # Not in pytest's folder, which is root's alone: sshd reads keys as the user who logs in.
        folder = Path(tempfile.mkdtemp(prefix="leaver-login-host-"))
        folder.chmod(0o755)
        hosts.append(LoginHost(folder, kind, **settings))  # type: ignore[arg-type]
        return hosts[-1]

    yield make
    for host in hosts:
        host.stop()
        shutil.rmtree(host.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def journal_host(make_host: MakeHost) -> LoginHost:
    return make_host("journal")


@pytest.fixture(scope="module")
def syslog_host(make_host: MakeHost) -> LoginHost:
    host = make_host("rsyslog")
    host.log_file.touch()
    return host


def collector_of(host: LoginHost, gather_s: float = 1.0) -> LoginsCollector:
    return LoginsCollector(config_of(host, gather_s), HOST, "0")


def config_of(host: LoginHost, gather_s: float = 1.0) -> LoginsConfig:
    if hasattr(host, "journal"):
        return LoginsConfig(source="journal", journal_directory=str(host.journal), gather_s=gather_s)
    return LoginsConfig(source="log_file", log_file=str(host.log_file), gather_s=gather_s)


class TestContractOnAJournal(CollectorContract):
    @pytest.fixture
    def collector(self, journal_host: LoginHost) -> Iterator[Collector]:
        self.host = journal_host
        collector = collector_of(journal_host)
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        assert self.host.ssh("anna", key=self.host.key) == 0


class TestContractOnALogFile(CollectorContract):
    @pytest.fixture
    def collector(self, syslog_host: LoginHost) -> Iterator[Collector]:
        self.host = syslog_host
        collector = collector_of(syslog_host)
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        assert self.host.ssh("anna", key=self.host.key) == 0


def _check_all(host: LoginHost) -> None:
    with Observing(collector_of(host)) as observing:
        wanted = do_all(host, 2)
        observing.settle(2.5)
    found = told_by(observing.events)
    assert (wanted - found, found - wanted) == (Counter(), Counter())
    text = b"".join(map(encode_event, observing.events))
    assert b"hunter2" not in text
    assert b"/usr/bin/true" not in text
    keys = {event.user.credential_uid for event in observing.events if isinstance(event, Authentication)}
    assert keys - {None} == {host.key_print}


def test_every_login_is_told_once_by_the_journal(journal_host: LoginHost) -> None:
    _check_all(journal_host)


def test_every_login_is_told_once_by_a_log_file(syslog_host: LoginHost) -> None:
    _check_all(syslog_host)


@pytest.mark.parametrize("kind", ["journal", "rsyslog"])
def test_a_talkative_sshd_with_keyboard_interactive_tells_the_same_and_from_where(
    make_host: MakeHost, kind: str
) -> None:
    host = make_host(kind, level="VERBOSE", log_format="traditional")
    host.log_file.touch()
    with Observing(collector_of(host)) as observing:
        wanted = do_all(host)
        observing.settle(3)
    found = told_by(observing.events)
    failed = {(told.user, told.reason): told for told in found if told.reason is not None}
    # With LogLevel VERBOSE sshd says from where an expired account was tried, and with which key.
    assert failed["gone", "account_expired"].source == "127.0.0.1"
    assert failed["anna", "no_credential_accepted"].has_key
    assert found.total() == wanted.total()


def test_without_pam_sessions_end_when_the_connection_does(make_host: MakeHost) -> None:
    host = make_host("rsyslog", pam=False)
    host.log_file.touch()
    with Observing(collector_of(host)) as observing:
        assert host.ssh("anna", key=host.key) == 0
        assert host.ssh("anna", password=PASSWORD) == 0
        observing.settle(2)
    acts = [(told.act, told.user, told.source, count) for told, count in told_by(observing.events).items()]
    assert sorted(acts) == [
        ("logoff", "anna", "127.0.0.1", 2),
        ("logon", "anna", "127.0.0.1", 1),
        ("logon", "anna", "127.0.0.1", 1),
    ]


def test_a_line_that_another_user_wrote_in_the_name_of_sshd_is_no_login(journal_host: LoginHost) -> None:
    collector = collector_of(journal_host)
    forged = "logger -p auth.info -t sshd 'Accepted password for root from 6.6.6.6 port 1 ssh2'"
    with Observing(collector) as observing:
        assert journal_host.ssh("anna", forged, key=journal_host.key) == 0
        observing.settle(1.5)
    assert all(event.user.name == "anna" for event in observing.events if isinstance(event, Authentication))
    assert collector.dropped() == {"a message about a login that the program it names did not write": 1}


def test_journalctl_that_is_killed_is_started_again_and_nothing_is_missed(journal_host: LoginHost) -> None:
    collector = collector_of(journal_host)
    with Observing(collector) as observing:
        assert journal_host.ssh("anna", key=journal_host.key) == 0
        observing.wait_for(lambda: len(observing.events) >= 2, 20, "login and end")
        os.kill(_child(), signal.SIGKILL)
        assert journal_host.ssh("ben", key=journal_host.key) == 0
        observing.wait_for(lambda: len(observing.events) >= 4, 20, "login after the kill")
        observing.settle(1)
    users = [event.user.name for event in observing.events if isinstance(event, Authentication)]
    assert users == ["anna", "anna", "ben", "ben"]
    assert collector.dropped()["journalctl ended and was started again"] == 1


def test_a_place_that_the_journal_no_longer_has_is_counted_and_what_is_after_it_is_told(
    journal_host: LoginHost,
) -> None:
    with Observing(collector_of(journal_host)) as observing:
        assert journal_host.ssh("anna", key=journal_host.key) == 0
        observing.wait_for(lambda: len(observing.events) >= 2, 20, "login and end")
    cursor = observing.observations[0].cursor
    assert cursor is not None
    resumed = collector_of(journal_host)
    with Observing(resumed, cursor) as again:
        again.wait_for(lambda: bool(again.events), 20, "end")
    assert resumed.dropped() == {}
    # As if journald had thrown the entry away: there is none with this number, time and hash.
    gone = re.sub(r";(t|x)=([0-9a-f]+)", lambda found: f";{found[1]}={int(found[2], 16) - 1:x}", cursor)
    resumed = collector_of(journal_host)
    with Observing(resumed, gone) as again:
        again.wait_for(lambda: bool(again.events), 20, "end")
    assert resumed.dropped() == {"a place in the journal that is gone": 1}


def test_a_cursor_of_no_journal_is_counted_and_reading_begins_now(journal_host: LoginHost) -> None:
    collector = collector_of(journal_host)
    cursor = '{"v":1,"source":"journal","mark":{"at":"nonsense"}}'
    with Observing(collector, cursor) as observing:
        observing.wait_for(lambda: bool(collector.dropped()), 20, "drop")
        time.sleep(1.5)
        assert journal_host.ssh("anna", key=journal_host.key) == 0
        observing.wait_for(lambda: len(observing.events) >= 2, 20, "login")
    assert collector.dropped()["a place in the journal that is gone"] == 1


def test_resumed_after_any_event_nothing_is_lost_and_nothing_told_twice(
    syslog_host: LoginHost, journal_host: LoginHost, tmp_path: Path
) -> None:
    if b"Accepted" not in syslog_host.log_file.read_bytes():
        do_all(syslog_host)
        time.sleep(2)
    for host, copy in ((syslog_host, tmp_path / "auth.log"), (journal_host, None)):
        if copy is not None:
            copy.write_bytes(b"")
            config = LoginsConfig(source="log_file", log_file=str(copy), gather_s=600)
        else:
            config = config_of(host, 600)
        begun = _begun(config)
        if copy is None:
            wanted = sum(
                count
                for told, count in do_all(host).items()
                if told.act in ("logon", "logoff") and told.reason is None
            )
        else:
            shutil.copyfile(host.log_file, tmp_path / "whole.log")
            with copy.open("ab") as log:
                log.write((tmp_path / "whole.log").read_bytes())
            wanted = (tmp_path / "whole.log").read_bytes().count(b"Accepted ")
        # sshd and the journal end after ssh does.
        time.sleep(2)
        whole = begun(wanted)
        total = told_by(each.event for each in whole)
        assert total.total() > 20
        for at in range(0, len(whole), max(1, len(whole) // (10 if copy else 4))):
            rest = _begun(config, whole[at].cursor)(_told_apart(whole[at + 1 :]))
            both = told_by([each.event for each in (*whole[: at + 1], *rest)])
            assert both == total or _without_source(both) == _without_source(total), at


def _told_apart(observations: list[Observation]) -> int:
    """How many are logins that worked and their ends: those are never put together."""
    return sum(
        each.event.type_uid in {300201, 300202} and each.event.status_id is Outcome.SUCCESS
        for each in observations
        if isinstance(each.event, Authentication)
    )


def _without_source(told: Counter[Told]) -> Counter[Told]:
    """After a restart nobody knows any more from where a session that ends now came."""
    found: Counter[Told] = Counter()
    for each, count in told.items():
        source = None if each.act == "logoff" else each.source
        found[
            Told(each.act, each.user, each.service, each.reason, each.method, each.by, each.has_key, source)
        ] += count
    return found


def _begun(config: LoginsConfig, cursor: str | None = None) -> Callable[[int], list[Observation]]:
    """Begins to observe; the call ends it when nothing more comes, but not before so many logins and ends."""
    collector = LoginsCollector(config, HOST, "0")
    stop = threading.Event()
    turns = collector.observe(cursor, stop)
    found = [turn for turn in [next(turns)] if turn is not None]

    def finish(expected: int) -> list[Observation]:
        quiet, limit = 0, time.monotonic() + 30
        while quiet < 3 or (_told_apart(found) < expected and time.monotonic() < limit):
            turn = next(turns)
            if turn is None:
                quiet += 1
            else:
                quiet = 0
                found.append(turn)
        stop.set()
        found.extend(turn for turn in turns if turn is not None)
        return found

    return finish


def test_where_there_is_only_btmp_failures_are_told_and_doctor_says_what_is_missing(
    make_host: MakeHost,
) -> None:
    host = make_host("journal")
    config = LoginsConfig(source="btmp", btmp_file=str(host.btmp), gather_s=1)
    assert host.ssh("root", password="before") == 255
    with Observing(LoginsCollector(config, HOST, "0")) as observing:
        assert host.ssh("root", password="wrong") == 255
        assert host.ssh("hunter2", password="wrong") == 255
        observing.wait_for(lambda: len(observing.events) >= 2, 20, "failures")
        # As logrotate does it, once a month.
        host.btmp.rename(host.btmp.with_name("btmp.1"))
        host.btmp.touch(mode=0o600)
        assert host.ssh("root", password="wrong") == 255
        observing.settle(2)
    found = told_by(observing.events)
    reasons = {(told.user, told.reason): count for told, count in found.items()}
    assert reasons == {("root", "wrong_credential"): 2, ("(no such account)", "no_such_account"): 1}
    assert {told.source for told in found} == {"127.0.0.1"}
    nothing = LoginsConfig(
        btmp_file=str(host.btmp), journal_directory="/nonexistent", log_file="/nonexistent"
    )
    (missing,) = LoginsCollector(nothing, HOST, "0").advice()
    assert (missing.is_met, "install rsyslog" in missing.text) == (False, True)


def _child() -> int:
    """The journalctl that this process started."""
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            name = (folder / "comm").read_text().strip()
        except OSError:
            continue
        if name == "journalctl" and int(stat[1]) == os.getpid():
            return int(folder.name)
    raise AssertionError("no journalctl")
