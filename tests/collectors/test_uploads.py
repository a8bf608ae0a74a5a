"""Uploads with the real programs on loopback: the right file, user, program, place, bytes; and how sure."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.contract import Collector
from collectors.destination_settings import DestinationSettings
from collectors.destinations import Destinations
from collectors.uploads import UploadsCollector
from event_schema.catalogue import Destination
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.linux.real_mounts import needs_root
from tests.collectors.other_readers import OtherReaders, picture
from tests.collectors.upload_lab import (
    AS_USER,
    UploadLab,
    fidelities,
    free_port,
    right,
    wait_for_port,
    watching,
)

pytestmark = [pytest.mark.root, needs_root, pytest.mark.long]


@pytest.fixture
def lab() -> Iterator[UploadLab]:
    with UploadLab() as made:
        yield made


class TestContract(CollectorContract):
    @pytest.fixture
    def collector(self, lab: UploadLab) -> Iterator[Collector]:
        self.lab, self.port = lab, lab.web()
        collector = lab.collector()
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        self.lab.run(
            "curl", "-sT", self.lab.file(f"plan{number}.pdf"), f"http://127.0.0.1:{self.port}/{number}"
        )


@pytest.mark.parametrize(("step", "share"), [("permission", 0.99), ("open", 0.9)])
def test_short_lived_uploads_are_found_while_others_read_the_same_files(
    lab: UploadLab, step: str, share: float
) -> None:
    port, count = lab.web(), 60
    for number in range(count):
        picture(lab, f"doc{number:03d}")
    others = OtherReaders(lab)
    with watching(lab.collector(step=step)) as observing:
        assert set(others.read_once().values()) == {count}
        reading = others.keep_reading()
        try:
            send = f"for i in {lab.documents}/doc*; do curl -sT $i http://127.0.0.1:{port}/x; done"
            lab.run("sh", "-c", send)
        finally:
            for each in reading:
                each.kill()
        found = lab.wait(observing, count)
        # Others may take audit away for a moment on a machine that runs several of these tests.
        told = observing.collector.dropped(), observing.collector.detail()
    assert len(right(found, "curl", port)) >= share * count, (fidelities(found), told)
    assert {each.actor.process.name for each in found if each.actor.process} == {"curl"}
    assert len(found) <= count
    transfer = found[0].unmapped.transfer
    assert (transfer.category, transfer.application, transfer.connections) == ("uploader", "curl", 1)
    assert fidelities(found)["possible"] == 0
    if step == "permission":
        assert fidelities(found)["exact"] >= 0.9 * count


def test_homes_that_are_reached_by_a_link_are_watched(lab: UploadLab) -> None:
    web = lab.web()
    (lab.folder / "link").symlink_to(lab.homes)
    with watching(lab.collector(folders=(str(lab.folder / "link"),))) as observing:
        lab.run("curl", "-sT", lab.file("plan.pdf"), f"http://127.0.0.1:{web}/x")
        (event,) = lab.wait(observing, 1)
    assert event.file.hashes is not None


def test_a_sender_with_the_name_of_a_thumbnailer_is_told_all_the_same(lab: UploadLab) -> None:
    web = lab.web()
    program = lab.folder / "evince-thumbnailer"
    shutil.copy(Path("/usr/bin/curl").resolve(), program)
    with watching(lab.collector()) as observing:
        lab.run(program, "-sT", lab.file("plan.pdf"), f"http://127.0.0.1:{web}/x")
        found = lab.wait(observing, 1)
    assert right(found, program.name, web) == {"plan.pdf"}


TAKES_ALL = """
import socket, sys
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    while connection.recv(65536):
        pass
"""
MESSENGER = """
import socket, sys
connection = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
print("connected", flush=True)
for line in sys.stdin:
    name, _, small = line.rstrip().partition("|")
    data = open(name, "rb").read() if name else b"hello"
    connection.sendall(data[:100] if small else data)
    print("sent", flush=True)
"""


@pytest.mark.parametrize("connects", ["before the agent", "while the agent runs"])
def test_a_messengers_file_goes_over_a_connection_that_was_there_already(
    lab: UploadLab, connects: str
) -> None:
    # The name of the program file is what the catalogue knows.
    program = lab.folder / "wechat"
    shutil.copy("/usr/bin/python3", program)
    port = free_port()
    sink = lab.start("/usr/bin/python3", "-c", TAKES_ALL, str(port))
    wait_for_port(port)
    sent, looked_at = lab.file("customers.xlsx", 80_000), lab.file("preview.png", 90_000)

    def start() -> subprocess.Popen[str]:
        words = [*AS_USER, str(program), "-c", MESSENGER, str(port)]
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=lab.environment
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "connected\n"
        return process

    messenger = start() if connects == "before the agent" else None
    with watching(lab.collector()) as observing:
        messenger = messenger or start()
        assert messenger.stdin is not None
        assert messenger.stdout is not None
        observing.settle(1)
        for line in ("\n", f"{sent}\n"):
            messenger.stdin.write(line)
            messenger.stdin.flush()
            assert messenger.stdout.readline() == "sent\n"
            time.sleep(1)
        lab.wait(observing, 1)
        # Read for a preview; only a hundred bytes go out.
        messenger.stdin.write(f"{looked_at}|small\n")
        messenger.stdin.flush()
        observing.settle(4)
        found = lab.uploads(observing)
    messenger.kill()
    messenger.communicate()
    sink.kill()
    (event,) = found
    assert right(found, "wechat", port) == {"customers.xlsx"}
    assert (event.unmapped.transfer.category, event.unmapped.transfer.application) == ("messenger", "WeChat")
    assert event.unmapped.evidence.fidelity == "likely"


def test_what_a_clients_sync_folder_holds_is_left_to_the_collector_of_sync_folders(lab: UploadLab) -> None:
    web = lab.web()
    program = lab.folder / "nutstore"
    shutil.copy(Path("/usr/bin/curl").resolve(), program)
    inside, beside = lab.file("../Nutstore Files/plan.pdf"), lab.file("plan.doc")
    with watching(lab.collector()) as observing:
        for file in (inside, beside):
            lab.run(program, "-sT", file, f"http://127.0.0.1:{web}/x")
        found = lab.wait(observing, 1)
    assert right(found, program.name, web) == {"plan.doc"}
    assert len(found) == 1


def test_what_reads_files_and_talks_to_the_network_without_sending_them_is_no_upload(lab: UploadLab) -> None:
    web = lab.web()
    url = f"http://127.0.0.1:{web}/x"
    file, mailbox = lab.file("existing", 50_000), lab.file("mbox", 2_000_000)
    client = (
        f"import urllib.request as u, time; data = open('{mailbox}', 'rb').read()\n"
        f"for n in range(20): u.urlopen('{url}', b'FETCH ' * 20).read()"
    )
    with watching(lab.collector()) as observing:
        lab.run("sh", "-c", f"cat {file} >/dev/null; curl -s -o {lab.own}/got {url}; md5sum {file}")
        subprocess.run(["cp", file, lab.own / "written"], check=True)
        subprocess.run([*AS_USER, "/usr/bin/python3", "-c", client], check=True, timeout=60)
        writable = lab.file("download", 60_000)
        writable.chmod(0o666)
        # Overwrites a file that was there: opened, but to be written.
        lab.run("curl", "-s", "-o", writable, url)
        observing.settle(5)
        found = lab.uploads(observing)
    assert found == []


def test_what_goes_to_the_companys_own_places_or_stays_on_the_machine_is_not_collected(
    lab: UploadLab,
) -> None:
    own, other = lab.web("127.0.0.2"), lab.web("127.0.0.3")
    places = DestinationSettings(trusted=("127.0.0.2",))
    with watching(lab.collector(places=places, inside_networks=("127.0.0.3/32",))) as observing:
        for address, port in (("127.0.0.2", own), ("127.0.0.3", other)):
            lab.run("curl", "-sT", lab.file(f"to{address}"), f"http://{address}:{port}/x")
        observing.settle(3)
        assert lab.uploads(observing) == []
        assert "and what goes to 127.0.0.3/32" in (observing.collector.detail() or "")


def test_a_destination_of_the_settings_is_named_and_a_trusted_name_is_not_collected(lab: UploadLab) -> None:
    settings = DestinationSettings(
        extra=(Destination(name="Partner", category="file_transfer", domains=("drop.example",)),),
        trusted=("own.example",),
    )
    known = {"drop.example": ["127.0.0.4"], "own.example": ["127.0.0.5"]}
    destinations = Destinations(
        settings.catalogue(),
        trusted_domains=settings.trusted,
        forward=lambda host: known.get(host, []),
        reverse=lambda address: None,
    )
    collector = UploadsCollector(
        lab.config(), lab.host, "0", destinations=destinations, destination_settings=settings
    )
    partner, own = lab.web("127.0.0.4"), lab.web("127.0.0.5")
    with watching(collector) as observing:
        for name, address, port in (("drop", "127.0.0.4", partner), ("own", "127.0.0.5", own)):
            resolve = f"{name}.example:{port}:{address}"
            url = f"http://{name}.example:{port}/x"
            lab.run("curl", "-s", "--resolve", resolve, "-T", lab.file(f"to-{name}"), url)
        found = lab.wait(observing, 1)
        observing.settle(3)
        assert len(lab.uploads(observing)) == 1
    (event,) = found
    assert event.file.name == "to-drop"
    assert event.dst_endpoint is not None
    assert (event.dst_endpoint.hostname, event.dst_endpoint.svc_name) == ("drop.example", "Partner")
    assert event.unmapped.transfer.category == "file_transfer"


def test_polling_sees_what_stays_open_and_calls_it_possible(lab: UploadLab) -> None:
    web = lab.web()
    # Long enough for a look also where there are many processes to look at.
    file = lab.file("long.iso", 10_000_000)
    with watching(lab.collector(step="polling")) as observing:
        observing.settle(1)
        lab.run("curl", "-s", "--limit-rate", "1M", "-T", file, f"http://127.0.0.1:{web}/x")
        found = lab.wait(observing, 1)
        said = observing.collector.detail() or ""
        assert "polling" in said
        assert f"left out: files outside {lab.homes} and in hidden folders there" in said
    assert right(found, "curl", web) == {"long.iso"}
    assert found[0].unmapped.evidence.fidelity == "possible"
    assert found[0].unmapped.evidence.observed_by == "polling"


def test_a_responder_that_dies_is_started_again_and_the_gap_is_counted(lab: UploadLab) -> None:
    web = lab.web()
    collector = lab.collector()
    with watching(collector) as observing:
        assert collector._openings is not None
        Path(f"/proc/{collector._openings.reader_pid}/oom_score_adj").read_text()
        subprocess.run(["kill", "-KILL", str(collector._openings.reader_pid)], check=True)
        observing.wait_for(lambda: collector.dropped().get("reader_ended", 0) == 1, 10, "loss")
        time.sleep(1.5)
        lab.run("curl", "-sT", lab.file("after.pdf"), f"http://127.0.0.1:{web}/x")
        assert right(lab.wait(observing, 1), "curl", web) == {"after.pdf"}


def test_no_command_line_and_no_uncatalogued_name_is_told(lab: UploadLab) -> None:
    web = lab.web()
    with watching(lab.collector()) as observing:
        url = f"http://127.0.0.1:{web}/very-secret-path?token=hush"
        lab.run("curl", "-sT", lab.file("a.pdf"), "-H", "Authorization: hush", url)
        (event,) = lab.wait(observing, 1)
    assert "hush" not in repr(event)
    assert "very-secret-path" not in repr(event)
