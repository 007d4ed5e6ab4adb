"""Files of a program: the names that each knows, and the reader through which imports reach other files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from nnspec.diagnostics import Span
from nnspec.syntax import ast

MAIN = ""
"""The key of the file that is compiled."""


class Unreadable(Exception):
    """A file that cannot be imported: the code, the reason (it goes on from "cannot import `...`: ") and what helps."""

    def __init__(self, code: str, reason: str, helps: Sequence[str] = ()) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.helps = tuple(helps)


class Reader(Protocol):
    """Finds and reads the files that a spec imports; what it may reach is for the compiler to say.

    A file is known by a key: one file has one key, however it is written. Modules of the library have their names as
    keys: `std.residual`. The main file, which is read before, is the importer "".
    """

    @property
    def main(self) -> str:
        """The key that the main file would have if it were imported, or "" for a text that comes from nowhere."""

    def locate(self, path: str, importer: str) -> str:
        """The key of the file that `path` means in the file `importer` (a key); raises `Unreadable`."""

    def locate_library(self, name: str) -> str:
        """The key of a module of the library, such as `std.residual`; raises `Unreadable`."""

    def read(self, key: str) -> str:
        """The text of a file that was located; raises `Unreadable`."""


class FileScope:
    """The names of one file: what it declares, and what it imports. Blocks are elaborated in the scope of their own."""

    __slots__ = ("blocks", "constants", "file", "imports", "key")

    def __init__(self, file: ast.File, key: str) -> None:
        self.file = file
        self.key = key
        self.blocks: dict[str, ast.Definition] = {}
        """What can be called, by the name that it has here."""
        self.constants: dict[str, Any] = {}
        self.imports: dict[str, Span] = {}
        """Names that are imported and not declared here, with the place where each gets its name."""

    @property
    def in_library(self) -> bool:
        """Whether it is a file of `std`, which users cannot change."""
        return self.key.startswith("std.")

    @property
    def own_blocks(self) -> list[ast.Definition]:
        """What is declared here, in order."""
        return [block for name, block in self.blocks.items() if name not in self.imports]

    def exports(self) -> list[str]:
        """Names that others can import: those that are declared here."""
        return [name for name in (*self.blocks, *self.constants) if name not in self.imports]


class Namespace:
    """A file under a name: `import "blocks/resnet.nns" as resnet`."""

    __slots__ = ("file", "title")

    def __init__(self, file: FileScope, title: str) -> None:
        self.file = file
        self.title = title
