"""Forest scoring: microseconds a row for the flat forest and for scikit-learn, on the same rows in one run.

python -m benchmarks.forest_scoring
"""

from __future__ import annotations

import time
from collections.abc import Callable

import click
import numpy as np
from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]

from analytics.drift_features import DRIFT_NAMES
from analytics.forest import train_forest

TRAINING_ROWS = 20_000
BATCHES = ((1, 200), (100, 40), (10_000, 2))
"""(rows a call, calls)"""


def microseconds_a_row(score: Callable[[], object], rows: int, calls: int) -> float:
    best = float("inf")
    for _ in range(3):
        started = time.process_time()
        for _ in range(calls):
            score()
        best = min(best, (time.process_time() - started) / (rows * calls) * 1e6)
    return best


@click.command()
def main() -> None:
    """Prints both times and their ratio for several batch sizes; fails if the scores differ."""
    source = np.random.default_rng(1)
    width = len(DRIFT_NAMES)
    active = source.random((TRAINING_ROWS, width)) < 0.2
    matrix = np.abs(source.normal(0, 2, (TRAINING_ROWS, width))) * active
    flat = train_forest(matrix, DRIFT_NAMES, seed=1)
    reference = IsolationForest(n_estimators=100, max_samples=512, random_state=1).fit(matrix)
    click.echo(f"{'rows a call':>12} {'flat µs/row':>12} {'scikit-learn':>13} {'ratio':>7}")
    for rows, calls in BATCHES:
        batch = np.ascontiguousarray(matrix[:rows])
        if not np.array_equal(flat.score(batch), reference.score_samples(batch)):
            raise click.ClickException("the flat forest scores differently")
        own = microseconds_a_row(lambda batch=batch: flat.score(batch), rows, calls)  # type: ignore[misc]
        other = microseconds_a_row(
            lambda batch=batch: reference.score_samples(batch),  # type: ignore[misc]
            rows,
            max(1, calls // 20),
        )
        click.echo(f"{rows:>12,} {own:>12.1f} {other:>13.1f} {other / own:>7.1f}")


if __name__ == "__main__":
    main()
