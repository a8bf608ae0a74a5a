"""What Leaver changes in the kernel's audit system, and gives back.

- One rule per watched folder. Rules of others come first and are never touched.
- Auditing is switched on if it was off, and off again by the last agent out, if no rule is left and no
  daemon took over.
- The kernel's backlog limit is raised if it is small: those who copy would be made to wait on it.
- Without a daemon the kernel prints records to its log, at most 10 lines in 5 s (printk_ratelimit), file
  names among them; a multicast reader does not prevent that. So that no command line gets there, PROCTITLE
  records are switched off as long as no daemon takes records.

Rules of an agent that was killed are recognised by the process id in them. The next one removes them when
it starts, and switches auditing off if that was the killed one's doing.
A system whose rules are locked (`auditctl -e 2`), or that would halt on a lost record (`-f 2`), is left
alone.
"""

from __future__ import annotations

import itertools
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from collectors.contract import Unsupported
from collectors.linux.audit_control import (
    LOCKED,
    PANIC,
    AuditControl,
    AuditStatus,
    QuietMark,
    key_of,
    quiet_mark_of,
    rule_against_command_lines,
    rule_for_writes_below,
)
from collectors.linux.mounts import read_mounts

KEY: Final = "leaver-removable"
CONNECTS_KEY: Final = "leaver-connects"
BACKLOG_RECORDS: Final = 8192
REPAIR_S: Final = 5.0
"""Shortest time between two looks at whether the rules still stand."""
TROUBLE_S: Final = 60.0
"""Time between two looks while they do not: auditing that is switched on again is not announced."""

_OUR_KEY: Final = re.compile(rf"(?:{KEY}|{CONNECTS_KEY})-(\d+)-(\d+)")
_instances: Final = itertools.count(1)


class _Watched(msgspec.Struct, frozen=True):
    rule: bytes
    device: int
    """st_dev of the folder when it was first watched."""
    superblock: int
    """The device number that audit shows; another one than `device` on btrfs."""


def check_status(status: AuditStatus) -> None:
    """Raises Unsupported where the system's audit settings forbid rules, or make them dangerous."""
    if status.enabled == LOCKED:
        raise Unsupported("audit rules are locked until the next boot (auditctl -e 2): add the agent's first")
    if status.failure == PANIC:
        raise Unsupported("a lost audit record would halt this system (auditctl -f 2): left alone")


class AuditRules:
    """The rules of one source. Nothing is changed before the first `watch`."""

    def __init__(
        self,
        control: AuditControl,
        dropped: Counter[str],
        monotonic: Callable[[], float] = time.monotonic,
        key: str = KEY,
    ) -> None:
        """Counts in `dropped` what could not be done, or had to be done again."""
        self._control = control
        self._dropped = dropped
        self._monotonic = monotonic
        self._instance = next(_instances)
        self.key = f"{key}-{os.getpid()}-{self._instance}"
        self._watched: dict[str, _Watched] = {}
        self._of_calls: list[bytes] = []
        self._quiet_rule: bytes | None = None
        self._backlog_before: int | None = None
        self._switched_on = False
        self._trouble: str | None = None
        self._repair_due = False
        self._repaired_at = -TROUBLE_S

    def clear_up(self) -> None:
        """Ends what killed agents left, auditing too if they switched it on. Changes nothing else."""
        try:
            check_status(self._control.status())
            self._take_over()
        except (OSError, Unsupported):
            self._dropped["audit_not_cleared_up"] += 1
        else:
            self._switch_off_after_the_last()

    def watch(self, target: str) -> None:
        """Raises OSError, or Unsupported if the system has been locked meanwhile."""
        if target in self._watched:
            return
        folder = os.fsencode(target).rstrip(b"/") or b"/"
        watched = _Watched(
            rule=rule_for_writes_below(folder, self.key),
            device=Path(target).stat().st_dev,
            superblock=_superblock(target),
        )
        self._prepare()
        self._control.add_rule(watched.rule)
        if self._control.status().enabled == 0:
            # Another agent's last act fell between.
            self._control.set_enabled(1)
        self._watched[target] = watched

    def record(self, rules: list[bytes]) -> None:
        """Rules that no folder belongs to. Raises OSError, or Unsupported like `watch`."""
        self._prepare()
        for rule in rules:
            self._control.add_rule(rule)
            self._of_calls.append(rule)
        if self._control.status().enabled == 0:
            self._control.set_enabled(1)

    def unwatch(self, target: str) -> None:
        """Takes the rule back. The kernel did so by itself if the folder was unmounted."""
        watched = self._watched.pop(target, None)
        if watched is not None:
            self._try_delete(watched.rule)

    def devices(self) -> Mapping[int, int]:
        """st_dev of the watched folders by the number that audit shows."""
        return {each.superblock: each.device for each in self._watched.values()}

    def config_changed(self, text: bytes) -> None:
        """Takes the kernel's record of a change to the audit system."""
        ours_removed = b"remove_rule" in text and self.key.encode("ascii") in text
        if ours_removed or b"audit_enabled=" in text or b"audit_pid=" in text:
            self._repair_due = True

    def repair_wait_s(self) -> float | None:
        """When `repair` is next to be called; None while there is no reason to."""
        if not self._repair_due and self._trouble is None:
            return None
        pause = REPAIR_S if self._repair_due else TROUBLE_S
        return max(0.0, self._repaired_at + pause - self._monotonic())

    def repair(self) -> None:
        """Puts rules back that somebody removed (auditd's start does), as long as the folder is mounted."""
        self._repair_due = False
        self._repaired_at = self._monotonic()
        try:
            status = self._control.status()
            self._trouble = "somebody switched auditing off" if status.enabled == 0 else None
            if status.daemon_pid and self._quiet_rule is not None:
                self._try_delete(self._quiet_rule)
                self._quiet_rule = None
            standing = sum(1 for rule in self._control.list_rules() if key_of(rule) == self.key)
            if standing < len(self._watched) + len(self._of_calls):
                self._put_back(status)
        except (OSError, Unsupported) as problem:
            self._trouble = f"audit rules cannot be put back: {problem}"

    def trouble(self) -> str | None:
        """Why records are missing just now, in words; None while all is well."""
        return self._trouble

    def restore(self) -> None:
        """Gives back what was changed, as far as others do not need it."""
        for target in list(self._watched):
            self.unwatch(target)
        while self._of_calls:
            self._try_delete(self._of_calls.pop())
        if self._quiet_rule is not None:
            self._try_delete(self._quiet_rule)
            self._quiet_rule = None
        self._switch_off_after_the_last()

    def _switch_off_after_the_last(self) -> None:
        try:
            status = self._control.status()
            if self._control.list_rules() or status.enabled != 1 or status.daemon_pid:
                return
            if self._backlog_before is not None and status.backlog_limit == BACKLOG_RECORDS:
                self._control.set_backlog_limit(self._backlog_before)
            if self._switched_on:
                self._control.set_enabled(0)
                self._switched_on = False
                if self._control.list_rules():
                    # Another agent's first rule fell between.
                    self._control.set_enabled(1)
                    self._switched_on = True
        except OSError:
            self._dropped["audit_not_restored"] += 1

    def _prepare(self) -> None:
        """Switches auditing on, and clears up behind an agent that was killed."""
        status = self._control.status()
        check_status(status)
        self._take_over()
        if not status.enabled:
            self._switched_on = True
        if not status.daemon_pid and self._quiet_rule is None:
            quiet_rule = rule_against_command_lines(QuietMark(os.getpid(), self._instance, self._switched_on))
            self._control.add_rule(quiet_rule)
            self._quiet_rule = quiet_rule
        if 0 < status.backlog_limit < BACKLOG_RECORDS:
            self._control.set_backlog_limit(BACKLOG_RECORDS)
            self._backlog_before = status.backlog_limit
        if not status.enabled:
            self._control.set_enabled(1)

    def _take_over(self) -> None:
        """Takes away what killed agents left, and remembers whether auditing was off before all of them."""
        for rule in self._control.list_rules():
            mark = quiet_mark_of(rule)
            key = _OUR_KEY.fullmatch(key_of(rule) or "")
            # An agent that switched auditing on left that in its rule, so that the last one out knows.
            self._switched_on = self._switched_on or (mark is not None and mark.switched_auditing_on)
            if mark is not None:
                pid, instance = mark.pid, mark.instance
            elif key is not None:
                pid, instance = int(key[1]), int(key[2]) % 256
            else:
                continue
            # A number that is ours by now, before anything of ours is there, was a killed agent's as well.
            idle = not self._watched and not self._of_calls
            was_ours = (pid, instance) == (os.getpid(), self._instance % 256) and idle
            if (was_ours and self._quiet_rule is None) or not Path(f"/proc/{pid}").exists():
                self._try_delete(rule)

    def _put_back(self, status: AuditStatus) -> None:
        check_status(status)
        for rule in self._of_calls:
            self._try_delete(rule)
            self._control.add_rule(rule)
            self._dropped["audit_rule_put_back"] += 1
        for target, watched in list(self._watched.items()):
            self._try_delete(watched.rule)
            try:
                mounted = Path(target).stat().st_dev == watched.device
            except OSError:
                mounted = False
            if mounted:
                self._control.add_rule(watched.rule)
                self._dropped["audit_rule_put_back"] += 1
            else:
                del self._watched[target]

    def _try_delete(self, rule: bytes) -> None:
        try:
            self._control.delete_rule(rule)
        except FileNotFoundError:
            pass
        except OSError:
            self._dropped["audit_rule_not_removed"] += 1


def _superblock(target: str) -> int:
    path = os.path.realpath(target)
    over = [mount for mount in read_mounts() if path == mount.target or path.startswith(_below(mount.target))]
    if not over:
        return Path(target).stat().st_dev
    deepest = max(len(mount.target) for mount in over)
    return [mount for mount in over if len(mount.target) == deepest][-1].device


def _below(folder: str) -> str:
    return folder if folder.endswith("/") else folder + "/"
