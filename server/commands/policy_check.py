"""`leaver policy check` and `test`: what is wrong with rules on disk, and what their examples do."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from event_schema.printable import printable_name
from policies.errors import PolicyError
from policies.example_runs import ExampleRun, correlation_runs, example_runs
from policies.rule_file import (
    SHIPPED_RULES,
    ParsedText,
    RuleText,
    good_texts,
    parse_text,
    read_folder,
    read_rule_file,
    taken_over,
)
from server.commands.alert_words import counted
from server.commands.opening import (
    FINDINGS,
    data_option,
    echo_json,
    json_option,
    open_installation,
    system_clock,
)

_paths = click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(exists=True, path_type=Path))


@click.command("check")
@_paths
@data_option
@json_option
def check(paths: tuple[Path, ...], data: Path | None, as_json: bool) -> None:
    """All faults of rules and exceptions in files and folders, at once, each with its line.

    Without PATH: the folder of the settings. Exceptions may name the rules that Leaver ships.
    Exit code 0: nothing is wrong; 3: something is.
    """
    texts, errors = _texts(paths, data)
    faults = [*errors, *_together(texts)[1]]
    if paths and not texts and not errors:
        faults = [PolicyError(str(path), 1, "no file here ends in .yml or .yaml") for path in paths]
    faults.sort(key=lambda each: (each.file, each.line, each.message))
    if as_json:
        echo_json(
            {
                "files": len(texts) + len(errors),
                "faults": [
                    {"file": each.file, "line": each.line, "message": each.message} for each in faults
                ],
            }
        )
    else:
        for each in faults:
            click.echo(printable_name(str(each)))
        if not faults:
            click.echo(f"{len(texts)} {'file is' if len(texts) == 1 else 'files are'} good")
    if faults:
        raise SystemExit(FINDINGS)


@click.command("test")
@_paths
@data_option
@json_option
def test(paths: tuple[Path, ...], data: Path | None, as_json: bool) -> None:
    """Runs the examples of rules: those that must fire, and those that must stay silent.

    Without PATH: the shipped rules and the folder of the settings.
    Exit code 0: all do as they should; 3: not all.
    """
    texts, errors = _texts(paths, data, shipped=True)
    runs = [run for each in texts for run in example_runs(each.text.file, each.document)]
    good, problems = _together(texts)
    files = {each.text.file for each in texts}
    runs += [run for run in correlation_runs(good) if run.file in files]
    broken = [run for run in runs if run.fault is not None or run.fires != run.should_fire]
    # What does not read as a rule has no examples that could be run.
    silent = {run.file for run in runs}
    faults = [*errors, *(error for error in problems if error.file not in silent)]
    if as_json:
        echo_json({"examples": runs, "faults": [str(each) for each in faults]})
    else:
        _echo(runs, broken, faults)
    if broken or faults:
        raise SystemExit(FINDINGS)


def _echo(runs: list[ExampleRun], broken: list[ExampleRun], faults: list[PolicyError]) -> None:
    for run in broken:
        said = run.fault or ("fires, and should not" if run.fires else "does not fire, and should")
        click.echo(printable_name(f"{run.file}:{run.line}: {run.title}: example {run.name!r} {said}"))
    for fault in faults:
        click.echo(printable_name(str(fault)))
    rules = len({run.file for run in runs})
    fire = sum(run.should_fire for run in runs)
    words = (
        f"{counted(rules, 'rule')}, {counted(fire, 'example')} that must fire, "
        f"{len(runs) - fire} that must stay silent"
    )
    verdict = "all do" if not broken else f"{len(broken)} do not"
    if faults:
        verdict += f"; {counted(len(faults), 'fault')} in what could not be run"
    click.echo(f"{words}: {verdict}" if runs else f"{counted(len(faults), 'fault')}, no example was run")


def _together(texts: list[ParsedText]) -> tuple[list[ParsedText], list[PolicyError]]:
    """What is good of these and of what Leaver ships, and what is wrong with these."""
    own = {each.rule_id for each in texts}
    shipped = [each for each in map(parse_text, read_folder(SHIPPED_RULES)[0]) if each.rule_id not in own]
    good, errors = good_texts([*shipped, *texts])
    files = {each.text.file for each in texts}
    return good, [error for error in errors if error.file in files]


def _texts(
    paths: tuple[Path, ...], data: Path | None, *, shipped: bool = False
) -> tuple[list[ParsedText], list[PolicyError]]:
    if not paths:
        with open_installation(data) as installation:
            folder = installation.config.policies.folder
        paths = (*([SHIPPED_RULES] if shipped or not folder else []), *([Path(folder)] if folder else []))
    texts: list[RuleText] = []
    errors: list[PolicyError] = []
    for path in paths:
        if path.is_dir():
            found, bad = read_folder(path)
            texts += [msgspec.structs.replace(each, file=str(path / each.file)) for each in found]
            errors += [PolicyError(str(path / each.file), each.line, each.message) for each in bad]
        else:
            try:
                texts.append(RuleText(str(path), read_rule_file(path)))
            except OSError as error:
                errors.append(PolicyError(str(path), 1, f"cannot be read: {error.strerror}"))
            except ValueError as error:
                errors.append(PolicyError(str(path), 1, f"cannot be read: {error}"))
    now = system_clock()
    return [taken_over(parse_text(each), now) for each in texts], errors
