"""Starts of screenshot tools, told by the kernel's process events."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from collectors.contract import Collector
from collectors.screenshots import ScreenshotsCollector
from collectors.screenshots_config import ScreenshotsConfig
from event_schema.ocsf_endpoint_events import ProcessActivity
from event_schema.ocsf_objects import Host, HostType
from tests.collectors.collector_contract import CollectorContract
from tests.collectors.drives import open_folder
from tests.collectors.linux.real_mounts import needs_root
from tests.collectors.observing import Observing

pytestmark = [pytest.mark.root, needs_root]


def make() -> ScreenshotsCollector:
    return ScreenshotsCollector(ScreenshotsConfig(), Host(hostname="h", type_id=HostType.UNKNOWN), "0")


@pytest.fixture
def tool() -> Iterator[Path]:
    """A program with the name of a tool, that lives as long as a picture takes; anybody may start it."""
    with open_folder() as folder:
        shutil.copy("/usr/bin/sleep", folder / "scrot")
        yield folder / "scrot"


class TestContract(CollectorContract):
    @pytest.fixture
    def collector(self, tool: Path, tmp_path: Path) -> Iterator[Collector]:
        self.folder, self.tool = tmp_path, tool
        collector = make()
        yield collector
        collector.close()

    def act(self, number: int) -> None:
        # Another tool each time: one that starts twice at once counts once.
        names = (
            "maim",
            "grim",
            "xwd",
            "flameshot",
            "ksnip",
            "spectacle",
            "kazam",
            "shutter",
            "screengrab",
        )
        path = self.folder / names[number % len(names)]
        if not path.exists():
            shutil.copy(self.tool, path)
        subprocess.run([path, "0.1"], check=True)


def test_a_start_is_told_with_program_and_user_and_nothing_of_its_arguments(tool: Path) -> None:
    with Observing(make()) as observing:
        subprocess.run(
            ["setpriv", "--reuid=60126", "--regid=60126", "--clear-groups", tool, "0.1", "0.05"], check=True
        )
        subprocess.run(["/usr/bin/sleep", "0.1"], check=True)
        subprocess.run([tool, "0.123"], check=True)
        observing.wait_for(lambda: len(observing.events) >= 2, 10, "both")
        observing.settle(0.5)
        found = [event for event in observing.events if isinstance(event, ProcessActivity)]
    started = {event.actor.user.uid: event for event in found if event.actor.user is not None}
    assert started.keys() == {"0", "60126"}
    assert {event.process.name for event in started.values()} == {"scrot"}
    assert "0.123" not in repr(found)
    assert {event.process.name for event in found} == {"scrot"}


def test_a_tool_that_starts_itself_again_counts_once(tool: Path) -> None:
    with Observing(make()) as observing:
        subprocess.run(["sh", "-c", f"exec {tool} 0.1"], check=True)
        subprocess.run([tool, "0.1"], check=True)
        observing.settle(1)
        assert len(observing.events) == 1
