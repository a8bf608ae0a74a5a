"""Paths by the folder they lie in: what lies below one is found without looking at all the others."""

from __future__ import annotations

from collections.abc import Iterator


class PathIndex:
    """A set of paths. Invariant: each folder on the way to a path stands among its own folder's entries.

    A path that is also a folder of others is let go with the last of these.
    """

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, None]] = {}

    def add(self, path: str) -> None:
        """Takes a path in; twice is once."""
        while path:
            folder = path.rpartition("/")[0]
            entries = self._entries.get(folder)
            if entries is not None:
                entries[path] = None
                return
            self._entries[folder] = {path: None}
            path = folder

    def discard(self, path: str) -> None:
        """Lets a path go, and the folders that only it needed."""
        while path and path not in self._entries:
            folder = path.rpartition("/")[0]
            entries = self._entries.get(folder)
            if entries is None:
                return
            entries.pop(path, None)
            if entries:
                return
            del self._entries[folder]
            path = folder

    def below(self, folder: str) -> Iterator[str]:
        """The paths under a folder, and the folders on the way. The index must not change meanwhile."""
        todo = [folder]
        while todo:
            for path in self._entries.get(todo.pop(), ()):
                yield path
                if path in self._entries:
                    todo.append(path)

    def __len__(self) -> int:
        """How many folders are known."""
        return len(self._entries)
