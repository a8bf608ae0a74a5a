"""All benchmarks, one after another, and what matters of each in one table.

python -m benchmarks [--quick] [--json FILE] [NAMES…]

Each is a program of its own (python -m benchmarks.NAME) and prints its whole output as it goes. Times are
CPU seconds and ratios within one run, so that a busy machine changes little; nothing here is a test.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import click
import msgspec

from benchmarks.all_benchmarks import BENCHMARKS, Benchmark, Headline


class Run(msgspec.Struct, frozen=True):
    name: str
    exit_code: int
    seconds: float
    output: str
    headlines: list[Headline]


def run(benchmark: Benchmark, *, quick: bool) -> Run:
    """Shows the program's output as it comes."""
    click.echo(f"==> {benchmark.name}")
    command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", *(benchmark.quick if quick else ())]
    begun = time.monotonic()
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            click.echo("    " + line.rstrip("\n"))
    click.echo()
    output = "".join(lines)
    found = [
        (what, match.group(1), target)
        for what, pattern, target in benchmark.headlines
        if (match := re.search(pattern, output, re.MULTILINE)) is not None
    ]
    if benchmark.more is not None:
        found += benchmark.more(output)
    return Run(benchmark.name, process.returncode, time.monotonic() - begun, output, found)


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--quick", is_flag=True, help="Less of everything: five to ten minutes.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all results here too.")
@click.argument("names", nargs=-1, type=click.Choice([each.name for each in BENCHMARKS]))
def main(quick: bool, json_file: Path | None, names: tuple[str, ...]) -> None:
    runs = [run(each, quick=quick) for each in BENCHMARKS if not names or each.name in names]
    click.echo(f"{'':<50} {'measured':>18}  target")
    for done in runs:
        for what, measured, target in done.headlines:
            click.echo(f"{what:<50} {measured:>18}  {target}")
    failed = [done.name for done in runs if done.exit_code != 0]
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        document = [msgspec.to_builtins(done) for done in runs]
        json_file.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    if failed:
        raise click.ClickException(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main(prog_name="python -m benchmarks")
