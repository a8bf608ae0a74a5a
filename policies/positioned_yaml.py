"""YAML with the line of every key and element, and without its traps.

Refused, each with its line: aliases (they can grow without bound), duplicate keys, keys that are no text,
and `yes`, `no`, `on`, `off`, which YAML 1.1 reads as booleans where people mean words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec
import yaml

Path = tuple[str | int, ...]

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOOLEAN_TAG: Final = "tag:yaml.org,2002:bool"
_OPENING: Final = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_CLOSING: Final = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
_NULL_TAG: Final = "tag:yaml.org,2002:null"
_DEPTH_MAX: Final = 32


class YamlFault(msgspec.Struct, frozen=True):
    line: int
    message: str


class YamlDocument(msgspec.Struct, frozen=True):
    """`lines` has the 1-based line of each key and list element by its path; () is the document's own."""

    value: Any
    lines: dict[Path, int]
    faults: tuple[YamlFault, ...]

    def line(self, path: Path) -> int:
        """The line of the path, or of the nearest parent that has one."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


def read_yaml(text: str) -> YamlDocument:
    """One document. Never raises: what is wrong with the text is in `faults`."""
    found = _nodes(text, lambda: [yaml.compose(text, Loader=_LOADER)])
    if isinstance(found, YamlDocument):
        return found
    return _document(found[0]) if found[0] is not None else _fault(1, "the file is empty")


def read_yaml_documents(text: str) -> list[YamlDocument]:
    """All documents of a text (between lines of ---), the empty ones left out. Never raises."""
    found = _nodes(text, lambda: list(yaml.compose_all(text, Loader=_LOADER)))
    if isinstance(found, YamlDocument):
        return [found]
    return [_document(node) for node in found if node is not None and node.tag != _NULL_TAG]


def _nodes(text: str, compose: Callable[[], list[Any]]) -> list[Any] | YamlDocument:
    try:
        # Before anything is built: composing goes as deep as the text does.
        depth = 0
        for token in yaml.scan(text, Loader=_LOADER):
            if isinstance(token, yaml.AliasToken):
                return _fault(token.start_mark.line + 1, "aliases (*name) are not allowed: write it out")
            depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
            if depth > _DEPTH_MAX:
                return _fault(token.start_mark.line + 1, f"nested more than {_DEPTH_MAX} deep")
        return compose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(part for part in (error.context, error.problem) if part)
        return _fault(mark.line + 1 if mark else 1, f"not YAML: {words}")
    except yaml.YAMLError as error:
        return _fault(1, f"not YAML: {error}")
    except RecursionError:
        return _fault(1, f"nested more than {_DEPTH_MAX} deep")


def _document(node: yaml.Node) -> YamlDocument:
    builder = _Builder(node.start_mark.line + 1)
    value = builder.build(node, ())
    return YamlDocument(value, builder.lines, tuple(builder.faults))


def _fault(line: int, message: str) -> YamlDocument:
    return YamlDocument(None, {(): 1}, (YamlFault(line, message),))


class _Builder:
    def __init__(self, line: int) -> None:
        self.lines: Final[dict[Path, int]] = {(): line}
        self.faults: Final[list[YamlFault]] = []
        self._constructor: Final = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, path: Path) -> Any:
        if len(path) > _DEPTH_MAX:
            self._say(node, f"nested more than {_DEPTH_MAX} deep")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._element(inner, (*path, at)) for at, inner in enumerate(node.value)]
        if node.tag == _BOOLEAN_TAG and node.value.lower() not in ("true", "false"):
            self._say(
                node, f"{node.value} would be read as a boolean: write true or false, or '{node.value}'"
            )
            return None
        try:
            return self._constructor.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            self._say(node, f"{node.value!r} cannot be read: {getattr(error, 'problem', None) or error}")
            return None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.build(key_node, path)
            if not isinstance(key, str):
                if key is not None:
                    self._say(key_node, f"key {key!r} is no text: put it in quotes")
                continue
            if key in built:
                self._say(key_node, f"key {key} stands here twice")
                continue
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            built[key] = self.build(value_node, (*path, key))
        return built

    def _element(self, node: yaml.Node, path: Path) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self.build(node, path)

    def _say(self, node: yaml.Node, message: str) -> None:
        self.faults.append(YamlFault(node.start_mark.line + 1, message))
