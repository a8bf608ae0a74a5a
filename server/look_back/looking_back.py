"""Looks back at people whose past changed: the work of a thread of `leaver up`, the only one that does it.

1. A read gives all stored events of the last `days` days of the people and accounts concerned, by place.
2. They are scored again, portion by portion, each read by itself; what is known of them now is written beside
   their blocks as a version that does not count yet (`leaver_versions`), and how far it is.
3. Blocks that came meanwhile are done too, until few are left. They were judged under the new facts already.
4. One transaction, in which nobody else writes: the last blocks, the new states in place of the old ones,
   with versions that rise (workers forget what they remember), the alerts, and the rows of the queue are
   finished; with that the new versions of `leaver` count.

Whatever dies, the rows still wait, and all of it begins anew. It also begins anew where something was erased
meanwhile, or where what is declared of these people changed; while an erasure is unfinished it waits.

One group at a time, and who is next is asked anew before each, so that a flag does not wait behind an import.
A group that fails is counted, and tried again ever more seldom.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, update

from policies.engine import PolicySet
from server.erasure.account_subjects import account_subjects
from server.look_back.attempt import Anew, Attempt, unfinished_erasures
from server.look_back.neighbours import neighbours
from server.look_back.queue import Waiting, note_failure, waiting_groups
from server.look_back.stored_places import has_events
from server.look_back.suspected_again import OthersConcerned, through_whom
from server.people.directory import Directory
from server.people.erased import SUBJECT_CHARACTERS
from server.people.pseudonyms import make_pseudonym_key, person_subject
from server.pipeline.memory import Memory
from server.pulse import Pulse
from server.retention import ACTIVITY_DAYS, DAY_MS
from server.store.column_types import key_text
from server.store.database import Database, StoreUnavailable
from server.store.tables import look_backs
from server.trusted_clock import PlainClock, ServerClock, TrustedClock

DAYS = 90
"""How far it looks back, unless the configuration says otherwise."""
LOOK_SECONDS = 1.0
UNAVAILABLE_SECONDS = 5.0
OTHERS_MAX = 50
"""So many subjects may turn out to be concerned too, beside those that it begins with."""
PASSES_MAX = 4
"""With the last one it is done, whoever is left out."""
TURN_SECONDS_MAX = 300.0
"""One portion, or the collecting of places, ends within this time."""

_logger = logging.getLogger("leaver.look_back")


class LookingBack:
    """`run` is a SupervisedThread's work. `policies`: those that the database has by default. `events_days`:
    how many days are kept, all by default; `activity_days`: of sums by activity."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], int],
        policies: PolicySet | None = None,
        events_days: int | None = None,
        activity_days: int = ACTIVITY_DAYS,
        days: int = DAYS,
        pulse: Pulse | None = None,
    ) -> None:
        self._database = database
        self._clock: ServerClock = clock if isinstance(clock, TrustedClock) else PlainClock(clock)
        self._policies = policies
        self._events_days = events_days
        self._activity_days = activity_days
        self._days = days
        self._pulse = pulse or Pulse(TURN_SECONDS_MAX)
        self._memory: Memory | None = None
        self._group: Waiting | None = None
        self._begun_anew: set[tuple[int, ...]] = set()

    def run(self, stop: threading.Event) -> None:
        """Until stop is set."""
        while not stop.is_set():
            self._pulse.beat()
            try:
                done = self._turn(stop)
            except StoreUnavailable as error:
                _logger.warning("database_unavailable", extra={"detail": str(error)})
                stop.wait(UNAVAILABLE_SECONDS)
            else:
                if not done:
                    stop.wait(LOOK_SECONDS)

    def _turn(self, stop: threading.Event) -> int:
        try:
            return self.step(stop)
        except StoreUnavailable:
            raise
        except Exception:
            self._memory = None
            if self._group is None:
                raise
            # This loop's edge: people whom it cannot look back at must not keep others waiting.
            _logger.exception("look_back_failed", extra={"people": len(self._group.people)})
            with self._database.begin(alone=False, brief=True) as connection:
                note_failure(connection, self._group, self._clock())
            return 0

    def step(self, stop: threading.Event | None = None) -> int:
        """Looks back at those who are next. How many groups were finished: one or none. Raises
        StoreUnavailable."""
        stop = stop or threading.Event()
        self._group = None
        if self._memory is None:
            make_pseudonym_key(self._database)
        with self._database.read() as connection:
            group = self._group = self._next(waiting_groups(connection))
            if group is None or unfinished_erasures(connection):
                self._group = self._memory = None
                return 0
            memory = self._memory = self._memory or Memory(
                connection,
                self._clock,
                events_days=self._events_days,
                activity_days=self._activity_days,
                policies=self._policies,
            )
        done = self._look_back_at(memory, group, stop)
        memory.forget_all()
        if not done:
            self._begun_anew.add(group.ids)
        return int(done)

    def _next(self, groups: Sequence[Waiting]) -> Waiting | None:
        """Those that are to be begun anew come after all others."""
        due = [group for group in groups if group.due_at <= self._clock()]
        others = [group for group in due if group.ids not in self._begun_anew]
        if not others:
            self._begun_anew.clear()
        return next(iter(others or due), None)

    def _look_back_at(self, memory: Memory, group: Waiting, stop: threading.Event) -> bool:
        """Whether it was finished."""
        with self._database.read() as connection:
            memory.refresh(connection)
            subjects = self._with_through(connection, _subjects(connection, memory.directory, group))
            if not has_events(connection, subjects):
                return self._finish_empty(group)
        passes, most = 0, len(subjects) + OTHERS_MAX
        while not stop.is_set():
            passes += 1
            may_grow = passes < PASSES_MAX and len(subjects) < most
            try:
                attempt = Attempt(
                    self._database, memory, self._clock, self._pulse, group, subjects, may_grow=may_grow
                )
                return attempt.look_back(self._days, stop)
            except OthersConcerned as others:
                with self._database.read() as connection:
                    subjects = self._with_through(connection, [*subjects, *others.subjects])[:most]
            except Anew as why:
                _logger.info("look_back_anew", extra={"detail": str(why)})
                return False
        return False

    def _with_through(self, connection: Connection, subjects: list[str]) -> list[str]:
        first_day = self._clock() // DAY_MS - self._days
        return [*subjects, *through_whom(connection, subjects, first_day)]

    def _finish_empty(self, group: Waiting) -> bool:
        with self._database.begin(alone=False, brief=True) as connection:
            now = self._clock()
            connection.execute(
                update(look_backs)
                .where(look_backs.c.id.in_(group.ids))
                .values(begun_at=now, finished_at=now, events=0, changed=0)
            )
        return True


def _subjects(connection: Connection, directory: Directory, group: Waiting) -> list[str]:
    """Of the people, of their accounts as far as those were nobody's, and whom their leaving touches."""
    people = [key_text(person_subject(person), SUBJECT_CHARACTERS) for person in group.people]
    of_accounts = account_subjects(connection, {name for _, name in group.accounts})
    own = [*people, *sorted(of_accounts)]
    if group.left_at is None:
        return own
    return [*own, *neighbours(connection, directory, group.people, own, group.left_at)]
