"""Whether a script has anything that only TypeScript has.

JavaScript is TypeScript too, and what compilers write of either looks like the other. So the name is given
by what JavaScript cannot contain: types. Comments and strings, which may hold anything, are left out first.
"""

from __future__ import annotations

import re
from typing import Final

_NO_CODE: Final = re.compile(r"/\*.*?\*/|(?<!:)//[^\n]*|\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`", re.S)
_TYPES: Final = re.compile(
    r"\binterface\s+\w|^\s*(?:export\s+)?(?:declare\s+)?type\s+\w+\s*(?:<[^=]*>)?\s*=|\bimport\s+type\b"
    r"|^\s*(?:export\s+)?declare\s|^\s*export\s*=|\bnamespace\s+\w|\benum\s+[A-Z]\w*\s*\{"
    r"|\b(?:private|protected|public|readonly)\s+\w|\babstract\s+class|\bimplements\s+[A-Z]|\bkeyof\b"
    r"|[\w)\]]\s*\??:\s*(?:string|number|boolean|void|any|unknown|never|object|symbol|bigint)\b"
    r"|[\w)\]]\s*\??:\s*(?:Promise|Array|Record|Partial|Set|Map)<|\w\?:\s|!\."
    r"|\bas\s+(?:const|any|unknown|string|number|[A-Z]\w*)\b|\bis\s+[A-Z]\w*\s*\{"
    r"|\)\s*:\s*[A-Za-z_{(\[][\w.<>\[\]|&, ]*+\s*+(?:\{|=>)"
    r"|(?:const|let|var)\s+\w+\s*:\s*\w|\(\s*\w+\s*:\s*[A-Z]\w",
    re.MULTILINE,
)


def has_types(text: str) -> bool:
    return _TYPES.search(_NO_CODE.sub(" ", text)) is not None
