"""From raw changes to finished files: one act per file, under the name that it ends up with.

A pure state machine: time, of a clock that never steps, comes in with each call, and the file system only
through the `look` that the caller passes. Rules:

- A file is finished when it was closed after writing and nothing touched it for `settle_ms`; at the
  latest `longest_ms` after it was first closed, so that a log that is rewritten for ever still reports.
- A new name that is renamed meanwhile is reported once, as created under its last name. A file that was
  there before is reported as renamed; a folder too, and what is pending below it moves along.
- A new file that is deleted before it is finished is reported once, as created and deleted. A file from
  before that was rewritten and deleted is two acts: rewritten, deleted.
- A name without a close (hard link, symbolic link, a name that was only found) is finished when it
  stopped changing. A new file that nobody closes is looked at for `open_ms` after its last growth.
- What was reported is remembered for a while, so that a rescan does not report it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec

from collectors.file_changes import Change, ChangeKind, FileFacts
from collectors.linux.process_identity import Who
from collectors.pending_files import Pending, PendingFiles
from collectors.reported_files import ReportedFiles
from event_schema.ocsf_events import FileActivity
from event_schema.ocsf_objects import FileType

Look = Callable[[str, FileFacts | None], tuple[str, FileFacts] | None]
"""Where the file is now, and the facts about it: by its path, with the last known facts. None: gone."""

STILL_OPEN: Final = "still open for writing, or never closed, when it was reported"
NEWNESS_UNKNOWN: Final = "whether the file is new or was there before is not known on this file system"
_LONGEST_WAIT_MS: Final = 10_000
_LOOKS_FOR_MISSING: Final = 2
_MOST_GONE: Final = 50_000
_NAMELESS: Final = re.compile(r"/#\d+$")
"""What the kernel calls a file that was opened with O_TMPFILE and has no name."""
_WHO_RANK: Final = {"audit": 0, "proc_events": 1, "proc": 2, "file_owner": 3, "unknown": 4}

Unreported = tuple[bool, str]
"""Whether its time finds it again when one looks for what changed, and its path."""


class FinishedFile(msgspec.Struct, frozen=True, gc=False):
    """One act to report. `path` is the file's name after it, except for a rename: there `new_path` is."""

    activity: FileActivity
    path: str
    at_ms: int
    pid: int
    who: Who | None = None
    new_path: str | None = None
    facts: FileFacts | None = None
    is_folder: bool = False
    is_deleted: bool = False
    from_rescan: bool = False
    """Nothing but a rescan saw it."""
    held_ns: int | None = None
    """See Change."""
    is_guess: bool = False
    """Written is certain; that the file is new is not."""
    gap: str | None = None


def better_who(one: Who | None, other: Who | None) -> Who | None:
    """The one from the better source; of two equal ones the second."""
    if one is None or other is None:
        return other or one
    return one if _WHO_RANK[one.source] < _WHO_RANK[other.source] else other


class FinishedFiles:
    """See the module. Not thread-safe; feed changes in their order.

    `follows_inodes` is for watchers that see no renames: `look` then finds the renamed file, and a name
    that is made again need not mean that its earlier file is gone. Nor do they tell new files from old ones
    that are written: both count as created, which is what a copy is, and say so.
    """

    def __init__(
        self,
        settle_ms: int = 1_000,
        longest_ms: int = 60_000,
        open_ms: int = 600_000,
        most_pending: int = 200_000,
        *,
        follows_inodes: bool = False,
        reported: ReportedFiles | None = None,
    ) -> None:
        self._settle_ms = settle_ms
        self._longest_ms = longest_ms
        self._open_ms = open_ms
        self._most_pending = most_pending
        self._follows_inodes = follows_inodes
        self._pending = PendingFiles()
        self.reported = ReportedFiles() if reported is None else reported
        """To hand on when the same drive comes back."""
        self._gone: dict[bytes | str, None] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def oldest_ms(self) -> int | None:
        """When the earliest act was read that is not reported yet, but for files that were never closed."""
        read = (
            each.last_ms
            for each in self._pending
            if each.closed_ms is not None or (each.found and each.held_ns is None)
        )
        return min(read, default=None)

    def oldest_held_ns(self) -> int | None:
        """Since when one has to look to find again all that a rescan found and that is not reported yet. ns
        since 1970 UTC. What was moved in while somebody watched may be years old, and holds nothing back."""
        return min((each.held_ns for each in self._pending if each.held_ns is not None), default=None)

    def unreported(self) -> list[Unreported]:
        """New files, those last that were never closed: they may have been written at any time."""
        opened = [each for each in self._pending if each.closed_ms is None]
        closed = [each for each in self._pending if each.closed_ms is not None and each.is_new]
        return [(each.held_ns is not None, each.path) for each in (*closed, *opened)]

    def who_of(self, path: str, pid: int) -> Who | None:
        """Who is already known to be behind this process's writing of this file."""
        pending = self._pending.get(path)
        return pending.who if pending is not None and pending.pid == pid else None

    def take(self, change: Change, who: Who | None = None) -> list[FinishedFile]:
        """What one change finishes at once: renames, deletions, files deleted before they were finished."""
        if change.kind is ChangeKind.RENAMED and change.new_path is not None:
            if change.is_folder:
                return self._folder_renamed(change, change.new_path, who)
            return self._renamed(change, change.new_path, who)
        if change.kind is ChangeKind.DELETED:
            return self._deleted(change, who)
        if change.kind is ChangeKind.CREATED:
            self._created(change, who)
        elif change.kind is ChangeKind.WRITTEN:
            self._written(change, who)
        elif change.kind is ChangeKind.FOUND:
            self._found(change, who)
        return []

    def due(self, now_ms: int, look: Look) -> list[FinishedFile]:
        """What has come to rest by now; beyond `most_pending` also what has not."""
        finished: list[FinishedFile] = []
        while (pending := self._pending.pop_due(now_ms, self._most_pending)) is not None:
            too_many = len(self._pending) > self._most_pending
            finished += self._examine(pending, now_ms, look, give_up=too_many)
        return finished

    def flush(self, look: Look, gap: str) -> list[FinishedFile]:
        """Everything that is pending, at rest or not, because nothing more can be learnt.

        `gap` goes to those that somebody may still have been writing.
        """
        finished: list[FinishedFile] = []
        for pending in sorted(self._pending, key=lambda each: each.last_ms):
            seen = look(pending.path, pending.facts)
            if seen is not None:
                pending.path, pending.facts = seen
            if pending.closed_ms is None and (pending.facts is None or pending.facts.links < 2):
                pending.gap = pending.gap or gap
            finished.append(self._finish(pending))
        return finished

    def _created(self, change: Change, who: Who | None) -> None:
        self._gone.pop(change.path, None)
        if change.object_id is not None:
            self._gone.pop(change.object_id, None)
        before = self._pending.get(change.path)
        if before is not None and (before.found or before.object_id == change.object_id):
            before.found = False
            self._touch(before, change, who)
            return
        if before is not None:
            # Whatever became of it, it keeps its place in the queue.
            self._pending.displace(before)
            if not self._follows_inodes:
                before.missing = _LOOKS_FOR_MISSING
        pending = self._add(change, who, is_new=True)
        if any(other.closed_ms is not None for other in self._pending.of_object(change.object_id)):
            # A hard link to what is whole already, even if its first name goes away.
            pending.closed_ms = change.at_ms

    def _written(self, change: Change, who: Who | None) -> None:
        pending = self._pending.get(change.path)
        if change.object_id is not None and change.object_id in self._gone:
            if change.facts is None or pending is not None:
                # The last close of a deleted file, whose name may be another's by now.
                return
            del self._gone[change.object_id]
        if pending is None and change.facts is None:
            pending = next(iter(self._pending.of_object(change.object_id)), None)
            if pending is None and (change.path in self._gone or _NAMELESS.search(change.path)):
                return
        if pending is None:
            pending = self._add(change, who, is_new=False)
        if pending.closed_ms is None:
            pending.closed_ms = change.at_ms
        self._touch(pending, change, who)

    def _found(self, change: Change, who: Who | None) -> None:
        pending = self._pending.get(change.path)
        if pending is not None:
            pending.from_rescan = pending.from_rescan and change.from_rescan
            return
        reported = self.reported.get(change.path)
        facts = change.facts
        if reported is None or (facts is not None and reported != facts.content_id):
            self._add(change, who, is_new=change.is_new)
        elif facts is None:
            # Whether it changed since it was reported shows when it is looked at.
            self._add(change, who, is_new=False)

    def _renamed(self, change: Change, new_path: str, who: Who | None) -> list[FinishedFile]:
        finished: list[FinishedFile] = []
        self._gone.pop(new_path, None)
        replaced = self._pending.drop(self._pending.get(new_path))
        pending = self._pending.drop(self._pending.get(change.path))
        replaces_known = new_path in self.reported or (replaced is not None and not replaced.is_new)
        known = self.reported.pop(change.path)
        if pending is not None and pending.is_new:
            pending.is_new = not replaces_known
        else:
            if replaced is not None and replaced.is_new:
                finished.append(self._finish(replaced, is_deleted=True))
            finished.append(_act(FileActivity.RENAME, change, who, new_path))
        self.reported.pop(new_path)
        if known is not None:
            self.reported.put(new_path, known)
        if pending is not None:
            pending.key = pending.path = new_path
            self._pending.keep(pending)
            self._touch(pending, change, who)
        return finished

    def _folder_renamed(self, change: Change, new_path: str, who: Who | None) -> list[FinishedFile]:
        cut = len(change.path)
        for pending in self._pending.below(change.path):
            self._pending.drop(pending)
            pending.key, pending.path = new_path + pending.key[cut:], new_path + pending.path[cut:]
            self._pending.keep(pending)
        self.reported.move(change.path, new_path)
        return [_act(FileActivity.RENAME, change, who, new_path)]

    def _deleted(self, change: Change, who: Who | None) -> list[FinishedFile]:
        self._gone[change.path] = None
        self.reported.pop(change.path)
        pending = self._pending.drop(self._pending.get(change.path))
        if change.object_id is not None:
            links = self._pending.of_object(change.object_id)
            for link in links:
                # Its other name is gone: no close will be told for this one.
                link.closed_ms = link.closed_ms or change.at_ms
            if not links:
                self._gone[change.object_id] = None
        while len(self._gone) > _MOST_GONE:
            del self._gone[next(iter(self._gone))]
        if pending is None:
            return [_act(FileActivity.DELETE, change, who)]
        pending.last_ms = max(pending.last_ms, change.at_ms)
        pending.who = better_who(who, pending.who)
        finished = [self._finish(pending, is_deleted=True)]
        if not pending.is_new:
            finished.append(_act(FileActivity.DELETE, change, who))
        return finished

    def _examine(self, pending: Pending, now_ms: int, look: Look, *, give_up: bool) -> list[FinishedFile]:
        seen = None
        if pending.key == pending.path or self._follows_inodes:
            seen = look(pending.path, pending.facts)
        if seen is None:
            pending.missing += 1
            if pending.missing <= _LOOKS_FOR_MISSING and not give_up:
                # Its deletion or rename is probably on its way to us.
                return self._later(pending, now_ms + self._settle_ms // 2)
            return [self._finish(pending, is_deleted=True)]
        path, facts = seen
        if path != pending.path and not self._moved_unseen(pending, path):
            return []
        before, pending.facts = pending.facts, facts
        _hold_anew(pending, before)
        is_known = pending.found and self.reported.get(path) == facts.content_id
        if facts.type_id is FileType.FOLDER or is_known:
            self._pending.drop(pending)
            return []
        at_rest = pending.closed_ms is not None or facts.type_id is not FileType.REGULAR
        if not at_rest and pending.found:
            at_rest = before is not None and before.content_id == facts.content_id
        elif not at_rest:
            at_rest = facts.links > 1
        if not at_rest and not give_up:
            if before is not None and before.content_id != facts.content_id:
                pending.last_ms = max(pending.last_ms, now_ms)
            waited = now_ms - pending.last_ms
            if waited < self._open_ms:
                return self._later(pending, now_ms + max(self._settle_ms, min(_LONGEST_WAIT_MS, waited // 4)))
            pending.gap = pending.gap or STILL_OPEN
        return [self._finish(pending)]

    def _moved_unseen(self, pending: Pending, path: str) -> bool:
        """Takes the name under which the file was found again; False if that name is pending already."""
        self._pending.drop(pending)
        if self._pending.get(path) is not None:
            return False
        pending.is_new = pending.is_new and path not in self.reported
        pending.key = pending.path = path
        self._pending.keep(pending)
        return True

    def _add(self, change: Change, who: Who | None, *, is_new: bool) -> Pending:
        pending = Pending(
            key=change.path,
            path=change.path,
            last_ms=change.at_ms,
            due_ms=change.at_ms + self._settle_ms,
            pid=change.pid,
            who=who,
            object_id=change.object_id,
            is_new=is_new and change.path not in self.reported,
            found=change.kind is ChangeKind.FOUND,
            from_rescan=change.from_rescan,
            facts=change.facts,
            gap=change.gap,
            held_ns=change.held_ns,
        )
        self._pending.keep(pending)
        self._pending.enqueue(pending)
        return pending

    def _touch(self, pending: Pending, change: Change, who: Who | None) -> None:
        pending.from_rescan = pending.from_rescan and change.from_rescan
        pending.last_ms = max(pending.last_ms, change.at_ms)
        pending.due_ms = pending.last_ms + self._settle_ms
        if pending.closed_ms is not None:
            pending.due_ms = min(pending.due_ms, pending.closed_ms + self._longest_ms)
        before, pending.facts = pending.facts, change.facts or pending.facts
        _hold_anew(pending, before)
        pending.gap = pending.gap or change.gap
        pending.who = better_who(pending.who, who)
        pending.pid = change.pid or pending.pid
        if pending.object_id is None and change.object_id is not None:
            self._pending.drop(pending)
            pending.object_id = change.object_id
            self._pending.keep(pending)
        if pending.due_ms < pending.queued_ms:
            self._pending.enqueue(pending)

    def _later(self, pending: Pending, due_ms: int) -> list[FinishedFile]:
        pending.due_ms = due_ms
        self._pending.enqueue(pending)
        return []

    def _finish(self, pending: Pending, *, is_deleted: bool = False) -> FinishedFile:
        self._pending.drop(pending)
        if pending.facts is not None and not is_deleted:
            self.reported.put(pending.path, pending.facts.content_id)
        is_guess = pending.is_new and self._follows_inodes
        return FinishedFile(
            activity=FileActivity.CREATE if pending.is_new else FileActivity.UPDATE,
            path=pending.path,
            at_ms=pending.last_ms,
            pid=pending.pid,
            who=pending.who,
            facts=pending.facts,
            is_deleted=is_deleted,
            from_rescan=pending.from_rescan,
            held_ns=pending.held_ns,
            is_guess=is_guess,
            gap="; ".join(filter(None, (pending.gap, NEWNESS_UNKNOWN if is_guess else None))) or None,
        )


def _hold_anew(pending: Pending, before: FileFacts | None) -> None:
    """What was written since it was found is found by that: what always grows holds nothing for ever."""
    now = pending.facts
    if pending.held_ns is None or before is None or now is None or before.content_id == now.content_id:
        return
    pending.held_ns = max(pending.held_ns, min(now.modified_ns, now.changed_ns))


def _act(
    activity: FileActivity, change: Change, who: Who | None, new_path: str | None = None
) -> FinishedFile:
    return FinishedFile(
        activity=activity,
        path=change.path,
        new_path=new_path,
        at_ms=change.at_ms,
        pid=change.pid,
        who=who,
        facts=change.facts,
        is_folder=change.is_folder,
        gap=change.gap,
    )
