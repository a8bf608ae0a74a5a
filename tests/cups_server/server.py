"""A real CUPS in folders of its own, on a free loopback port, whose printers print to /dev/null.

`counting` has a driver (PDF in, pages counted by cups-filters), `raw` has none.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_CUPSD: Final = """\
Listen 127.0.0.1:{port}
LogLevel info
MaxLogSize 0
DefaultAuthType None
Browsing No
{form}
<Location />
  Order allow,deny
  Allow all
</Location>
<Policy default>
  <Limit All>
    Order deny,allow
  </Limit>
</Policy>
"""
_FILES: Final = """\
ServerRoot {folder}/root
RequestRoot {folder}/spool
TempDir {folder}/spool/tmp
CacheDir {folder}/cache
StateDir {folder}/state
AccessLog {folder}/log/access_log
ErrorLog {folder}/log/error_log
PageLog {folder}/log/page_log
FileDevice Yes
LogFilePerm 0644
"""
_DRIVER: Final = """\
*PPD-Adobe: "4.3"
*FormatVersion: "4.3"
*FileVersion: "1.0"
*LanguageVersion: English
*LanguageEncoding: ISOLatin1
*PCFileName: "COUNT.PPD"
*Manufacturer: "Leaver"
*Product: "(Counting)"
*ModelName: "Leaver Counting"
*ShortNickName: "Leaver Counting"
*NickName: "Leaver Counting"
*PSVersion: "(3010.000) 0"
*LanguageLevel: "3"
*ColorDevice: False
*DefaultColorSpace: Gray
*FileSystem: False
*cupsFilter: "application/vnd.cups-pdf 0 -"
*OpenUI *PageSize/Media Size: PickOne
*OrderDependency: 10 AnySetup *PageSize
*DefaultPageSize: A4
*PageSize A4/A4: "<</PageSize[595 842]>>setpagedevice"
*CloseUI: *PageSize
*OpenUI *PageRegion: PickOne
*OrderDependency: 10 AnySetup *PageRegion
*DefaultPageRegion: A4
*PageRegion A4/A4: "<</PageSize[595 842]>>setpagedevice"
*CloseUI: *PageRegion
*DefaultImageableArea: A4
*ImageableArea A4/A4: "0 0 595 842"
*DefaultPaperDimension: A4
*PaperDimension A4/A4: "595 842"
"""


class CupsServer:
    """Running once made. `page_log_format`: None leaves the setting out. Needs root."""

    def __init__(self, folder: Path, page_log_format: str | None = None) -> None:
        self.folder = folder
        self.page_log = folder / "log" / "page_log"
        self.cupsd_conf = folder / "root" / "cupsd.conf"
        for part in ("root/ppd", "spool/tmp", "cache", "state", "log"):
            (folder / part).mkdir(parents=True)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            self.port: int = listening.getsockname()[1]
        form = "" if page_log_format is None else f"PageLogFormat {page_log_format}"
        self.cupsd_conf.write_text(_CUPSD.format(port=self.port, form=form), encoding="ascii")
        (folder / "root/cups-files.conf").write_text(_FILES.format(folder=folder), encoding="ascii")
        (folder / "driver.ppd").write_text(_DRIVER, encoding="ascii")
        self._said = (folder / "said").open("wb")
        self._start()
        try:
            self._call(
                "lpadmin", "-p", "counting", "-E", "-v", "file:///dev/null", "-P", f"{folder}/driver.ppd"
            )
            self._call("lpadmin", "-p", "raw", "-E", "-v", "file:///dev/null")
        except BaseException:
            self.stop()
            raise

    def print_pages(
        self, user: str, pages: int, *, copies: int = 1, title: str = "paper", printer: str = "counting"
    ) -> None:
        file = self.folder / f"{pages}.pdf"
        if not file.exists():
            file.write_bytes(pdf_of(pages))
        self._call("lp", "-d", printer, "-U", user, "-n", str(copies), "-t", title, str(file))

    def wait_until_idle(self, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while self._call("lpstat", "-o"):
            assert time.monotonic() < limit, "jobs stay in the queue"
            time.sleep(0.1)

    def restart(self) -> None:
        self._stop()
        self._start()

    def stop(self) -> None:
        self._stop()
        self._said.close()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            ["cupsd", "-f", "-c", str(self.cupsd_conf), "-s", str(self.folder / "root/cups-files.conf")],
            stdout=self._said,
            stderr=self._said,
        )
        limit = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < limit, "cupsd does not answer: " + (self.folder / "said").read_text()
            time.sleep(0.1)

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _call(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env={**os.environ, "CUPS_SERVER": f"127.0.0.1:{self.port}"},
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout.decode()


def pdf_of(pages: int) -> bytes:
    """A file of so many empty pages."""
    kids = " ".join(f"{3 + at} 0 R" for at in range(pages))
    objects: Sequence[str] = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        *["<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>"] * pages,
    )
    made, places = b"%PDF-1.4\n", []
    for number, text in enumerate(objects, start=1):
        places.append(len(made))
        made += f"{number} 0 obj\n{text}\nendobj\n".encode()
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    ending = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(made)}\n%%EOF\n"
    return made + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{ending}".encode()
