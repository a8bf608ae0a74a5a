"""Templates, and how one viewer sees them: language, zone, theme."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from server.console import amounts_shown, times_shown
from server.console.channel_words import channel_name
from server.console.navigation import navigation
from server.console.phrases import Language, phrase
from server.console.said_words import said_in, seen_in

FOLDER = Path(__file__).parent
Theme = Literal["auto", "light", "dark"]


class Look(msgspec.Struct, frozen=True):
    """How somebody sees the console."""

    language: Language = "en"
    theme: Theme = "auto"
    zone: ZoneInfo = ZoneInfo("UTC")
    single_keys: bool = True
    """Whether single letters are shortcuts (WCAG 2.1.4)."""

    def text(self, words: str, /, **values: object) -> str:
        return phrase(words, self.language, **values)


class Static:
    """The files under static/, in memory: their content, type, and a digest for their addresses."""

    TYPES: Mapping[str, str] = {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }

    def __init__(self, folder: Path = FOLDER / "static") -> None:
        self.files: dict[str, tuple[bytes, str]] = {}
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in self.TYPES:
                content = path.read_bytes()
                self.files[path.relative_to(folder).as_posix()] = content, self.TYPES[path.suffix]
        whole = hashlib.sha256()
        for name, (content, _) in self.files.items():
            whole.update(f"{name} {len(content)} ".encode() + content)
        # One digest for all: modules import each other by relative addresses.
        self.digest = whole.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Raises KeyError where there is no such file."""
        self.files[name]
        return f"/static/{self.digest}/{name}"


class Templates:
    """Jinja's environment. Everything that is put in is escaped, and a missing value is an error."""

    def __init__(self) -> None:
        self.static = Static()
        self._environment = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"static": self.static.address}

    def render(self, name: str, look: Look, values: Mapping[str, object]) -> str:
        template = self._environment.get_template(name)
        now = values["now"]
        assert isinstance(now, int)
        return template.render(
            {
                "look": look,
                "t": look.text,
                "when": lambda at: times_shown.when(at, now, look.zone, look.language),
                "moment": lambda at: times_shown.moment(at, look.zone, look.language),
                "day": lambda date: times_shown.day(date, look.language),
                "span": lambda ms: times_shown.span(ms, look.language),
                "size": amounts_shown.size,
                "number": amounts_shown.number,
                "said": lambda message: said_in(look.language, message),
                "seen": lambda line: seen_in(look.language, line),
                "channel_word": lambda channel: channel_name(channel, look.text),
                "navigation": navigation,
                **values,
            }
        )
