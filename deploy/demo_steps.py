"""The demo's small steps: run a program, wait, a drive, a file of noise, a free port, a word to say."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

START_SECONDS = 60.0


def can_mount(image: Path, target: Path, megabytes: int) -> bool:
    with image.open("wb") as file:
        file.truncate(megabytes * 1_000_000)
    for command in (
        ["mkfs.ext4", "-q", "-F", "-L", "DEMO-STICK", image],
        ["mount", "-o", "loop", image, target],
    ):
        try:
            done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
        except FileNotFoundError:
            return False
        if done.returncode != 0:
            return False
    return True


def write_noise(path: Path, size: int) -> None:
    with path.open("wb") as file:
        for written in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - written)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def call(command: list[Any], stdin: str | None = None) -> None:
    done = subprocess.run([str(part) for part in command], input=stdin, text=True, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(str(part) for part in command)} ended with {done.returncode}")


def read(command: list[Any]) -> str:
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        fail(f"{' '.join(str(part) for part in command)} ended with {done.returncode}")
    return done.stdout


def wait_until(what: str, condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            fail(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.1)


class DemoFailed(Exception):
    pass


def fail(message: str) -> NoReturn:
    raise DemoFailed(message)


def step(text: str) -> None:
    say(f"==> {text}")


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
