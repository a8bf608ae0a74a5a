"""An isolation forest as flat arrays: trained by scikit-learn, scored without it, bit for bit the same.

Stored form (all numbers little-endian):

    sealed bytes (sealed_bytes.py), kind "LVFOREST", version 1: u32 length of header | header (JSON) | arrays

The header names the features in order, the seed, samples and trees, and the arrays with type and length;
the arrays follow in that order without gaps:

| array | type | one entry a |
|---|---|---|
| roots | i32 | tree: its first node |
| feature, threshold | i32, f64 | node: what it asks; a leaf asks feature 0 and both answers lead back to it |
| children | i32 | node and answer: [2n] for value <= threshold, [2n + 1] for above |
| leaf_value | f64 | node: (depth + average path length of its samples) − 1 |
| low, high | f64 | feature: the training range |
| sample, sample_scores | f64 | row of a training sample and the score that scikit-learn gave it |

Invariants, checked on reading: children and features within range; the sample's scores are those that
scikit-learn gave (exactly so at training). No pickle: reading these bytes runs no code.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from analytics.sealed_bytes import StoredStateError, seal, unseal

FORMAT_VERSION: Final = 1
_KIND: Final = b"LVFOREST"
_LENGTH: Final = struct.Struct("<I")
_HEADER_BYTES_MAX: Final = 64 * 1024
_SAMPLE_ROWS: Final = 64
_BLOCK_ROWS: Final = 256
"""Rows walked together: as many as keep their nodes in the processor's cache."""
_EULER_GAMMA: Final = np.euler_gamma

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


class ForestError(StoredStateError):
    """A matrix or stored forest that does not fit; the message says how."""


class _Array(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    type: str
    length: int


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    features: list[str]
    seed: int
    samples: int
    depth: int
    arrays: list[_Array]


class Forest:
    """Scores rows in -1 (isolated at once) … 0; lower is stranger, as scikit-learn's score_samples."""

    _names: Final = (
        "roots",
        "feature",
        "threshold",
        "children",
        "leaf_value",
        "low",
        "high",
        "sample",
        "sample_scores",
    )

    def __init__(
        self, features: Sequence[str], seed: int, samples: int, depth: int, arrays: dict[str, Any]
    ) -> None:
        self.features: Final = tuple(features)
        self.seed: Final = seed
        self.samples: Final = samples
        self._depth: Final = depth
        self._roots: Final[Ints] = arrays["roots"]
        self._feature: Final[Ints] = arrays["feature"]
        self._threshold: Final[Floats] = arrays["threshold"]
        self._children: Final[Ints] = arrays["children"]
        self._leaf_value: Final[Floats] = arrays["leaf_value"]
        self.low: Final[Floats] = arrays["low"]
        self.high: Final[Floats] = arrays["high"]
        self._sample: Final[Floats] = arrays["sample"].reshape(-1, len(self.features))
        self._sample_scores: Final[Floats] = arrays["sample_scores"]
        self._normaliser: Final = len(self._roots) * float(_average_path_length(np.array([samples]))[0])
        self._check_structure()
        # As numpy indexes: else each step of a walk converts them.
        self._walk: Final = tuple(part.astype(np.intp) for part in (self._feature, self._children))
        # Exactly equal on the machine that trained it; another processor's 2^x may differ in the last bit.
        if not np.allclose(self.score(self._sample), self._sample_scores, rtol=1e-14, atol=0):
            raise ForestError("the forest does not give the scores that scikit-learn gave")

    @property
    def trees(self) -> int:
        return len(self._roots)

    def score(self, matrix: Sequence[Sequence[float]] | Floats) -> Floats:
        """One score a row. Raises ForestError on another width, NaN or infinity."""
        # scikit-learn compares float32 values; its sums run in tree order. Both matter for equality.
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(matrix, dtype=np.float32).astype(np.float64)
        width = len(self.features)
        if rows.ndim != 2 or rows.shape[1] != width:
            raise ForestError(f"matrix of shape {rows.shape} has not {width} columns")
        if not np.isfinite(rows).all():
            bad = int(np.argwhere(~np.isfinite(rows))[0][1])
            raise ForestError(f"feature {self.features[bad]} is not a finite number")
        blocks = [self._score_block(rows[at : at + _BLOCK_ROWS]) for at in range(0, len(rows), _BLOCK_ROWS)]
        return np.concatenate(blocks) if blocks else np.empty(0)

    def _score_block(self, rows: Floats) -> Floats:
        flat = rows.ravel()
        row_start = (np.arange(len(rows), dtype=np.intp) * len(self.features))[:, None]
        feature, children = self._walk
        node = np.tile(self._roots.astype(np.intp), (len(rows), 1))
        for _ in range(self._depth):
            above = flat.take(feature.take(node) + row_start) > self._threshold.take(node)
            node = children.take(2 * node + above)
        depths = np.add.accumulate(self._leaf_value.take(node), axis=1)[:, -1]
        scores: Floats = -(2.0 ** (-(depths / self._normaliser)))
        return scores

    def to_bytes(self) -> bytes:
        arrays = {
            name: getattr(self, name if name in ("low", "high") else f"_{name}") for name in self._names
        }
        listed = [_Array(name, array.dtype.str, array.size) for name, array in arrays.items()]
        header = msgspec.json.encode(
            _Header(list(self.features), self.seed, self.samples, self._depth, listed)
        )
        parts = [_LENGTH.pack(len(header)), header, *(array.tobytes() for array in arrays.values())]
        return seal(_KIND, FORMAT_VERSION, b"".join(parts))

    @classmethod
    def from_bytes(cls, data: bytes, features: Sequence[str]) -> Forest:
        """Raises ForestError unless these are a whole forest of this version over exactly these features."""
        header, arrays = _read(data)
        if header.features != list(features):
            raise ForestError(
                f"the stored forest is over {', '.join(header.features)}, not over {', '.join(features)}; "
                "train it again"
            )
        if set(arrays) != set(cls._names):
            raise ForestError(f"the stored forest holds the arrays {sorted(arrays)}")
        try:
            return cls(header.features, header.seed, header.samples, header.depth, arrays)
        except (ValueError, IndexError) as error:
            raise (
                error if isinstance(error, ForestError) else ForestError(f"stored forest: {error}")
            ) from error

    def _check_structure(self) -> None:
        nodes = len(self._feature)
        if (
            len(self._threshold) != nodes
            or len(self._leaf_value) != nodes
            or len(self._children) != 2 * nodes
        ):
            raise ForestError("arrays of the forest differ in length")
        if not 0 < self._depth < 4096 or self.trees == 0 or nodes == 0:
            raise ForestError("the forest has no trees")
        for name, values, end in (
            ("roots", self._roots, nodes),
            ("children", self._children, nodes),
            ("feature", self._feature, len(self.features)),
        ):
            if values.min() < 0 or values.max() >= end:
                raise ForestError(f"{name} of the forest point outside of it")


def train_forest(
    matrix: Floats, features: Sequence[str], seed: int, trees: int = 100, samples: int = 512
) -> Forest:
    """A forest over the rows. Raises ForestError on NaN, on too few rows (2) or another width."""
    matrix = np.ascontiguousarray(matrix, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] != len(features):
        raise ForestError(f"matrix of shape {matrix.shape} has not {len(features)} columns")
    if len(matrix) < 2:
        raise ForestError(f"{len(matrix)} rows are too few for a forest")
    if not np.isfinite(matrix).all():
        bad = int(np.argwhere(~np.isfinite(matrix))[0][1])
        raise ForestError(f"feature {features[bad]} is not a finite number in every row")
    samples = min(samples, len(matrix))
    # Imported here: only training needs it, a process of its own; scoring is ours. It takes two seconds to
    # load, and as much memory as the rest of the server.
    from sklearn.ensemble import IsolationForest  # type: ignore[import-untyped]  # noqa: PLC0415

    fitted = IsolationForest(n_estimators=trees, max_samples=samples, random_state=seed).fit(matrix)
    roots, feature, threshold, children, leaf_value = [], [], [], [], []
    nodes = depth = 0
    for estimator in fitted.estimators_:
        tree = estimator.tree_
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        roots.append(nodes)
        feature.append(np.where(leaf, 0, tree.feature))
        threshold.append(np.where(leaf, 0.0, tree.threshold))
        left = np.where(leaf, own, tree.children_left) + nodes
        right = np.where(leaf, own, tree.children_right) + nodes
        children.append(np.stack([left, right], axis=1).ravel())
        depths = np.asarray(tree.compute_node_depths(), dtype=np.float64)
        leaf_value.append((depths + _average_path_length(tree.n_node_samples)) - 1.0)
        nodes += tree.node_count
        depth = max(depth, int(tree.max_depth))
    picked = np.linspace(0, len(matrix) - 1, min(_SAMPLE_ROWS, len(matrix))).astype(int)
    arrays = {
        "roots": np.array(roots, dtype=np.int32),
        "feature": np.concatenate(feature).astype(np.int32),
        "threshold": np.concatenate(threshold).astype(np.float64),
        "children": np.concatenate(children).astype(np.int32),
        "leaf_value": np.concatenate(leaf_value),
        "low": matrix.min(axis=0),
        "high": matrix.max(axis=0),
        "sample": matrix[picked].ravel(),
        "sample_scores": np.asarray(fitted.score_samples(matrix[picked]), dtype=np.float64),
    }
    forest = Forest(features, seed, samples, max(depth, 1), arrays)
    if not np.array_equal(forest.score(matrix[picked]), arrays["sample_scores"]):
        raise ForestError("flat forest and scikit-learn give different scores")
    return forest


def _average_path_length(samples: NDArray[np.integer[Any]]) -> Floats:
    """Mean depth of an unsuccessful search among n samples, in scikit-learn's order of operations."""
    n = samples.astype(np.float64)
    lengths: Floats = np.zeros(n.shape)
    lengths[n == 2] = 1.0
    many = n > 2
    lengths[many] = 2.0 * (np.log(n[many] - 1.0) + _EULER_GAMMA) - 2.0 * (n[many] - 1.0) / n[many]
    return lengths


def _read(data: bytes) -> tuple[_Header, dict[str, Any]]:
    content = unseal(data, _KIND, FORMAT_VERSION, "stored forest")
    length = int.from_bytes(content[: _LENGTH.size], "little")
    if length > _HEADER_BYTES_MAX:
        raise ForestError(f"header of the stored forest is {length} bytes long")
    at = _LENGTH.size + length
    try:
        header = msgspec.json.decode(content[_LENGTH.size : at], type=_Header)
    except msgspec.DecodeError as error:
        raise ForestError(f"header of the stored forest: {error}") from error
    arrays: dict[str, Any] = {}
    for array in header.arrays:
        if array.type not in ("<i4", "<f8") or array.length < 0:
            raise ForestError(f"array {array.name} of the stored forest has type {array.type}")
        size = array.length * int(array.type[2])
        if at + size > len(content):
            raise ForestError(f"array {array.name} of the stored forest is cut short")
        arrays[array.name] = np.frombuffer(content, dtype=array.type, count=array.length, offset=at)
        at += size
    if at != len(content):
        raise ForestError(f"{len(content) - at} bytes follow the arrays of the stored forest")
    return header, arrays
