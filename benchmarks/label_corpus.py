"""Files that others made, for tuning and for measuring labels: fetched once through ordinary package clients.

Tuning and measuring share no package. The names below are the whole difference: what is under `tune` may be
looked at while rules and language models are made, what is under `measure` is only counted.

Needs npm, cargo, go, mvn, pip and apt-get; what a client cannot bring is told and left out. Layout of the
cache: <cache>/<tune|measure>/<client>/<package>/…
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

CACHE: Final = Path(os.environ.get("LEAVER_LABEL_CORPUS", "~/.cache/leaver/label_corpus")).expanduser()
_SECONDS: Final = 600

PACKAGES: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "tune": {
        "npm": (
            *("lodash", "express", "rxjs", "react-dom", "eslint", "expo-modules-core", "edge-js"),
            *("re2", "vega-datasets", "bootstrap", "vue", "zod", "date-fns", "leveldown", "axios"),
            *("react-native-windows", "expo-camera", "typeorm"),
        ),
        "crates": (
            *("libz-sys", "libgit2-sys", "serde", "tokio", "calamine", "zip", "zstd-sys", "curl-sys"),
            *("regex-syntax", "clap_builder", "hyper", "lopdf", "sevenz-rust2"),
        ),
        "go": (
            *("github.com/gin-gonic/gin@v1.10.0", "github.com/stretchr/testify@v1.9.0"),
            *("github.com/spf13/cobra@v1.8.0", "github.com/go-chi/chi/v5@v5.0.12"),
        ),
        "maven": (
            "com.google.guava:guava:33.2.0-jre:jar:sources",
            "org.jetbrains.kotlin:kotlin-stdlib:1.9.24:jar:sources",
            "org.scala-lang:scala-library:2.13.14:jar:sources",
            "org.apache.commons:commons-lang3:3.14.0:jar:sources",
            "org.springframework:spring-core:6.1.6:jar:sources",
            "com.squareup.okhttp3:okhttp:4.12.0:jar:sources",
            "org.typelevel:cats-core_2.13:2.10.0:jar:sources",
        ),
        "pip": (
            *("django", "networkx", "statsmodels", "jinja2", "docutils", "python-docx", "flask", "sympy"),
            *("scikit-learn", "pandas", "nltk", "sphinx", "openpyxl"),
        ),
        "apt": (
            *("perl-modules-5.36", "php-symfony-console", "php-twig", "ruby-activesupport", "ruby-rack"),
            *("bash-completion", "postgresql-15", "lua-penlight", "fail2ban", "doc-debian", "manpages-dev"),
            *("manpages-zh", "debian-policy", "r-cran-devtools", "linux-doc-6.1", "autoconf", "dracut-core"),
            *("libmojolicious-perl", "libdatetime-perl", "phpmyadmin", "ruby-sinatra", "ruby-mail"),
            *("mariadb-server-core", "prosody", "manpages", "git", "debconf-doc", "dpkg-dev", "libtool"),
            *("developers-reference", "maint-guide-zh-cn", "logwatch", "vim-runtime"),
        ),
    },
    "measure": {
        "npm": (
            *("commander", "socket.io", "chart.js", "ts-node", "@nestjs/core", "uuid", "expo-image"),
            *("react-native-screens", "nodejieba", "fastify"),
        ),
        "crates": ("lz4-sys", "libssh2-sys", "anyhow", "rayon", "itertools", "csv"),
        "go": ("github.com/labstack/echo/v4@v4.12.0", "go.uber.org/zap@v1.27.0"),
        "maven": (
            "com.google.code.gson:gson:2.10.1:jar:sources",
            "com.fasterxml.jackson.core:jackson-databind:2.17.0:jar:sources",
            "io.ktor:ktor-http-jvm:2.3.10:jar:sources",
            "com.typesafe.akka:akka-actor_2.13:2.6.20:jar:sources",
        ),
        "pip": ("requests", "fastapi", "vega_datasets", "pytest", "boltons", "sqlalchemy", "jieba", "pypdf"),
        "apt": (
            *("libwww-perl", "libmoose-perl", "php-guzzlehttp-guzzle", "ruby-haml", "rake", "luarocks"),
            *("postgresql-15-postgis-3-scripts", "initramfs-tools-core", "rkhunter", "lintian", "apt-doc"),
            *(
                "debian-faq",
                "debian-reference-zh-cn",
                "manpages-fr",
                "ghostscript",
                "poppler-data",
            ),
        ),
    },
}


def fetch(half: str) -> Path:
    """Everything of one half, unpacked; what is there already is not fetched again."""
    top = CACHE / half
    for client, names in PACKAGES[half].items():
        for name in names:
            into = top / client / "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
            if (into / ".complete").exists():
                continue
            shutil.rmtree(into, ignore_errors=True)
            into.mkdir(parents=True)
            try:
                _CLIENTS[client](name, into)
            except (subprocess.SubprocessError, OSError, tarfile.TarError, zipfile.BadZipFile) as error:
                sys.stderr.write(f"left out: {client} {name}: {type(error).__name__}\n")
            (into / ".complete").touch()
    return top


def _run(into: Path, *command: str, **environment: str) -> None:
    subprocess.run(
        command,
        cwd=into,
        check=True,
        timeout=_SECONDS,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | environment,
    )


def _unpack_all(into: Path, pattern: str) -> None:
    for packed in sorted(into.glob(pattern)):
        if packed.suffix in {".whl", ".jar"}:
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(into)
        else:
            with tarfile.open(packed) as archive:
                archive.extractall(into, filter="data")
        packed.unlink()


def _npm(name: str, into: Path) -> None:
    _run(into, "npm", "pack", "--silent", name)
    _unpack_all(into, "*.tgz")


def _crate(name: str, into: Path) -> None:
    (into / "src").mkdir()
    (into / "src" / "lib.rs").touch()
    text = f'[package]\nname = "x"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n{name} = "*"\n'
    (into / "Cargo.toml").write_text(text, encoding="utf-8")
    _run(into, "cargo", "vendor", "--quiet", "all")
    found = into / "all" / name
    found.rename(into / "crate")
    shutil.rmtree(into / "all")


def _go(name: str, into: Path) -> None:
    (into / "go.mod").write_text("module x\n", encoding="utf-8")
    _run(into, "go", "mod", "download", name, GOMODCACHE=str(into), GOFLAGS="-modcacherw")


def _maven(name: str, into: Path) -> None:
    plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"
    _run(into, "mvn", "-q", "-B", plugin, f"-Dartifact={name}", f"-DoutputDirectory={into}")
    _unpack_all(into, "*.jar")


def _pip(name: str, into: Path) -> None:
    _run(into, sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", name)
    _unpack_all(into, "*.whl")
    _unpack_all(into, "*.tar.gz")


def _apt(name: str, into: Path) -> None:
    _run(into, "apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", name)
    for packed in into.glob("*.deb"):
        _run(into, "dpkg-deb", "-x", packed.name, ".")
        packed.unlink()


_CLIENTS: Final[dict[str, Callable[[str, Path], None]]] = {
    "npm": _npm,
    "crates": _crate,
    "go": _go,
    "maven": _maven,
    "pip": _pip,
    "apt": _apt,
}


def files(top: Path) -> Iterator[Path]:
    """All regular files with something in them, in a fixed order."""
    for path in sorted(top.rglob("*")):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink() and path.stat().st_size:
                yield path


if __name__ == "__main__":
    for each in sys.argv[1:] or list(PACKAGES):
        fetch(each)
