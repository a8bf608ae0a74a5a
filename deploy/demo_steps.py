"""The demo's small steps: run a program, wait, a drive, a list of customers, a free port, a word to say."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, NoReturn

from stdnum.cn.ric import calc_check_digit

START_SECONDS = 60.0
_DISTRICTS = ("110101", "310104", "440305", "330106", "510107", "420106")


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


def write_customers(path: Path, size: int, dice: random.Random) -> None:
    """Invented customers, with resident ids whose check digits are right. A large list repeats itself."""
    rows = "".join(_customer(number, dice) for number in range(min(8_000, size // 40 + 1))).encode()
    content = "编号,姓名,居民身份证,手机\n".encode() + rows
    with path.open("wb") as file:
        for written in range(0, size, len(content)):
            file.write(content[: size - written])


def _customer(number: int, dice: random.Random) -> str:
    name = dice.choice("王李张刘陈杨赵黄周吴") + dice.choice("伟芳娜敏静丽强磊军洋艳杰") * dice.randint(1, 2)
    born = date(1950, 1, 1) + timedelta(days=dice.randrange(20_000))
    body = f"{dice.choice(_DISTRICTS)}{born:%Y%m%d}{dice.randrange(1_000):03}"
    digit = calc_check_digit(f"{body}0")
    phone = f"13{dice.randrange(10**9):09}"
    return f"{number},{name},{body}{digit},{phone}\n"


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
