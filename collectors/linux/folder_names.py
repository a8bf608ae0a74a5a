"""Which folder a handle stands for: a tree of names that follows the order of the events.

Asking the kernel gives where a folder is NOW; the events tell where it was THEN. So the tree is fed
from the events (created, renamed), and the kernel is asked only for folders that were there before.
A folder that was deleted stays known, since changes inside it may still wait in the queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from collectors.linux.fanotify import Handle
from collectors.path_index import PathIndex

_DEEPEST: Final = 2_048
"""PATH_MAX allows 2,048 nested folders; more is a circle."""


class FolderNames:
    """Handles to paths. `ask` resolves a handle that no event named; it gives None when it cannot."""

    def __init__(self, ask: Callable[[Handle], str | None], most: int = 200_000) -> None:
        self._ask = ask
        self._most = most
        self._named: dict[Handle, tuple[Handle, str]] = {}
        self._anchored: dict[Handle, str] = {}
        self._at: dict[str, dict[Handle, None]] = {}
        """Which of them are at a path: a deleted folder and its successor can both be."""
        self._index = PathIndex()
        self._paths: dict[Handle, str] = {}

    def path(self, handle: Handle) -> str | None:
        """The folder's path as of the events fed so far."""
        known = self._paths.get(handle)
        if known is not None:
            return known
        names: list[str] = []
        at = handle
        for _ in range(_DEEPEST):
            anchor = self._paths.get(at) or self._anchored.get(at)
            if anchor is None and at not in self._named:
                anchor = self._ask(at)
                if anchor is None:
                    return None
                self.anchor(at, anchor)
            if anchor is not None:
                found = "/".join((anchor, *reversed(names))) if names else anchor
                self._paths[handle] = found
                return found
            at, name = self._named[at]
            names.append(name)
        return None

    def anchor(self, handle: Handle, path: str) -> None:
        """This folder's path is known as a whole."""
        self._lift(handle)
        self._make_room(self._anchored)
        self._anchored[handle] = path
        self._at.setdefault(path, {})[handle] = None
        self._index.add(path)
        self._paths[handle] = path

    def created(self, handle: Handle, parent: Handle, name: str) -> None:
        """An event told of this folder under that parent."""
        self._make_room(self._named)
        self._lift(handle)
        self._paths.pop(handle, None)
        self._named[handle] = (parent, name)

    def renamed(self, handle: Handle | None, old_path: str | None, parent: Handle, name: str) -> None:
        """A folder moved; all that is below it moves with it."""
        if handle is not None:
            self.created(handle, parent, name)
        new_parent = self.path(parent)
        if old_path is not None and new_parent is not None:
            new_path = f"{new_parent}/{name}"
            for path in list(self._index.below(old_path)):
                for below in list(self._at.get(path, ())):
                    self.anchor(below, new_path + path[len(old_path) :])
        self._paths.clear()

    def forget(self) -> None:
        """After lost events nothing is certain any more."""
        self._named.clear()
        self._anchored.clear()
        self._at.clear()
        self._index = PathIndex()
        self._paths.clear()

    def _make_room(self, table: dict[Handle, str] | dict[Handle, tuple[Handle, str]]) -> None:
        if len(table) < self._most:
            return
        # The oldest tenth goes; what is still alive is asked for again. `_paths` holds at most the rest.
        for handle in list(table)[: self._most // 10]:
            if table is self._anchored:
                self._lift(handle)
            else:
                del table[handle]
        self._paths.clear()

    def _lift(self, handle: Handle) -> None:
        path = self._anchored.pop(handle, None)
        if path is None:
            return
        del self._at[path][handle]
        if not self._at[path]:
            del self._at[path]
            self._index.discard(path)
