"""What the program says when it refuses: the words of every `raise` of a refusal that a page shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import msgspec

SERVER = Path(__file__).parents[3] / "server"


class Raised(msgspec.Struct, frozen=True):
    """`parts`: what is written, None where a value stands."""

    where: str
    kind: str
    parts: tuple[str | None, ...]

    def filled(self, value: str) -> str:
        return "".join(value if part is None else part for part in self.parts)


def modules(folder: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted([folder] if folder.is_file() else folder.rglob("*.py")):
        yield path, ast.parse(path.read_bytes())


def shown_kinds() -> frozenset[str]:
    """Exceptions whose words the console shows: caught with a name, of which the words are taken."""
    return frozenset(
        name
        for _, module in modules(SERVER / "console")
        for node in ast.walk(module)
        if isinstance(node, ast.ExceptHandler) and node.name and node.type is not None
        if any(_takes_words(each, node.name) for each in ast.walk(node))
        for name in _names(node.type)
    )


def _takes_words(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "str"
        and any(isinstance(each, ast.Name) and each.id == name for each in node.args)
    )


def _names(node: ast.expr) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Name):
            yield each.id


def raised(folder: Path, kinds: frozenset[str]) -> Iterator[Raised]:
    """Of a call that makes such an exception, its words; those that are no literal are told elsewhere."""
    for path, module in modules(folder):
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in kinds:
                continue
            place = 2 if node.func.id == "ApiError" else 0
            if len(node.args) > place and (parts := parts_of(node.args[place])) is not None:
                where = f"{path.relative_to(SERVER)}:{node.lineno}"
                yield Raised(where, node.func.id, parts)


def parts_of(node: ast.expr) -> tuple[str | None, ...] | None:
    match node:
        case ast.Constant(value=str(words)):
            return (words,)
        case ast.JoinedStr(values=values):
            return tuple(each.value if isinstance(each, ast.Constant) else None for each in values)  # type: ignore[misc]
        case _:
            return None
