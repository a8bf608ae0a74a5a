"""How long the queue's page takes with a full queue: on the server, on both databases, and in a browser.

python -m benchmarks.console_pages [--alerts N] [--people N] [--turns N] [--database KIND …] [--json FILE]

Milliseconds of each answer over HTTPS on loopback, the median and the slowest of the turns, the database's
cache warm; bytes as they are sent; in Chromium the first contentful paint after navigation began, and from a
pressed j to the frame in which the next row is marked. Nothing here is a test.
"""

from __future__ import annotations

import json
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import click
import msgspec
from playwright.sync_api import Page

from benchmarks.page_times import asking, database_in, times_of, vacuum
from server.people.roles import Role
from server.people.text_mask import text_mask
from tests.server.alerts.queue.full_queue import full_queue
from tests.server.console.browser import Browsers
from tests.server.console.site import Site

_ADDRESSES = {
    "the queue": "/alerts",
    "its list alone": "/alerts",
    "latest first": "/alerts?sort=last",
    "all states": "/alerts?status=all",
    "leavers": "/alerts?leavers=1",
    "one channel": "/alerts?channel=mail",
    "critical, nobody's": "/alerts?severity=critical&owner=none",
    "text that is there": "/alerts?text=removable",
    "text that is not": "/alerts?text=zzzz",
    "a pseudonym": "/alerts?text=P-7+printed",
    "an endpoint": "/alerts?agent=H-123456",
    "latest leavers' mails": "/alerts?channel=mail&leavers=1&sort=last&text=999",
    "what others changed": "/alerts/changes",
    "the panel": "/alerts/1/panel",
    "review": "/alerts/review",
    "below the line": "/alerts/below",
    "the API": "/api/v1/alerts",
}
_NEXT_FRAME = (
    "() => new Promise(done => { const begun = performance.now(); "
    "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'j', bubbles: true, cancelable: true})); "
    "requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun))); })"
)
_PANEL = (
    "() => new Promise(done => { const begun = performance.now(), panel = document.getElementById('panel'); "
    "const late = setTimeout(() => done(5000), 5000); "
    "new MutationObserver((_, seen) => { seen.disconnect(); clearTimeout(late); requestAnimationFrame(() => "
    "requestAnimationFrame(() => done(performance.now() - begun))); }).observe(panel, {childList: true}); "
    "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'j', bubbles: true, cancelable: true}));"
    " })"
)


class Line(msgspec.Struct, frozen=True):
    """Milliseconds."""

    database: str
    what: str
    median: float
    slowest: float
    bytes: int | None = None


@click.command()
@click.option("--alerts", "count", default=50_000, show_default=True)
@click.option("--people", default=10_000, show_default=True)
@click.option("--turns", default=15, show_default=True)
@click.option("--database", "kinds", multiple=True, default=("sqlite", "postgresql"), show_default=True)
@click.option("--json", "file", type=click.Path(dir_okay=False, path_type=Path))
def main(count: int, people: int, turns: int, kinds: tuple[str, ...], file: Path | None) -> None:
    """Prints a table."""
    lines: list[Line] = []
    click.echo(f"{count:,} alerts, {people:,} people")
    for kind in kinds:
        with _site(kind, count, people) as site:
            for each in chain(_on_the_server(kind, site, turns), _in_a_browser(kind, site, turns)):
                size = "" if each.bytes is None else f"{each.bytes:>9,} bytes"
                told = f"{each.median:>7.1f} ms {each.slowest:>7.1f} ms {size}"
                click.echo(f"{each.database:<11} {each.what:<26} {told}".rstrip())
                lines.append(each)
    if file is not None:
        file.write_text(json.dumps(msgspec.to_builtins(lines), indent=1), encoding="utf-8")


@contextmanager
def _site(kind: str, count: int, people: int) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with database_in(folder, postgresql=kind == "postgresql") as place:
            site = Site(folder, database_url=place.url, leak_files=0)
            try:
                full_queue(site.database, count=count, people=people)
                if place.server is not None:
                    vacuum(site.database)
                yield site
            finally:
                site.close()


def _on_the_server(kind: str, site: Site, turns: int) -> Iterator[Line]:
    begun = time.perf_counter()
    text_mask(site.database)
    once = (time.perf_counter() - begun) * 1000
    yield Line(kind, "names to hide, once", once, once)
    client = site.client(Role.ANALYST)
    page = client.get("/alerts").text
    for what, address in _ADDRESSES.items():
        asked = address + (_shown(page) if address.endswith("/changes") else "")
        took = times_of(asking(client, asked, part=what == "its list alone"), turns + 1)
        yield Line(kind, what, took.median, took.slowest, took.bytes)


def _shown(page: str) -> str:
    """The rows of a page, as its script asks for their changes."""
    rows = re.findall(r'data-id="(\d+)" data-stamp="(\w+)"', page)
    return "?rows=" + ",".join(f"{alert}.{stamp}" for alert, stamp in rows)


def _in_a_browser(kind: str, site: Site, turns: int) -> Iterator[Line]:
    browsers = Browsers()
    try:
        page = browsers.page(site, Role.ANALYST)
        paints = [_first_paint(page, site.url + "/alerts") for _ in range(max(3, turns // 3))]
        yield Line(kind, "to first paint", statistics.median(paints), max(paints))
        page.wait_for_timeout(800)
        keys = [float(page.evaluate(_NEXT_FRAME)) for _ in range(turns)]
        yield Line(kind, "j to the next row's paint", statistics.median(keys), max(keys))
        page.wait_for_timeout(800)
        panels = []
        for _ in range(turns):
            panels.append(float(page.evaluate(_PANEL)))
            page.wait_for_timeout(200)
        yield Line(kind, "j to the panel's paint", statistics.median(panels), max(panels))
    finally:
        browsers.close()


def _first_paint(page: Page, address: str) -> float:
    page.goto(address)
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
    return float(page.evaluate("() => performance.getEntriesByName('first-contentful-paint')[0].startTime"))


if __name__ == "__main__":
    main()
