"""The state machine alone: time and the file system are tables here."""

from __future__ import annotations

from collectors.file_changes import Change, ChangeKind, FileFacts
from collectors.finished_files import STILL_OPEN, FinishedFile, FinishedFiles, better_who
from collectors.linux.process_identity import Who
from event_schema.ocsf_objects import FileType

C, F, W, D = ChangeKind.CREATED, ChangeKind.FOUND, ChangeKind.WRITTEN, ChangeKind.DELETED


def facts(
    inode: int, size: int = 1, *, links: int = 1, kind: FileType = FileType.REGULAR, modified: int = 0
) -> FileFacts:
    return FileFacts(7, inode, kind, size, 1000, links, modified, 0)


class Desk:
    """A machine with a table as its file system."""

    def __init__(self, **settings: int) -> None:
        self.machine = FinishedFiles(settle_ms=1000, longest_ms=60_000, **settings)  # type: ignore[arg-type]
        self.disk: dict[str, FileFacts] = {}
        self.seen: list[FinishedFile] = []

    def look(self, path: str, known: FileFacts | None) -> tuple[str, FileFacts] | None:
        return (path, self.disk[path]) if path in self.disk else None

    def take(self, kind: ChangeKind, path: str, at_ms: int, inode: int = 0, size: int = 1) -> None:
        """One change, and the disk as it is after it."""
        seen = None
        if kind in (C, W):
            seen = self.disk[path] = facts(inode, size, modified=at_ms)
        elif kind is D:
            self.disk.pop(path, None)
        object_id = b"%d" % inode if inode else None
        change = Change(
            kind, path, at_ms, pid=1, object_id=object_id, facts=seen if kind is W else self.disk.get(path)
        )
        self.seen += self.machine.take(change)

    def rename(self, old: str, new: str, at_ms: int, inode: int = 0, *, folder: bool = False) -> None:
        if folder:
            below = [path for path in self.disk if path.startswith(old + "/")]
            for path in below:
                self.disk[new + path[len(old) :]] = self.disk.pop(path)
        elif old in self.disk:
            self.disk[new] = self.disk.pop(old)
        object_id = b"%d" % inode if inode else None
        change = Change(
            ChangeKind.RENAMED, old, at_ms, pid=1, new_path=new, is_folder=folder, object_id=object_id
        )
        self.seen += self.machine.take(change)

    def acts(self, now_ms: int) -> list[str]:
        """What was reported until now, in words; forgets it."""
        self.seen += self.machine.due(now_ms, self.look)
        seen, self.seen = self.seen, []
        return [_words(each) for each in seen]


def _words(each: FinishedFile) -> str:
    name = f"{each.activity.name.lower()} {each.path}"
    if each.new_path is not None:
        name += f" -> {each.new_path}"
    return name + (" (deleted)" if each.is_deleted else "")


def test_a_file_is_reported_once_when_it_has_come_to_rest() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 500, 1)
    assert desk.acts(1499) == []
    assert desk.acts(1500) == ["create /m/a"]
    assert desk.acts(100_000) == []


def test_writing_an_existing_file_is_an_update() -> None:
    desk = Desk()
    desk.take(W, "/m/a", 0, 1)
    assert desk.acts(1000) == ["update /m/a"]


def test_a_file_that_is_open_for_long_waits_for_its_close_and_then_settles_before_it_is_reported() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    for now in range(1000, 300_000, 1000):
        desk.disk["/m/a"] = facts(1, now, modified=now)
        assert desk.acts(now) == []
    desk.take(W, "/m/a", 300_000, 1)
    assert desk.acts(300_900) == []
    desk.rename("/m/a", "/m/b", 300_950, 1)
    assert desk.acts(301_500) == []
    assert desk.acts(301_950) == ["create /m/b"]


def test_a_file_that_nobody_closes_is_reported_in_the_end_and_says_so() -> None:
    desk = Desk(open_ms=600_000)
    desk.take(C, "/m/a", 0, 1)
    seen: list[FinishedFile] = []
    for now in range(0, 700_000, 500):
        seen += desk.machine.due(now, desk.look)
    assert [_words(each) for each in seen] == ["create /m/a"]
    assert seen[0].gap == STILL_OPEN


def test_rsync_names_never_show() -> None:
    desk = Desk()
    desk.take(C, "/m/.a.X1b2c3", 0, 1)
    desk.take(W, "/m/.a.X1b2c3", 10, 1)
    desk.rename("/m/.a.X1b2c3", "/m/a", 20, 1)
    assert desk.acts(10_000) == ["create /m/a"]


def test_saving_over_a_file_that_was_reported_is_an_update() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 0, 1)
    assert desk.acts(2000) == ["create /m/a"]
    desk.take(C, "/m/tmp", 3000, 2)
    desk.take(W, "/m/tmp", 3000, 2)
    desk.rename("/m/tmp", "/m/a", 3000, 2)
    assert desk.acts(9000) == ["update /m/a"]


def test_a_file_renamed_later_is_created_and_then_renamed() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 0, 1)
    assert desk.acts(1000) == ["create /m/a"]
    desk.rename("/m/a", "/m/b", 5000, 1)
    assert desk.acts(9000) == ["rename /m/a -> /m/b"]


def test_a_new_file_that_is_overwritten_by_an_old_one_is_not_lost() -> None:
    desk = Desk()
    desk.take(C, "/m/new", 0, 2)
    desk.take(W, "/m/new", 0, 2)
    desk.rename("/m/old", "/m/new", 100, 1)
    assert desk.acts(9000) == ["create /m/new (deleted)", "rename /m/old -> /m/new"]


def test_a_file_deleted_before_it_came_to_rest_is_one_act() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 10, 1, size=5)
    desk.take(D, "/m/a", 20, 1)
    assert desk.seen[0].facts is not None
    assert desk.seen[0].facts.size == 5
    assert desk.acts(9000) == ["create /m/a (deleted)"]


def test_a_file_unlinked_while_open_is_not_reported_again_at_its_close() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(D, "/m/a", 20, 1)
    desk.seen += desk.machine.take(Change(W, "/m/a", 30, object_id=b"1"))
    assert desk.acts(9000) == ["create /m/a (deleted)"]


def test_the_late_close_of_a_deleted_file_does_not_finish_the_next_one_of_that_name() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(D, "/m/a", 20, 1)
    desk.take(C, "/m/a", 30, 2)
    desk.seen += desk.machine.take(Change(W, "/m/a", 40, object_id=b"1", facts=desk.disk["/m/a"]))
    assert desk.acts(5000) == ["create /m/a (deleted)"]
    desk.take(W, "/m/a", 6000, 2)
    assert desk.acts(9000) == ["create /m/a"]


def test_deleting_a_file_that_was_there_before_is_a_deletion() -> None:
    desk = Desk()
    desk.take(D, "/m/a", 0, 1)
    assert desk.acts(0) == ["delete /m/a"]


def test_rewriting_and_deleting_an_old_file_are_two_acts() -> None:
    desk = Desk()
    desk.take(W, "/m/a", 0, 1)
    desk.take(D, "/m/a", 10, 1)
    assert desk.acts(9000) == ["update /m/a (deleted)", "delete /m/a"]


def test_files_in_a_renamed_folder_are_reported_where_they_are_now() -> None:
    desk = Desk()
    for name in ("/m/d/a", "/m/d/e/b", "/m/dd/c"):
        desk.take(C, name, 0, 1)
        desk.take(W, name, 0, 1)
    desk.rename("/m/d", "/m/f", 10, folder=True)
    assert sorted(desk.acts(9000)) == [
        "create /m/dd/c",
        "create /m/f/a",
        "create /m/f/e/b",
        "rename /m/d -> /m/f",
    ]


def test_each_hard_link_is_a_file_of_its_own() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 0, 1)
    for name in ("/m/b", "/m/c"):
        desk.take(C, name, 10, 1)
    assert sorted(desk.acts(1500)) == ["create /m/a", "create /m/b", "create /m/c"]


def test_a_link_to_an_old_file_is_reported_even_if_the_old_name_goes_at_once() -> None:
    desk = Desk()
    desk.take(C, "/m/new", 0, 1)
    desk.take(D, "/m/old", 10, 1)
    assert desk.acts(1500) == ["delete /m/old", "create /m/new"]


def test_writing_through_the_other_name_of_a_deleted_link_is_seen() -> None:
    desk = Desk()
    desk.take(D, "/m/old", 0, 1)
    desk.take(W, "/m/other", 5000, 1)
    assert desk.acts(9000) == ["delete /m/old", "update /m/other"]


def test_a_nameless_temporary_file_is_reported_when_it_gets_a_name_and_never_otherwise() -> None:
    desk = Desk()
    desk.machine.take(Change(W, "/m/#123", 0, object_id=b"9"))
    assert desk.acts(9000) == []
    desk.take(C, "/m/a", 10_000, 1)
    desk.machine.take(Change(W, "/m/#124", 10_010, object_id=b"1"))
    assert desk.acts(12_000) == ["create /m/a"]


def test_symbolic_links_do_not_wait_for_a_close() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.disk["/m/a"] = facts(1, kind=FileType.SYMBOLIC_LINK)
    assert desk.acts(1000) == ["create /m/a"]


def test_an_endless_log_reports_every_minute() -> None:
    desk = Desk()
    desk.take(C, "/m/log", 0, 1)
    acts: list[str] = []
    for now in range(0, 150_000, 500):
        desk.take(W, "/m/log", now, 1, size=now)
        acts += desk.acts(now)
    assert acts == ["create /m/log", "update /m/log"]


def test_a_rescan_reports_what_changed_and_nothing_twice() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 0, 1)
    assert desk.acts(1000) == ["create /m/a"]
    desk.disk["/m/b"] = facts(2)
    for path in ("/m/a", "/m/b"):
        desk.machine.take(Change(F, path, 2000, facts=desk.disk[path], from_rescan=True))
    desk.seen = desk.machine.due(4000, desk.look)
    assert [each.from_rescan for each in desk.seen] == [True]
    assert desk.acts(9000) == ["create /m/b"]


def test_a_found_file_is_reported_only_when_it_has_stopped_growing() -> None:
    desk = Desk()
    desk.disk["/m/a"] = facts(1, 1)
    desk.machine.take(Change(F, "/m/a", 0))
    for now in (1000, 2000, 3000):
        assert desk.acts(now) == []
        desk.disk["/m/a"] = facts(1, now)
    assert desk.acts(10_000) == []
    assert desk.acts(20_000) == ["create /m/a"]


def test_a_file_that_vanished_unseen_counts_as_deleted() -> None:
    desk = Desk()
    desk.take(C, "/m/a", 0, 1)
    desk.take(W, "/m/a", 0, 1)
    del desk.disk["/m/a"]
    assert [act for now in range(0, 9000, 100) for act in desk.acts(now)] == ["create /m/a (deleted)"]


def test_flush_reports_everything_and_says_what_was_not_closed() -> None:
    desk = Desk()
    desk.take(C, "/m/open", 0, 1)
    desk.take(C, "/m/closed", 0, 2)
    desk.take(W, "/m/closed", 0, 2)
    finished = {each.path: each.gap for each in desk.machine.flush(desk.look, "gone")}
    assert finished == {"/m/open": "gone", "/m/closed": None}
    assert len(desk.machine) == 0
    assert desk.acts(90_000) == []


def test_beyond_its_bound_the_oldest_is_reported_early_and_nothing_is_lost() -> None:
    desk = Desk(most_pending=10)
    for number in range(30):
        desk.take(C, f"/m/{number}", number, number + 1)
    early = desk.acts(30)
    assert len(early) == 20
    assert len(desk.machine) == 10
    for number in range(20, 30):
        desk.take(W, f"/m/{number}", 100, number + 1)
    assert sorted(early + desk.acts(5000)) == sorted(f"create /m/{number}" for number in range(30))


def test_where_renames_are_not_told_the_same_temporary_name_hides_no_file() -> None:
    machine = FinishedFiles(settle_ms=1000, follows_inodes=True)
    disk = {"/m/doc1": facts(1), "/m/doc2": facts(2)}

    def look(path: str, known: FileFacts | None) -> tuple[str, FileFacts] | None:
        assert known is not None
        return next(((path, each) for path, each in disk.items() if each.inode == known.inode), None)

    for inode in (1, 2):
        for kind in (C, W):
            machine.take(Change(kind, "/m/tmp", inode, object_id=b"%d" % inode, facts=facts(inode)))
    assert sorted(map(_words, machine.due(5000, look))) == ["create /m/doc1", "create /m/doc2"]


def test_the_better_source_wins_and_of_equals_the_later_argument() -> None:
    audit, proc = Who(1, None, "/bin/cp", 5, None, "audit"), Who(1, None, "/bin/sh", 5, None, "proc")
    other = Who(2, None, "/bin/mv", 5, None, "proc")
    assert better_who(audit, proc) is audit
    assert better_who(proc, audit) is audit
    assert better_who(proc, other) is other
    assert better_who(None, proc) is proc
    assert better_who(proc, None) is proc


def _found(desk: Desk, path: str, changed_ms: int, at_ms: int, *, from_rescan: bool) -> None:
    seen = desk.disk[path] = FileFacts(
        7, 1, FileType.REGULAR, 1, 1000, 1, changed_ms * 1_000_000, changed_ms * 1_000_000
    )
    held = changed_ms * 1_000_000 if from_rescan else None
    change = Change(F, path, at_ms, pid=0, facts=seen, from_rescan=from_rescan, held_ns=held)
    desk.seen += desk.machine.take(change)


def test_what_a_rescan_found_holds_back_as_far_as_it_was_changed_until_it_is_reported() -> None:
    desk = Desk()
    for number in range(100):
        _found(desk, f"/found-{number}", 5_000 + number, 60_000, from_rescan=True)
    _found(desk, "/moved-in", 7, 60_000, from_rescan=False)
    assert desk.machine.oldest_held_ns() == 5_000 * 1_000_000
    # What was moved in holds back to when it was seen, not to when it was written years ago.
    assert desk.machine.oldest_ms() == 60_000
    desk.take(C, "/open", 60_001, inode=3)
    desk.take(C, "/closed", 60_002, inode=4)
    desk.take(W, "/closed", 60_003, inode=4)
    named = desk.machine.unreported()
    assert [path for is_held, path in named if not is_held] == ["/closed", "/moved-in", "/open"]
    assert sum(is_held for is_held, _ in named) == 100
    desk.acts(70_000)
    assert (desk.machine.oldest_held_ns(), desk.machine.oldest_ms()) == (None, None)
    assert desk.machine.unreported() == [(False, "/open")]


def test_what_grows_for_ever_after_it_was_found_does_not_hold_back_for_ever() -> None:
    desk = Desk()
    _found(desk, "/log", 5_000, 60_000, from_rescan=True)
    for moment in (61_000, 66_000, 80_000):
        desk.disk["/log"] = FileFacts(
            7, 1, FileType.REGULAR, moment, 1000, 1, moment * 1_000_000, moment * 1_000_000
        )
        assert desk.acts(moment + 500) == []
    held = desk.machine.oldest_held_ns()
    assert held is not None
    assert held >= 66_000 * 1_000_000
