"""From records on the embedded log to stored events and alerts: events per CPU second, and where they go.

python -m benchmarks.ingest_throughput [--events N] [--many N] [--database KIND] [--json FILE]

One process, one thread. Each run has a new database and log with the same company, people and trained
model; only the pipeline's work is measured, CPU time (user and system) of the process, from its second batch
on: with the first it loads people and rules, and looks for garbage once (half a second). On PostgreSQL (a
real one, started for it) its own CPU time is told beside ours. The reference is decoding alone (decompress,
parse, validate) of the same records in the same run. Parts are told by sampling the stack on a timer of CPU
time, in a run of its own, so that measuring costs the figure nothing.
"""

from __future__ import annotations

import gc
import json
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import FrameType

import click
import msgspec
from sigma.rule import SigmaRule
from sqlalchemy import func, select

from benchmarks.company_load import DAY_MS, Company, Load
from event_schema.wire import decode_events
from policies.engine import ParsedPolicy, PolicySet
from policies.positioned_yaml import read_yaml
from policies.rule_checks import for_sigma
from policies.rule_file import SHIPPED_RULES, load_policies, parse_rule, parse_text, read_folder
from server.log.embedded import EmbeddedLog
from server.pipeline.worker import PipelineWorker
from server.store.database import open_database, upgrade
from server.store.tables import alerts, event_blocks
from server.training.activity_training import train_activities
from tests.postgres_server.server import PostgresServer

NOW = 1_795_000_000_000
"""2026-11-18, a Wednesday."""
TARGET, LEAST = 50_000, 20_000
_SAMPLE_SECONDS = 0.004
_PARTS = (
    ("alerts", ("server/alerts/",)),
    ("commit", ("server/pipeline/commit.py", "server/store/", "sqlalchemy/", "psycopg")),
    ("decode and verify", ("server/ingest/admission.py",)),
    ("policies", ("policies/",)),
    ("anomaly", ("server/detection/", "analytics/")),
    ("enrich", ("server/enrich/", "server/people/")),
    ("read the log", ("server/log/",)),
    ("per event and batch", ("server/pipeline/",)),
)
"""The first whose files stand anywhere on the stack."""


class Result(msgspec.Struct, frozen=True):
    database: str
    policies: int
    events: int
    alerts: int
    events_per_cpu_second: float
    of_decoding: float
    server_share: float
    """CPU time of the database server, as a share of ours."""
    parts: dict[str, float]
    """Share of the CPU time by part."""


class Sampler:
    """Counts, on a timer of CPU time, which part of the pipeline is at work."""

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, _SAMPLE_SECONDS, _SAMPLE_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        files = []
        while frame is not None:
            files.append(frame.f_code.co_filename)
            frame = frame.f_back
        stack = "\n".join(files)
        self.hits[next((name for name, places in _PARTS if any(p in stack for p in places)), "other")] += 1

    def shares(self) -> dict[str, float]:
        total = sum(self.hits.values())
        return {name: hits / total for name, hits in self.hits.most_common()}


def without_correlations() -> PolicySet:
    """The shipped rules that make alerts by themselves."""
    parsed = map(parse_text, read_folder(SHIPPED_RULES)[0])
    rules = [each.parsed for each in parsed if isinstance(each.parsed, ParsedPolicy)]
    return PolicySet([rule for rule in rules if rule.policy.family])


def varied_policies(count: int) -> PolicySet:
    """The shipped rules and variants of them, `count` in all: same shape, other words and kinds of file."""
    rules: list[ParsedPolicy] = []
    files = [(file.name, read_yaml(file.read_text("utf-8"))) for file in sorted(SHIPPED_RULES.glob("*.yml"))]
    documents = [(name, document) for name, document in files if "detection" in document.value]
    for number in range(count):
        name, document = documents[number % len(documents)]
        parsed, _ = parse_rule(name, document)
        assert parsed is not None
        variant = number // len(documents)
        if variant:
            detection = {
                key: _varied(value, variant) if key != "condition" else value
                for key, value in document.value["detection"].items()
            }
            sigma = SigmaRule.from_dict(for_sigma(document.value | {"detection": detection}))
            rule_id = f"{number:08x}{parsed.policy.rule_id[8:]}"
            parsed = ParsedPolicy(
                msgspec.structs.replace(parsed.policy, rule_id=rule_id),
                tuple(condition.parsed for condition in sigma.detection.parsed_condition),
                parsed.content + rule_id.encode(),
            )
        rules.append(parsed)
    return PolicySet(rules)


def _varied(tests: object, variant: int) -> object:
    """Words in lists get a number; what stands alone (status, class) stays."""
    if isinstance(tests, dict):
        return {key: _varied(value, variant) for key, value in tests.items()}
    if isinstance(tests, list):
        return [f"{v}{variant}" if isinstance(v, str) else _varied(v, variant) for v in tests]
    return tests


def decode_only(load: Load) -> float:
    """Events per CPU second of decoding, the best of three."""
    best = 0.0
    for _ in range(3):
        started = time.process_time()
        for record in load.records:
            decode_events(record)
        best = max(best, load.events / (time.process_time() - started))
    return best


def run(
    server: PostgresServer | None, company_seed: int, load_events: int, policies: PolicySet, *, parts: bool
) -> Result:
    """On SQLite where there is no server."""
    with tempfile.TemporaryDirectory(prefix="leaver-ingest-") as name:
        folder = Path(name)
        own = server.new_database(migrated=False) if server is not None else ""
        url = f"sqlite:///{folder}/leaver.db" if server is None else server.url(own)
        database = open_database(url, clock=lambda: NOW)
        upgrade(database)
        company = Company(company_seed, NOW // DAY_MS - 1)
        with database.begin() as connection:
            company.settle(connection)
        model = train_activities(database, now=NOW - 5 * DAY_MS)
        if model.summary.cold_start:
            raise click.ClickException("the model has too little to learn from")
        load = company.week(load_events)
        log = EmbeddedLog(folder / "log.db", clock=lambda: NOW)
        decoding = decode_only(load)
        worker = PipelineWorker(database, log, clock=lambda: NOW, policies=policies)
        log.append(load.records[:1])
        begun = _drain(worker)
        for start in range(1, len(load.records), 100):
            log.append(load.records[start : start + 100])
        # As a worker that runs has it, once it has loaded what it keeps.
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        sampler = Sampler()
        server_before = 0.0 if server is None else server.cpu_seconds()
        started = time.process_time()
        if parts:
            with sampler:
                taken = _drain(worker)
        else:
            taken = _drain(worker)
        cpu = time.process_time() - started
        server_cpu = 0.0 if server is None else server.cpu_seconds() - server_before
        with database.read() as connection:
            stored = connection.execute(select(func.sum(event_blocks.c.count))).scalar_one()
            raised = connection.execute(select(func.count()).select_from(alerts)).scalar_one()
        log.close()
        kind = database.dialect
        database.close()
        if server is not None:
            server.drop_database(own)
    if not begun + taken == stored == load.events or not raised:
        raise click.ClickException(f"{load.events} events, {taken} taken, {stored} stored, {raised} alerts")
    return Result(
        kind,
        len(policies.policies),
        taken,
        raised,
        taken / cpu,
        taken / cpu / decoding,
        server_cpu / cpu,
        sampler.shares() if parts else {},
    )


def _drain(worker: PipelineWorker) -> int:
    events = 0
    while (done := worker.step(0)).records:
        events += done.events
    return events


def measured(server: PostgresServer | None, events: int, policies: PolicySet, repeats: int) -> Result:
    """The best of some runs, with the parts of one more."""
    runs = [run(server, 1, events, policies, parts=False) for _ in range(repeats)]
    best = max(runs, key=lambda result: result.events_per_cpu_second)
    return msgspec.structs.replace(best, parts=run(server, 1, events, policies, parts=True).parts)


@click.command()
@click.option("--events", default=200_000, show_default=True, help="About how many events a run.")
@click.option("--repeats", default=2, show_default=True, help="Runs of which the best counts.")
@click.option("--many", default=50, show_default=True, help="Policies of the second measurement.")
@click.option(
    "--database",
    type=click.Choice(["sqlite", "postgresql", "both"]),
    default="both",
    show_default=True,
    help="Where it is stored.",
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the figures here too.")
def main(events: int, repeats: int, many: int, database: str, json_file: Path | None) -> None:
    """Print events per CPU second with the shipped policies, without their correlations, and with many."""
    results: list[Result] = []
    if database != "postgresql":
        sets = (load_policies(), without_correlations(), varied_policies(many))
        results += [measured(None, events, p, repeats) for p in sets]
    if database != "sqlite":
        server = PostgresServer()
        try:
            results.append(measured(server, events, load_policies(), repeats))
        finally:
            server.stop()
    click.echo(
        f"{'policies':>9} {'events':>9} {'alerts':>7} {'events/CPU s':>13} {'x decoding':>11}"
        f"  {'database':<10} {'its server':>10}"
    )
    for r in results:
        click.echo(
            f"{r.policies:>9} {r.events:>9,} {r.alerts:>7} {r.events_per_cpu_second:>13,.0f}"
            f" {r.of_decoding:>11.2f}  {r.database:<10}"
            + (f" {r.server_share:>+9.0%}" if r.server_share else "")
        )
    for r in results:
        click.echo(f"\nCPU time with {r.policies} policies, {r.database}")
        for name, share in r.parts.items():
            click.echo(f"  {name:<22} {share:>6.1%} {share / r.events_per_cpu_second * 1e6:>8.1f} µs/event")
    click.echo(f"\ntarget {TARGET:,} events per CPU second, at least {LEAST:,}")
    if json_file is not None:
        json_file.write_text(json.dumps([msgspec.to_builtins(r) for r in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
