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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from collectors.linux.proc import plain_path
from collectors.linux.proc_events import EXEC, EXIT, FORK, UID, ProcessEventSocket
from collectors.linux.process_identity import acting_uid
from event_schema.catalogue import Application, Catalogue

MOST_PROCESSES: Final = 32_768
KEPT_AFTER_EXIT_S: Final = 90.0
_MOST_AT_ONCE: Final = 2048
_MOST_LAUNCHES: Final = 1024
_HIGHEST_PARTY: Final = 16
_LONGEST_ARGUMENTS: Final = 16_384
_MOST_WORDS: Final = 256
_INSIDE_OTHERS: Final = re.compile(
    r"python|perl|ruby|node|java|php|wine|electron|bwrap|ld-linux|ld-musl|qemu-|box64|AppRun"
)
"""Programs that run others, which their own name does not tell."""
_SCHEMES: Final = {
    "s3": "s3.amazonaws.com",
    "gs": "storage.googleapis.com",
    "oss": "oss.aliyuncs.com",
    "cos": "cos.myqcloud.com",
    "obs": "obs.myhuaweicloud.com",
}
"""Schemes that name a bucket, and the service whose bucket it is."""
_URL: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9+.-]{0,20})://(?:[^/@\s]*@)?(\[[0-9A-Fa-f:.]+\]|[^/:?#\s\[\]]+)"
)
_HOST: Final = re.compile(r"(?:[^/@\s:]+@)?([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?=[:/]|\Z)")

Action = Literal["push", "fetch"]


class ProcessFacts(msgspec.Struct, frozen=True, gc=False):
    """What is known of a process. Never its command line; `hosts` are names that the catalogue recognises or
    that an address can be compared with, and do not leave the endpoint as such."""

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
    inherited: bool = False
    """What its parent was when it forked; nobody has looked since."""


class ProcessTree:
    """Opens nothing before `follow`. Not for several threads."""

    def __init__(
        self, catalogue: Catalogue, now_ms: Callable[[], int], *, only_launches: bool = False
    ) -> None:
        """`only_launches`: nothing is remembered; what is no catalogued program costs one look."""
        self.started: Callable[[ProcessFacts], None] | None = None
        """Told at once of each program that starts, and of those that run when the tree begins to follow."""
        self._only_launches = only_launches
        self._catalogue = catalogue
        self._now_ms = now_ms
        self._known: OrderedDict[int, ProcessFacts] = OrderedDict()
        self._ended: deque[tuple[float, int, ProcessFacts]] = deque()
        self._gone: set[int] = set()
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
        """Takes the events that are there."""
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
        self, pid: int, parent: int, uid: int | None, login_uid: int | None, executable: str | None
    ) -> None:
        """What another source knows of a process, where it is not known yet or has become another program."""
        known = self._known.get(pid)
        if known is not None and (executable is None or known.executable == executable):
            return
        looked = self._look(pid)
        if looked is not None:
            # Where it is another program by now, what was told is the older one: a shell that opened a file.
            self._remember(looked)
            return
        application = self._catalogue.of_program(executable)
        parent = parent or (known.parent if known is not None else 0)
        self._remember(
            ProcessFacts(pid, parent, uid, login_uid, executable, application, started_ms=self._now_ms())
        )

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

    def members(self, top: int) -> list[int]:
        """The living processes of a party. Looks at all processes: not for every event."""
        return [pid for pid in list(self._known) if pid not in self._gone and self.party(pid) == top]

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
        if self._catalogue.of_program(executable) is None and not _runs_others(executable):
            return
        facts = self._look(pid)
        if facts is not None and facts.application is not None:
            self._launches.append(facts)

    def _take(self, what: int, first: int, second: int, third: int, fourth: int) -> None:
        if what == EXEC:
            facts = self._look(second)
            if facts is None:
                # The reader of openings and the records of connects bring what it was. It is not what its
                # parent is any more.
                self._disown(second)
                return
            self._gone.discard(second)
            self._remember(facts)
            if facts.application is not None:
                self._launches.append(facts)
            if self.started is not None:
                self.started(facts)
        elif what == FORK and third == fourth:
            self._gone.discard(fourth)
            parent = self._known.get(second)
            if parent is None:
                # Whoever had the number before is not meant any more.
                self._known.pop(fourth, None)
            else:
                child = msgspec.structs.replace(
                    parent, pid=fourth, parent=second, action=None, inherited=True
                )
                self._remember(child)
        elif what == UID and first == second:
            known = self._known.get(second)
            if known is not None:
                self._known[second] = msgspec.structs.replace(known, uid=acting_uid(third, fourth))
        elif what == EXIT and first == second:
            known = self._known.get(second)
            if known is not None:
                self._gone.add(second)
                self._ended.append((time.monotonic(), second, known))

    def _look(self, pid: int) -> ProcessFacts | None:
        try:
            executable = plain_path(os.readlink(f"/proc/{pid}/exe"))  # noqa: PTH115 - speed
            status = _read(f"/proc/{pid}/status", 4096)
            parent = int(status.partition(b"\nPPid:")[2].split(None, 1)[0])
            words = status.partition(b"\nUid:")[2].split(None, 4)
            uid = acting_uid(int(words[0]), int(words[3]))
            login = int(_read(f"/proc/{pid}/loginuid", 32) or b"4294967295")
        except (OSError, ValueError, IndexError):
            return None
        application = self._catalogue.of_program(executable)
        hosts: tuple[str, ...] = ()
        action: Action | None = None
        folder = None
        inside = application is None and _runs_others(executable)
        if inside or (application is not None and application.names_host is not None):
            arguments = _arguments(pid)
            if inside:
                # What follows are the program's own words: anybody may write a name there.
                application = self._catalogue.of_program(executable, [*arguments[:3], _control_group(pid)])
            if application is not None and application.names_host is not None:
                hosts = hosts_in(arguments[1:])
                action = git_action(arguments) if application.id == "git" else None
                if action == "push":
                    with contextlib.suppress(OSError):
                        folder = os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115 - speed
        return ProcessFacts(
            pid, parent, uid, login, executable, application, hosts, action, folder, self._now_ms()
        )

    def _disown(self, pid: int) -> None:
        known = self._known.get(pid)
        if known is not None and known.inherited:
            self._known[pid] = ProcessFacts(
                pid, known.parent, known.uid, known.login_uid, None, None, started_ms=known.started_ms
            )

    def _remember(self, facts: ProcessFacts) -> None:
        self._known[facts.pid] = facts
        self._known.move_to_end(facts.pid)
        if facts.pid in self._gone:
            # Learnt after its end: its time to be forgotten is noted for this word, not the one before.
            self._ended.append((time.monotonic(), facts.pid, facts))
        if len(self._known) > MOST_PROCESSES:
            pid, _ = self._known.popitem(last=False)
            self._gone.discard(pid)
            self._dropped["process_evicted"] += 1

    def _forget(self) -> None:
        horizon = time.monotonic() - KEPT_AFTER_EXIT_S
        while self._ended and (self._ended[0][0] < horizon or len(self._ended) > MOST_PROCESSES):
            _, pid, facts = self._ended.popleft()
            if pid in self._gone and self._known.get(pid) is facts:
                del self._known[pid]
                self._gone.discard(pid)

    def _rescan(self) -> None:
        for entry in os.listdir("/proc"):  # noqa: PTH208 - names only, thousands of them
            if entry.isdigit():
                facts = self._look(int(entry))
                if facts is not None:
                    self._remember(facts)
                    if self.started is not None:
                        self.started(facts)


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


def hosts_in(words: Sequence[str]) -> tuple[str, ...]:
    """The hosts that a command line names: in URLs, as user@host:path, or as words that look like a
    domain."""
    hosts: dict[str, None] = {}
    for word in words[:_MOST_WORDS]:
        for scheme, host in _URL.findall(word[:2048]):
            hosts[_SCHEMES.get(scheme.lower(), host.strip("[]").lower())] = None
        if "://" not in word and not word.startswith("-"):
            found = _HOST.match(word[:512])
            if found is not None and "." in found[1]:
                hosts[found[1].lower()] = None
    return tuple(hosts)[:16]


def git_action(words: Sequence[str]) -> Action | None:
    """Whether a Git process sends or fetches, by its own words; None where it does neither."""
    for word in words[1:8]:
        if word in ("push", "send-pack", "git-receive-pack"):
            return "push"
        if word in ("fetch", "pull", "clone", "fetch-pack", "ls-remote", "submodule"):
            return "fetch"
        if not word.startswith("-") and "=" not in word:
            return None
    return None


def _arguments(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        words = _read(f"/proc/{pid}/cmdline", _LONGEST_ARGUMENTS).split(b"\0")[: _MOST_WORDS + 1]
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
