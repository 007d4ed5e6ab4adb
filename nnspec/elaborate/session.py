"""One elaboration: what is shared by all bodies of a program (files, interned modules, limits)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Sink, Sources, Span, error
from nnspec.elaborate.files import FileScope, Reader
from nnspec.elaborate.values import Fault, Silent
from nnspec.facts import Facts
from nnspec.layer import Layer
from nnspec.syntax import ast
from nnspec.types import TensorType

if TYPE_CHECKING:
    from nnspec.elaborate.blocks import Elaborated
    from nnspec.elaborate.frame import Frame

    Run = Callable[[Frame, Sequence[ast.Statement]], None]
    CheckNames = Callable[[Frame, ast.Statement], None]

MAX_STEPS = 1_000_000
COPY_STEPS = 10
"""What applying a layer costs, in steps."""
FUNCTION_STEPS = 5
"""What applying a function costs."""
BODY_STEPS = 50
"""What working out a body costs, besides its statements."""
MAX_DEPTH = 64
MAX_SCANS = 8
"""How deep scans may be nested."""
MAX_OPTIONAL = 4
"""Optional inputs of a model: it is worked out for every choice of them."""
MAX_LIST = 100_000
MAX_ELEMENTS = 2**36


class Session:
    """The state of one elaboration."""

    def __init__(
        self,
        sources: Sources,
        sink: Sink,
        reader: Reader,
        run: Run,
        check_names: CheckNames,
        *,
        allow_extern: bool = False,
    ) -> None:
        self.reader = reader
        self.allow_extern = allow_extern
        """Whether the caller accepts layers that are written in Python."""
        self.files: dict[str, FileScope] = {}
        """The files of the program by key, the main one first."""
        self.check_names = check_names
        """Looks at the names of a statement that is not run."""
        self.run = run
        """Runs the statements of a body; handed in, since statements hold flows, which hold bodies."""
        self.sources = sources
        self.sink = sink
        self.scopes: dict[int, FileScope] = {}
        """The same by the number of their source."""
        self.opening: list[tuple[str, Span | None]] = []
        """Keys of the files that are being read, each imported by the one before at that place."""
        self.modules: list[ir.Module] = []
        self.methods: list[ir.Method] = []
        self.elaborated: dict[Any, list[Elaborated]] = {}
        self._interned: dict[Any, int] = {}
        self._layers: dict[Layer, int] = {}
        self.steps = 0
        self.exhausted = False
        """Whether the limit of steps was reached: nothing more is elaborated then."""
        self.spent: Counter[str] = Counter()
        self.depth = 0
        self.form = ""
        """Which form of a model is being worked out, where it is not the fullest: `in inference`."""
        self.ran: set[int] = set()
        """Bodies (by identity) that were run: what is left is checked for names only."""
        self.bindable: dict[int, frozenset[str]] = {}
        """Names that a block (by identity) could bind."""
        self.keep: list[Facts] = []
        """Facts that results were found under: kept, so that their identity stays theirs."""
        self.doubts: dict[Span, Diagnostic] = {}
        """Warnings of layers by their place, for a program without errors."""
        self.statistics: dict[int, int | None] = {}
        """For a module: the first at or below it that learns statistics of the batch."""
        self.undoubted: set[Span] = set()
        """Places of layers that some use shows to be meant as they are written."""

    def step(self, span: Span, title: str, count: int = 1) -> None:
        """Count work; a spec that asks for too much of it is refused before it is done."""
        self.steps += count
        self.spent[title] += count
        if self.steps > MAX_STEPS:
            if self.exhausted:
                raise Silent
            self.exhausted = True
            most, steps = self.spent.most_common(1)[0]
            raise Fault(
                error(
                    "NNS310",
                    f"this needs more than {MAX_STEPS:,} steps to elaborate",
                    span,
                    "stopped here",
                    notes=(f"most of them ({steps:,}) in {most}",),
                    helps=("use fewer copies or shorter loops",),
                )
            )

    def text(self, span: Span) -> str:
        """The author's words at a place."""
        return self.sources.text(span)

    @property
    def main(self) -> FileScope:
        """The file that is compiled; the others are there because it imports them."""
        return next(iter(self.files.values()))

    def in_library(self, span: Span) -> bool:
        """Whether a place is in a file of `std`."""
        scope = self.scopes.get(span.source)
        return scope is not None and scope.in_library

    def home(self, block: ast.Definition) -> FileScope:
        """The file that declares a block, whose names it sees."""
        return self.scopes[block.span.source]

    def intern(self, key: Any, module: ir.Module) -> int:
        """The number of a module; equal content is one module."""
        number = self._interned.get(key)
        if number is None:
            number = len(self.modules)
            self.modules.append(module)
            self._interned[key] = number
        return number

    def intern_layer(self, layer: Layer, exprs: dict[str, str], span: Span) -> int:
        """The number of a library layer's module, its sizes complete."""
        number = self._layers.get(layer)
        if number is not None:
            return number
        members = tuple(
            ir.Member(name, "param" if w.trained else "buffer", "auto", type=TensorType(w.dtype, w.shape))
            for name, w in layer.weights().items()
        )
        arguments = {n: ir.Attr(v, exprs.get(n)) for n, v in layer.given()}
        self.modules.append(ir.Module("layer", type(layer).__name__, arguments, members=members, span=span))
        self._layers[layer] = len(self.modules) - 1
        return len(self.modules) - 1
