"""Names in emitted source: which may be written as they are, and which variable holds which value."""

from __future__ import annotations

import builtins
import heapq
import keyword
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

IMPORTED = frozenset(("torch", "nn", "F", "OrderedDict", "fnmatchcase"))
RESERVED = frozenset(dir(builtins)) | IMPORTED | {"self"}
"""What no variable may be called: builtins, the imports of an emitted file, and `self`."""

TEMPORARY = ("x", "h", "y", "z", "u", "v", "w")
"""What nameless values are called, where the author did not use the word."""

_NOT_WORD = re.compile(r"\W")


@lru_cache(maxsize=4096)
def identifier(word: str) -> str:
    """A word as a Python name; what Python or the file's imports claim gets a trailing underscore."""
    word = _NOT_WORD.sub("_", unicodedata.normalize("NFKC", word)) or "_"
    if not word.isidentifier():
        word = f"_{word}"
    return f"{word}_" if keyword.iskeyword(word) or word in RESERVED else word


@lru_cache(maxsize=4096)
def plain(name: str) -> bool:
    """Whether a member of that name can be written `self.name`: no keyword, and nothing that a class would mangle."""
    mangled = name.startswith("__") and not name.endswith("__")
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name) and not mangled


def unique(words: Iterable[str], taken: set[str]) -> list[str]:
    """Distinct Python names for words, in order; `taken` grows."""
    names = []
    for word in words:
        name = identifier(word)
        while name in taken:
            name += "_"
        taken.add(name)
        names.append(name)
    return names


def singular(word: str) -> str:
    """What one of several is called: `layers` -> `layer`."""
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3 and word.isidentifier():
        return identifier(word[:-1])
    return "layer"


class Names:
    """The variables of one function: a name is taken while its value is needed, and free again after."""

    def __init__(self, reserved: Iterable[str], words: Iterable[str]) -> None:
        self._live = set(reserved)
        self._words = set(words)
        """The author's names, which numbered ones keep away from."""
        self._next: dict[str, int] = {}
        self._back: dict[str, list[int]] = {}
        self._origin: dict[str, tuple[str, int]] = {}

    def is_free(self, name: str) -> bool:
        """Whether nothing that is still needed has that name."""
        return name not in self._live

    def take(self, base: str) -> str:
        """The name itself if it is free, else a numbered one: `x2`."""
        name = base if self.is_free(base) else self._numbered(base)
        self._live.add(name)
        return name

    def release(self, name: str) -> None:
        """The value under that name is not needed any more."""
        self._live.discard(name)
        origin = self._origin.pop(name, None)
        if origin is not None:
            heapq.heappush(self._back.setdefault(origin[0], []), origin[1])

    def _numbered(self, base: str) -> str:
        stem = f"{base}_" if base[-1].isdigit() else base
        while True:
            back = self._back.get(base)
            if back:
                count = heapq.heappop(back)
            else:
                count = self._next.get(base, 2)
                self._next[base] = count + 1
            name = f"{stem}{count}"
            if name not in self._words and self.is_free(name):
                self._origin[name] = (base, count)
                return name

    def temporary(self) -> str:
        """A name for a value that the author did not name."""
        words = [word for word in TEMPORARY if word not in self._words]
        return self.take(next((word for word in words if self.is_free(word)), (words or ["value"])[0]))
