"""`leaver up` as a process: first start, commands beside it, kill -9, stopping, refusals."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate

from tests.server.pipeline.endpoint import copied_file
from tests.server.up.conftest import Start
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.up_process import UpProcess, leaver, leaver_json


def _now() -> int:
    return time.time_ns() // 1_000_000


def _wait_until_stored(data: Path, events: int) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        status: dict[str, Any] = leaver_json("status", data=data)
        if status["events_stored"] >= events and status["log"]["lag"] == 0:
            return status
        assert time.monotonic() < deadline, status


def test_from_the_first_start_to_a_stored_event_and_a_revoked_agent(up: UpProcess) -> None:
    token, fingerprint = up.said("token"), up.said("CA")
    assert token is not None
    with up.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        authorization = {"authorization": f"Bearer {token}"}
        assert client.get("/v1/status", headers=authorization).json()["process"]["address"] == up.url

        agent = EnrolledAgent(client, up.data, "desk-17")
        assert agent.address == up.url
        presented = load_pem_x509_certificate(client.get("/v1/ca").content)
        assert hashlib.sha256(presented.public_bytes(Encoding.DER)).hexdigest() == agent.fingerprint
        assert fingerprint == f"sha256:{agent.fingerprint}"

        assert (
            agent.send_events([copied_file(_now(), name=f"{n}.xlsx") for n in range(150)]).status_code == 200
        )
        status = _wait_until_stored(up.data, 150)
        assert status["dead_letters"] == {}
        pipeline = status["process"]["parts"]["pipeline"]
        assert (pipeline["state"], pipeline["restarts"], pipeline["last_error"]) == ("running", 0, None)
        assert pipeline["turned"] < 10

        done = leaver("agents", "revoke", "desk-17", "--reason", "lost", data=up.data)
        assert done.returncode == 0, done.stderr
        time.sleep(2)
        assert agent.send_events([copied_file(_now())]).status_code == 403
        listed = leaver_json("agents", "list", data=up.data)
        assert [(a["name"], a["state"]) for a in listed] == [("desk-17", "revoked")]

        again = leaver("token", "rotate", data=up.data)
        assert client.get("/v1/status", headers=authorization).status_code == 401
        authorization = {"authorization": f"Bearer {again.stdout.strip()}"}
        assert client.get("/v1/status", headers=authorization).status_code == 200
    code, seconds = up.terminate()
    assert (code, seconds < 5) == (0, True)
    assert up.errors == []


def test_the_token_is_shown_at_the_first_start_only_and_the_ca_stays(up: UpProcess, start: Start) -> None:
    fingerprint = up.said("CA")
    assert up.terminate()[0] == 0
    second = start(up.data)
    assert second.said("token") is None
    assert second.said("CA") == fingerprint
    assert second.terminate()[0] == 0


def test_each_start_tells_how_the_first_administrator_signs_in_until_there_is_one(
    up: UpProcess, start: Start
) -> None:
    console = up.said("console")
    assert console is not None
    assert console.startswith(f"{up.url}/first#")
    token = console.partition("#")[2].partition(" ")[0]
    assert up.terminate()[0] == 0
    second = start(up.data)
    again = second.said("console")
    assert again is not None
    form = {"name": "root", "password": "a heron in the reeds", "again": "a heron in the reeds"}
    headers = {"sec-fetch-site": "same-origin"}
    with second.client() as client:
        assert client.post("/first", data={**form, "token": token}, headers=headers).status_code == 400
        fresh = again.partition("#")[2].partition(" ")[0]
        assert client.post("/first", data={**form, "token": fresh}, headers=headers).status_code == 303
        assert client.get("/").status_code == 303
        assert client.get("/settings").status_code == 200
    assert second.terminate()[0] == 0
    third = start(up.data)
    assert third.said("console") == third.url
    assert third.terminate()[0] == 0


def test_a_second_leaver_up_on_the_same_data_is_refused_and_told_who_has_it(up: UpProcess) -> None:
    second = leaver("up", data=up.data)
    assert second.returncode == 1
    assert f"process {up.process.pid} on {socket.gethostname()}" in second.stderr
    assert second.stdout == ""
    with up.client() as client:
        assert client.get("/healthz").status_code == 200


def test_what_was_acknowledged_before_kill_9_is_stored_once_after_the_next_start(
    up: UpProcess, start: Start
) -> None:
    with up.client() as client:
        agent = EnrolledAgent(client, up.data, "desk-17")
        records = [agent.endpoint.record([copied_file(_now()) for _ in range(50)]) for _ in range(40)]
        for record in records:
            assert agent.send([record]).status_code == 200
        up.kill()
    assert leaver_json("status", data=up.data)["process"] is None
    second = start(up.data)
    with second.client() as client:
        agent.client = client
        # The agent may not have heard: it sends the last ones again.
        assert agent.send(records[-3:]).status_code == 200
        assert _wait_until_stored(up.data, 2000)["events_stored"] == 2000
    with second.client() as client:
        stored = leaver_json("status", data=up.data)
        assert stored["dead_letters"] == {}
        assert [a["lost_events"] for a in stored["agents"]] == [0]
    assert second.terminate()[0] == 0


def test_it_stops_within_five_seconds_while_a_request_and_a_connection_are_open(up: UpProcess) -> None:
    context = ssl.create_default_context(cafile=up.data / "pki" / "ca.pem")
    port = int(up.url.rpartition(":")[2])
    open_ones = []
    for beginning in (b"", b"POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"):
        connection = context.wrap_socket(
            socket.create_connection(("127.0.0.1", port), timeout=10), server_hostname="127.0.0.1"
        )
        if beginning:
            connection.sendall(beginning + b"content-length: 1000\r\n\r\n{")
        open_ones.append(connection)
    time.sleep(0.2)
    code, seconds = up.terminate()
    assert (code, seconds < 5) == (0, True), seconds
    for connection in open_ones:
        connection.close()


@pytest.mark.long
def test_a_failing_part_starts_again_and_its_log_lines_are_json_without_names(up: UpProcess) -> None:
    with up.client() as client:
        EnrolledAgent(client, up.data, "wang-fang-laptop")
        # It looks after the server's certificate, and can neither read nor make it.
        certificate = up.data / "pki" / "server.pem"
        obstacle = up.data / "obstacle"
        obstacle.mkdir()
        (obstacle / "file").touch()
        certificate.unlink()
        obstacle.rename(certificate)
        deadline = time.monotonic() + 40
        while not up.errors and time.monotonic() < deadline:
            time.sleep(0.1)
        certificate.rename(obstacle)
        while not certificate.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        # The rest went on meanwhile.
        assert client.get("/healthz").status_code == 200
    while not leaver_json("status", data=up.data)["process"]["parts"]["housekeeping"]["restarts"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    up.terminate()
    lines = [json.loads(line) for line in up.errors]
    assert {(line["event"], line["part"]) for line in lines} == {("part_failed", "housekeeping")}
    assert "wang-fang" not in "".join(up.errors)


def test_what_cannot_be_read_and_what_is_missing_is_told_by_status_and_dead_letters(up: UpProcess) -> None:
    with up.client() as client:
        agent = EnrolledAgent(client, up.data, "desk-17")
        agent.send_events([copied_file(_now())] * 5)
        forged = agent.endpoint.record([copied_file(_now())])
        agent.send([msgspec.structs.replace(forged, signature=bytes(64))])
        agent.send([agent.endpoint.raw_record([b'{"class_uid": 1001}', b"[]"])])
        agent.send([agent.endpoint.loss(100)])
        agent.send_events([copied_file(_now())] * 5)
        status = _wait_until_stored(up.data, 10)
    assert status["dead_letters"] == {"bad_event": 2, "bad_signature": 1}
    told = {finding["kind"] for finding in status["findings"]}
    assert {"dead_letters", "gap", "bad_signature", "events_lost"} <= told
    assert [finding["kind"] for finding in status["findings"]].count("events_lost") == 1
    shown = leaver("status", data=up.data)
    assert shown.returncode == 3
    assert "dead letters  3" in shown.stdout
    listed = leaver_json("dead-letters", "list", "--limit", "2", data=up.data)
    assert (listed["total"], len(listed["dead_letters"])) == (3, 2)
    table = leaver("dead-letters", "list", data=up.data).stdout
    assert table.count("bad_event") == 2
    assert table.count("bad_signature") == 1
    agents = leaver("agents", "list", data=up.data)
    assert agents.returncode == 3
    assert "desk-17  enrolled" in agents.stdout


def test_a_port_that_is_taken_and_a_wrong_setting_are_said_plainly(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "server.toml").write_text(f'[listen]\naddress = "{address}"\n')
        refused = leaver("up", data=tmp_path)
    assert refused.returncode == 1
    assert f"leaver: {address}: Address already in use" in refused.stderr
    (tmp_path / "server.toml").write_text('[listen]\nadress = "x"\n')
    refused = leaver("up", data=tmp_path)
    assert refused.returncode == 2
    assert "did you mean listen.address?" in refused.stderr


def test_commands_say_when_there_is_no_data_and_when_nothing_runs(tmp_path: Path) -> None:
    for arguments in (("status",), ("agents", "list"), ("agents", "enrol", "a"), ("dead-letters", "list")):
        missing = leaver(*arguments, data=tmp_path / "none")
        assert missing.returncode == 4, arguments
        assert "none: nothing there yet; leaver up makes it, or say --data DIR" in missing.stderr
    empty = leaver("status", data=tmp_path)
    assert (empty.returncode, "leaver up makes it" in empty.stderr) == (4, True)
    assert leaver("init", data=tmp_path).returncode == 0
    status = leaver("status", data=tmp_path)
    assert status.returncode == 3
    assert "leaver up does not run" in status.stdout
    assert "No agents yet" in leaver("agents", "list", data=tmp_path).stdout
    assert "No dead letters" in leaver("dead-letters", "list", data=tmp_path).stdout
    assert "No model yet" in leaver("model", "list", data=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("agents", "enrol", "Desk 17"), 2, "is not 1-64 of"),
        (("agents", "revoke", "nobody", "--reason", "x"), 1, "no agent is called nobody"),
    ],
)
def test_a_senseless_request_about_agents_fails_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert leaver("init", data=tmp_path).returncode == 0
    done = leaver(*arguments, data=tmp_path)
    assert done.returncode == code
    assert words in done.stderr


def test_a_revoked_name_is_not_enrolled_again_and_a_reason_is_required(tmp_path: Path) -> None:
    assert leaver("init", data=tmp_path).returncode == 0
    assert leaver("agents", "enrol", "a", data=tmp_path).returncode == 0
    assert leaver("agents", "revoke", "a", data=tmp_path).returncode == 2
    assert leaver("agents", "revoke", "a", "--reason", " ", data=tmp_path).returncode == 2
    assert leaver("agents", "revoke", "a", "--reason", "lost", data=tmp_path).returncode == 0
    refused = leaver("agents", "enrol", "a", data=tmp_path)
    assert refused.returncode == 1
    assert "was revoked" in refused.stderr
