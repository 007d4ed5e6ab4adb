"""The intermediate representation: what is stored (modules), what is computed (methods), and how one enters (entries).

Frozen dataclasses, cheap to import; `nnspec.ir_json` gives them a validated, versioned JSON form with pydantic.

- A `Module` is what is stored: a block, a library layer, or a container (a chain, a repeat, a group of names). It knows
  its members in state-dict order and no activation shapes. Equal modules are one definition.
- A `Method` is what a *block* computes for inputs of given types, in its own symbols. Containers have none: the layers
  are called by path from the body around them (`stack.0`). Values of a graph are numbered densely.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from nnspec.diagnostics import Span
from nnspec.dims import Size
from nnspec.ir_training import Group, Metric, Training, Update
from nnspec.types import TensorType

__all__ = ["Group", "Metric", "Training", "Update"]  # what is defined elsewhere, and belongs here

VERSION = 1
"""Version of the IR's JSON form."""

Mode = Literal["infer", "train"]


@dataclass(frozen=True, slots=True)
class Attr:
    """A value that configures something, and the author's expression for it where that is not a literal.

    Values: None, bool, int, float, str, Dim, tuples of them.
    """

    value: Any
    expr: str | None = None


@dataclass(frozen=True, slots=True)
class Ref:
    """An operand that is a value of the graph."""

    id: int


Operand = Any
"""Ref, a number, a Dim, None, or a tuple of operands."""


@dataclass(frozen=True, slots=True)
class Initializer:
    """How a bare parameter starts: a function of `torch.nn.init` without its underscore, and its arguments."""

    function: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """Something a module owns, under a name that is unique in it."""

    name: str
    kind: Literal["module", "param", "buffer"]
    origin: Literal["label", "bound", "auto", "position", "group"]
    span: Span | None = None
    module: int | None = None
    type: TensorType | None = None
    init: Initializer | None = None
    value: Graph | None = None
    """For a buffer, or a param that starts from a constant tensor: a closed graph with one output."""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Tie:
    """The parameter at path `alias` is the one at path `owner` (canonical: counted and saved once)."""

    alias: str
    owner: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """`params PATTERN { init = ... }`: how the parameters start that the pattern means (see `nnspec.patterns`).

    They start from `init`, or from the closed graph `value`, as a bare parameter does.
    """

    pattern: str
    layer: str = ""
    """The layer or block that the pattern is relative to; empty for the body that the setting stands in."""
    init: Initializer | None = None
    value: Graph | None = None
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Module:
    """What is stored. `name`: that of the block, extern or layer class; containers: `chain`, `repeat`, `group`."""

    kind: Literal["block", "extern", "layer", "chain", "repeat", "group"]
    name: str
    arguments: dict[str, Attr] = field(default_factory=dict)
    """Hyperparameters of a block; the complete arguments of a layer, inferred sizes included."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Symbols of a block that its first use fixed to numbers: {C: 64}."""
    members: tuple[Member, ...] = ()
    ties: tuple[Tie, ...] = ()
    span: Span | None = None
    doc: str = ""
    settings: tuple[Setting, ...] = ()
    origin: str = ""
    """Where the class of an extern is: `package.module:Class`. What it owns is for that class to know."""


CALLED = ("block", "extern", "layer")  # kinds of modules that are called; the others are containers


@dataclass(frozen=True, slots=True)
class Symbol:
    """A dimension without a number: read from axis `axis` (negative: from the end) of the method's input `input`.

    `element` says which tensor of an input that is a list (indices, outermost first).
    """

    name: str
    input: int
    axis: int
    span: Span | None = None
    element: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """`size >= 0` (or `== 0`) that must hold on entry, with the sentence to say when it does not."""

    size: Size
    relation: Literal[">=", "=="]
    message: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor in a graph: its type and the name that the author gave it, if any."""

    type: TensorType
    hint: str = ""
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Apply the layer at `path` (from the surrounding module). `method` is the callee's, for blocks.

    `outputs` mirrors the callee's result: value numbers, nested in tuples for several outputs (see `result_of`).
    """

    path: str
    inputs: tuple[Operand, ...]
    outputs: tuple[Any, ...]
    method: int | None = None
    dims: dict[str, Size] = field(default_factory=dict)
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Op:
    """Apply a library function. `inputs` by its class's input names, in order; `attributes` are its fields."""

    function: str
    inputs: tuple[Operand, ...]
    attributes: dict[str, Any]
    outputs: tuple[Any, ...]
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Take the parameter or buffer at `path` as a value."""

    path: str
    outputs: tuple[int, ...]
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """Apply `body` to the parts that sequences have along dimension `axis`, one step after the other.

    The body is a graph of its own; layers in it are called by their paths from the surrounding module. Its inputs are
    a part of each sequence (which lacks the dimension), the states before the step, and `captures`: values from outside
    that are the same in all steps. Its outputs are what the step yields, then the states after it. The node's outputs
    are the yields of all steps, stacked along `axis` in the order of the sequences, then the last states.
    """

    axis: int
    reverse: bool
    """Whether the last parts come first."""
    sequences: tuple[Operand, ...]
    states: tuple[Operand, ...]
    captures: tuple[Operand, ...]
    body: Graph
    outputs: tuple[Any, ...]
    span: Span | None = None

    @property
    def inputs(self) -> tuple[Operand, ...]:
        """The operands, in the order of the body's inputs."""
        return (*self.sequences, *self.states, *self.captures)

    @property
    def yields(self) -> int:
        """How many of the outputs are stacked."""
        return len(self.outputs) - len(self.states)


@dataclass(frozen=True, slots=True)
class Foreign:
    """What Python computes: the one node in the method of an extern, from all inputs to all outputs."""

    inputs: tuple[Operand, ...]
    outputs: tuple[int, ...]
    span: Span | None = None


Node = Call | Op | Read | Scan | Foreign


@dataclass(frozen=True, slots=True)
class Graph:
    """Computation in single-assignment form, nodes in order; a tensor may be returned twice."""

    inputs: tuple[Any, ...]
    """Value numbers; nested in tuples for lists of tensors; None for an optional input that was not given."""
    values: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Operand, ...]


@dataclass(frozen=True, slots=True)
class Method:
    """What a block computes for inputs of these types."""

    module: int
    mode: Literal["infer", "train", "both"]
    """`both` when the body does not ask for `training`."""
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    """Empty strings for a block's nameless output."""
    symbols: tuple[Symbol, ...]
    requires: tuple[Requirement, ...]
    graph: Graph


@dataclass(frozen=True, slots=True)
class Form:
    """What an entry computes when these of its optional inputs are given: methods by mode, as those of an entry."""

    given: tuple[str, ...]
    methods: dict[str, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """A model, ready to be compiled by itself: `methods["infer"]` and, where training differs, `methods["train"]`.

    They take no optional input; `forms` has one for every other choice of them, the last with all. `serving` is there
    when it is for inference only: how torch serves it (see `nnspec.passes`), which no other backend looks at.
    """

    name: str
    module: int
    methods: dict[str, int]
    doc: str = ""
    span: Span | None = None
    forms: tuple[Form, ...] = ()
    serving: tuple[Literal["channels_last", "packed"], ...] | None = None

    @property
    def optional(self) -> tuple[str, ...]:
        """The names of the optional inputs, in order."""
        return self.forms[-1].given if self.forms else ()

    @property
    def choices(self) -> tuple[Form, ...]:
        """All forms, the one without optional inputs first."""
        return (Form((), self.methods), *self.forms)

    def methods_with(self, given: Collection[str]) -> dict[str, int]:
        """The methods where of the optional inputs those among `given` are there, and no others."""
        wanted = tuple(name for name in self.optional if name in given)
        return next(form.methods for form in self.choices if form.given == wanted)


@dataclass(frozen=True, slots=True)
class Record:
    """A configured library object as data: `Adam(lr=1e-3)`; values may be records themselves."""

    name: str
    arguments: dict[str, Any]
    span: Span | None = None


@dataclass(frozen=True)
class Program:
    """A whole elaborated file."""

    modules: tuple[Module, ...]
    methods: tuple[Method, ...]
    entries: tuple[Entry, ...]
    training: Training | None = None
    sources: tuple[tuple[str, str], ...] = ()
    """(name, text) of each source, for spans."""
    version: int = VERSION

    @cached_property
    def main(self) -> Entry:
        """The entry that was asked for."""
        return self.entries[0]

    def member(self, module: int, path: str) -> Member:
        """The member at a dotted path below a module; parameters of library layers may have dots in their names."""
        rest = path
        while self.modules[module].kind != "layer" and "." in rest:
            name, rest = rest.split(".", 1)
            inner = self.find(module, name).module
            assert inner is not None, path
            module = inner
        return self.find(module, rest)

    def find(self, module: int, name: str) -> Member:
        """The member of that very name; KeyError when there is none."""
        return self._index[module][name]

    @cached_property
    def _index(self) -> tuple[dict[str, Member], ...]:
        return tuple({m.name: m for m in module.members} for module in self.modules)

    def module_at(self, module: int, path: str) -> int:
        """The number of the module at a dotted path below another ("" is the module itself)."""
        if not path:
            return module
        inner = self.member(module, path).module
        assert inner is not None, path
        return inner


def refs(operand: Operand) -> Iterator[int]:
    """Value numbers in an operand (or in nested outputs), in order."""
    if isinstance(operand, Ref):
        yield operand.id
    elif isinstance(operand, tuple):
        for part in operand:
            yield from refs(part)


def result_of(outputs: tuple[Any, ...]) -> Any:
    """What a node gives, as nested value numbers: one number, or a tuple of parts (`((7,),)` is a tuple of one)."""
    return outputs[0] if len(outputs) == 1 else outputs


def flat(outputs: Any) -> Iterator[int]:
    """Value numbers in the nested inputs of a graph or outputs of a node, in order; None is no value."""
    if isinstance(outputs, int):
        yield outputs
    elif outputs is not None:
        for part in outputs:
            yield from flat(part)
