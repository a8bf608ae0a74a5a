"""What was reported lately, so that a rescan, or the same drive coming back, does not report it again."""

from __future__ import annotations

from typing import Final

from collectors.path_index import PathIndex

_MOST: Final = 50_000
Content = tuple[int, int, int]
"""FileFacts.content_id."""


class ReportedFiles:
    """Path to content, the oldest out first."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._contents: dict[str, Content] = {}
        self._index = PathIndex()

    def __contains__(self, path: str) -> bool:
        return path in self._contents

    def __len__(self) -> int:
        return len(self._contents)

    def get(self, path: str) -> Content | None:
        """With what content this file was reported."""
        return self._contents.get(path)

    def put(self, path: str, content: Content) -> None:
        """Remembers it as the latest."""
        self.pop(path)
        self._contents[path] = content
        self._index.add(path)
        while len(self._contents) > self._most:
            self.pop(next(iter(self._contents)))

    def pop(self, path: str) -> Content | None:
        """Forgets it."""
        content = self._contents.pop(path, None)
        if content is not None:
            self._index.discard(path)
        return content

    def move(self, folder: str, new_folder: str) -> None:
        """A folder was renamed: all that was reported below it is below its new name now."""
        for path in [path for path in self._index.below(folder) if path in self._contents]:
            content = self.pop(path)
            if content is not None:
                self.put(new_folder + path[len(folder) :], content)
