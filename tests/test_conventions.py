"""What holds for every file and every field: names that are ours alone, documented, bounded, declared."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import importlib.util
import pkgutil
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

import event_schema
from event_schema.struct_base import Word

ROOT = Path(__file__).parents[1]
PACKAGES = ("event_schema", "collectors", "agent", "analytics", "policies", "server")
FOLDERS = (*PACKAGES, "tests", "benchmarks", "deploy")
LINES_MAX = 400
LONGER: dict[str, str] = {
    "server/evidence_pack/verifier.py": "each pack holds a copy of it, which must run alone: one file",
}
"""Files that may be longer, and why."""
NEVER = frozenset(
    {
        "args",
        "arguments",
        "argv",
        "body",
        "clipboard",
        "cmd_line",
        "command_line",
        "content",
        "cwd",
        "environment",
        "environment_variables",
        "keystrokes",
        "message_text",
        "password",
        "query",
        "query_string",
        "raw_data",
        "screenshot",
        "sql",
        "statement",
        "subject",
        "title",
        "working_directory",
    }
)
"""No field has such a name: MISSION's list of what is never stored or sent."""


@cache
def sources() -> dict[str, Path]:
    """Our Python files by their path in the repository."""
    return {
        str(path.relative_to(ROOT)): path
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not {"node_modules", "jars", "__pycache__"} & set(path.parts)
    }


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def words() -> Iterator[type[Word]]:
    """Every type of event_schema that can travel or be derived."""
    for module in pkgutil.iter_modules(event_schema.__path__):
        importlib.import_module(f"event_schema.{module.name}")
    waiting: list[type[Word]] = [Word]
    while waiting:
        for found in waiting.pop().__subclasses__():
            if found.__module__.startswith("event_schema."):
                yield found
            waiting.append(found)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_our_package_names(package: str) -> None:
    owners = set(importlib.metadata.packages_distributions().get(package, ()))
    assert owners == {"leaver"}
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin == str(ROOT / package / "__init__.py")


def test_every_module_says_what_it_is() -> None:
    silent = [
        name
        for name, path in sources().items()
        if path.stat().st_size and not ast.get_docstring(ast.parse(path.read_bytes()))
    ]
    assert silent == []


def test_packages_of_the_product_have_a_described_init() -> None:
    empty = [
        name
        for name, path in sources().items()
        if path.name == "__init__.py" and name.split("/")[0] in PACKAGES and not path.stat().st_size
    ]
    assert empty == []


def test_no_file_is_too_long_but_for_a_reason() -> None:
    lengths = {name: len(path.read_bytes().splitlines()) for name, path in sources().items()}
    long = {name for name, length in lengths.items() if length > LINES_MAX}
    assert long - LONGER.keys() == set()
    assert LONGER.keys() - lengths.keys() == set(), "a file that is gone still has a reason"
    assert all(len(reason) > 20 for reason in LONGER.values())


def test_nothing_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, path in sources().items()
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert printing == []


def test_every_field_of_every_word_says_why_it_is_there() -> None:
    seen = 0
    for word in words():
        described = msgspec.inspect.type_info(word)
        assert isinstance(described, msgspec.inspect.StructType)
        for field in described.fields:
            assert isinstance(field.type, msgspec.inspect.Metadata), f"{word.__name__}.{field.name}"
            extra = field.type.extra_json_schema or {}
            assert len(extra.get("description", "")) >= 8, f"{word.__name__}.{field.name}"
            seen += 1
    assert seen > 100


def test_no_word_has_a_field_for_what_is_never_collected() -> None:
    names = {
        f"{word.__name__}.{name}"
        for word in words()
        for field in msgspec.structs.fields(word)
        for name in (field.name, field.encode_name)
        if name in NEVER
    }
    # OCSF requires the name of the one; it holds a statement without its literals.
    assert names == {"QueryInfo.query_string"}


def test_words_refuse_fields_that_nobody_declared() -> None:
    lax = [word.__name__ for word in words() if not word.__struct_config__.forbid_unknown_fields]
    assert lax == []


def test_the_lists_of_packages_name_the_folders_that_there_are() -> None:
    tool = project()["tool"]
    wheel = tool["setuptools"]["packages"]["find"]["include"]
    assert sorted(wheel) == sorted(name for p in PACKAGES for name in (p, f"{p}.*"))
    assert tuple(tool["importlinter"]["root_packages"]) == PACKAGES
    assert set(FOLDERS) == set(tool["mypy"]["files"])
    tops = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert tops == {*PACKAGES, "tests", "benchmarks"}


def test_every_folder_with_code_is_a_package_and_every_data_file_is_in_the_wheel() -> None:
    bare = {
        str(path.parent.relative_to(ROOT))
        for name, path in sources().items()
        if name.split("/")[0] in PACKAGES and not (path.parent / "__init__.py").exists()
    }
    assert bare == set()
    declared = project()["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for package in PACKAGES
        for pattern in declared.get(package, [])
        for path in (ROOT / package).glob(pattern)
    }
    left_out = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc"}
        and path.name not in declared["*"]
        and path not in packed
    }
    assert left_out == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed_for_whoever_imports_them(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()
