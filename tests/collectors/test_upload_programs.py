"""Uploads with one real program after another: the right file, user, program, place and bytes of each."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from collectors.destinations import Destinations
from collectors.uploads import UploadsCollector
from event_schema.catalogue import Destination, load_catalogue
from tests.collectors.chromium_upload import upload_with_chromium
from tests.collectors.linux.real_mounts import needs_root
from tests.collectors.upload_lab import (
    SSH_OPTIONS,
    UploadLab,
    fidelities,
    free_port,
    right,
    wait_for_port,
    watching,
)

pytestmark = [pytest.mark.root, needs_root, pytest.mark.long, pytest.mark.quiet]


@pytest.fixture
def lab() -> Iterator[UploadLab]:
    with UploadLab() as made:
        yield made


def test_a_program_that_starts_curl_for_each_file_is_not_taken_for_it(lab: UploadLab) -> None:
    web, count = lab.web(), 30
    files = [str(lab.file(f"note{number}.txt")) for number in range(count)]
    script = (
        "import subprocess, sys\nfor file in sys.argv[2:]: subprocess.run(['curl', '-sT', file, sys.argv[1]])"
    )
    with watching(lab.collector()) as observing:
        lab.run("/usr/bin/python3", "-c", script, f"http://127.0.0.1:{web}/x", *files)
        found = lab.wait(observing, count)
    assert len(right(found, "curl", web)) == len(found) == count
    assert {event.unmapped.transfer.application for event in found} == {"curl"}


def test_the_sftp_tools_are_told_by_the_tree_that_holds_their_connection(lab: UploadLab) -> None:
    port, key = lab.ssh()
    options = [*SSH_OPTIONS, "-i", str(key)]
    shell = " ".join(["ssh", *options, "-p", str(port)])
    folder = lab.folder / "taken"
    folder.mkdir()
    for number in range(10):
        lab.file(f"several/part{number}.doc", 30_000)
    with watching(lab.collector()) as observing:
        lab.run("scp", "-q", *options, "-P", str(port), lab.file("one.pdf"), f"root@127.0.0.1:{folder}/")
        lab.run("rsync", "-a", "-e", shell, lab.documents / "several", f"root@127.0.0.1:{folder}/")
        # Nothing to send: what is there is only compared.
        lab.run("rsync", "-ac", "-e", shell, lab.documents / "several", f"root@127.0.0.1:{folder}/")
        found = lab.wait(observing, 11)
    assert right(found, "scp", port) == {"one.pdf"}
    assert right(found, "rsync", port) == {f"part{number}.doc" for number in range(10)}
    assert len(found) == 11
    assert {each.unmapped.transfer.application for each in found} == {"OpenSSH", "rsync"}
    assert "possible" not in fidelities(found)


def test_rclone_is_told_with_every_file(lab: UploadLab) -> None:
    port = free_port()
    taken = lab.folder / "dav"
    taken.mkdir()
    lab.start("rclone", "serve", "webdav", taken, "--addr", f"127.0.0.1:{port}")
    wait_for_port(port)
    names = {lab.file(f"all/f{number}.doc").name for number in range(30)}
    with watching(lab.collector()) as observing:
        lab.run(
            "rclone", "copy", lab.documents / "all", ":webdav:up", "--webdav-url", f"http://127.0.0.1:{port}"
        )
        found = lab.wait(observing, 30)
    assert right(found, "rclone", port) == names
    assert len(found) == 30


def test_a_git_push_is_told_by_its_repository_and_a_clone_is_not(lab: UploadLab) -> None:
    port, key = lab.ssh()
    shell = " ".join(["ssh", *SSH_OPTIONS, "-i", str(key), "-p", str(port)])
    bare, work = lab.folder / "bare.git", lab.own / "secret-project"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True)
    make = "git init -q . && head -c 200000 /dev/urandom > a.bin && git add . && "
    make += "git -c user.name=a -c user.email=a@b.example commit -qm x"
    lab.run("sh", "-c", f"mkdir {work} && cd {work} && {make}")
    environment = f"cd {work} && GIT_SSH_COMMAND='{shell}'"
    with watching(lab.collector()) as observing:
        lab.run("sh", "-c", f"{environment} git push -q root@127.0.0.1:{bare} HEAD:refs/heads/main")
        lab.run("sh", "-c", f"{environment} git clone -q root@127.0.0.1:{bare} {lab.own}/copy")
        found = lab.wait(observing, 1)
    (push,) = found
    assert push.file.path == str(work)
    assert push.file.size is None
    assert (push.unmapped.transfer.bytes_sent or 0) > 200_000
    assert push.unmapped.evidence.fidelity == "likely"
    assert push.unmapped.evidence.gap == "which files were pushed is not known"


def test_pipes_redirections_and_unknown_programs_are_told_too(lab: UploadLab) -> None:
    web = lab.web()
    url = f"http://127.0.0.1:{web}/x"
    port, key = lab.ssh()
    ssh = " ".join(["ssh", *SSH_OPTIONS, "-i", str(key), "-p", str(port), "root@127.0.0.1"])
    piped, redirected, own = (lab.file(name, 200_000) for name in ("piped", "redirected", "own"))
    script = f"import urllib.request as u; u.urlopen('{url}', open('{own}', 'rb').read()).read()"
    with watching(lab.collector()) as observing:
        lab.run("bash", "-c", f"cat {piped} | {ssh} 'cat >/dev/null'")
        lab.run("bash", "-c", f"curl -s --data-binary @- -o /dev/null {url} < {redirected}")
        lab.run("/usr/bin/python3", "-c", script)
        found = lab.wait(observing, 3)
    by_name = {event.file.name: event for event in found}
    assert by_name.keys() == {"piped", "redirected", "own"}
    assert by_name["piped"].unmapped.transfer.application == "OpenSSH"
    assert by_name["piped"].unmapped.evidence.fidelity == "likely"
    assert by_name["redirected"].unmapped.transfer.application == "curl"
    # A shell had opened it, and then became curl.
    assert right([by_name["redirected"]], "curl", web) == {"redirected"}
    assert by_name["own"].unmapped.transfer.category == "other"


def test_a_browsers_upload_over_https_is_told_with_the_place_it_went_to(lab: UploadLab) -> None:
    file = lab.file("plan.pdf", 300_000)
    catalogue = load_catalogue(
        [Destination(name="Drop box", category="file_transfer", domains=("drop.example",))]
    )
    resolver = {"drop.example": ["127.0.0.1"]}
    destinations = Destinations(
        catalogue, forward=lambda host: resolver.get(host, []), reverse=lambda address: None
    )
    # The catalogue that is asked for names is the one with the extra destination.
    collector = UploadsCollector(lab.config(), lab.host, "0", destinations=destinations)
    destinations.prepare("127.0.0.1", ["drop.example"])
    web = lab.web(certificate=lab.certificate())
    with watching(collector) as observing:
        upload_with_chromium(lab, f"https://127.0.0.1:{web}/", file)
        found = lab.wait(observing, 1)
    (event,) = found
    assert right(found, "chromium", web) == {"plan.pdf"}
    assert event.unmapped.transfer.application == "Chromium"
    assert event.unmapped.transfer.category == "file_transfer"
    assert event.unmapped.evidence.fidelity == "likely"
    assert event.dst_endpoint is not None
    assert (event.dst_endpoint.hostname, event.dst_endpoint.svc_name) == ("drop.example", "Drop box")
