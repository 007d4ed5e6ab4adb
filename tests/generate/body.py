"""A body that is being written: its lines, its values with their types, and the names that it has given away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.generate.blocks import Block

FLOAT, INT, BOOL = "float", "int", "bool"


@dataclass(frozen=True)
class Tensor:
    """The type of a value; dimensions are texts of the language, and every width is a multiple of four.

    `dims` is None for what only the compiler can tell: the result of an example of the library.
    """

    dtype: str
    dims: tuple[str, ...] | None

    def __str__(self) -> str:
        assert self.dims is not None
        return f"{self.dtype}[{', '.join(self.dims)}]"

    @property
    def rank(self) -> int:
        """The number of dimensions; 0 if unknown."""
        return len(self.dims or ())

    @property
    def axis(self) -> int:
        """The dimension of the features: the second one of images, else the last."""
        return 1 if self.rank == 4 else self.rank - 1

    @property
    def width(self) -> str:
        """How many features it has."""
        assert self.dims is not None
        return self.dims[self.axis]

    def wide(self, width: str) -> Tensor:
        """The same with other features."""
        return self.at(self.axis, width)

    def at(self, axis: int, size: str) -> Tensor:
        """The same with another size in a dimension."""
        assert self.dims is not None
        return Tensor(self.dtype, (*self.dims[:axis], size, *self.dims[axis + 1 :]))


@dataclass
class Body:
    """Lines, values and names of a body; `sizes` are widths that can be written in it, `flags` conditions."""

    random: Random
    blocks: list[Block]
    values: dict[str, Tensor] = field(default_factory=dict)
    sizes: list[str] = field(default_factory=lambda: ["4", "8", "12"])
    flags: list[str] = field(default_factory=list)
    acts: list[str] = field(default_factory=list)
    widths: bool = False
    """Whether there is a list of widths."""
    owns: bool = True
    """Whether it may have layers: functions have none."""
    lines: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    scanning: bool = False
    depth: int = 1
    nested: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    """Paths of linear layers with a weight, from the body's own root, that no loop has made."""
    groups: list[str] = field(default_factory=list)
    wrapped: bool = False
    """Whether some layer is wrapped, so that its weight has another name."""
    guarded: bool = False
    """Whether what is written may not be there: inside of an `if`."""

    def line(self, text: str) -> None:
        """Add a line."""
        self.lines.append("  " * self.depth + text)

    def fresh(self, stem: str) -> str:
        """A name that is new in this body."""
        self.numbers[stem] = self.numbers.get(stem, 0) + 1
        return f"{stem}{self.numbers[stem]}"

    def label(self, stem: str = "fc") -> str:
        """A label for a layer, followed by a colon, or nothing; a computed one in loops."""
        if self.random.random() < 0.2:
            return ""
        if self.loops or self.random.random() < 0.8:
            return self.always(stem)
        return f'"{self.fresh(stem)}.{self.random.randrange(3)}": '

    def always(self, stem: str) -> str:
        """A label with a colon."""
        name = self.fresh(stem)
        if self.loops:
            return f'"{name}.{".".join(f"{{{each}}}" for each in self.loops)}": '
        return f"{name}: "

    def chance(self, share: float) -> bool:
        """True now and then."""
        return self.random.random() < share

    def size(self) -> str:
        """A width."""
        return self.random.choice(self.sizes)

    def act(self) -> str:
        """An activation as it can stand in a flow, parameterless."""
        layers = ["ReLU", "Tanh", "GELU", "Sigmoid", "SiLU", 'GELU(approximate="tanh")', "ELU(0.5)", "Softplus", "Mish"]
        functions = ["relu", "tanh", "sigmoid", "gelu", "silu", "softplus", "leaky_relu(0.1)", "sin"]
        return self.random.choice([*functions, *(layers if self.owns else []), *(self.acts * 4 if self.owns else [])])

    def let(self, name: str, type_: Tensor) -> str:
        """Note a value that was bound."""
        self.values[name] = type_
        return name

    def bind(self, stem: str, type_: Tensor, expression: str, old: str | None = None) -> str:
        """A line that binds a new value, or the one that goes on; sometimes the line says the type."""
        name = old if old is not None and self.chance(0.6) and self.nested == 0 else self.fresh(stem)
        said = f": {type_}" if type_.dims is not None and self.chance(0.15) else ""
        self.line(f"{name}{said} = {expression}")
        return self.let(name, type_)

    def find(self, wanted: Callable[[Tensor], bool]) -> list[str]:
        """The values of a kind, the newest last."""
        return [name for name, type_ in self.values.items() if wanted(type_)]

    @contextmanager
    def inside(self, head: str, tail: str = "}", **changes: object) -> Iterator[None]:
        """Lines inside braces; what is bound there is forgotten afterwards."""
        self.line(head)
        before = (dict(self.values), self.depth, self.nested, list(self.loops), self.scanning, self.guarded)
        self.depth, self.nested = self.depth + 1, self.nested + 1
        for name, value in changes.items():
            setattr(self, name, value)
        yield
        self.values, self.depth, self.nested, self.loops, self.scanning, self.guarded = before
        self.line(tail)
