"""One running `leaver up` for a module's tests, with a company in which Alice leaves in six days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.server.up.up_process import UpProcess, leaver

LEAVER = "alice"


def people_file() -> str:
    """HR's file as of today."""
    today = datetime.now(UTC).date()
    notice, last_day = today - timedelta(days=10), today + timedelta(days=6)
    return (
        "工号,姓名,账号,部门,时区,离职申请日期,最后工作日\n"
        f"E1,王小明,{LEAVER},销售部,北京时间,{notice},{last_day}\n"
        "E2,李华,bob,销售部,北京时间,,\n"
    )


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpProcess]:
    folder = tmp_path_factory.mktemp("chain")
    process = UpProcess(folder / "data")
    people = folder / "people.csv"
    people.write_bytes(people_file().encode("gbk"))
    done = leaver("people", "import", "--yes", str(people), data=process.data)
    assert done.returncode == 0, done.stdout + done.stderr
    yield process
    process.close()


@pytest.fixture(scope="module")
def client(running: UpProcess) -> Iterator[httpx.Client]:
    with running.client() as opened:
        yield opened
