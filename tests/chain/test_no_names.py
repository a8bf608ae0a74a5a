"""No name gets out to operators, whatever comes in: not into log lines, metrics or the status.

Everything that could give a person away carries one mark: people, accounts, files, devices, hosts; and all
that a hostile agent or caller can choose (fields, kinds, paths, tokens, bodies, heartbeats) carries it, too.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from event_schema.codec import encode_event
from event_schema.control_records import CollectorState, Heartbeat, Loss, LossReason
from event_schema.ocsf_events import Event
from event_schema.wire import RecordKind, pack_control
from tests.chain import test_bad_input as bad_input
from tests.chain.stored import taken_in
from tests.server.pipeline.endpoint import Endpoint, copied_file
from tests.server.up.enrolled_agent import EnrolledAgent
from tests.server.up.scraping import samples, scrape
from tests.server.up.up_process import UpProcess, leaver
from tests.server.waiting import wait_until

pytestmark = pytest.mark.long

MARK = "zxq9137"
NAME = f"王小{MARK}"
ACCOUNT = f"{MARK}-account"


def _now() -> int:
    return time.time_ns() // 1_000_000


def _file(name: str, *, later: int = 0, account: str = ACCOUNT) -> Event:
    return copied_file(
        _now() + later,
        name=f"{name}-{MARK}.xlsx",
        account=account if MARK in account else ACCOUNT,
        device=f"0781:5591:{MARK}",
        host=f"{MARK}-host",
    )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    folder = tmp_path_factory.mktemp("names")
    process = UpProcess(folder / "data")
    today = datetime.now(UTC).date()
    people = folder / f"{MARK}.csv"
    person = f"{MARK}-id,{NAME},{ACCOUNT},{MARK}部,北京时间"
    people.write_text(
        "工号,姓名,账号,部门,时区,离职申请日期,最后工作日\n"
        f"{person},{today - timedelta(days=9)},{today + timedelta(days=6)}\n"
        f"{person},2026-02-30,\n"
    )
    assert (
        leaver("people", "import", "--yes", "--skip-bad-rows", str(people), data=process.data).returncode == 3
    )
    yield process
    process.close()


def _heartbeat(endpoint: Endpoint) -> Heartbeat:
    return Heartbeat(
        sent_at=_now() - 400 * 86_400_000,
        version=MARK,
        next_seq=endpoint.next_seq,
        backlog_events=3,
        backlog_bytes=3,
        lost_events=3,
        collectors=(
            CollectorState(
                name=MARK,
                state="restarting",
                observed=1,
                restarts=9,
                dropped={f"{MARK} reason": 4},
                detail=f"/home/{MARK}: no such file",
            ),
        ),
    )


def _send_all_that_is_bad(client: httpx.Client, watched: UpProcess) -> None:
    for make, *_ in bad_input.CASES:
        agent = EnrolledAgent(client, watched.data, make.__name__.replace("_", "-"))
        records = [agent.endpoint.record([_file("before")]), make(agent.endpoint)]
        assert agent.send([*records, agent.endpoint.record([_file("after")])]).status_code == 200
    agent = EnrolledAgent(client, watched.data, "hostile")
    event = encode_event(_file("bad"))
    chosen = [
        agent.endpoint.raw_record([event.replace(b'{"class_uid"', b'{"%b":1,"class_uid"' % MARK.encode())]),
        agent.endpoint.raw_record([event.replace(b'"removable_storage"', b'"%b"' % MARK.encode())]),
        agent.endpoint.raw_record([event.replace(b'"size":1000', b'"size":"%b"' % MARK.encode())]),
        agent.endpoint.heartbeat(_heartbeat(agent.endpoint)),
        agent.endpoint.loss(5),
        bad_input._signed(agent.endpoint, agent.endpoint.record([_file("bad")]), kind=MARK),
        bad_input._signed(agent.endpoint, agent.endpoint.record([_file("bad")]), schema=MARK),
        bad_input._signed(agent.endpoint, agent.endpoint.record([_file("bad")]), epoch=MARK),
        pack_control(
            agent.endpoint.key,
            agent="hostile",
            kind=RecordKind.LOSS,
            epoch=agent.endpoint.epoch,
            first_seq=agent.endpoint.next_seq,
            count=4,
            content=msgspec.json.encode(Loss(LossReason.SPOOL_FULL, 0, 4)).replace(
                b"spool_full", MARK.encode()
            ),
        ),
    ]
    for record in chosen:
        agent.send([record])
    for body, *_ in bad_input._body_refusals(agent):
        agent.client.post("/v1/records", content=body.replace(b"never", MARK.encode()))


def _call_all_that_is_wrong(client: httpx.Client, watched: UpProcess) -> None:
    token = watched.said("token")
    for path in (f"/{MARK}", f"/v1/alerts/{MARK}", f"/v1/alerts?status={MARK}", f"/v1/status?{MARK}={MARK}"):
        client.get(path, headers={"authorization": f"Bearer {token}"})
    client.get("/v1/status", headers={"authorization": f"Bearer {MARK}"})
    client.post("/v1/enrol", json={"token": MARK, "public_key": MARK})
    client.post("/v1/enrol", content=f'{{"token": {MARK}'.encode(), headers={"content-type": MARK})
    client.post(
        "/v1/alerts/1/close",
        json={"verdict": MARK, "reason": MARK},
        headers={"authorization": f"Bearer {token}", "x-leaver-agent": MARK},
    )
    host, port = watched.url.removeprefix("https://").split(":")
    for words in (f"GET /{MARK} HTTP/9.9\r\n\r\n", f"{MARK} {MARK}\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=5) as plain:
            plain.sendall(words.encode())
            with client.stream("GET", "/healthz"):
                pass


def _disturb(watched: UpProcess) -> None:
    """A damaged row on the log, a loop that fails, a database that is locked for a while."""
    with closing(sqlite3.connect(watched.data / "log.db", isolation_level=None)) as log:
        log.execute("BEGIN IMMEDIATE")
        (offset,) = log.execute("SELECT next_offset FROM bounds").fetchone()
        log.execute("INSERT INTO records VALUES (?, ?, ?)", (offset, _now(), b"\x98\xa7" + MARK.encode()))
        log.execute("UPDATE bounds SET next_offset = ?", (offset + 1,))
        log.execute("COMMIT")
    chain, obstacle = watched.data / "pki" / "server.pem", watched.data / MARK
    obstacle.mkdir()
    (obstacle / MARK).touch()
    kept = chain.rename(watched.data / "kept.pem")
    obstacle.rename(chain)
    wait_until("the housekeeping loop fails", lambda: any("part_failed" in line for line in watched.errors))
    chain.rename(obstacle)
    kept.rename(chain)


def test_nothing_that_names_anybody_or_was_sent_by_anybody_reaches_logs_metrics_or_status(
    watched: UpProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bad_input, "_file", _file)
    token = watched.said("token")
    assert token is not None
    with watched.client() as client:
        _send_all_that_is_bad(client, watched)
        _call_all_that_is_wrong(client, watched)
        _disturb(watched)
        found = taken_in(watched.data, "hostile")
        assert {letter["reason"] for letter in found.dead} >= {"bad_event", "bad_header", "wrong_schema"}
        assert any(MARK in letter["message"] for letter in found.dead), "dead letters do tell what came"
        text = scrape(client, token)
        numbers = samples(text)
        assert numbers["leaver_alerts_opened_total", (("score", "70-100"),)] >= 1
        assert sum(v for (name, _), v in numbers.items() if name == "leaver_dead_letters_total") > 20
        told = {
            "metrics": text,
            "GET /v1/status": client.get("/v1/status", headers={"authorization": f"Bearer {token}"}).text,
            "GET /readyz": client.get("/readyz").text,
        }
    told["leaver status --json"] = leaver("status", "--json", data=watched.data).stdout
    told["leaver status"] = leaver("status", data=watched.data).stdout
    assert watched.terminate()[0] == 0
    watched.close()
    told["what it said"] = "\n".join(watched.lines)
    told["log lines"] = "\n".join(watched.errors)
    assert all(isinstance(json.loads(line), dict) for line in watched.errors)
    assert len(watched.errors) >= 1
    leaking = {where: [line for line in text.splitlines() if MARK in line] for where, text in told.items()}
    assert leaking == {where: [] for where in told}
    assert "王小" not in "".join(told.values())
