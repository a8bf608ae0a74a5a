"""Openings and bytes joined: which of it is an upload, and how sure. Facts as they come, in any order."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.linux.audit_connects import read_address
from collectors.linux.command_words import git_action, hosts_in
from collectors.linux.process_tree import ProcessFacts
from collectors.linux.tcp_sockets import TcpSocket
from collectors.upload_facts import Read, Upload
from collectors.upload_join import MOST_PARTIES, UploadJoin
from event_schema.catalogue import load_catalogue

CATALOGUE = load_catalogue()
CURL, BROWSER, EDITOR, DRIVE = "/usr/bin/curl", "/usr/bin/chromium", "/usr/bin/gedit", "/usr/bin/dropbox"
WEB = ("192.0.2.1", 443)


class Processes:
    """A tree in which every process is its own party, unless told otherwise."""

    def __init__(self) -> None:
        self.facts: dict[int, ProcessFacts] = {}
        self.tops: dict[int, int] = {}
        self.ended: set[int] = set()

    def add(self, pid: int, program: str, parent: int = 1, top: int | None = None) -> None:
        application = CATALOGUE.of_program(program)
        self.facts[pid] = ProcessFacts(pid, parent, 1000, 1000, program, application)
        self.tops[pid] = top or pid

    def of(self, pid: int) -> ProcessFacts | None:
        return self.facts.get(pid)

    def party(self, pid: int) -> int:
        return self.tops.get(pid, pid)

    def has_ended(self, pid: int) -> bool:
        return pid in self.ended

    def pushed_from(self, pid: int) -> str | None:
        facts = self.facts.get(pid)
        return None if facts is None else facts.folder


def opening(pid: int, size: int, at_ms: int, inode: int = 1, *, polled: bool = False) -> Read:
    return Read(at_ms, pid, 1000, 1000, None, f"/home/jo/file{inode}", (1, inode), size, polled)


def ending(sent: int, cookie: int = 1, place: tuple[str, int] = WEB, inode: int = 0) -> TcpSocket:
    return TcpSocket(cookie, place[0], place[1], 40_000 + cookie, 0, inode, sent)


class Lab:
    def __init__(self, *, guesses: bool = False) -> None:
        self.tree = Processes()
        self.join = UploadJoin(self.tree, lambda address: address != "127.0.0.1", guesses=guesses)

    def one(self, program: str, size: int, sent: int) -> list[Upload]:
        """One program reads a file, sends so much over one connection, and ends."""
        self.tree.add(7, program)
        self.join.opened(opening(7, size, 1000))
        self.join.connected(7, *WEB, 1100)
        self.join.closed([ending(sent)], 1200)
        self.tree.ended.add(7)
        return self.join.due(5_000)


@pytest.mark.parametrize(
    ("program", "size", "sent", "fidelity"),
    [
        (CURL, 20_000, 20_127, "exact"),
        (CURL, 20_000, 18_000, "exact"),
        (CURL, 20_000, 5_000, "possible"),
        (CURL, 20_000, 255, None),
        (CURL, 100, 300, "exact"),
        (EDITOR, 20_000, 20_127, "exact"),
        (EDITOR, 20_000, 12_000, "possible"),
        (EDITOR, 20_000, 9_000, None),
        (EDITOR, 100, 300, "possible"),
        (EDITOR, 20_000, 20_000_000, "possible"),
        (BROWSER, 20_000, 22_000, "likely"),
        (BROWSER, 20_000, 5_000, None),
        (DRIVE, 20_000, 5_000, "possible"),
    ],
)
def test_the_share_that_was_sent_and_who_sent_it_decide(
    program: str, size: int, sent: int, fidelity: str | None
) -> None:
    found = Lab().one(program, size, sent)
    assert [each.fidelity for each in found] == ([] if fidelity is None else [fidelity])


def test_an_empty_file_and_one_that_was_written_are_not_sent() -> None:
    lab = Lab()
    lab.join.written(7, (1, 1))
    assert lab.one(CURL, 0, 500) == []
    lab = Lab()
    lab.tree.add(7, CURL)
    lab.join.opened(opening(7, 20_000, 1000))
    lab.join.connected(7, *WEB, 1100)
    lab.join.written(7, (1, 1))
    lab.join.closed([ending(30_000)], 1200)
    lab.tree.ended.add(7)
    assert lab.join.due(5_000) == []


def test_every_order_in_which_the_facts_of_one_upload_arrive_gives_the_same() -> None:
    acts: tuple[Callable[[UploadJoin], None], ...] = (
        lambda join: join.opened(opening(7, 20_000, 1000)),
        lambda join: join.connected(7, *WEB, 1100),
        lambda join: join.closed([ending(20_100)], 1200),
    )
    for order in itertools.permutations(acts):
        lab = Lab()
        lab.tree.add(7, CURL)
        for act in order:
            act(lab.join)
        lab.tree.ended.add(7)
        (found,) = lab.join.due(5_000)
        assert (found.fidelity, found.bytes_sent, found.address) == ("exact", 20_100, WEB[0])


def test_a_tree_is_one_and_many_files_over_one_connection_count_together() -> None:
    lab = Lab()
    lab.tree.add(7, "/usr/bin/scp")
    lab.tree.add(8, "/usr/bin/ssh", parent=7, top=7)
    lab.join.connected(8, "192.0.2.1", 22, 900)
    for inode in range(10):
        lab.join.opened(opening(7, 10_000, 1000 + inode, inode))
    lab.join.closed([ending(104_000, place=("192.0.2.1", 22))], 1200)
    lab.tree.ended |= {7, 8}
    found = lab.join.due(5_000)
    assert len(found) == 10
    assert {each.fidelity for each in found} == {"exact"}


def test_what_went_over_a_connection_before_the_file_was_opened_does_not_count() -> None:
    lab = Lab()
    lab.tree.add(7, BROWSER)
    lab.join.counted({7: [ending(5_000_000, inode=9)]}, 500)
    lab.join.opened(opening(7, 20_000, 1000))
    lab.join.counted({7: [ending(5_001_000, inode=9)]}, 2_000)
    assert lab.join.due(8_000) == []
    lab.join.counted({7: [ending(5_023_000, inode=9)]}, 9_000)
    (found,) = lab.join.due(12_000)
    assert (found.bytes_sent, found.fidelity) == (23_000, "likely")
    # What was told is not told again.
    lab.join.counted({7: [ending(5_050_000, inode=9)]}, 13_000)
    assert lab.join.due(100_000) == []


def test_a_connect_that_is_told_seconds_later_still_finds_its_file() -> None:
    lab = Lab()
    lab.tree.add(7, CURL)
    lab.join.opened(opening(7, 20_000, 1000))
    lab.join.closed([ending(20_127)], 1200)
    lab.tree.ended.add(7)
    assert lab.join.due(3_500) == []
    lab.join.connected(7, *WEB, 1100)
    (found,) = lab.join.due(5_000)
    assert (found.fidelity, found.bytes_sent) == ("exact", 20_127)


def test_a_connection_that_is_counted_before_its_connect_is_told_loses_nothing() -> None:
    lab = Lab()
    lab.tree.add(7, CURL)
    lab.join.opened(opening(7, 20_000, 1000))
    lab.join.counted({7: [ending(20_126, inode=9)]}, 1050)
    lab.join.connected(7, *WEB, 1010)
    lab.join.closed([ending(20_127)], 1200)
    lab.tree.ended.add(7)
    (found,) = lab.join.due(5_000)
    assert (found.fidelity, found.bytes_sent, found.connections) == ("exact", 20_127, 1)


def test_a_connection_from_before_is_not_taken_for_the_one_that_is_told() -> None:
    lab = Lab()
    lab.tree.add(7, BROWSER)
    lab.join.counted({7: [ending(5_000_000, inode=9)]}, 500)
    lab.join.opened(opening(7, 20_000, 1000))
    lab.join.connected(7, *WEB, 1010)
    lab.join.closed([ending(300, cookie=2)], 1200)
    lab.tree.ended.add(7)
    assert lab.join.due(9_000) == []


def test_a_slow_upload_that_stands_still_for_a_while_is_told_once_with_all_its_bytes() -> None:
    lab = Lab()
    lab.tree.add(7, BROWSER)
    lab.join.counted({7: [ending(5_000, inode=9)]}, 500)
    lab.join.opened(opening(7, 1_000_000, 1000))
    lab.join.counted({7: [ending(200_000, inode=9)]}, 70_000)
    assert lab.join.due(90_000) == []
    lab.join.counted({7: [ending(1_010_000, inode=9)]}, 95_000)
    (found,) = lab.join.due(98_000)
    assert (found.bytes_sent, found.gap) == (1_005_000, None)


def test_a_program_that_is_never_quiet_is_told_of_within_the_window() -> None:
    lab = Lab()
    lab.tree.add(7, BROWSER)
    lab.join.opened(opening(7, 100_000, 1000))
    lab.join.connected(7, *WEB, 1100)
    told = []
    for second in range(2, 100):
        lab.join.counted({7: [ending(110_000 + 50 * second, inode=9)]}, second * 1000)
        told += [(second, each.path) for each in lab.join.due(second * 1000)]
    assert [path for _, path in told] == ["/home/jo/file1"]
    assert told[0][0] <= 62


def test_bytes_of_more_connections_than_are_kept_are_all_counted() -> None:
    lab = Lab()
    lab.tree.add(7, EDITOR)
    for number in range(1000):
        lab.join.opened(opening(7, 1000, 1000 + number, inode=number))
        lab.join.connected(7, f"192.0.2.{number % 5}", 443, 1000 + number)
        lab.join.closed([ending(1100, number, (f"192.0.2.{number % 5}", 443))], 1000 + number)
    lab.tree.ended.add(7)
    found = lab.join.due(5_000)
    assert len(found) == 1000
    assert {(each.bytes_sent, each.fidelity) for each in found} == {(1_100_000, "exact")}
    assert lab.join.dropped() == {}


def test_two_who_send_different_amounts_to_one_place_at_once_are_told_apart_or_only_likely() -> None:
    lab = Lab()
    for pid, size in ((7, 20_000), (8, 900_000)):
        lab.tree.add(pid, CURL)
        lab.join.opened(opening(pid, size, 1000, inode=pid))
        lab.join.connected(pid, *WEB, 1100)
    lab.join.closed([ending(900_200, 2), ending(20_100, 1)], 1200)
    lab.tree.ended |= {7, 8}
    found = {each.read.pid: each for each in lab.join.due(5_000) if each.read is not None}
    assert {pid: each.bytes_sent for pid, each in found.items()} == {7: 20_100, 8: 900_200}


def test_without_connects_only_a_sender_claims_what_fits_and_two_places_make_it_possible() -> None:
    for program, places, fidelity in (
        (CURL, [WEB], ["likely"]),
        (CURL, [WEB, ("192.0.2.2", 443)], ["possible"]),
        (EDITOR, [WEB], []),
    ):
        lab = Lab(guesses=True)
        lab.tree.add(7, program)
        lab.join.opened(opening(7, 20_000, 1000))
        lab.join.closed([ending(20_100 + n, n, place) for n, place in enumerate(places)], 1200)
        lab.tree.ended.add(7)
        assert [each.fidelity for each in lab.join.due(5_000)] == fidelity


def test_what_polling_saw_is_possible() -> None:
    lab = Lab()
    lab.tree.add(7, CURL)
    lab.join.opened(opening(7, 20_000, 1000, polled=True))
    lab.join.connected(7, *WEB, 1100)
    lab.join.closed([ending(20_100)], 1200)
    lab.tree.ended.add(7)
    assert [each.fidelity for each in lab.join.due(5_000)] == ["possible"]


def test_what_is_remembered_is_bounded_and_what_had_to_go_is_counted() -> None:
    lab = Lab()
    for pid in range(2, MOST_PARTIES + 502):
        lab.join.opened(opening(pid, 100, pid, inode=pid))
        lab.join.connected(pid, *WEB, pid)
    assert len(lab.join) == MOST_PARTIES
    assert lab.join.dropped() == {"parties_evicted": 500}
    lab.tree.ended |= set(range(MOST_PARTIES + 502))
    lab.join.due(10_000_000)
    assert len(lab.join) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(2, 5), st.integers(0, 3), st.integers(0, 10**6)), max_size=60
    )
)
def test_no_order_of_facts_breaks_it_or_tells_a_file_that_nobody_opened(
    acts: list[tuple[int, int, int, int]],
) -> None:
    lab = Lab(guesses=True)
    opened: set[str] = set()
    for pid in range(2, 6):
        lab.tree.add(pid, (CURL, BROWSER, EDITOR, DRIVE)[pid - 2])
    told: list[Upload] = []
    for at, (act, pid, number, amount) in enumerate(acts):
        now = at * 700
        if act == 0:
            read = opening(pid, amount, now, number)
            opened.add(read.path)
            lab.join.opened(read)
        elif act == 1:
            lab.join.connected(pid, f"192.0.2.{number}", 443, now)
        elif act == 2:
            lab.join.closed([ending(amount, at, (f"192.0.2.{number}", 443))], now)
        elif act == 3:
            lab.join.counted({pid: [ending(amount, number, (f"192.0.2.{number}", 443), 1)]}, now)
        elif act == 4:
            lab.join.written(pid, (1, number))
        else:
            lab.tree.ended.add(pid)
        told += lab.join.due(now)
    told += lab.join.due(len(acts) * 700, everything=True)
    assert {each.path for each in told} <= opened
    assert all(each.bytes_sent > 0 for each in told)
    assert lab.join._reads == 0


@pytest.mark.parametrize(
    ("words", "hosts"),
    [
        (["-T", "a.pdf", "https://user:pw@Drive.Example.com:8443/x?y=z"], ("a.pdf", "drive.example.com")),
        (["a.doc", "jo@files.example.com:/tmp/"], ("a.doc", "files.example.com")),
        (["s3://bucket/key"], ("s3.amazonaws.com",)),
        (["--url=https://[2001:db8::1]/x"], ("2001:db8::1",)),
        (["example.com", "4444"], ("example.com",)),
        (["plain", "-o", "x\n.y", ""], ()),
        (["a." * 4000], ()),
    ],
)
def test_hosts_are_read_from_a_command_line(words: list[str], hosts: tuple[str, ...]) -> None:
    assert tuple(host for host in hosts_in(words) if len(host) < 300)[:2] == hosts


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["git", "push", "origin"], "push"),
        (["git", "-c", "a=b", "push"], "push"),
        (["git", "clone", "push"], "fetch"),
        (["git", "commit", "-m", "push"], None),
        (["git"], None),
    ],
)
def test_a_git_push_is_told_from_the_rest(words: list[str], action: str | None) -> None:
    assert git_action(words) == action


def test_addresses_of_the_kernels_records_are_read_and_others_left() -> None:
    assert read_address(bytes.fromhex("020001BBC0000201")) == ("192.0.2.1", 443)
    v6 = "0A0001BB00000000" + "20010DB8000000000000000000000007" + "00000000"
    assert read_address(bytes.fromhex(v6)) == ("2001:db8::7", 443)
    mapped = "0A0001BB00000000" + "00000000000000000000FFFFC0000201" + "00000000"
    assert read_address(bytes.fromhex(mapped)) == ("192.0.2.1", 443)
    assert read_address(bytes.fromhex("01002F72756E")) is None
    assert read_address(b"\x02\x00\x01") is None
