"""Builds the wheel and compares its contents with what must be there: code, rules, migrations; no tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("event_schema", "collectors", "agent", "analytics", "policies", "server")
DATA = ("py.typed", ".yml", ".mako", ".json", ".toml", ".html", ".css", ".js", ".svg", ".txt")


def expected() -> set[str]:
    """Tracked or not: every Python file and every data file of our packages."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and (path.suffix == ".py" or path.name.endswith(DATA))
    }


def built() -> set[str]:
    # What an earlier build left there would be packed again, even if it is gone from the tree.
    shutil.rmtree(ROOT / "build", ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as content:
            return {name for name in content.namelist() if ".dist-info/" not in name}


def main() -> int:
    wanted, found = expected(), built()
    for name in sorted(wanted - found):
        sys.stderr.write(f"missing in the wheel: {name}\n")
    for name in sorted(found - wanted):
        sys.stderr.write(f"not meant for the wheel: {name}\n")
    if wanted != found:
        return 1
    sys.stdout.write(f"wheel: {len(found)} files, all there and no others\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
