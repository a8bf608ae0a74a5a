"""The logins collector on log files as no syslog daemon should leave them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collectors.contract import Observation, Unsupported
from collectors.logins import LoginsCollector, LoginsConfig
from event_schema.ocsf_account_events import Authentication
from event_schema.ocsf_objects import Host, HostType

HOST = Host(hostname="server-1", type_id=HostType.SERVER)
AT = b"2026-11-22T08:00:00+00:00"
BEGIN = datetime(2026, 11, 22, 8, tzinfo=UTC)


class Followed:
    """A collector on a log, asked turn by turn, under a clock that the test sets."""

    def __init__(self, log: Path, cursor: str | None = None, **settings: object) -> None:
        self.now = 0.0
        config = LoginsConfig(source="log_file", log_file=str(log), **settings)  # type: ignore[arg-type]
        clock = int((BEGIN + timedelta(hours=1)).timestamp() * 1000)
        self.collector = LoginsCollector(config, HOST, "0", lambda: clock, lambda: self.now)
        self._stop = threading.Event()
        self._turns: Iterator[Observation | None] = self.collector.observe(cursor, self._stop)
        self.first = next(self._turns)

    def read(self, quiet_turns: int = 2) -> list[Observation]:
        """What is there now."""
        found, quiet = [], 0
        while quiet < quiet_turns:
            turn = next(self._turns)
            quiet = quiet + 1 if turn is None else 0
            found += [] if turn is None else [turn]
        return found

    def end(self) -> list[Observation]:
        self._stop.set()
        return [turn for turn in self._turns if turn is not None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "auth.log"
    path.touch()
    return path


def line(second: float, message: str, pid: int = 7) -> bytes:
    when = (BEGIN + timedelta(seconds=second)).isoformat()
    return f"{when} srv sshd[{pid}]: {message}\n".encode()


def failed(second: float, user: str = "root") -> bytes:
    return line(second, f"Failed password for {user} from 203.0.113.9 port 5000 ssh2")


def accepted(second: float, user: str = "anna") -> bytes:
    return line(second, f"Accepted password for {user} from 10.0.0.5 port 5000 ssh2", abs(int(second)) + 100)


def counted(observations: Sequence[Observation]) -> Counter[str]:
    """Acts by account."""
    found: Counter[str] = Counter()
    for each in observations:
        assert isinstance(each.event, Authentication)
        found[each.event.user.name or ""] += each.event.count or 1
    return found


def append(log: Path, *lines: bytes) -> None:
    with log.open("ab") as file:
        file.write(b"".join(lines))


def test_what_is_no_line_of_syslog_is_counted_and_the_logins_between_are_told(log: Path) -> None:
    followed = Followed(log)
    hostile = (
        b"\xff\xfeA\x00\n",
        b"\0" * 4_096 + b"\n",
        b"x" * 10_000_000 + b"\n",
        AT + b" srv sshd[7]: Invalid user \xc0\xaf\x1b[2J#012Accepted from 1.1.1.1 port 5\n",
        AT + b" srv sshd[99999999999]: Accepted password for root from 6.6.6.6 port 1\n",
        AT + " srv sshd[7]: Accepted password for 张三 from 10.0.0.5 port 1 ssh2\n".encode(),
        AT + b" srv sshd[7]: Accepted password for J\xfcrg from 10.0.0.5 port 1 ssh2\r\n",
    )
    append(log, *(part for number, bad in enumerate(hostile) for part in (bad, accepted(number))))
    # A megabyte a turn.
    found = followed.read(quiet_turns=14) + followed.end()
    assert counted(found) == {"anna": 7, "张三": 1, "J\\xfcrg": 1}
    assert followed.collector.dropped() == {
        "a line of the log that is none of syslog's": 3,
        "a line of the log that is too long": 1,
    }


def test_a_line_that_is_half_written_is_told_once_when_it_is_whole(log: Path) -> None:
    followed = Followed(log)
    whole = accepted(1)
    append(log, whole[:40])
    assert followed.read() == []
    append(log, whole[40:])
    assert counted(followed.read() + followed.end()) == {"anna": 1}


def test_a_busy_log_whose_clock_is_set_back_a_day_tells_its_failures_all_the_same(log: Path) -> None:
    followed = Followed(log)
    append(log, *(failed(number / 10) for number in range(50)))
    told = counted(followed.read(quiet_turns=1))
    assert told == {"root": 1}
    for minute in range(1, 4):
        # It is never silent, and never comes to where the window would end by its own time.
        followed.now = 61.0 * minute
        append(log, *(failed(60 * minute - 86_400 + number / 10) for number in range(50)))
        told += counted(followed.read(quiet_turns=1))
        assert told["root"] >= 50 * minute
    assert told + counted(followed.end()) == {"root": 200}


def test_no_failure_is_lost_or_doubled_where_a_log_jumps_back_and_the_agent_is_killed(log: Path) -> None:
    followed = Followed(log)
    times = [*range(0, 50), *range(-7_200, -7_150), *range(50, 100)]
    append(log, *(failed(second, ("root", "anna", "ben")[second % 3]) for second in times))
    whole = followed.read() + followed.end()
    assert counted(whole) == Counter(("root", "anna", "ben")[second % 3] for second in times)
    for at, observation in enumerate(whole):
        again = Followed(log, observation.cursor)
        rest = [] if again.first is None else [again.first]
        rest += again.read() + again.end()
        assert counted([*whole[: at + 1], *rest]) == counted(whole), at


def test_groups_that_were_half_out_when_the_agent_was_killed_take_nothing_of_what_comes_after(
    log: Path,
) -> None:
    followed = Followed(log)
    append(log, *(failed(n / 100, ("root", "anna", "ben")[n % 3]) for n in range(90)))
    told = followed.read()
    followed.now = 61
    told += followed.read()
    followed.end()
    groups = [each for each in told if isinstance(each.event, Authentication) and each.event.count]
    assert [each.event.count for each in groups if isinstance(each.event, Authentication)] == [29, 29, 29]
    # The same minute by the log, after the window was handed out because ours was over.
    append(log, *(failed(2 + n / 100, ("root", "anna", "ben")[n % 3]) for n in range(30)))
    for at in range(len(told)):
        again = Followed(log, told[at].cursor)
        rest = [] if again.first is None else [again.first]
        rest += again.read() + again.end()
        assert counted([*told[: at + 1], *rest]) == {"root": 40, "anna": 40, "ben": 40}, at


def test_the_hour_that_autumn_repeats_goes_on_after_a_restart(log: Path) -> None:
    times = ["01:30:00", "02:30:00", "02:59:00", "02:10:00"]
    followed = Followed(log, time_zone="Europe/Berlin")
    entry = "Oct 25 {} srv sshd[{}]: Accepted password for anna from 10.0.0.5 port 5000 ssh2\n"
    append(log, *(entry.format(time, number).encode() for number, time in enumerate(times)))
    told = followed.read()
    followed.end()
    append(log, entry.format("02:20:00", 9).encode())
    again = Followed(log, told[-1].cursor, time_zone="Europe/Berlin")
    rest = [] if again.first is None else [again.first]
    rest += again.read() + again.end()
    hours = [datetime.fromtimestamp(each.event.time / 1000, UTC).strftime("%H:%M") for each in told + rest]
    assert hours == ["23:30", "00:30", "00:59", "01:10", "01:20"]


def test_logins_go_on_through_copytruncate_and_rotation(log: Path) -> None:
    followed = Followed(log)
    append(log, accepted(1), accepted(2))
    found = followed.read()
    log.with_name("auth.log.1").write_bytes(log.read_bytes())
    log.write_bytes(b"")
    append(log, accepted(3))
    # Older files are looked through in turns that tell nothing.
    found += followed.read(quiet_turns=6)
    log.rename(log.with_name("auth.log.2"))
    append(log, accepted(4), accepted(5))
    found += followed.read(quiet_turns=6) + followed.end()
    assert counted(found) == {"anna": 5}
    assert followed.collector.dropped() == {}


def test_another_source_than_before_begins_now_and_is_counted(log: Path) -> None:
    append(log, accepted(1))
    followed = Followed(log, '{"v":1,"source":"journal","mark":{"at":"s=1"}}')
    append(log, accepted(2))
    assert counted(followed.read() + followed.end()) == {"anna": 1}
    assert followed.collector.dropped() == {"what was said before another source of logins was taken": 1}


def test_a_host_without_any_source_says_what_to_do(tmp_path: Path) -> None:
    nothing = str(tmp_path / "nothing")
    config = LoginsConfig(source="log_file", log_file=nothing, btmp_file=nothing)
    collector = LoginsCollector(config, HOST, "0")
    with pytest.raises(Unsupported, match="install rsyslog"):
        collector.check_supported()
    assert collector.advice() == ()


def test_a_journal_that_does_not_answer_in_time_is_waited_for_and_nothing_else_is_taken(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "journalctl"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setattr("collectors.linux.journal._ENVIRONMENT", {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("collectors.linux.journal._ASK_S", 0.3)
    config = LoginsConfig(journal_directory=str(tmp_path), log_file=str(log))
    with pytest.raises(Unsupported, match="does not answer"):
        LoginsCollector(config, HOST, "0").check_supported()
    slow.write_text("#!/bin/sh\nexit 1\n")
    LoginsCollector(config, HOST, "0").check_supported()
