"""HTTPS ingest: events per CPU second of the server's process, against appending to the log directly.

python -m benchmarks.https_ingest

Records hold 200 events. Agents run in another process, so that only the server's CPU time counts; the
pipeline does not run. Each agent has one connection and waits for each answer, as the real one does.
"""

from __future__ import annotations

import multiprocessing
import ssl
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import click
import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.log_throughput import EVENTS_PER_RECORD, append_in_requests, event, measure
from event_schema.request_signing import RECORDS_CONTENT_TYPE, sign_request
from event_schema.wire import encode_request, pack_events
from server.config import LimitsConfig
from server.log.embedded import EmbeddedLog
from tests.server.api.running_server import RunningServer, TestAgent

RECORDS = 1000
AGENTS = 8
AS_MUCH_AS_THEY_CAN = LimitsConfig(agent_events_per_second=1_000_000, agent_events_at_once=10_000_000)


def send(url: str, ca: str, names: list[str], keys: list[bytes], size: int, go: object, done: object) -> None:
    """All agents, a thread each: `size` records a request."""
    assert hasattr(go, "wait")
    assert hasattr(done, "put")
    prepared = [_requests(name, key, size) for name, key in zip(names, keys, strict=True)]
    done.put("ready")
    go.wait()

    def work(requests: list[tuple[bytes, dict[str, str]]]) -> str | None:
        context = ssl.create_default_context(cadata=ca)
        with httpx.Client(base_url=url, verify=context, timeout=60, trust_env=False) as client:
            for body, headers in requests:
                answer = client.post("/v1/records", content=body, headers=headers)
                if not answer.is_success:
                    return f"status {answer.status_code}: {answer.text}"
        return None

    with ThreadPoolExecutor(len(prepared)) as threads:
        refused = [error for error in threads.map(work, prepared) if error is not None]
    done.put(refused[0] if refused else "sent")


def _requests(name: str, raw_key: bytes, size: int) -> list[tuple[bytes, dict[str, str]]]:
    key = Ed25519PrivateKey.from_private_bytes(raw_key)
    content = [event(number) for number in range(EVENTS_PER_RECORD)]
    requests = []
    for first in range(0, RECORDS // AGENTS, size):
        records = [
            pack_events(key, agent=name, epoch="0" * 16, first_seq=number * EVENTS_PER_RECORD, events=content)
            for number in range(first, min(first + size, RECORDS // AGENTS))
        ]
        body = encode_request(records)
        headers = sign_request(key, agent=name, method="POST", path="/v1/records", body=body)
        requests.append((body, {**headers, "content-type": RECORDS_CONTENT_TYPE}))
    return requests


def measure_https(size: int, reference: float) -> None:
    with tempfile.TemporaryDirectory() as directory:
        server = RunningServer(Path(directory), limits=AS_MUCH_AS_THEY_CAN)
        with server.client() as client:
            agents = [TestAgent(server, client, f"pc-{number}") for number in range(AGENTS)]
        context = multiprocessing.get_context("spawn")
        go, done = context.Event(), context.SimpleQueue()
        child = context.Process(
            target=send,
            args=(
                server.url,
                server.authority.certificate_pem.decode(),
                [agent.name for agent in agents],
                [agent.key.private_bytes_raw() for agent in agents],
                size,
                go,
                done,
            ),
        )
        child.start()
        assert done.get() == "ready"

        def work() -> int:
            go.set()
            if (said := done.get()) != "sent":
                raise click.ClickException(said)
            return sum(server.log.end_offsets().values())

        speed = measure(f"HTTPS: {AGENTS} agents, {size} records a request", work)
        click.echo(f"{'':44} {speed / reference:.2f} x appending directly")
        child.join()
        server.close()


@click.command()
def main() -> None:
    key = Ed25519PrivateKey.generate()
    content = [event(number) for number in range(EVENTS_PER_RECORD)]
    records = [
        pack_events(key, agent="pc", epoch="0" * 16, first_seq=n * EVENTS_PER_RECORD, events=content)
        for n in range(RECORDS)
    ]
    with tempfile.TemporaryDirectory() as directory:
        log = EmbeddedLog(Path(directory) / "log.db", lambda: time.time_ns() // 1_000_000)
        direct = measure(
            "log: append, 10 records at once", partial(append_in_requests, log.append, records, 10)
        )
        log.close()
    for size in (1, 10, 100):
        measure_https(size, direct)


if __name__ == "__main__":
    main()
