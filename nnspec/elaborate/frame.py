"""A frame: one body while it is elaborated — its names, its members, its graph, what is known of its sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nnspec import ir
from nnspec.diagnostics import Diagnostic, Label, Span, error
from nnspec.dims import Size
from nnspec.elaborate.files import FileScope
from nnspec.elaborate.place import Place
from nnspec.elaborate.session import Session
from nnspec.elaborate.values import UNKNOWN, Fault, Owned, ParamRef, Silent, Tensor
from nnspec.facts import Facts
from nnspec.proof import Proof
from nnspec.syntax import ast
from nnspec.types import TensorType


class GraphBuilder:
    """Collects values and nodes; remembers from what each value was made, for shape traces."""

    def __init__(self) -> None:
        self.values: list[ir.Value] = []
        self.nodes: list[ir.Node] = []
        self.origins: list[tuple[Span | None, int | None]] = []
        self.hints: dict[int, str] = {}

    def value(self, type: TensorType, span: Span | None, previous: int | None = None) -> Tensor:
        """A new value of the graph."""
        self.values.append(ir.Value(type, "", span))
        self.origins.append((span, previous))
        return Tensor(len(self.values) - 1, type)

    def hint(self, tensor: Tensor, name: str) -> None:
        """The author's name for a value; the first one counts."""
        self.hints.setdefault(tensor.id, name)

    def named(self, number: int) -> ir.Value:
        """A value with the author's name for it."""
        value, hint = self.values[number], self.hints.get(number)
        return value if hint is None else ir.Value(value.type, hint, value.span)

    def forget(self, nodes: int, values: int) -> None:
        """Drop all but the first so many nodes and values."""
        for number in range(values, len(self.values)):
            self.hints.pop(number, None)
        del self.nodes[nodes:], self.values[values:], self.origins[values:]

    def finish(self, inputs: tuple[Any, ...], outputs: tuple[ir.Operand, ...]) -> ir.Graph:
        """The finished graph."""
        values = tuple(map(self.named, range(len(self.values))))
        return ir.Graph(inputs, values, tuple(self.nodes), outputs)


class Yielded:
    """What the body of a scan has yielded, and where."""

    def __init__(self) -> None:
        self.span: Span | None = None
        self.values: list[Tensor] = []
        self.places: list[Span] = []


class Frame:
    """The state of one body, with the names of the file that it stands in (the main one if no other is named).

    Without a graph it is a place for compile-time values only.
    """

    def __init__(
        self,
        session: Session,
        title: str,
        *,
        file: FileScope | None = None,
        facts: Facts | None = None,
        mode: ir.Mode = "infer",
    ) -> None:
        self.session = session
        self.file = file or session.main
        self.title = title
        self.mode = mode
        self.facts = facts or Facts()
        self.requires: list[ir.Requirement] = []
        self.proof = Proof(self.facts, self.requires)
        self.graph: GraphBuilder | None = None
        self.scope: dict[str, Any] = {}
        self.fixed: dict[str, str] = {}
        """Names that cannot be bound again, and what they are: hyperparameters, symbols, layers, params."""
        self.root = Place("", "group", "group", Span(0, 0), None)
        self.home = self.root
        """Where members are made now: the root, or a group."""
        self.expected: int | None = None
        """The module that members must be found in, when a training form was elaborated before."""
        self.reads: dict[str, Tensor] = {}
        self.ties: list[ir.Tie] = []
        self.settings: list[Any] = []
        """What `params` says about the parameters of the body (see `settings`)."""
        self.outer_ties: list[tuple[str, str, Span]] = []
        self.layer_cache: dict[Any, Any] = {}
        self.outputs: list[tuple[str, Any, Span]] = []
        self.symbols: list[ir.Symbol] = []
        self.sizes: dict[str, int] = {}
        """Symbols that are numbers here."""
        self.rest: tuple[Size, ...] | None = None
        """What `...` stands for in the types of the inputs."""
        self.absent: dict[str, str] = {}
        """Symbols that nothing has bound here, and the inputs that would: left out, or empty lists."""
        self.left_out: tuple[str, ...] = ()
        """Optional inputs that nothing flows into."""
        self.called_at: Span | None = None
        self.caller: Frame | None = None
        """The body that calls this one there."""
        self.in_loop = 0
        self.scans = 0
        """How many scans the statement that runs now stands in."""
        self.yielded: Yielded | None = None
        """What the innermost of them has yielded; None outside of scans."""
        self.inner_names: set[str] = set()
        """Names that were bound in scans: they are not known outside."""
        self.unfolded = 0
        """Nodes of the blocks called so far, written out: a few that use each other twice make millions."""
        self.library: tuple[str, ...] = ("function",)
        """Kinds of library functions that can be called here."""
        self.root_kind = "block"
        self.block: ast.Definition | None = None
        self.offered: tuple[str, ...] = ()
        """Names that are not bound here and may be meant by a misspelt one."""
        self.advice: dict[str, str] = {}
        """What would give a name that is not known."""
        self.used: set[str] = set()
        self.uses_training = False
        self.failed = False

    def builder(self, span: Span) -> GraphBuilder:
        """The graph; a fault where there can be none."""
        if self.graph is None:
            raise Fault(error("NNS311", f"a tensor cannot be computed in {self.title}", span, "needs a model's body"))
        return self.graph

    def lookup(self, name: str) -> Any:
        """The value of a name in the body or the file; KeyError when there is none."""
        if name in self.scope:
            self.used.add(name)
            value = self.scope[name]
        else:
            value = self.file.constants[name]
        if value is UNKNOWN:
            raise Silent
        return value

    def bind(self, name: str, value: Any, span: Span) -> None:
        """Bind or rebind a name; `_` discards."""
        if name == "_":
            return
        if name in self.fixed:
            kind = self.fixed[name]
            raise Fault(
                error(
                    "NNS203",
                    f"`{name}` is a {kind} and cannot be bound again",
                    span,
                    "bound again here",
                    helps=(
                        f'in a loop, name it where it is used: `x -> "{name}{{i}}": ...`'
                        if self.in_loop and kind == "layer"
                        else "choose another name",
                    ),
                )
            )
        self.scope[name] = value

    def read(self, owned: Owned, span: Span) -> Tensor:
        """A param or buffer as a tensor of the graph."""
        tensor = self.reads.get(owned.path)
        if tensor is None:
            graph = self.builder(span)
            tensor = graph.value(owned.type, owned.span)
            graph.hint(tensor, owned.path.rsplit(".", 1)[-1])
            graph.nodes.append(ir.Read(owned.path, (tensor.id,), span))
            self.reads[owned.path] = tensor
        return tensor

    def report(self, diagnostic: Diagnostic) -> None:
        """Keep a diagnostic; errors make the body fail."""
        if diagnostic.severity == "error":
            self.failed = True
        if self.session.in_library(diagnostic.span):
            self.session.sink.report(self._as_seen_by_the_user(diagnostic))
            return
        at = self.called_at
        if at is not None and at != diagnostic.span and not any(label.span == at for label in diagnostic.labels):
            use = Label(at, f"in this use of {self.title}")
            diagnostic = replace(diagnostic, labels=(*diagnostic.labels, use))
        self.session.sink.report(diagnostic)

    def _as_seen_by_the_user(self, diagnostic: Diagnostic) -> Diagnostic:
        """A fault inside the library is one of the place that uses it: nobody repairs it there."""
        frame = self
        while frame.caller is not None and frame.called_at is not None and self.session.in_library(frame.called_at):
            frame = frame.caller
        at = frame.called_at
        if at is None or self.session.in_library(at):
            return diagnostic
        labels = [Label(at, f"in this use of {frame.title}", primary=True)]
        labels += [replace(label, primary=False) for label in diagnostic.labels]
        outer = frame.caller
        if outer is not None and outer.called_at is not None:
            labels.append(Label(outer.called_at, f"in this use of {outer.title}"))
        return replace(diagnostic, labels=tuple(labels), fixes=())


def param_ref(value: Any, span: Span) -> ParamRef | None:
    """The parameter that a value stands for, or None."""
    if isinstance(value, ParamRef):
        return value
    if isinstance(value, Owned) and value.kind == "param":
        return ParamRef(value.path, value.type, span)
    return None


def name_of(node: ast.Expr) -> str | None:
    """The word of a plain name."""
    return node.id if isinstance(node, ast.Name) else None
