"""The page that tells operators every metric: docs/metrics.md.

`python -m server.metrics.page > docs/metrics.md` renews it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from server.metrics.table import COUNTED, LOOP_METRICS, PROCESS, SEEN, WORKER, Metric

_INTRODUCTION = """\
# Metrics

Made from the program's own list (`server/metrics/table.py`): what is not here is not emitted. `GET /metrics`
gives them in Prometheus' text format to the administrator's token, or to the one in the file that
`metrics.token_file` names. No label holds the name of a person, an account, an agent, a host or a file.
[operations.md](operations.md) says which of them to watch.
"""


def metrics_page() -> str:
    """Markdown, in the order of the list."""
    return "\n".join(
        (
            _INTRODUCTION,
            "## Counted by the pipeline since the process started\n",
            *_table(COUNTED),
            "\n## Read at each scrape, the same that `leaver status` shows\n",
            *_table(SEEN),
            "\n## Of a `leaver worker` with `--listen`\n",
            "What its own pipeline counted, the process, "
            + ", ".join(f"`{metric.name}`" for metric in LOOP_METRICS)
            + ", and:\n",
            *_table(WORKER),
            "\n## The process\n",
            *_table(PROCESS),
            "",
        )
    )


def _table(metrics: Sequence[Metric]) -> list[str]:
    rows = [f"| `{m.name}` | {m.kind} | {m.unit} | {_labels(m)} | {m.help} |" for m in metrics]
    return ["| metric | kind | unit | labels | what it says |", "|---|---|---|---|---|", *rows]


def _labels(metric: Metric) -> str:
    return "; ".join(
        f"`{name}`: {', '.join(values)}" if values else f"`{name}`" for name, values in metric.labels.items()
    )


if __name__ == "__main__":
    sys.stdout.write(metrics_page())
