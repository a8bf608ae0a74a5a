"""The real agent with the scripted collector, as a process of its own: the argument is its settings file."""

from __future__ import annotations

import sys
from pathlib import Path

from agent.collector_registry import CollectorKind
from agent.config import load_config
from agent.json_log import start_log
from agent.runner import Agent

KINDS = (
    CollectorKind(
        "scripted",
        "tests.agent.scripted_collector",
        "ScriptedCollector",
        "tests.agent.scripted_collector",
        "ScriptedConfig",
    ),
)


def main() -> None:
    config = load_config(Path(sys.argv[1]), KINDS)
    start_log(config.agent.log_level)
    Agent(config, kinds=KINDS).run()


if __name__ == "__main__":
    main()
