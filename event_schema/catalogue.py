"""Which programs send files, where to, and what they are called: data with sources, checked when read.

Format of the files in event_schema/catalogues/ (TOML). The file's name says the kind. Tables:

    [[application]]     id                lower case, unique over all files
                        name              what an analyst calls it
                        executables       names of program files (last part of a path), unique over all files
                        markers           parts of a program's path, of a word of its command line or of its
                                          control group that give it away under Wine, Flatpak, Snap, Python
                        outgoing_folders  where it keeps what people hand to it, relative to a home
                        sync_folders      what it carries away by itself, relative to a home
                        domains           whom it talks to
                        names_host        how its command line names the destination: url, ssh, words
                        source            vendor's page or Debian package that says so
    [[destination]]     name, category, domains, source

A domain stands for itself and everything below it; the longest one that fits decides. All are unique, so an
entry cannot silently take another's place.

An administrator's own destinations come on top (`extra`), the company's own places as `trusted`.
"""

from __future__ import annotations

import ipaddress
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from event_schema.ocsf_unmapped import DestinationCategory

Kind = Literal["messenger", "cloud_drive", "uploader", "browser", "screenshot_tool", "local_reader"]
HostInArguments = Literal["url", "ssh", "words"]

_FILES: Final[Mapping[str, Kind | None]] = {
    "browsers.toml": "browser",
    "cloud_drives.toml": "cloud_drive",
    "destinations.toml": None,
    "local_readers.toml": "local_reader",
    "messengers.toml": "messenger",
    "screenshot_tools.toml": "screenshot_tool",
    "uploaders.toml": "uploader",
}
_CATEGORIES: Final[Mapping[Kind, DestinationCategory]] = {
    "messenger": "messenger",
    "cloud_drive": "cloud_drive",
    "uploader": "uploader",
}
_DOMAIN: Final = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]*[a-z0-9])"
)
_RELATIVE: Final = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|\Z))[^/\0\n][^\0\n]{0,199}")
MOST_EXTRA: Final = 10_000
MOST_TRUSTED: Final = 10_000
_LONGEST_WORD: Final = 4096

ProgramName = Annotated[str, Meta(pattern=r"^[^/\s\x00-\x1f]{1,64}$")]
Marker = Annotated[str, Meta(pattern=r"^[^\x00-\x1f]{4,64}$")]
Source = Annotated[str, Meta(pattern=r"^https://[^\s]+$", max_length=300)]
EntryName = Annotated[str, Meta(min_length=1, max_length=64)]


class CatalogueError(ValueError):
    """A catalogue or a setting for it cannot be used. The message names the file and the entry."""


class Application(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program of the catalogue."""

    id: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,32}$")]
    name: EntryName
    source: Source
    kind: Kind = "uploader"
    """Given by the file, never written in it."""
    executables: tuple[ProgramName, ...] = ()
    markers: tuple[Marker, ...] = ()
    outgoing_folders: tuple[str, ...] = ()
    sync_folders: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    names_host: HostInArguments | None = None

    @property
    def category(self) -> DestinationCategory:
        """What kind of destination it stands for, where no domain tells."""
        return _CATEGORIES.get(self.kind, "other")


class Destination(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place that files are brought to."""

    name: EntryName
    category: DestinationCategory
    domains: tuple[str, ...]
    source: Source | None = None


class RecognisedHost(msgspec.Struct, frozen=True):
    """A host of the catalogue: whose it is, and the domain of the catalogue that it belongs to."""

    name: str
    category: DestinationCategory
    domain: str


class _File(msgspec.Struct, forbid_unknown_fields=True):
    application: tuple[Application, ...] = ()
    destination: tuple[Destination, ...] = ()


class Catalogue:
    """All entries, with the ways to find them. Made by `load_catalogue`."""

    def __init__(
        self,
        applications: Sequence[Application],
        destinations: Sequence[Destination],
        trusted: Iterable[str] = (),
    ) -> None:
        """Raises CatalogueError."""
        self.applications = tuple(applications)
        self._by_program: dict[str, Application] = {}
        self._markers: list[tuple[str, Application]] = []
        self._hosts: dict[str, RecognisedHost] = {}
        ids: set[str] = set()
        for application in applications:
            _add_new(ids, application.id, f"{application.name}: id")
            told = (
                application.executables,
                application.markers,
                application.domains,
                application.sync_folders,
            )
            if not any(told):
                raise CatalogueError(f"{application.name}: nothing tells it")
            for program in application.executables:
                if program in self._by_program:
                    raise CatalogueError(f"{application.name}: program {program} stands twice")
                self._by_program[program] = application
            self._markers += [(marker, application) for marker in application.markers]
            for folder in (*application.outgoing_folders, *application.sync_folders):
                if not _RELATIVE.fullmatch(folder):
                    raise CatalogueError(f"{application.name}: {folder!r} is no folder below a home")
            self._add_hosts(application.name, application.category, application.domains)
        for destination in destinations:
            self._add_hosts(destination.name, destination.category, destination.domains)
        self._markers.sort(key=lambda each: -len(each[0]))
        self._trusted_domains: set[str] = set()
        self._trusted_networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._trust(trusted)

    def of_program(self, executable: str | None, words: Sequence[str] = ()) -> Application | None:
        """The application that a process is, by its program file's path and, for what runs inside another
        program (Wine, Flatpak, Python), by words of its command line or its control group."""
        if executable is not None:
            found = self._by_program.get(executable.rpartition("/")[2])
            if found is not None:
                return found
        # In one text, since there are many markers. No word of a command line has a NUL in it, and no marker.
        texts = "\0".join(text[:_LONGEST_WORD] for text in (executable, *words) if text)
        for marker, application in self._markers:
            if marker in texts:
                return application
        return None

    def of_host(self, host: str) -> RecognisedHost | None:
        """Whose host this is, by the longest domain of the catalogue that it lies in."""
        for domain in _domain_and_parents(host):
            found = self._hosts.get(domain)
            if found is not None:
                return found
        return None

    def is_trusted(self, host: str | None = None, address: str | None = None) -> bool:
        """Whether the company itself owns the place."""
        if host is not None and any(each in self._trusted_domains for each in _domain_and_parents(host)):
            return True
        if address is None or not self._trusted_networks:
            return False
        try:
            number = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(number in network for network in self._trusted_networks)

    def of_kind(self, kind: Kind) -> tuple[Application, ...]:
        """All applications of a kind."""
        return tuple(each for each in self.applications if each.kind == kind)

    def domains(self, *categories: DestinationCategory) -> tuple[str, ...]:
        """All domains of these categories, of all without any, in the catalogue's order."""
        return tuple(
            domain for domain, host in self._hosts.items() if not categories or host.category in categories
        )

    def _add_hosts(self, name: str, category: DestinationCategory, domains: Iterable[str]) -> None:
        for domain in domains:
            if not _DOMAIN.fullmatch(domain):
                raise CatalogueError(f"{name}: {domain!r} is no domain in lower case")
            if domain in self._hosts:
                raise CatalogueError(
                    f"{name}: domain {domain} stands twice, also at {self._hosts[domain].name}"
                )
            self._hosts[domain] = RecognisedHost(name, category, domain)

    def _trust(self, trusted: Iterable[str]) -> None:
        for place in trusted:
            if len(self._trusted_domains) + len(self._trusted_networks) >= MOST_TRUSTED:
                raise CatalogueError(f"more than {MOST_TRUSTED} trusted destinations")
            try:
                self._trusted_networks.append(ipaddress.ip_network(place))
            except ValueError:
                domain = place.lower().rstrip(".")
                if not _DOMAIN.fullmatch(domain):
                    raise CatalogueError(
                        f"trusted destinations: {place!r} is neither a domain, an address nor a network"
                    ) from None
                self._trusted_domains.add(domain)


def load_catalogue(extra: Sequence[Destination] = (), trusted: Iterable[str] = ()) -> Catalogue:
    """The shipped catalogue, with an administrator's own destinations (`extra`: their domains are taken from
    whoever has them) and the company's own places (`trusted`: domains, addresses, networks).

    Raises CatalogueError.
    """
    applications, destinations = _shipped()
    if len(extra) > MOST_EXTRA:
        raise CatalogueError(f"more than {MOST_EXTRA} extra destinations")
    taken = {domain for each in extra for domain in each.domains}
    if taken:
        applications = tuple(
            msgspec.structs.replace(each, domains=_without(each.domains, taken)) for each in applications
        )
        destinations = tuple(
            msgspec.structs.replace(each, domains=_without(each.domains, taken)) for each in destinations
        )
    return Catalogue(applications, (*destinations, *extra), trusted)


@cache
def _shipped() -> tuple[tuple[Application, ...], tuple[Destination, ...]]:
    applications: list[Application] = []
    destinations: list[Destination] = []
    folder = resources.files("event_schema") / "catalogues"
    for name, kind in _FILES.items():
        text = (folder / name).read_text(encoding="utf-8")
        found, places = read_catalogue(text, name, kind)
        applications += found
        destinations += places
    return tuple(applications), tuple(destinations)


def read_catalogue(
    text: str, name: str, kind: Kind | None
) -> tuple[tuple[Application, ...], tuple[Destination, ...]]:
    """One file's entries. `kind` None: a file of destinations. Raises CatalogueError."""
    try:
        tables = tomllib.loads(text)
        for table in tables.get("application", ()):
            if isinstance(table, dict) and "kind" in table:
                raise CatalogueError(f"{name}: the kind is given by the file")
        content = msgspec.convert(tables, _File)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise CatalogueError(f"{name}: {error}") from error
    if kind is None and content.application:
        raise CatalogueError(f"{name}: applications do not belong here")
    if kind is not None and content.destination:
        raise CatalogueError(f"{name}: destinations do not belong here")
    return tuple(
        each if kind is None else msgspec.structs.replace(each, kind=kind) for each in content.application
    ), content.destination


def _without(domains: tuple[str, ...], taken: set[str]) -> tuple[str, ...]:
    return tuple(domain for domain in domains if domain not in taken)


def _domain_and_parents(host: str) -> Iterable[str]:
    domain = host[:255].lower().rstrip(".")
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _add_new(known: set[str], value: str, what: str) -> None:
    if value in known:
        raise CatalogueError(f"{what} {value} stands twice")
    known.add(value)
