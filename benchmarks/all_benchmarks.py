"""The benchmarks there are, and which figures of each matter: how they are called, found, and aimed at.

Each is a program of its own (python -m benchmarks.NAME).
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

Headline = tuple[str, str, str]
"""(what, measured, target or "")."""


class Benchmark(msgspec.Struct, frozen=True):
    """`headlines`: what to call a figure, the pattern that finds it in the output, and the target."""

    name: str
    quick: tuple[str, ...] = ()
    headlines: tuple[tuple[str, str, str], ...] = ()
    more: Callable[[str], list[Headline]] | None = None


def _missed(output: str) -> list[Headline]:
    """Copies that each way of watching missed, of all that were made."""
    made: dict[str, list[int]] = {}
    for watcher, expected, missed in re.findall(r"^ *([a-z]\S*) +[a-z]\S* +(\d+) +(\d+) ", output, re.M):
        total = made.setdefault(watcher, [0, 0])
        total[0] += int(missed)
        total[1] += int(expected)
    return [
        (f"files missed, {watcher}", f"{missed:,} of {expected:,}", "0" if "fid" in watcher else "")
        for watcher, (missed, expected) in made.items()
    ]


def _all_right(output: str) -> list[Headline]:
    """Of all that was done, how much was told with everything right."""
    rows = re.findall(
        r"^(logins, \w+|access logs).*? +([\d,]+)(?: +[\d,]+){3} +([\d,]+) +[\d,]+ ", output, re.M
    )
    return [(f"{name}: told, all right", f"{right} of {done}", "all") for name, done, right in rows]


BENCHMARKS = (
    Benchmark(
        "spool_throughput",
        ("--events", "20000"),
        (
            ("agent: spooled, events/CPU s", r"append, fsync, pack, 200 .*?([\d,]+)", ""),
            ("agent: read, packed, signed, events/CPU s", r"read, pack, sign, acknowledge +([\d,]+)", ""),
        ),
    ),
    Benchmark(
        "log_throughput",
        ("--no-kafka",),
        (
            ("decoding alone, events/CPU s", r"decode only +([\d,]+)", ""),
            ("embedded log: append 100, x decoding", r"embedded: append, 100.* ([\d.]+) x", ""),
            ("Kafka: read and decode, x decoding", r"kafka: read and decode.* ([\d.]+) x", ""),
        ),
    ),
    Benchmark(
        "https_ingest",
        (),
        (("HTTPS: 10 records a request, events/CPU s", r"HTTPS: .* 10 records a request +([\d,]+)", ""),),
    ),
    Benchmark(
        "policy_matching",
        (),
        (
            ("policies, copies: events/CPU s", r"^copies(?:.*\n)+?  with correlations +([\d,]+)", ""),
            ("policies, copies: x decoding", r"^copies(?:.*\n)+?  with corr.* ([\d.]+) x decoding", ""),
            ("policies, all channels: events/CPU s", r"^all ch(?:.*\n)+?  with correlations +([\d,]+)", ""),
            ("policies, all channels: x decoding", r"^all ch(?:.*\n)+?  with corr.* ([\d.]+) x decoding", ""),
        ),
    ),
    Benchmark(
        "policy_engine",
        ("--events", "1000"),
        (
            ("flat events, 50 rules: x orjson.loads", r"^flat +50 +index +[\d,]+ +([\d.]+)", "0.20"),
            ("flat events, 200 rules: x orjson.loads", r"^flat +200 +index +[\d,]+ +([\d.]+)", "0.15"),
            ("flat events, 3,000 rules: x orjson.loads", r"^flat +3,000 +index +[\d,]+ +([\d.]+)", "0.06"),
            ("OCSF, 200 rules: x orjson.loads", r"^nested +200 +index +[\d,]+ +([\d.]+)", ""),
            ("4 correlations: x their 4 rules alone", r"fire on +\d% of events .*: ([\d.]+) of that", "0.5"),
        ),
    ),
    Benchmark(
        "login_reading",
        ("--acts", "5000"),
        (
            ("logins: CPU s per 1,000", r"^logins .* ([\d.]+) CPU s", ""),
            ("failures, equal: CPU s per 1,000", r"^failures, equal .* ([\d.]+) CPU s", ""),
            ("access log, combined: CPU s per 1,000", r"^combined.* ([\d.]+) CPU s", ""),
            ("access log, JSON: CPU s per 1,000", r"^JSON.* ([\d.]+) CPU s", ""),
        ),
    ),
    Benchmark("login_completeness", ("--rounds", "1", "--orders", "30"), (), _all_right),
    Benchmark(
        "mail_completeness",
        ("--mails", "40"),
        (
            ("mails found, of those that left", r"^found +([\d,]+ of [\d,]+)", "all"),
            ("mails with all of it right", r"^all of it right +([\d,]+ of [\d,]+)", "all"),
            ("mail: CPU s for 1,000 mails, without labels", r"^CPU s for 1,000 +([\d.]+)", ""),
            ("mail: CPU s for their labels", r"^CPU s for 1,000 .* and ([\d.]+) in", ""),
        ),
    ),
    Benchmark(
        "database_statements",
        ("--acts", "5", "--seconds", "10", "--statements", "10000"),
        (
            ("databases: found and right, PostgreSQL", r"^postgresql: (\d+ of \d+) found", "all"),
            ("databases: found and right, MariaDB", r"^mariadb: (\d+ of \d+) found", "all"),
            ("databases: CPU s per 1,000, PostgreSQL", r"^postgresql, .*/s: ([\d.]+) CPU s", ""),
            ("databases: CPU s per 1,000, MariaDB", r"^mariadb, .*/s: ([\d.]+) CPU s", ""),
            ("databases: told under load, PostgreSQL", r"^postgresql, .*; (\d+ of \d+) told", "all"),
            ("databases: told under load, MariaDB", r"^mariadb, .*; (\d+ of \d+) told", "all"),
        ),
    ),
    Benchmark(
        "mail_reading",
        ("--mails", "300"),
        (("mail: CPU s for 1,000 mails with 100 kB attached", r"^CPU s for 1,000 mails +([\d.]+)", ""),),
    ),
    Benchmark(
        "print_completeness",
        ("--jobs", "20"),
        (
            ("print jobs found", r"^found +([\d,]+ of [\d,]+)", "all"),
            ("print jobs with all of it right", r"^all of it right +([\d,]+ of [\d,]+)", "all"),
            ("printing: CPU s for 1,000 jobs", r"^CPU s for 1,000 +([\d.]+)", ""),
        ),
    ),
    Benchmark(
        "label_quality",
        ("--part", "8", "--no-fetch"),
        (
            ("labels: lowest precision of any", r"^lowest of all labels +([\d.]+)", "≥ .98"),
            ("labels: lowest recall of any", r"^lowest of all labels +[\d.]+ +([\d.]+)", "≥ .98"),
            ("labels: source code, its language right", r"^its language +([\d.]+)", ""),
            ("labels: MB per CPU s, source and text", r"^source and text .* ([\d.]+) MB per", ""),
            ("labels: MB per CPU s, docx", r"^docx .* ([\d.]+) MB per", ""),
            ("labels: MB per CPU s, pdf", r"^pdf .* ([\d.]+) MB per", ""),
            ("labels: MB per CPU s, all", r"^all .* ([\d.]+) MB per", ""),
        ),
    ),
    Benchmark("forest_scoring", (), (("forest: µs a row, 100 together", r"^ +100 +([\d.]+)", ""),)),
    Benchmark(
        "model_training",
        ("--people", "200"),
        (
            ("anomaly models: training, CPU s", r"^training +([\d,.]+) CPU", ""),
            ("anomaly models: training, MB at most", r"^training .* ([\d,]+) MB at most", ""),
            ("a past day of 1,000 people, CPU ms", r"^a past day +([\d,]+)", ""),
            ("their first events of a day, CPU ms", r"^a running day +([\d,]+)", ""),
            ("a further step of each, CPU ms", r"^each step +([\d,]+)", ""),
            ("an event into its day, CPU µs", r"^an event +([\d.]+)", ""),
            ("days of a person, bytes stored", r"^a person +([\d,]+)", ""),
        ),
    ),
    Benchmark(
        "ingest_throughput",
        ("--events", "60000", "--repeats", "1"),
        (
            ("ingest to alert: events/CPU s, shipped policies", r"^ +\d+ +[\d,]+ +\d+ +([\d,]+)", "50,000"),
            ("ingest to alert: events/CPU s, 50 policies", r"^ +50 +[\d,]+ +\d+ +([\d,]+)", "≥ 20,000"),
            (
                "the same on PostgreSQL, its server beside it",
                r"^ +\d+ +[\d,]+ +\d+ +([\d,]+) .* postgresql",
                "",
            ),
            ("ingest to alert: x decoding, 50 policies", r"^ +50 +[\d,]+ +\d+ +[\d,]+ +([\d.]+)", ""),
        ),
    ),
    Benchmark(
        "broker_to_store",
        ("--events", "60000", "--repeats", "1"),
        (
            ("broker to store: events/CPU s", r"^the whole way +kafka-python +([\d,]+)", "50,000"),
            (
                "broker to store: x decoding",
                r"^the whole way +kafka-python +[\d,]+ +[\d.]+ +([\d.]+)",
                "",
            ),
            (
                "broker to store: x the same with confluent-kafka",
                r"^the whole way: kafka-python at ([\d.]+)",
                "",
            ),
            (
                "read and decode: x the same with confluent-kafka",
                r"^read, decode: kafka-python at ([\d.]+)",
                "",
            ),
        ),
    ),
    Benchmark(
        "several_workers",
        ("--events", "60000"),
        (
            ("1 worker: events/CPU s", r"^ +1 +0 % +[\d,]+ +[\d.]+ +([\d,]+)", ""),
            ("4 workers: events/CPU s", r"^ +4 +0 % +[\d,]+ +[\d.]+ +([\d,]+)", ""),
            (
                "4 workers, a fifth of the people on two endpoints",
                r"^ +4 +[1-9]\d* % +[\d,]+ +[\d.]+ +([\d,]+)",
                "",
            ),
        ),
    ),
    Benchmark(
        "upload_completeness",
        ("--uploads", "60"),
        (
            ("uploads found, permission events", r"^permission +(\d+ of \d+)", "99 %"),
            ("uploads found, open events", r"^open +(\d+ of \d+)", ""),
            ("uploads found without audit", r"^permission, no audit +(\d+ of \d+)", ""),
            ("open and close, marked, µs", r"^open and close, permission +([\d.]+)", ""),
        ),
    ),
    Benchmark(
        "upload_programs",
        ("--acts", "6"),
        (
            ("uploads of real programs: all right", r"^all right: (\d+ of \d+)", ""),
            ("curl: CPU s per 1,000 uploads", r"^curl .* ([\d.]+)$", ""),
        ),
    ),
    Benchmark(
        "event_to_alert",
        ("--seconds", "15", "--people", "30"),
        (
            ("event to alert: median", r"median +([\d.]+ s)", ""),
            ("event to alert: p95", r"p95 +([\d.]+ s)", "< 5 s"),
        ),
    ),
    Benchmark(
        "many_agents",
        ("--agents", "200", "--seconds", "10"),
        (
            ("many agents: CPU of the server at rest", r"at rest, .*?: ([\d.]+%)", ""),
            ("many agents: CPU ms for each to enrol", r"enrolled .* ([\d.]+) ms", ""),
            ("lone event, no flood: median ms", r"no flood +(\d+)", ""),
            ("lone event, one agent floods: median ms", r"quota 2,000/s +(\d+)", ""),
        ),
    ),
    Benchmark(
        "agent_footprint",
        ("--rest", "10", "--busy", "10"),
        (
            ("agent at rest, of a core", r"at rest +\d+ +([\d.]+%)", "< 1 %"),
            ("agent at rest, MB (PSS)", r"at rest +\d+ +[\d.]+% +[\d.]+% +[\d.]+ +(\d+)", "< 60"),
            ("agent, 1,000 operations/s elsewhere", r"busy elsewhere +[\d,]+ +([\d.]+%)", "< 1 %"),
            ("agent at 1,000 operations/s, no hashing", r"busy, no hashing +[\d,]+ +([\d.]+%)", "< 5 %"),
            ("agent at 1,000 operations/s, hashing", r"busy, hashing +[\d,]+ +([\d.]+%)", ""),
        ),
    ),
    Benchmark(
        "agent_collectors",
        ("--rest", "10", "--busy", "10", "--only", "(by default)", "--only", "(all)"),
        (
            ("collectors as by default, at rest, of a core", r"\(by default\) +([\d.]+%)", "< 1 %"),
            ("all collectors at rest, of a core", r"\(all\) +([\d.]+%)", "< 1 %"),
            ("all collectors, 1,000 operations/s on a drive", r"\(all\) +[\d.]+% +([\d.]+%)", "< 5 %"),
            ("all collectors, MB (PSS) at rest", r"\(all\)(?: +[\d.]+%?){5} +(\d+)", "< 60"),
        ),
    ),
    Benchmark(
        "erasure",
        ("--blocks", "300"),
        (
            ("erasing a person, CPU ms a block", r"([\d.]+) CPU ms a block", ""),
            ("erasing: longest transaction, ms", r"longest transaction ([\d,]+) ms", ""),
        ),
    ),
    Benchmark(
        "people_directory",
        ("--people", "10000", "--accounts", "40000", "--devices", "20000", "--bad-rows", "40"),
        (
            ("people: CPU s to reload all", r"^reload +([\d.]+)", ""),
            ("people: lookups of known accounts/CPU s", r"^lookups, again +([\d,]+)", ""),
            ("roster: CPU s of its transaction", r"^good rows in .* ([\d.]+) in the", ""),
        ),
    ),
    Benchmark(
        "trait_uses",
        ("--people", "5000", "--accounts", "20000", "--devices", "10000", "--batches", "5"),
        (
            ("enriched without uses, events/CPU s", r"^without uses +([\d,]+)", ""),
            ("enriched with uses, events/CPU s", r"^with uses +([\d,]+)", ""),
            ("everybody's account on tills, events/CPU s", r"^everybody's +([\d,]+)", ""),
        ),
    ),
    Benchmark(
        "alert_storm",
        (),
        (
            (
                "100 people over the line and the cap, one event more of each: CPU ms",
                r"^batch 5.*: ([\d,]+) ms",
                "",
            ),
        ),
    ),
    Benchmark(
        "look_back",
        ("--events", "300000", "--people", "300", "--of-person", "3000"),
        (
            ("a person's 90 days scored again: s", r"^([\d.]+) s, [\d.]+ CPU s", "< 60 s"),
            ("scored again, events/CPU s", r"([\d,]+) events a CPU second", ""),
        ),
    ),
    Benchmark(
        "scim_provisioning",
        ("--people", "5000", "--users", "200"),
        (("SCIM: CPU ms to make a user", r"made: ([\d.]+)", ""),),
    ),
    Benchmark(
        "console_people",
        ("--people", "1000", "--alerts", "5000", "--events", "500"),
        (
            ("console: list of people, CPU ms", r"^people, worst first +(?:[\d.]+ +){3}([\d.]+)", "< 100"),
            ("console: a person, CPU ms", r"^person, 3 months +(?:[\d.]+ +){3}([\d.]+)", "< 100"),
        ),
    ),
    Benchmark(
        "console_alert",
        ("--events", "5000"),
        (
            (
                "console: an alert of 5,000 events, CPU ms",
                r"^page with its .*best.*\( *([\d.]+) CPU",
                "< 100",
            ),
            (
                "console: a text in its evidence, CPU ms",
                r"^evidence, a text.*best.*\( *([\d.]+) CPU",
                "< 100",
            ),
        ),
    ),
    Benchmark("console_pages", ("--turns", "3", "--database", "sqlite"), ()),
    Benchmark(
        "console_screens",
        ("--alerts", "5000", "--people", "1000", "--events", "500", "--turns", "3", "--database", "sqlite"),
        (("console: pages over 100 ms of CPU", r"over 100 ms of CPU: (\d+)", "0"),),
    ),
    Benchmark("evidence_pack", ("--alerts", "2", "--events", "500"), ()),
    Benchmark("copy_completeness", ("--files", "500", "--big-mb", "64"), (), _missed),
)
