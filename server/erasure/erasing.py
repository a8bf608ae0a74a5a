"""One erasure, from its first transaction to its last. Whoever is killed in between goes on later.

1. `begin`: the person is no longer in the directory, their accounts are shut out, who asked is on the record.
   The people's version rises with it, so that every commit of the pipeline from now on was worked out
   without them (decision 17): nothing of them can be added any more, only taken away.
2. What was derived: alerts and detection state at once, with a version that rises, so that no worker writes
   it back; then the large tables, in small transactions.
3. Events, block by block. How far it came is kept with each transaction.
4. Dead letters.
5. `_finish`: pseudonyms and versions go, the plan is emptied, the audit trail has how much went.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, delete, exists, insert, select, true, update

from server import audit
from server.alerts.explaining import explain_moved
from server.alerts.parts import set_orphans_free
from server.alerts.ranking import days_of, rank
from server.dry_runs.stored_runs import forget_runs
from server.erasure.blocks import BLOCKS_PER_TRANSACTION, Taken, candidates, last_block, take_out
from server.erasure.letters import dead_letters_of
from server.erasure.named_in_alerts import blank_alerts
from server.erasure.named_in_policies import blank_policies
from server.erasure.named_in_texts import blank_texts, withhold_in_trail
from server.erasure.packs import forget_packs_of
from server.erasure.plan import NotFound, Plan, Target, read_plan
from server.erasure.seen_on_days import correlated_on, made_on, seen_only_on
from server.erasure.selection import DAY_MS, OfDays, OfSubject, Selection
from server.evidence_seal import SealKey
from server.people.dates import day_text
from server.people.directory import load_directory, raise_people_version
from server.people.erased import erased_digest, is_no_account
from server.people.history import forget_manager
from server.people.pseudonyms import pseudonym_key
from server.pipeline.state_versions import raise_versions
from server.retention import ACTIVITY_DAYS
from server.scim.user_store import forget_manager_words
from server.store.database import Database
from server.store.deletion import delete_rows
from server.store.tables import (
    account_bindings,
    accounts,
    activity_days,
    alerts,
    anomaly_days,
    channel_days,
    correlation_groups,
    dead_letters,
    employments,
    erased_accounts,
    erasures,
    event_blocks,
    followed_subjects,
    hidden_hits,
    judged_days,
    known_exports,
    leaver_flags,
    leaver_sign_offs,
    leaver_versions,
    look_backs,
    people,
    people_changes,
    person_names,
    pseudonyms,
    removed_people,
    rule_days,
    scim_users,
    state_versions,
    subject_agents,
    subject_events,
    subject_places,
    suspect_traits,
    trait_bindings,
    trait_uses,
    unmaskings,
)
from server.store.upsert import upsert

SUBJECTS_AT_ONCE = 50

Progress = Callable[[str, int, int], None]
"""(what is done now, how far, of)."""

_AT_ONCE = (
    *(alerts, judged_days, channel_days, activity_days, anomaly_days, rule_days),
    *(suspect_traits, correlation_groups, unmaskings, followed_subjects),
)
"""Hundreds of rows a subject. First: while an alert is there, a heartbeat may touch its subject."""
OF_PERSON = (
    *(person_names, employments, leaver_flags, leaver_sign_offs, account_bindings, trait_bindings),
    *(people_changes, removed_people, look_backs, scim_users),
)
"""What is declared of a person, and its history."""
_IN_STEPS = (subject_events, subject_places, subject_agents, trait_uses)


def begin(
    connection: Connection, target: Target, *, actor: str, reason: str, at: int, blocked_until: int
) -> int:
    """In a write transaction that is alone. Returns the erasure's number; `carry_out` does the rest. Raises
    NotFound for a target of which nothing is kept."""
    if target.erasure is not None:
        return target.erasure
    plan = target.plan
    if not plan.subjects and not plan.accounts and plan.first_day is None:
        raise NotFound("nothing is left to erase: another erasure was faster")
    removed = blank_texts(connection, plan)
    withhold_in_trail(connection, plan)
    if plan.person is not None:
        removed |= _forget_person(connection, plan)
    _count_up(removed, "accounts", _forget_accounts(connection, plan.accounts))
    _count_up(removed, "scim_users", _forget_users(connection, plan.accounts))
    _count_up(removed, "policy_versions", blank_policies(connection, plan, actor=actor, now=at))
    _count_up(removed, "dry_runs", forget_runs(connection))
    _count_up(removed, "evidence_packs", forget_packs_of(connection, plan))
    row = {"kind": target.kind, "digest": target.digest, "begun_at": at, "next_block": 1, "removed": removed}
    row |= {"first_day": plan.first_day, "last_day": plan.last_day, "plan": msgspec.to_builtins(plan)}
    number = int(connection.execute(insert(erasures).values(row).returning(erasures.c.id)).scalar_one())
    if plan.accounts:
        key = pseudonym_key(connection)
        shut = {"erased_at": at, "until": blocked_until, "dropped": 0}
        # Events that name no account are anybody's: those that come later stay.
        named = [account for account in plan.accounts if not is_no_account(account)]
        digests = sorted({erased_digest(key, f"account:{account}") for account in named})
        upsert(connection, erased_accounts, [{"digest": digest, **shut} for digest in digests])
    if target.kind != "days":
        raise_people_version(connection)
    _on_record(connection, number, "erasure.begin", actor=actor, reason=reason, at=at, detail={})
    return number


def carry_out(
    database: Database,
    number: int,
    *,
    seal_key: SealKey,
    actor: str,
    progress: Progress,
    events_days: int | None = None,
    sums_days: int = ACTIVITY_DAYS,
) -> dict[str, int]:
    """Does what is left of an erasure; rows that went, by table, with what went before. Where another process
    does the same beside it, the first one to come to the end ends it. `events_days`, `sums_days`: how many
    days of events and of sums by activity count, for what others' alerts say."""
    with database.read() as connection:
        finished, counted = connection.execute(
            select(erasures.c.finished_at, erasures.c.removed).where(erasures.c.id == number)
        ).one()
        if finished is not None:
            return dict(counted)
        plan = read_plan(connection, number)
        directory = load_directory(connection)
    run = _Run(database, number, dict(counted), seal_key, progress)
    if plan.first_day is not None and plan.last_day is not None:
        days = range(plan.first_day, plan.last_day + 1)
        run.drop_days(days)
        run.blocks(OfDays(days[0], days[-1]), event_blocks.c.last_day >= days[0])
        times = (days[0] * DAY_MS, (days[-1] + 1) * DAY_MS)
        received = (dead_letters.c.received_at >= times[0]) & (dead_letters.c.received_at < times[1])
        run.delete(dead_letters, received)
    else:
        run.drop_state(plan, events_days, sums_days)
        run.blocks(OfSubject(plan, directory), true())
        found = dead_letters_of(database, plan, lambda done, of: progress("dead letters", done, of))
        for first in range(0, len(found), 100):
            run.delete(dead_letters, dead_letters.c.id.in_(found[first : first + 100]))
    return run.finish(plan, actor)


def _forget_person(connection: Connection, plan: Plan) -> dict[str, int]:
    assert plan.person is not None
    forget_manager_words(connection, plan.person, plan.accounts)
    # Without its row in the queue, what a look-back wrote aside so far would count.
    begun = select(look_backs.c.version).where(
        look_backs.c.person_id == plan.person, look_backs.c.finished_at.is_(None)
    )
    connection.execute(delete(leaver_versions).where(leaver_versions.c.version.in_(begun)))
    counts = {
        str(table.name): connection.execute(delete(table).where(table.c.person_id == plan.person)).rowcount
        for table in OF_PERSON
    }
    counts["people"] = connection.execute(delete(people).where(people.c.id == plan.person)).rowcount
    forget_manager(connection, plan.person)
    led = update(people).where(people.c.manager_id == plan.person).values(manager_id=None)
    counts["people_led"] = connection.execute(led).rowcount
    return {name: count for name, count in counts.items() if count}


def _forget_accounts(connection: Connection, names: Sequence[str]) -> int:
    """Those that belong to nobody now. What binds somebody else to one keeps it."""
    bound = exists().where(
        account_bindings.c.system == accounts.c.system,
        account_bindings.c.account == accounts.c.account,
        account_bindings.c.relation == "owner",
    )
    gone = 0
    for start in range(0, len(names), 500):
        named = accounts.c.account.in_(names[start : start + 500])
        gone += connection.execute(delete(accounts).where(named, ~bound)).rowcount
    return gone


def _forget_users(connection: Connection, names: Sequence[str]) -> int:
    """Those of identity providers that are nobody's."""
    gone = 0
    for start in range(0, len(names), 500):
        named = scim_users.c.user_key.in_(names[start : start + 500])
        gone += connection.execute(delete(scim_users).where(named, scim_users.c.person_id.is_(None))).rowcount
    return gone


def _count_up(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number


def _on_record(
    connection: Connection,
    number: int,
    action: str,
    *,
    actor: str,
    reason: str | None,
    at: int,
    detail: dict[str, int],
) -> None:
    """Whom it was about only as a digest, which whoever knows the id can make again."""
    row = connection.execute(
        select(erasures.c.kind, erasures.c.digest, erasures.c.first_day, erasures.c.last_day).where(
            erasures.c.id == number
        )
    ).one()
    about = (
        f"{row.kind}:{row.digest}"
        if row.digest
        else f"days:{day_text(row.first_day)} to {day_text(row.last_day)}"
    )
    known = {"erasure": number, "rows": detail} if detail else {"erasure": number}
    audit.append(connection, at=at, actor=actor, action=action, object=about, reason=reason, detail=known)


class _Run:
    def __init__(
        self, database: Database, number: int, removed: dict[str, int], seal_key: SealKey, progress: Progress
    ) -> None:
        self._database = database
        self._number = number
        self._removed = removed
        self._seal_key = seal_key
        self._progress = progress

    def delete(self, table: Table, condition: ColumnElement[bool]) -> None:
        def note(connection: Connection, deleted: int) -> None:
            self._count(connection, {table.name: deleted})

        self._progress(table.name.replace("_", " "), 0, 1)
        delete_rows(self._database, table, condition, note=note)
        self._progress(table.name.replace("_", " "), 1, 1)

    def drop_state(self, plan: Plan, events_days: int | None, sums_days: int) -> None:
        """All that is derived from the subjects' events."""
        for start in range(0, len(plan.subjects), SUBJECTS_AT_ONCE):
            part = plan.subjects[start : start + SUBJECTS_AT_ONCE]
            with self._database.begin() as connection:
                raise_versions(connection, {}, part)
                places = days_of(connection, part)
                counts = {
                    table.name: connection.execute(delete(table).where(table.c.subject.in_(part))).rowcount
                    for table in _AT_ONCE
                }
                set_orphans_free(connection, self._database.clock())
                # Their places go to those whom they kept out.
                moved = rank(connection, places, self._database.clock())
                explain_moved(connection, moved, self._database.clock, events_days, sums_days)
                self._count(connection, counts)
                self._count(connection, blank_alerts(connection, plan))
        for table in _IN_STEPS:
            for subject in plan.subjects:
                self.delete(table, table.c.subject == subject)

    def drop_days(self, days: range) -> None:
        """What is derived from these local days, of everybody; alerts stay, as when retention drops days."""
        by_day = (
            channel_days,
            activity_days,
            anomaly_days,
            rule_days,
            suspect_traits,
            judged_days,
            subject_events,
        )
        gone: dict[Table, ColumnElement[bool]] = {
            table: table.c.day.between(days[0], days[-1]) for table in by_day
        }
        gone |= seen_only_on(days[0], days[-1])
        gone |= {correlation_groups: correlated_on(days[0], days[-1])}
        subjects: set[str] = set()
        with self._database.read() as connection:
            for table, within in gone.items():
                query = select(table.c.subject).where(within).distinct()
                subjects.update(connection.execute(query).scalars())
        ordered = sorted(subjects)
        for start in range(0, len(ordered), SUBJECTS_AT_ONCE):
            part = ordered[start : start + SUBJECTS_AT_ONCE]
            self._progress("days", start, len(ordered))
            with self._database.begin() as connection:
                raise_versions(connection, {}, part)
                counts = {
                    table.name: connection.execute(
                        delete(table).where(table.c.subject.in_(part), within)
                    ).rowcount
                    for table, within in gone.items()
                }
                self._count(connection, counts)
        self._progress("days", len(ordered), len(ordered))
        self.delete(known_exports, made_on(days[0], days[-1]))
        self.delete(hidden_hits, hidden_hits.c.day.between(days[0], days[-1]))

    def blocks(self, selection: Selection, condition: ColumnElement[bool]) -> None:
        """Those that come from now on hold nothing of it."""
        with self._database.read() as connection:
            last = last_block(connection)
            first = int(
                connection.execute(
                    select(erasures.c.next_block).where(erasures.c.id == self._number)
                ).scalar_one()
            )
        found = candidates(self._database, selection, condition, first, last)
        for numbers, unreadable, following in found:
            for start in range(0, len(numbers), BLOCKS_PER_TRANSACTION):
                part = numbers[start : start + BLOCKS_PER_TRANSACTION]
                # Beside the pipeline's commits: none of these touches a block that is there.
                with self._database.begin(alone=False, brief=True) as connection:
                    now = self._database.clock()
                    taken = take_out(connection, part, selection, self._seal_key, now)
                    self._count(connection, _counts(taken), next_block=part[-1] + 1)
            if unreadable or not numbers:
                with self._database.begin(alone=False, brief=True) as connection:
                    self._count(connection, {"blocks_unreadable": unreadable}, next_block=following)
            self._progress("events", min(following - 1, last), last)

    def finish(self, plan: Plan, actor: str) -> dict[str, int]:
        with self._database.begin() as connection:
            query = select(erasures.c.finished_at, erasures.c.removed).where(erasures.c.id == self._number)
            finished, counted = connection.execute(query).one()
            if finished is not None:
                return dict(counted)
            now = self._database.clock()
            # Again: one may have been made meanwhile.
            self._count(connection, {"evidence_packs": forget_packs_of(connection, plan)})
            for start in range(0, len(plan.subjects), SUBJECTS_AT_ONCE):
                part = plan.subjects[start : start + SUBJECTS_AT_ONCE]
                gone = connection.execute(delete(pseudonyms).where(pseudonyms.c.subject.in_(part))).rowcount
                self._count(connection, {"pseudonyms": gone})
                # Who remembers one of them forgets it when it takes over the people (Memory.refresh).
                connection.execute(delete(state_versions).where(state_versions.c.key.in_(part)))
            if plan.subjects:
                raise_people_version(connection)
            detail = self._removed
            _on_record(
                connection, self._number, "erasure.finish", actor=actor, reason=None, at=now, detail=detail
            )
            connection.execute(
                update(erasures).where(erasures.c.id == self._number).values(finished_at=now, plan=None)
            )
        return self._removed

    def _count(
        self, connection: Connection, counts: dict[str, int], *, next_block: int | None = None
    ) -> None:
        """Within the transaction that did it."""
        for name, count in counts.items():
            if count:
                # SQLAlchemy's names of tables are a subclass of str, which JSON does not take.
                self._removed[str(name)] = self._removed.get(name, 0) + count
        values: dict[str, object] = {"removed": self._removed}
        if next_block is not None:
            values["next_block"] = next_block
        unfinished = (erasures.c.id == self._number) & erasures.c.finished_at.is_(None)
        connection.execute(update(erasures).where(unfinished).values(values))


def _counts(taken: Taken) -> dict[str, int]:
    return {
        "events": taken.events,
        "event_blocks": taken.blocks_dropped,
        "blocks_rewritten": taken.blocks_rewritten,
        "blocks_unreadable": taken.unreadable,
    }
