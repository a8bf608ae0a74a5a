"""Settings of the printing collector: `[collectors.printing]`."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta


class PrintingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Off until it is told where CUPS writes its page_log."""

    to_enable: ClassVar[str] = "off: where CUPS prints say where it logs pages (docs/mail.md)"

    enabled: bool = False
    page_log: str = ""
    """PageLog of cups-files.conf."""
    cupsd_conf: str = "/etc/cups/cupsd.conf"
    """`doctor` looks there whether pages are logged, and in which form."""
    quiet_s: Annotated[float, Meta(ge=0.1, le=600)] = 5.0
    """A job is told of when no line of it came for so long."""

    @staticmethod
    def lines_to_enable() -> str:
        return '[collectors.printing]\nenabled = true\npage_log = "/var/log/cups/page_log"'

    def __post_init__(self) -> None:
        for name in ("page_log", "cupsd_conf"):
            path = getattr(self, name)
            if path and (not PurePath(path).is_absolute() or "\0" in path):
                raise ValueError(f"{name}: {path!r} is not an absolute path")
