"""Builds the endpoint's wheel, leaver_agent: event_schema, collectors and agent, and nothing else.

Policies, thresholds and models must not lie on the laptop of the person whom they are about.
`make agent-package` puts the wheel into dist/.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("event_schema", "collectors", "agent")
DATA = ("*", "collectors", "event_schema")
"""Whose data files go along."""


def agent_project(whole: dict[str, Any]) -> str:
    """pyproject.toml of the endpoint's distribution, from the whole one's."""
    project = whole["project"]
    needs = [*project["dependencies"], *project["optional-dependencies"]["agent"]]
    # JSON strings and arrays of strings are TOML too.
    return "\n".join(
        (
            "[build-system]",
            f"requires = {json.dumps(whole['build-system']['requires'])}",
            f"build-backend = {json.dumps(whole['build-system']['build-backend'])}",
            "[project]",
            'name = "leaver-agent"',
            f"version = {json.dumps(project['version'])}",
            'description = "The endpoint\'s part of Leaver"',
            f"requires-python = {json.dumps(project['requires-python'])}",
            f"license = {json.dumps(project['license'])}",
            f"dependencies = {json.dumps(needs)}",
            "[project.optional-dependencies]",
            f"databases = {json.dumps(project['optional-dependencies']['databases'])}",
            f"kafka = {json.dumps(project['optional-dependencies']['kafka'])}",
            "[project.scripts]",
            f"leaver-agent = {json.dumps(project['scripts']['leaver-agent'])}",
            "[tool.setuptools.packages.find]",
            f"include = {json.dumps([name for p in PACKAGES for name in (p, p + '.*')])}",
            "[tool.setuptools.package-data]",
            *(f'"{name}" = {json.dumps(whole["tool"]["setuptools"]["package-data"][name])}' for name in DATA),
        )
    )


def build(target: Path) -> Path:
    """The wheel, built in a copy of the three folders."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "LICENSE", copy)
        whole = tomllib.loads((ROOT / "pyproject.toml").read_text())
        (copy / "pyproject.toml").write_text(agent_project(whole))
        out = copy / "out"
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), folder],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (wheel,) = out.glob("*.whl")
        target.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(wheel, target))


def packages_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as content:
        return {name.split("/")[0] for name in content.namelist() if ".dist-info/" not in name}


def main() -> int:
    wheel = build(ROOT / "dist")
    found = packages_in(wheel)
    if found != set(PACKAGES):
        sys.stderr.write(f"the agent's wheel holds {', '.join(sorted(found))}\n")
        return 1
    sys.stdout.write(f"dist/{wheel.name}: {', '.join(PACKAGES)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
