"""Paths by folder: the same answers as looking at all of them, without the time that takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from collectors.file_changes import Change, ChangeKind, FileFacts
from collectors.finished_files import FinishedFiles
from collectors.linux.folder_names import FolderNames
from collectors.path_index import PathIndex
from collectors.reported_files import ReportedFiles
from event_schema.ocsf_objects import FileType

FILES, RENAMES = 50_000, 2_000


def test_what_is_below_a_folder_is_what_looking_at_all_paths_finds() -> None:
    chance = random.Random(7)
    index, paths = PathIndex(), set[str]()
    for _ in range(5_000):
        path = "/m/" + "/".join(chance.choice("abc") + "d" for _ in range(chance.randint(1, 5))) + "/f"
        if chance.random() < 0.45 and paths:
            path = chance.choice(sorted(paths))
            paths.discard(path)
            index.discard(path)
        else:
            paths.add(path)
            index.add(path)
    for folder in ("/m", "/m/ad", "/m/bd/cd", "/m/none"):
        found = [path for path in index.below(folder) if path in paths]
        assert sorted(found) == sorted(path for path in paths if path.startswith(folder + "/"))
    for path in paths:
        index.discard(path)
    assert len(index) == 0


def test_reported_files_move_with_their_folder_and_the_oldest_are_forgotten() -> None:
    reported = ReportedFiles(most=3)
    for name in ("a/1", "a/b/2", "c/3"):
        reported.put(f"/m/{name}", (1, 2, 3))
    reported.move("/m/a", "/m/z")
    assert [path in reported for path in ("/m/a/1", "/m/z/1", "/m/z/b/2", "/m/c/3")] == [
        False,
        True,
        True,
        True,
    ]
    reported.put("/m/new", (4, 5, 6))
    assert len(reported) == 3
    assert "/m/c/3" not in reported


def seconds(act: Callable[[], None]) -> float:
    began = time.thread_time()
    act()
    return time.thread_time() - began


def test_renaming_folders_costs_no_more_with_many_files_remembered() -> None:
    facts = FileFacts(7, 1, FileType.REGULAR, 1, 0, 1, 0, 0)
    reported = ReportedFiles()
    for number in range(FILES):
        reported.put(f"/m/d{number % 500}/f{number}", facts.content_id)
    machine = FinishedFiles(reported=reported)
    for number in range(FILES):
        machine.take(Change(ChangeKind.WRITTEN, f"/m/e{number % 500}/f{number}", 0, facts=facts))

    def rename() -> None:
        for number in range(RENAMES):
            change = Change(ChangeKind.RENAMED, f"/m/x{number}", 0, new_path=f"/m/y{number}", is_folder=True)
            assert len(machine.take(change)) == 1

    # Looking at all of them took 2.3 ms for each: more than 4 s.
    assert seconds(rename) < 1
    machine.take(Change(ChangeKind.RENAMED, "/m/e3", 0, new_path="/m/e3-moved", is_folder=True))
    moved = [path for _, path in machine.unreported() if "moved" in path]
    assert moved == []
    finished = machine.flush(lambda path, known: None, "gone")
    assert len([each for each in finished if each.path.startswith("/m/e3-moved/")]) == FILES // 500


def test_renamed_folders_keep_their_subfolders_paths_however_many_are_known() -> None:
    names = FolderNames(lambda handle: None)
    names.anchor(b"top", "/m")
    for number in range(FILES):
        names.anchor(b"%d" % number, f"/m/d{number % 500}/s{number}")

    def rename() -> None:
        for number in range(RENAMES):
            names.renamed(b"x%d" % number, f"/m/x{number}", b"top", f"y{number}")

    assert seconds(rename) < 1
    names.renamed(b"d3", "/m/d3", b"top", "moved")
    assert names.path(b"503") == "/m/moved/s503"
    assert names.path(b"504") == "/m/d4/s504"
    names.renamed(b"d3", "/m/moved", b"top", "again")
    assert names.path(b"503") == "/m/again/s503"
