"""Several made-up companies, one after the other or some at a time, each in a process of its own then: a
company uses one core. The results are the same."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from policies.rule_file import load_policies
from server.evaluation.simulator.evaluation import Progress, SeedResult, evaluate_company


def evaluate_companies(
    seeds: Sequence[int],
    people: int,
    days: int,
    progress: Progress,
    *,
    explain: int = 0,
    close_after: int = 0,
    processes: int = 1,
) -> list[SeedResult]:
    """In the order of the seeds; as evaluate_company does. Raises WalkFailed, MissingLibrary."""
    if processes == 1 or len(seeds) == 1:
        policies = load_policies()
        return [
            evaluate_company(seed, people, days, policies, progress, explain=explain, close_after=close_after)
            for seed in seeds
        ]
    progress("companies", 0, len(seeds))
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = [pool.submit(_evaluate, seed, people, days, explain, close_after) for seed in seeds]
        try:
            for done, each in enumerate(as_completed(waiting), start=1):
                each.result()
                progress("companies", done, len(seeds))
        except BaseException:
            # A company takes minutes: nobody waits for those that have not begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        return [each.result() for each in waiting]


def _evaluate(seed: int, people: int, days: int, explain: int, close_after: int) -> SeedResult:
    return evaluate_company(
        seed, people, days, load_policies(), lambda *_: None, explain=explain, close_after=close_after
    )
