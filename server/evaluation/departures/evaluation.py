"""Plays streams in several variants, and says whether what must be seen was seen, and nothing else."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from policies.engine import PolicySet
from server.evaluation.departures.replay import RaisedAlert, Replay, Template
from server.evaluation.departures.script import Expectation, Script, Stream

Verdict = Literal["found", "silent", "missed", "wrong_person", "false_alarm"]
"""missed: no alert is about the suspect and names the account's owner. wrong_person: an alert beside it is
about somebody else. false_alarm: an alert where there should be none, or before the act began."""
GOOD: frozenset[Verdict] = frozenset({"found", "silent"})


class Outcome(msgspec.Struct, frozen=True):
    """Of one variant. `seconds`: from the first event of the act to the alert about its suspect."""

    stream: str
    says: str
    expects: Expectation
    variant: int
    verdict: Verdict
    events: int
    seconds: float | None
    suspect: str | None
    owner: str | None
    alerts: tuple[RaisedAlert, ...]


def evaluate(
    streams: Sequence[Stream], policies: PolicySet, *, seed: int, variants: int
) -> Iterator[Outcome]:
    """One after the other. Raises ScriptFailed."""
    with tempfile.TemporaryDirectory(prefix="leaver-departures-") as name:
        folder = Path(name)
        template = Template(folder / "template")
        for stream in streams:
            for variant in range(1, variants + 1):
                yield _play(stream, variant, seed, template, policies, folder)


def _play(
    stream: Stream, variant: int, seed: int, template: Template, policies: PolicySet, folder: Path
) -> Outcome:
    script = Script(random.Random(f"{seed}/{stream.name}/{variant}"))
    stream.write(script)
    with tempfile.TemporaryDirectory(dir=folder) as own:
        raised = Replay(script, template, policies, Path(own)).run()
    return judged(stream, script, raised, variant)


def judged(stream: Stream, script: Script, raised: tuple[RaisedAlert, ...], variant: int) -> Outcome:
    """What a variant showed."""
    verdict: Verdict
    seconds = None
    if stream.expects == "silence":
        verdict = "false_alarm" if raised else "silent"
    else:
        assert script.leak_begins is not None
        begins = script.leak_begins
        right = [each for each in raised if _is_right(each, script)]
        if any(each.opened_at < begins for each in raised):
            verdict = "false_alarm"
        elif not right:
            verdict = "missed"
        else:
            verdict = "found" if len(right) == len(raised) else "wrong_person"
            seconds = (right[0].opened_at - begins) / 1000
    return Outcome(
        stream=stream.name,
        says=stream.says,
        expects=stream.expects,
        variant=variant,
        verdict=verdict,
        events=len(script.sent),
        seconds=seconds,
        suspect=script.suspect,
        owner=script.owner,
        alerts=raised,
    )


def _is_right(alert: RaisedAlert, script: Script) -> bool:
    """The risk goes to whoever did it; whose account it was stands beside."""
    about = (alert.subject, alert.suspect, alert.owner)
    return about == (f"person:{script.suspect}", script.suspect, script.owner)
