"""Makes collectors/labels/languages.json from the tuning half of the corpus (label_corpus.py).

    python -m benchmarks.label_languages      # fetches what is missing, writes the file, says how it fits

What a file is, is taken from its name, as its authors gave it.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Final

import numpy as np
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from benchmarks.label_corpus import fetch, files
from collectors.labels.source_code import HEAD_CHARACTERS, features_of, tokens_of
from collectors.labels.text_encoding import encoding_of

CODE: Final = {
    **dict.fromkeys((".c",), "c"),
    **dict.fromkeys((".cc", ".cpp", ".cxx", ".hpp", ".hh"), "cpp"),
    **dict.fromkeys((".js", ".mjs", ".cjs", ".jsx"), "javascript"),
    **dict.fromkeys((".ts", ".tsx"), "typescript"),
    **dict.fromkeys((".pl", ".pm"), "perl"),
    **dict.fromkeys((".sh", ".bash"), "shell"),
    **dict.fromkeys((".kt", ".kts"), "kotlin"),
    ".java": "java",
    ".scala": "scala",
    ".cs": "csharp",
    ".go": "go",
    ".rs": "rust",
    ".py": "python",
    ".php": "php",
    ".rb": "ruby",
    ".sql": "sql",
    ".lua": "lua",
    ".swift": "swift",
    ".r": "r",
    ".vim": "vim",
    ".pyx": "python",
}
OTHER: Final = {
    **dict.fromkeys((".txt", ".md", ".rst", ".html", ".htm", ".xhtml"), "prose"),
    **dict.fromkeys((".xml", ".svg", ".xsd", ".rng", ".pom"), "markup"),
    **dict.fromkeys((".json", ".map", ".geojson", ".lock"), "json"),
    **dict.fromkeys((".csv", ".tsv"), "table"),
    **dict.fromkeys((".yml", ".yaml", ".toml", ".ini", ".cfg", ".conf", ".properties"), "settings"),
    **dict.fromkeys((".desktop", ".service"), "settings"),
    **dict.fromkeys((".po", ".pot"), "prose"),
    **dict.fromkeys((".css", ".scss", ".less"), "style"),
    ".log": "log",
    **dict.fromkeys((f".{n}" for n in range(1, 9)), "prose"),
}
_NAMED: Final = {
    "LICENSE": "prose", "COPYING": "prose", "README": "prose", "NEWS": "prose", "ChangeLog": "prose",
    "copyright": "prose", "changelog": "prose", "METADATA": "prose", "RECORD": "table", "AUTHORS": "prose",
}  # fmt: skip
_MOST_A_CLASS: Final = 900
_MOST_A_PACKAGE: Final = 160
_WORDS: Final = 2_600
_WRITTEN: Final = Path(__file__).parents[1] / "collectors" / "labels" / "languages.json"


def class_of(path: Path) -> str | None:
    """What the authors say it is; None where a name does not tell, as ".h" and ".m" do not."""
    if "/logs/" in str(path) and "fail2ban" in str(path):
        return "log"
    name = path.name.removesuffix(".gz")
    if name == "CMakeLists.txt":
        return None
    suffix = Path(name).suffix.lower()
    stem = name.partition(".")[0]
    return CODE.get(suffix) or OTHER.get(suffix) or (_NAMED.get(stem) if not suffix else None)


def text_of(path: Path) -> str | None:
    """The beginning of a text file, unpacked."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            head = file.read(4 * HEAD_CHARACTERS)
    except (OSError, EOFError):
        return None
    encoding = encoding_of(head)
    return None if encoding is None else head.decode(encoding, "replace")[:HEAD_CHARACTERS]


def sample(top: Path, most_a_class: int, most_a_package: int, seed: int) -> dict[str, list[tuple[Path, str]]]:
    """Texts by class; no class and no package weighs too much, no text comes twice."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in files(top):
        kind = class_of(path)
        if kind is not None:
            found[kind].append(path)
    chance = random.Random(seed)
    texts: dict[str, list[tuple[Path, str]]] = {}
    seen: set[int] = set()
    for kind, paths in sorted(found.items()):
        chance.shuffle(paths)
        of_package: Counter[tuple[str, ...]] = Counter()
        texts[kind] = []
        for path in paths:
            package = path.relative_to(top).parts[:2]
            if of_package[package] >= most_a_package or len(texts[kind]) >= most_a_class:
                continue
            text = text_of(path)
            if text is None or hash(text) in seen or sum(tokens_of(text).values()) < 25:
                continue
            seen.add(hash(text))
            of_package[package] += 1
            texts[kind].append((path, text))
    return texts


def main() -> int:
    texts = sample(fetch("tune"), _MOST_A_CLASS, _MOST_A_PACKAGE, 1)
    rows, kinds = [], []
    for kind, found in texts.items():
        for _, text in found:
            rows.append(tokens_of(text))
            kinds.append(kind)
            # Short files look different from the beginning of long ones.
            if len(text) > 3_000:
                rows.append(tokens_of(text[len(text) // 2 :][:1_200]))
                kinds.append(kind)
    spread: Counter[str] = Counter(token for row in rows for token in row)
    words = [word for word, _ in spread.most_common(_WORDS)]
    place = {word: at for at, word in enumerate(words)}
    data, columns, ends = [], [], [0]
    for row in rows:
        for token, value in features_of(row, place):
            data.append(value)
            columns.append(place[token])
        ends.append(len(data))
    matrix = csr_matrix((data, columns, ends), shape=(len(rows), len(words)))
    model = LogisticRegression(C=30, max_iter=400, class_weight="balanced", tol=1e-3)
    model.fit(matrix, kinds)
    classes = [str(kind) for kind in model.classes_]
    code = sorted(set(CODE.values()) & set(classes))
    weights = np.rint(model.coef_.T * 100).astype(int).tolist()
    languages = {
        "classes": classes,
        "code": code,
        "bias": np.rint(model.intercept_ * 100).astype(int).tolist(),
        "words": dict(zip(words, weights, strict=True)),
    }
    text = json.dumps(languages, ensure_ascii=False, separators=(",", ":"))
    _WRITTEN.write_text(text + "\n", encoding="utf-8")
    counts = {kind: len(found) for kind, found in texts.items()}
    sys.stdout.write(f"{len(rows)} texts, fits {model.score(matrix, kinds):.4f}; files by class: {counts}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
