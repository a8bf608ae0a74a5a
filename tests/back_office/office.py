"""The back office behind a real nginx, both on free ports of loopback and in a folder of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).parents[2]
_NGINX: Final = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  log_format back_office escape=json '{{"time":"$time_iso8601","user":"$http_x_user",'
    '"remote_addr":"$remote_addr",'
    '"method":"$request_method","uri":"$request_uri","status":$status}}';
  map $http_x_user $remote {{ default $http_x_user; "" "-"; }}
  log_format with_user '$remote_addr - $remote [$time_local] "$request" $status $body_bytes_sent '
    '"$http_referer" "$http_user_agent" "$http_x_forwarded_for"';
  server {{
    listen 127.0.0.1:{port};
    access_log {folder}/access.log with_user;
    access_log {folder}/access.json.log back_office;
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header Host $host;
    }}
  }}
}}
"""


class BackOffice:
    """Both programs, answering when the constructor returns; `stop` ends them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.combined, self.json = folder / "access.log", folder / "access.json.log"
        self.acts = folder / "acts.log"
        for log in (self.combined, self.json, self.acts):
            log.touch()
        self.port, behind = _free_ports(2)
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder, port=self.port, behind=behind))
        self._application = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", "--log-level", "warning", "--no-proxy-headers"),
                *("--port", str(behind), "tests.back_office.application:application"),
            ],
            cwd=ROOT,
            env={**os.environ, "BACK_OFFICE_LOG": str(self.acts)},
        )
        self._nginx = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")])
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)
        limit = time.monotonic() + 20
        while not self._is_up():
            assert time.monotonic() < limit, (folder / "error.log").read_text()
            time.sleep(0.05)

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: object = None
    ) -> int:
        """The status."""
        return self._client.request(method, path, headers=dict(headers or {}), json=body).status_code

    def rotate(self) -> None:
        """As logrotate does it: rename, then USR1."""
        for log in (self.combined, self.json):
            for number in (2, 1):
                older = log.with_name(f"{log.name}.{number}")
                if older.exists():
                    older.rename(log.with_name(f"{log.name}.{number + 1}"))
            log.rename(log.with_name(f"{log.name}.1"))
        self._nginx.send_signal(signal.SIGUSR1)
        limit = time.monotonic() + 10
        while not self.combined.exists():
            assert time.monotonic() < limit
            time.sleep(0.01)

    def stop(self) -> None:
        self._client.close()
        for process in (self._nginx, self._application):
            process.terminate()
        for process in (self._nginx, self._application):
            process.wait(10)

    def _is_up(self) -> bool:
        try:
            return self.ask("GET", "/pages/start") == 200
        except httpx.HTTPError:
            return False


def _free_ports(number: int) -> list[int]:
    probes = [socket.socket() for _ in range(number)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
