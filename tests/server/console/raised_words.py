"""What the program says when it refuses: the words of every `raise` of a refusal that a page shows."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
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
    """Of a call that makes such an exception, its words, also those of a name of the module or function; what
    is put together otherwise is told elsewhere."""
    for path, module in modules(folder):
        named = assigned(module)
        for node in ast.walk(module):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id not in kinds:
                continue
            place = 2 if node.func.id == "ApiError" else 0
            where = f"{path.relative_to(SERVER)}:{node.lineno}"
            for argument in node.args[place : place + 1]:
                for parts in all_parts(argument, named):
                    yield Raised(where, node.func.id, parts)


def assigned(module: ast.Module) -> dict[str, list[ast.expr]]:
    """What each name stands for, somewhere in the module."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(module):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                found.setdefault(name, []).append(value)
    return found


def all_parts(node: ast.expr, named: Mapping[str, list[ast.expr]]) -> Iterator[tuple[str | None, ...]]:
    match node:
        case ast.IfExp(body=one, orelse=other):
            yield from all_parts(one, named)
            yield from all_parts(other, named)
        case ast.Name(id=name):
            for value in named.get(name, []):
                if not isinstance(value, ast.Name):
                    yield from all_parts(value, {})
        case _ if (parts := parts_of(node)) is not None:
            yield parts


def parts_of(node: ast.expr) -> tuple[str | None, ...] | None:
    match node:
        case ast.Constant(value=str(words)):
            return (words,)
        case ast.JoinedStr(values=values):
            return tuple(each.value if isinstance(each, ast.Constant) else None for each in values)  # type: ignore[misc]
        case _:
            return None
