"""The processes of this machine with their parents, the application that each one is, and whose party it is
in.

A party is what acts together: scp and the ssh that holds its connection, a browser and its network process,
git and its helpers. It is named by its topmost process; shells, desktops and services are above it, never
in it.

Fed by the kernel's process events where they can be had, by what other sources tell of a process, else by
/proc. Command lines are read here, on the endpoint, to recognise applications that run inside others and
catalogued destinations; only what was recognised is kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from collectors.linux.command_words import MOST_WORDS, Action, git_action, hosts_in
from collectors.linux.proc import plain_path
from collectors.linux.proc_events import EXEC, EXIT, FORK, UID, ProcessEventSocket
from collectors.linux.process_identity import acting_uid
from event_schema.catalogue import Application, Catalogue

MOST_PROCESSES: Final = 32_768
KEPT_AFTER_EXIT_S: Final = 90.0
_MOST_ENDED: Final = MOST_PROCESSES // 2
"""So that those that live have room, however many short-lived ones there are."""
_MOST_AT_ONCE: Final = 65_536
"""More than the socket holds: whoever asks next must not hear of a birth after what the child did."""
_MOST_LAUNCHES: Final = 1024
_MOST_PROGRAMS: Final = 1024
_HIGHEST_PARTY: Final = 16
_LONGEST_COMMAND: Final = 16_384
_MOST_HOSTS: Final = 16
_NO_LOGIN: Final = 0xFFFF_FFFF
_INSIDE_OTHERS: Final = re.compile(
    r"python|perl|ruby|node|java|php|wine|electron|bwrap|ld-linux|ld-musl|qemu-|box64|AppRun"
)
"""Programs that run others, which their own name does not tell."""


class ProcessFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known of a process. Never its command line; `hosts` are only such names in it as the catalogue
    or the company's own places hold, and do not leave the endpoint as such."""

    pid: int
    parent: int
    uid: int | None
    login_uid: int | None
    executable: str | None
    application: Application | None
    hosts: tuple[str, ...] = ()
    action: Action | None = None
    folder: str | None = None
    """Where it works, of a program that pushes what lies there."""
    started_ms: int = 0
    """Steady ms when it was first seen."""
    seen_ms: int = 0
    """Steady ms at which all this was so; what was seen earlier does not change it. 0: not seen, but taken
    over from its parent, or from before it became another program."""


class ProcessTree:
    """Opens nothing before `follow`. Not for several threads."""

    def __init__(
        self, catalogue: Catalogue, now_ms: Callable[[], int], *, only_launches: bool = False
    ) -> None:
        """`only_launches`: nothing is remembered; what is no catalogued program costs one look."""
        self.started: Callable[[ProcessFacts], None] | None = None
        """Told at once of each program that starts, and of those that run when all are looked at."""
        self._only_launches = only_launches
        self._catalogue = catalogue
        # A look costs as much as asking the kernel, and the same programs start again and again.
        self._of_program: Callable[[str | None], Application | None] = lru_cache(_MOST_PROGRAMS)(
            catalogue.of_program
        )
        self._now_ms = now_ms
        self._known: OrderedDict[int, ProcessFacts] = OrderedDict()
        self._ended: deque[tuple[float, int]] = deque()
        self._gone: dict[int, float] = {}
        self._launches: deque[ProcessFacts] = deque(maxlen=_MOST_LAUNCHES)
        self._dropped: Counter[str] = Counter()
        self._events: ProcessEventSocket | None = None

    def follow(self) -> None:
        """Listens to the kernel from now on. Raises Unsupported; the tree is of use all the same."""
        self._events = ProcessEventSocket((EXEC,)) if self._only_launches else ProcessEventSocket()
        if not self._only_launches:
            self._rescan()

    def fileno(self) -> int:
        """The descriptor to poll; -1 where the kernel is not listened to."""
        return -1 if self._events is None else self._events.fileno()

    def pump(self) -> None:
        """Takes all events that are there. What other sources told until then, they told of processes whose
        birth is among these; so this comes before `learn`, and after they were read."""
        if self._events is None:
            return
        for _ in range(_MOST_AT_ONCE):
            try:
                event = self._events.next()
            except OSError as problem:
                self._dropped[
                    "process_events_overflow" if problem.errno == errno.ENOBUFS else "process_event_error"
                ] += 1
                if problem.errno != errno.ENOBUFS:
                    return
                if not self._only_launches:
                    self._rescan()
                continue
            if event is None:
                break
            if not self._only_launches:
                self._take(*event)
            else:
                self._launched(event[2])
        self._forget()

    def launches(self) -> list[ProcessFacts]:
        """Catalogued programs that started since the last call."""
        found = list(self._launches)
        self._launches.clear()
        return found

    def of(self, pid: int) -> ProcessFacts | None:
        """What is known of the process; also some time after its end."""
        known = self._known.get(pid)
        if known is None and pid > 0:
            known = self._look(pid)
            if known is not None:
                self._remember(known)
        return known

    def learn(
        self,
        pid: int,
        parent: int,
        uid: int | None,
        login_uid: int | None,
        executable: str | None,
        at_ms: int,
    ) -> None:
        """What another source saw of a process at this time (steady ms), where nothing better is known: a
        process that is there tells for itself, and one that has ended is what was seen of it last."""
        known = self._known.get(pid)
        if known is not None and (
            executable is None or known.executable == executable or at_ms < known.seen_ms
        ):
            return
        looked = self._look(pid)
        if looked is not None:
            self._remember(looked)
            return
        if known is not None:
            parent = parent if parent > 1 else known.parent
            uid = known.uid if uid is None else uid
        application = self._of_program(executable)
        self._remember(
            ProcessFacts(
                pid,
                parent,
                uid,
                login_uid,
                executable,
                application,
                started_ms=self._now_ms(),
                seen_ms=at_ms,
            )
        )
        self._end(pid)

    def has_ended(self, pid: int) -> bool:
        """Whether the process is over."""
        return pid in self._gone if self._events is not None else not Path(f"/proc/{pid}").exists()

    def party(self, pid: int) -> int:
        """The topmost process of what this one is a part of."""
        top = pid
        facts = self.of(pid)
        for _ in range(_HIGHEST_PARTY):
            if facts is None or facts.parent <= 1:
                break
            above = self.of(facts.parent)
            if above is None or not _together(above, facts):
                break
            top, facts = above.pid, above
        return top

    def pushed_from(self, pid: int) -> str | None:
        """The folder of a Git repository that this process sends for; None where it sends none."""
        facts = self.of(pid)
        for _ in range(_HIGHEST_PARTY):
            if facts is None or facts.action == "fetch":
                return None
            if facts.action == "push" and facts.folder is not None:
                return facts.folder
            facts = self.of(facts.parent) if facts.parent > 1 else None
        return None

    def members(self, tops: Collection[int]) -> list[int]:
        """The living processes of these parties. Looks at all processes: not for every event."""
        return [pid for pid in list(self._known) if pid not in self._gone and self.party(pid) in tops]

    def beside(self, parent: int) -> list[ProcessFacts]:
        """The living processes that this one started. Looks at all processes: not for every event."""
        return [each for pid, each in self._known.items() if each.parent == parent and pid not in self._gone]

    def of_kind(self, *kinds: str) -> list[ProcessFacts]:
        """Living processes of catalogued applications of these kinds."""
        return [
            each
            for pid, each in self._known.items()
            if each.application is not None and each.application.kind in kinds and pid not in self._gone
        ]

    def dropped(self) -> dict[str, int]:
        """What was lost, by reason."""
        return dict(self._dropped)

    def close(self) -> None:
        """May be called twice."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def _launched(self, pid: int) -> None:
        try:
            executable = plain_path(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115 - speed
        except OSError:
            self._dropped["process_ended_before_it_was_read"] += 1
            return
        if self._of_program(executable) is None and not _runs_others(executable):
            return
        facts = self._look(pid)
        if facts is not None and facts.application is not None:
            self._launches.append(facts)

    def _take(self, what: int, first: int, second: int, third: int, fourth: int) -> None:
        if what == EXEC:
            facts = self._look(second)
            if facts is None:
                # Over already. Other sources may bring what it was; until then its program is not known.
                before = self._known.get(second)
                if before is not None:
                    self._known[second] = msgspec.structs.replace(
                        before, executable=None, application=None, hosts=(), action=None, seen_ms=0
                    )
                return
            self._remember(facts)
            if facts.application is not None:
                self._launches.append(facts)
            if self.started is not None:
                self.started(facts)
        elif what == FORK and third == fourth:
            parent = self._known.get(second)
            if parent is None:
                # Whoever had the number before is not meant any more.
                self._known.pop(fourth, None)
                self._gone.pop(fourth, None)
            else:
                self._remember(
                    msgspec.structs.replace(parent, pid=fourth, parent=second, action=None, seen_ms=0)
                )
        elif what == UID and first == second:
            known = self._known.get(second)
            if known is not None:
                self._known[second] = msgspec.structs.replace(known, uid=acting_uid(third, fourth))
        elif what == EXIT and first == second and second in self._known:
            self._end(second)

    def _look(self, pid: int) -> ProcessFacts | None:
        try:
            executable = plain_path(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115 - speed
            status = _read(f"/proc/{pid}/status", 4096)
            parent = int(status.partition(b"\nPPid:")[2].split(None, 1)[0])
            words = status.partition(b"\nUid:")[2].split(None, 4)
            uid = acting_uid(int(words[0]), int(words[3]))
            login = _login_uid(pid)
        except (OSError, ValueError, IndexError):
            return None
        application = self._of_program(executable)
        hosts: tuple[str, ...] = ()
        action: Action | None = None
        folder = None
        inside = application is None and _runs_others(executable)
        if inside or (application is not None and application.names_host is not None):
            arguments = _read_words(pid)
            if inside:
                # What follows are the program's own words: anybody may write a name there.
                application = self._catalogue.of_program(executable, [*arguments[:3], _control_group(pid)])
            if application is not None and application.names_host is not None:
                hosts = tuple(filter(self._is_of_interest, hosts_in(arguments[1:])))[:_MOST_HOSTS]
                action = git_action(arguments) if application.id == "git" else None
                if action == "push":
                    with contextlib.suppress(OSError):
                        folder = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - speed
        now_ms = self._now_ms()
        return ProcessFacts(
            pid, parent, uid, login, executable, application, hosts, action, folder, now_ms, now_ms
        )

    def _is_of_interest(self, host: str) -> bool:
        return self._catalogue.of_host(host) is not None or self._catalogue.is_trusted(host=host)

    def _remember(self, facts: ProcessFacts) -> None:
        self._known[facts.pid] = facts
        self._known.move_to_end(facts.pid)
        self._gone.pop(facts.pid, None)
        if len(self._known) > MOST_PROCESSES:
            pid, _ = self._known.popitem(last=False)
            self._gone.pop(pid, None)
            self._dropped["process_evicted"] += 1

    def _end(self, pid: int) -> None:
        self._gone[pid] = time.monotonic()
        self._ended.append((self._gone[pid], pid))

    def _forget(self) -> None:
        horizon = time.monotonic() - KEPT_AFTER_EXIT_S
        while self._ended and (self._ended[0][0] < horizon or len(self._ended) > _MOST_ENDED):
            ended, pid = self._ended.popleft()
            if self._gone.get(pid) == ended:
                self._known.pop(pid, None)
                del self._gone[pid]

    def _rescan(self) -> None:
        living = set[int]()
        for entry in os.listdir("/proc"):  # noqa: PTH208 - names only, thousands of them
            facts = self._look(int(entry)) if entry.isdigit() else None
            if facts is not None:
                living.add(facts.pid)
                self._remember(facts)
                if self.started is not None:
                    self.started(facts)
        for pid in self._known.keys() - living - self._gone.keys():
            # Its end was among the events that were lost.
            self._end(pid)


def _runs_others(executable: str) -> bool:
    name = executable.rpartition("/")[2]
    return _INSIDE_OTHERS.match(name) is not None or executable.startswith(("/app/", "/snap/"))


def _together(above: ProcessFacts, below: ProcessFacts) -> bool:
    if above.executable is None:
        return False
    if above.application is not None:
        return below.application is None or above.application.kind in (below.application.kind, "uploader")
    if above.executable == below.executable:
        return not above.executable.endswith("sh") and above.parent > 1
    return False


def _login_uid(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(_read(f"/proc/{pid}/loginuid", 32))
    return _NO_LOGIN


def _read_words(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        words = _read(f"/proc/{pid}/cmdline", _LONGEST_COMMAND).split(b"\0")[: MOST_WORDS + 1]
        return [os.fsdecode(word) for word in words]
    return []


def _control_group(pid: int) -> str:
    with contextlib.suppress(OSError):
        return os.fsdecode(_read(f"/proc/{pid}/cgroup", 2048))
    return ""


def _read(path: str, most: int) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, most)
    finally:
        os.close(fd)
