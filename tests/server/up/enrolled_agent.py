"""An endpoint's side of the protocol, enrolled by the line that `leaver agents enrol` prints."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

import httpx

from event_schema.ocsf_events import Event
from event_schema.request_signing import RECORDS_CONTENT_TYPE, sign_request
from event_schema.wire import WireRecord, encode_request
from tests.server.pipeline.endpoint import Endpoint
from tests.server.up.up_process import leaver


class EnrolledAgent:
    def __init__(self, client: httpx.Client, data: Path, name: str) -> None:
        self.client = client
        self.endpoint = Endpoint(name)
        done = leaver("agents", "enrol", name, data=data)
        assert done.returncode == 0, done.stderr
        line = done.stdout.strip()
        version, self.address, fingerprint, token = line.split(" ")
        assert version == "leaver-enrol-1"
        self.fingerprint = fingerprint.removeprefix("sha256:")
        public = base64.b64encode(self.endpoint.key.public_key().public_bytes_raw()).decode()
        answer = client.post("/v1/enrol", json={"token": token, "public_key": public})
        assert answer.status_code == 200, answer.text
        self.log = answer.json()["log"]

    def send_events(self, events: Sequence[Event]) -> httpx.Response:
        return self.send([self.endpoint.record(events)])

    def send(self, records: list[WireRecord]) -> httpx.Response:
        body = encode_request(records)
        headers = sign_request(
            self.endpoint.key, agent=self.endpoint.name, method="POST", path="/v1/records", body=body
        )
        headers["content-type"] = RECORDS_CONTENT_TYPE
        return self.client.post("/v1/records", content=body, headers=headers)
