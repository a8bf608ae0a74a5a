"""Sigma rules, correlations and filters from files and folders, as they stand, mapping nothing.

A file may hold several documents between lines of `---`, also with `action: global`, `repeat` and `reset`.
Every fault of every file is found at once, each with its line; what is good is loaded all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from policies.correlation_checks import correlation_faults, own_faults, reference_faults
from policies.detection.condition_tree import Placeholders, Tree
from policies.detection.detection_set import rule_tree
from policies.detection_checks import Fault, detection_faults, detection_shape_faults
from policies.errors import NotSupported, PolicyError
from policies.positioned_yaml import YamlDocument, read_yaml_documents
from policies.rule_checks import place_of

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
FILES_MAX: Final = 20_000


class SigmaDocument(msgspec.Struct, frozen=True):
    """One rule, correlation or filter. `sigma`: pySigma's object."""

    file: str
    document: YamlDocument
    value: Mapping[str, Any]
    """What the document says, with what `action` adds to it."""
    sigma: Any

    @property
    def rule_id(self) -> str | None:
        return None if self.sigma.id is None else str(self.sigma.id)

    @property
    def title(self) -> str:
        return str(self.sigma.title)


class SigmaFiles(msgspec.Struct, frozen=True):
    """`trees` are the rules' conditions, filters applied, in the order of `rules`."""

    rules: tuple[SigmaDocument, ...]
    trees: tuple[Tree, ...]
    correlations: tuple[SigmaDocument, ...]
    errors: tuple[PolicyError, ...]


def load_sigma(
    paths: Iterable[Path], *, placeholders: Placeholders | None = None, fields: Collection[str] | None = None
) -> SigmaFiles:
    """All *.yml and *.yaml files of the paths, folders with all below. `fields`: see detection_faults."""
    loader = _Loader(fields)
    try:
        for name, file in _files(paths):
            loader.read(name, file)
    except NotSupported as error:
        loader.errors.append(PolicyError("", 0, str(error)))
    return loader.finish(placeholders)


def _files(paths: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    seen = 0
    for path in paths:
        inside = (
            sorted(f for f in path.rglob("*") if f.suffix in (".yml", ".yaml")) if path.is_dir() else [path]
        )
        for file in inside:
            seen += 1
            if seen > FILES_MAX:
                raise NotSupported(f"more than {FILES_MAX:,} files")
            yield str(file), file


class _Loader:
    def __init__(self, fields: Collection[str] | None) -> None:
        self._fields: Final = fields
        self._documents: Final[list[SigmaDocument]] = []
        self._ids: Final[dict[str, str]] = {}
        self.errors: Final[list[PolicyError]] = []

    def read(self, name: str, file: Path) -> None:
        try:
            with file.open("rb") as opened:
                data = opened.read(FILE_BYTES_MAX + 1)
            if len(data) > FILE_BYTES_MAX:
                raise ValueError(f"more than {FILE_BYTES_MAX:,} bytes")
            text = data.decode("utf-8-sig")
        except (OSError, ValueError) as error:
            self.errors.append(PolicyError(name, 1, f"cannot be read: {error}"))
            return
        documents = read_yaml_documents(text)
        if not documents:
            self.errors.append(PolicyError(name, 1, "the file is empty"))
        base: dict[str, Any] = {}
        before: dict[str, Any] = {}
        for document in documents:
            value = document.value
            if document.faults or not isinstance(value, dict):
                self.errors.extend(PolicyError(name, fault.line, fault.message) for fault in document.faults)
                if not document.faults:
                    self._say(
                        name, document, [Fault((), "a rule is a mapping of keys such as title, detection")]
                    )
                continue
            action = value.get("action")
            plain = {key: inner for key, inner in value.items() if key != "action"}
            if action == "global":
                base = before = plain
            elif action == "reset":
                base = {}
            elif action in (None, "repeat"):
                combined = plain if _is_other(plain) else _merged(before if action else base, plain)
                before = before if _is_other(plain) else combined
                self._take(name, document, combined, repeated=action == "repeat")
            else:
                words = f"action {action} is none of global, repeat, reset"
                self.errors.append(PolicyError(name, document.line(("action",)), words))

    def _take(self, name: str, document: YamlDocument, value: dict[str, Any], *, repeated: bool) -> None:
        faults = list(_faults(value, self._fields))
        sigma: Any = None
        if not faults:
            sigma, faults = _parsed(value)
        if faults:
            self._say(name, document, faults)
            return
        rule_id = str(sigma.id)
        if sigma.id is not None and rule_id in self._ids and not repeated:
            self._say(name, document, [Fault(("id",), f"id {rule_id} is also that of {self._ids[rule_id]}")])
            return
        self._ids.setdefault(rule_id, name)
        self._documents.append(SigmaDocument(name, document, value, sigma))

    def _say(self, name: str, document: YamlDocument, faults: Iterable[Fault]) -> None:
        self.errors.extend(PolicyError(name, document.line(fault.path), fault.message) for fault in faults)

    def finish(self, placeholders: Placeholders | None) -> SigmaFiles:
        filters = [each for each in self._documents if isinstance(each.sigma, SigmaFilter)]
        rules: list[SigmaDocument] = []
        trees: list[Tree] = []
        for each in self._documents:
            if isinstance(each.sigma, SigmaRule):
                tree, faults = _tree(each.sigma, [f.sigma for f in filters], placeholders)
                self._say(each.file, each.document, faults)
                if tree is not None:
                    rules.append(each)
                    trees.append(tree)
        correlations = [each for each in self._documents if isinstance(each.sigma, SigmaCorrelationRule)]
        good = self._good_correlations(rules, correlations)
        self.errors.sort(key=lambda e: (e.file, e.line, e.message))
        return SigmaFiles(tuple(rules), tuple(trees), tuple(good), tuple(self.errors))

    def _good_correlations(
        self, rules: Sequence[SigmaDocument], correlations: list[SigmaDocument]
    ) -> list[SigmaDocument]:
        """Those whose rules are all there and good, again and again until nothing more falls away."""
        while True:
            bad = reference_faults([r.sigma for r in rules], [c.sigma for c in correlations])
            for at, faults in bad.items():
                self._say(correlations[at].file, correlations[at].document, faults)
            if not bad:
                return correlations
            correlations = [each for at, each in enumerate(correlations) if at not in bad]


def _is_other(value: Mapping[str, Any]) -> bool:
    return "correlation" in value or "filter" in value


def _merged(base: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in more.items():
        before = merged.get(key)
        merged[key] = (
            _merged(before, value) if isinstance(before, dict) and isinstance(value, dict) else value
        )
    return merged


def _faults(value: Mapping[str, Any], fields: Collection[str] | None) -> Iterator[Fault]:
    if "correlation" in value:
        found = list(correlation_faults(value["correlation"]))
        yield from found or own_faults(value)
    elif "filter" in value:
        if not isinstance(value["filter"], dict):
            yield Fault(("filter",), "filter is a mapping of rules, selections and a condition")
            return
        selections = {key: inner for key, inner in value["filter"].items() if key != "rules"}
        yield from detection_faults(selections, fields, at=("filter",))
    elif "detection" not in value:
        yield Fault((), "this is no rule, correlation or filter: it has none of these keys")
    else:
        shape = list(detection_shape_faults(value["detection"]))
        yield from shape
        if not shape:
            yield from detection_faults(value["detection"], fields)


def _parsed(value: dict[str, Any]) -> tuple[Any, list[Fault]]:
    kind: Any = SigmaRule
    if "correlation" in value:
        kind = SigmaCorrelationRule
    elif "filter" in value:
        kind = SigmaFilter
    try:
        sigma = kind.from_dict({"title": "untitled", **value}, collect_errors=True)
    except (SigmaError, ValueError, TypeError, AttributeError, KeyError) as error:
        # pySigma lets some malformed values through to Python's own errors.
        return None, [Fault(_place(error, value), str(error))]
    return sigma, [Fault(_place(error, value), str(error)) for error in sigma.errors]


def _place(error: BaseException, value: Mapping[str, Any]) -> tuple[str | int, ...]:
    for kind in ("correlation", "filter"):
        if kind in value and place_of(error)[0] == "detection":
            return (kind,)
    return place_of(error)


def _tree(
    rule: SigmaRule, filters: Sequence[SigmaFilter], placeholders: Placeholders | None
) -> tuple[Tree | None, list[Fault]]:
    condition = ("detection", "condition")
    try:
        for each in filters:
            each.apply_on_rule(rule)
        return rule_tree([parsed.parsed for parsed in rule.detection.parsed_condition], placeholders), []
    except NotSupported as error:
        return None, [Fault(("detection",), str(error))]
    except RecursionError:
        return None, [Fault(condition, "the condition is nested too deep")]
    except (SigmaError, ValueError, TypeError, AttributeError) as error:
        return None, [Fault(condition, str(error) or type(error).__name__)]
