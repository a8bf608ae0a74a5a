"""Rules that are made to hurt are refused in words, or run within bounds; good ones beside them load."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from policies.sigma_files import load_sigma
from policies.sigma_matching import SigmaMatcher, load_matcher

HEAD = "title: t\nlogsource: {category: x}\ndetection:\n"
GOOD = HEAD.replace("title: t", "title: good") + "  s: {f: a}\n  condition: s\n"


def rule(selection: str, condition: str = "s") -> str:
    return f"{HEAD}  s:{selection}\n  condition: {condition}\n"


REFUSED = {
    "a hundred thousand values": (
        rule("\n    f:\n" + "".join(f"      - v{n}\n" for n in range(100_000)).rstrip("\n")),
        "more than 20,000 values",
    ),
    "an alias bomb": ("a: &a [x,x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", "aliases (*name) are not allowed"),
    "deep brackets": ("a: " + "[" * 100_000, "nested more than 32 deep"),
    "deep mappings": ("".join(" " * n + "a:\n" for n in range(1_000)), "nested more than 32 deep"),
    "many nots": (rule(" {f: a}", "not " * 300 + "s"), "nested too deep"),
    "a condition without end": (rule(" {f: a}", "s and " * 2_000 + "s"), "longer than 10,000 characters"),
    "a condition that multiplies": (
        f"{HEAD}  s: {{f: {json.dumps([f'v{n}' for n in range(5_000)])}}}\n  condition: {'s or ' * 900}s\n",
        "names its selections too often",
    ),
    "an expression that RE2 refuses": (rule(" {f|re: '(a{1,1000}){1,1000}'}"), "invalid repetition size"),
    "an expression that needs much memory": (rule(" {f|re: '.{1,900}x.{1,900}y'}"), "pattern too large"),
    "many expressions": (
        rule(f" {{'f|re': {json.dumps([f'v{n}.*' for n in range(301)])}}}"),
        "more than 300 expressions",
    ),
    "lookahead": (rule(" {f|re: 'a(?=b)'}"), "no lookahead"),
    "a long value": (rule(f" {{f: {'a' * 10_001}}}"), "longer than 10,000 characters"),
    "no number": (rule(" {f|gt: .inf}"), "inf is no number"),
    "a key that is a number": (rule(" {1: a}"), "key 1 is no text"),
    "a tag of Python's": ("a: !!python/object/apply:os.system ['true']\n", "no rule, correlation or filter"),
    "a list": ("- a\n", "a rule is a mapping"),
    "a text": ("hello\n", "a rule is a mapping"),
    "nothing": ("", "the file is empty"),
    "an unknown action": ("action: destroy\ntitle: x\n", "none of global, repeat, reset"),
    "a detection that is a list": ("title: t\ndetection: [a]\n", "detection is a mapping"),
    "an unknown placeholder": (rule(" {f|expand: '%who%'}"), "no list for the placeholder %who%"),
    "a timespan of words": (
        "title: t\ncorrelation: {type: event_count, rules: [x], timespan: soon, condition: {gte: 1}}\n",
        "timespan soon is no number with s, m, h, d, w, M or y",
    ),
    "a quiet time of words": (
        "title: t\ncorrelation: {type: event_count, rules: [x], timespan: 5m, condition: {gte: 1}}\n"
        "leaver: {suppress: often}\n",
        "suppress often is no number",
    ),
    "a hyphenated name": (
        "title: t\ncorrelation: {type: temporal, timespan: 5m, condition: a-b and c}\n",
        "a-b cannot stand in a condition",
    ),
    "an unknown type": (
        "title: t\ncorrelation: {type: event_cont, rules: [x], timespan: 5m, condition: {gte: 1}}\n",
        "did you mean event_count",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_words_and_the_good_rule_loads(tmp_path: Path, name: str) -> None:
    text, words = REFUSED[name]
    (tmp_path / "bad.yml").write_text(text, encoding="utf-8")
    (tmp_path / "good.yml").write_text(GOOD, encoding="utf-8")
    loaded = load_sigma([tmp_path])
    assert [each.title for each in loaded.rules] == ["good"]
    assert any(words in str(error) for error in loaded.errors), loaded.errors
    assert all(error.file.endswith("bad.yml") and error.line > 0 for error in loaded.errors)


@pytest.mark.skipif(sys.platform != "linux", reason="resource limits as Linux has them")
def test_all_of_them_together_take_little_time_and_memory(tmp_path: Path) -> None:
    for number, (text, _) in enumerate(REFUSED.values()):
        (tmp_path / f"{number}.yml").write_text(text, encoding="utf-8")
    (tmp_path / "good.yml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "events.ndjson").write_text('{"f": "a"}\n', encoding="utf-8")
    command = [sys.executable, "-m", "server", "policy", "match", "--rules", str(tmp_path)]

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (30, 30))
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))

    done = subprocess.run(
        [*command, "--events", str(tmp_path / "events.ndjson"), "--json"],
        preexec_fn=limited, capture_output=True, text=True, check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr[-2000:]
    assert [json.loads(line)["title"] for line in done.stdout.splitlines()] == ["good"]
    assert "re2.cc" not in done.stderr


def test_two_rules_with_one_id_are_told_and_the_first_runs(tmp_path: Path) -> None:
    text = GOOD + "id: 9cac060a-d874-4aa1-b2fd-a2be7771414d\n"
    (tmp_path / "a.yml").write_text(text, encoding="utf-8")
    (tmp_path / "b.yml").write_text(text + "---\n" + text, encoding="utf-8")
    loaded = load_sigma([tmp_path])
    assert len(loaded.rules) == 1
    lines = [(Path(error.file).name, error.line, error.message) for error in loaded.errors]
    assert [(name, line) for name, line, _ in lines] == [("b.yml", 6), ("b.yml", 13)]
    assert all(message.endswith("a.yml") for _, _, message in lines)


def matcher(folder: Path, text: str) -> SigmaMatcher:
    (folder / "a.yml").write_text(text, encoding="utf-8")
    return load_matcher([folder])


def fires(one: SigmaMatcher, record: dict[str, object]) -> bool:
    return bool(one.take(0, None, record))


@pytest.mark.parametrize(
    "selection", [" {f|re: '(a+)+$'}", " {f|re: '^(([a-z])+.)+[A-Z]([a-z])+$'}", f" {{f: '{'*a?' * 40}b'}}"]
)
def test_patterns_that_explode_elsewhere_are_linear_here(tmp_path: Path, selection: str) -> None:
    one = matcher(tmp_path, rule(selection))
    used = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    for _ in range(20):
        assert not fires(one, {"f": "a" * 20_000 + "!"})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - used < 20


@pytest.mark.parametrize(
    ("selection", "value", "expected"),
    [
        (" {f: '7'}", 7, True),
        (" {f: 7}", "7", True),
        (" {f: 7}", [None, {}, [7]], False),
        (" {f: 7}", [None, "7.0"], True),
        (" {f: null}", [], True),
        (" {f: null}", None, True),
        (" {f: a}", {"a": "a"}, False),
        (" {f|contains: a}", 10**400, False),
        (" {f|gt: 5}", 10**400, True),
        (" {f|gt: 5}", "1e999", True),
        (" {f|lt: 5}", "nan", False),
        (" {f.g.h: a}", [[{"g": [{"h": ["a"]}]}]], True),
        (" {f.g.h: a}", [[{"g": "a"}], "a"], False),
        (" {f.g.h: a}", {"g": [{"h": ["b", "a"]}]}, True),
    ],
)
def test_values_of_unexpected_kinds_are_read_for_what_they_are(
    tmp_path: Path, selection: str, value: object, expected: bool
) -> None:
    assert fires(matcher(tmp_path, rule(selection)), {"f": value}) is expected


def test_records_that_are_very_deep_or_wide_are_read_within_bounds(tmp_path: Path) -> None:
    one = matcher(tmp_path, rule(" {f.g: a}") + "---\n" + rule(" [needle]"))
    deep: object = "needle"
    for _ in range(50_000):
        deep = [deep]
    assert not fires(one, {"f": {"x": deep}, "wide": ["hay"] * 100_000})
    assert fires(one, {"f": {"x": ["needle"]}})
