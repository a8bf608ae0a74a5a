"""Has a real Chromium, without a screen, send a file with a form."""

from __future__ import annotations

import json
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.collectors.upload_lab import UploadLab, free_port, wait_for_port


def upload_with_chromium(lab: UploadLab, page: str, *files: Path) -> None:
    """Opens the page for each file, puts it into the form and sends it. Chromium stays till the lab ends."""
    port = free_port()
    lab.start(
        "chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors",
        "--disable-dev-shm-usage", "--no-first-run", f"--user-data-dir={lab.own}/profile",
        f"--remote-debugging-port={port}", "about:blank", as_user=True,
    )  # fmt: skip
    wait_for_port(port, 60)
    for file in files:
        _send(port, page, file)


def _send(port: int, page: str, file: Path) -> None:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/json/new?{page}", method="PUT")
    with urllib.request.urlopen(request) as answer:
        address = json.load(answer)["webSocketDebuggerUrl"]
    with connect(address, max_size=None) as socket:
        numbers = iter(range(1, 1000))

        def call(method: str, **parameters: Any) -> dict[str, Any]:
            number = next(numbers)
            socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
            while True:
                reply = json.loads(socket.recv(timeout=30))
                if reply.get("id") == number:
                    # An error, where the page changed meanwhile: the caller asks again.
                    found: dict[str, Any] = reply.get("result", {})
                    return found

        limit = time.monotonic() + 30
        node = 0
        while not node:
            assert time.monotonic() < limit, "the form does not appear"
            root = call("DOM.getDocument").get("root", {"nodeId": 0})["nodeId"]
            node = call("DOM.querySelector", nodeId=root, selector="#i").get("nodeId", 0)
            time.sleep(0.1)
        call("DOM.setFileInputFiles", nodeId=node, files=[str(file)])
        call("Runtime.evaluate", expression="document.getElementById('f').submit()")
        time.sleep(1)
