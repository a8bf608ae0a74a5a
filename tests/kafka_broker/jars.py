"""Fetches the broker's jars once, with Maven, into .tools/kafka (shared by later runs)."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

HERE = Path(__file__).parent
TOOLS = HERE.parent.parent / ".tools" / "kafka"


class BrokerFailed(Exception):
    """The test broker cannot be fetched, started or reached. The message says what to do."""


def java() -> str:
    """The java program. Raises BrokerFailed."""
    return _program("java", "default-jre-headless")


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise BrokerFailed(f"`{name}` is missing: install it, on Debian with `apt-get install {package}`")
    return found


def jar_directory() -> Path:
    """The directory with the jars that pom.xml names; fetched if not there yet. Raises BrokerFailed."""
    pom = HERE / "pom.xml"
    target = TOOLS / hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    if target.is_dir():
        return target
    maven = _program("mvn", "maven")
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.is_dir():
            return target
        click.echo("Fetching Apache Kafka (44 MB) from Maven Central, once ...", err=True)
        with tempfile.TemporaryDirectory(dir=TOOLS) as scratch:
            jars = Path(scratch) / "jars"
            command = [maven, "-B", "-q", "-ntp", "-f", str(pom), "dependency:copy-dependencies"]
            command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
            if done.returncode != 0 or not list(jars.glob("kafka_2.13-*.jar")):
                said = (done.stdout + done.stderr)[-2000:]
                raise BrokerFailed(f"Maven could not fetch Apache Kafka:\n{said}")
            jars.replace(target)
    return target
