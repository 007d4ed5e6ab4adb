"""What a layer or a function is: one class that says everything about it.

A class states its arguments (see `nnspec.arguments`), shape rule, parameters, cost, torch spelling, ONNX lowering and
examples. Checker, documentation, both backends, summaries and the tests read the class; adding a layer is adding one
class to a file in `nnspec/layers`, and a function one to `nnspec/functions`: the registry finds them by their names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from nnspec.arguments import Arguments
from nnspec.dims import Dim, Size, show
from nnspec.layer_code import Code, Ref, attribute, call, index, infix, method, prefix, torch_dtype
from nnspec.layer_inference import Inference
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

    from nnspec.layer_memory import Tape

__all__ = [
    "Code",
    "Example",
    "Function",
    "Layer",
    "OnnxGraph",
    "Operation",
    "Ref",
    "Rules",
    "ShapeError",
    "Unsupported",
    "Weight",
    "attribute",
    "call",
    "index",
    "infix",
    "method",
    "prefix",
    "torch_dtype",
]


class ShapeError(Exception):
    """A shape rule says no. The caller knows the place; `at` names the argument or `input` the input it is about.

    `fact` is an assert that would prove what could not be proved (then nothing was refuted). `sizes` are the two that
    disagree, in dimension `axis`; `instead` is an argument with the text that repairs it: `("dim", "1")`.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "NNS401",
        label: str = "",
        at: str | None = None,
        input: int | None = None,
        notes: Sequence[str] = (),
        helps: Sequence[str] = (),
        fact: str | None = None,
        sizes: tuple[Size, Size] | None = None,
        axis: int | None = None,
        instead: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.label = label
        self.at = at
        self.input = input
        self.notes = tuple(notes)
        self.helps = tuple(helps)
        self.fact = fact
        self.sizes = sizes
        self.axis = axis
        self.instead = instead


ONE_OF_SEVERAL = ("take the one that is wanted: `y, state = x -> ...`", "or join them: `cat([a, b], dim=1)`")
"""The helps where several values flow into what takes one tensor."""


class Unsupported(Exception):
    """A backend cannot express this layer with these arguments; the message says why and what comes nearest."""


class Rules(Protocol):
    """What a shape rule may ask and demand about sizes (see `nnspec.proof.Proof`).

    `equal` and `at_least` answer True, False, or None for "cannot tell"; they demand nothing.
    The `require_*` methods raise `ShapeError` when refuted. An equality that cannot be decided is an error as well
    (its fix is an assert); an inequality that cannot be decided becomes an entry requirement of the model.
    """

    def equal(self, a: Size, b: Size) -> bool | None: ...
    def at_least(self, a: Size, b: Size) -> bool | None: ...
    def simplify(self, a: Size) -> Size: ...
    def require_equal(self, a: Size, b: Size, message: str, **error: Any) -> None: ...
    def require_at_least(self, a: Size, b: Size, message: str, **error: Any) -> None: ...
    def exact(self, a: Size, b: Size, message: str, **error: Any) -> Size:
        """a / b where the division is exact."""
        ...

    def broadcast(self, *shapes: Sequence[Size], **error: Any) -> tuple[Size, ...]:
        """torch's broadcasting: dims agree when provably equal or one is the literal 1."""
        ...


class Weight:
    """A parameter or buffer of a layer: its shape, element type, and whether it is trained."""

    __slots__ = ("dtype", "shape", "trained")

    def __init__(self, shape: Sequence[int], dtype: str = "float32", *, trained: bool = True) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.trained = trained


class Example:
    """An example that documents and tests: `Example("Linear(10)", x="float[N, 784]")`.

    Inputs are types of the language, by the names that `infer` gives them; a tuple of types is a tuple of tensors.
    A layer's inputs flow in the order given, by name after one that is left out; a function's text names them.
    `assume` is a fact that the sizes must satisfy (`T % 2 == 0`). `macs` is the hand-computed cost with every symbol
    at 2, for what torch's counter does not count.
    """

    __slots__ = ("assume", "inputs", "macs", "onnx", "text")

    def __init__(
        self,
        text: str,
        *,
        macs: int | None = None,
        onnx: bool = True,
        assume: str = "",
        **inputs: str | tuple[str, ...],
    ) -> None:
        self.text = text
        self.assume = assume
        self.inputs = inputs
        self.macs = macs
        self.onnx = onnx


class OnnxGraph(Protocol):
    """What a layer's ONNX lowering builds with; values are names of tensors in the graph."""

    opset: int

    def node(self, op: str, *inputs: str | None, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node of the standard domain; returns its output's name (a tuple of names if `outputs` > 1).
        An input of None is left out (an empty name)."""
        ...

    def weight(self, name: str) -> str:
        """The layer's own parameter or buffer, as an initializer under its state-dict name."""
        ...

    def array(self, name: str) -> np.ndarray:
        """The same as a numpy array, for weights that ONNX wants in another layout; feed `initializer`."""
        ...

    def initializer(self, array: np.ndarray, hint: str) -> str:
        """A derived constant, stored in the file under a name built from the layer's place and `hint`."""
        ...

    def constant(self, value: Any, dtype: str = "int64") -> str:
        """A small constant (number or nested lists); equal ones are stored once."""
        ...

    def size(self, size: Size) -> str:
        """A dimension as an int64 scalar: a constant, or computed from the shapes of the graph's inputs."""
        ...

    def shape(self, dims: Sequence[Size]) -> str:
        """Dimensions as a 1-D int64 tensor, for Reshape, Expand and their like."""
        ...

    def type(self, value: str) -> TensorType:
        """The type of an operand's tensor (of inputs handed to `onnx`, not of intermediate results)."""
        ...

    def cast(self, value: str, dtype: str) -> str:
        """A Cast node to an element type."""
        ...

    def scan(self, step: Any, states: Sequence[str], parts: Sequence[str], dtypes: Sequence[str]) -> tuple[str, ...]:
        """Carry states along the first dimension of the parts; returns the last ones. `step` is given a step's graph,
        the states and its parts (of these element types), and returns the next states; it asks for no sizes."""
        ...


class Operation(Arguments, Inference):
    """What layers and functions share."""

    examples: ClassVar[tuple[Example, ...]] = ()
    scalars: ClassVar[tuple[str, ...]] = ()
    """Inputs (by name) that may be numbers or sizes instead of tensors."""
    sequences: ClassVar[tuple[str, ...]] = ()
    """Inputs (by name) that are lists of tensors."""
    of_complex: ClassVar[str] = ""
    """Whether operands may be complex: not if empty. With `own`, `onnx` is handed values with a last dimension more, of
    two: real and imaginary part. With `parts` it sees real and imaginary parts, each by itself; with `product` those of
    operands that are multiplied, each with each."""
    keeps: ClassVar[tuple[str, ...] | None] = None
    """What torch keeps for the backward pass: inputs by name, and `output`; None is every input."""

    def infer(self, rules: Rules, *inputs: Any) -> Any:
        """The shape rule: a TensorType, or nested tuples of them for several outputs.

        Subclasses name their inputs: `def infer(self, rules, x, mask=None)`. Inputs with default None are optional.
        """
        raise NotImplementedError

    def macs(self, inputs: Sequence[Operand], output: Any) -> Size:
        """Multiply-accumulates of one call; elementwise work is zero by convention."""
        return 0

    def memory(self, m: Tape, *inputs: Any) -> Any:
        """What a call allocates and keeps, told operator by operator; returns the result. One operator by default."""
        if self.reshapes:
            return m.reshape(inputs[0], m.output.dims)
        if self.keeps is None:
            return m.op(m.output, *inputs)
        by_name = dict(zip(self.input_names(), inputs, strict=False))
        keeps = [by_name.get(name) for name in self.keeps]
        return m.op(m.output, *inputs, keeps=keeps, keeps_output="output" in self.keeps)

    def derivation(self, inputs: Sequence[Any], output: Any) -> str:
        """How a size came about, for a trace of shapes: `(14 - 5) / 1 + 1 = 10`; empty where that is plain."""
        return ""

    @classmethod
    def input_names(cls) -> tuple[str, ...]:
        """Names of the inputs, as the shape rule spells them; a last `*xs` stands as `*xs`."""
        code = cls.infer.__code__
        names = code.co_varnames[2 : code.co_argcount]
        return (*names, "*" + code.co_varnames[code.co_argcount]) if code.co_flags & 4 else names

    @classmethod
    def required_inputs(cls) -> int:
        """How many inputs have no default."""
        code = cls.infer.__code__
        return code.co_argcount - 2 - len(cls.infer.__defaults__ or ())


class Layer(Operation):
    """A layer: takes a place in the module, may own parameters and state.

    Facts come in this order: the author's arguments, then `complete` fills inferred sizes from the first inputs,
    then everything else (`infer`, `weights`, `torch`, `onnx`) may use all fields.
    """

    definition: ClassVar[str] = ""
    """Source of an `nn.Module` class for layers that torch has no class for; emitted once per file."""

    @property
    def title(self) -> str:
        """What messages and automatic names call it: its class, or that of the layer that it wraps."""
        return type(self).__name__

    def accept(self, *inputs: Any) -> None:
        """Refuse inputs of the wrong kind, rank or element type, before any size is read from them."""

    def complete(self, rules: Rules, *inputs: Any) -> Self:
        """This layer with its inferred sizes filled in; those that the author gave are checked against the input."""
        self.accept(*inputs)
        sizes = {}
        for name, spec in self.fields.items():
            if spec.axis is not None:
                x = inputs[spec.input] if spec.input < len(inputs) else None
                sizes[name] = self._size(rules, name, x, spec.axis, getattr(self, name), spec.input)
        return self.replace(**sizes) if sizes else self

    def _size(self, rules: Rules, name: str, x: Any, axis: int, given: int | None, input: int = 0) -> int:
        """The number that dimension `axis` of an input gives to argument `name`, checked against `given`."""
        kind = type(self).__name__
        if not isinstance(x, TensorType):
            raise ShapeError(f"`{kind}` needs a tensor here", code="NNS402", input=input)
        if not -x.rank <= axis < x.rank:
            need = axis + 1 if axis >= 0 else -axis
            raise ShapeError(
                f"`{kind}` needs at least {need} dimension{'s' if need > 1 else ''}, but its input is {x}",
                code="NNS402",
                input=input,
            )
        size = rules.simplify(x.dims[axis])
        where = "the last dimension" if axis == -1 else f"dimension {axis % x.rank}"
        if given is not None:
            rules.require_equal(
                size,
                given,
                f"`{kind}({name}={given})` cannot follow a tensor of shape [{', '.join(map(show, x.dims))}]",
                label=f"expects {where} to be {given}",
                at=name,
                input=input,
                helps=("let the compiler infer it",),
            )
            return given
        if isinstance(size, Dim):
            joined = "the batch was joined with the rest: `Flatten` and `flatten(x, 1)` leave it alone"
            raise ShapeError(
                f"`{kind}` takes {name} from {where} of its input, which is `{show(size)}`: not a fixed number",
                code="NNS405",
                label=f"`{show(size)}` is not known when the module is built",
                input=input,
                notes=("sizes of parameters are numbers",),
                helps=(joined if x.rank == 1 else "give the input a fixed size there",),
            )
        return size

    def parts(self) -> Mapping[str, Layer]:
        """Layers of the library that torch's module is made of, complete, by their attributes and in torch's order."""
        return {}

    def weights(self) -> dict[str, Weight]:
        """Parameters and buffers by torch's names, in torch's order; those of its parts, if it has any."""
        return {f"{name}.{w}": weight for name, part in self.parts().items() for w, weight in part.weights().items()}

    def learns_statistics(self) -> bool:
        """Whether it uses or keeps statistics of the batch in training, which a single step of a scan must not do."""
        return any(part.learns_statistics() for part in self.parts().values())

    def torch(self) -> Code:
        """The constructor call; by default `nn.<class>` with inferred sizes and required arguments by position."""
        positional: list[Any] = [getattr(self, n) for n, f in self.fields.items() if f.inferred]
        positional += [getattr(self, n) for n, f in self.fields.items() if f.required]
        options = {n: v for n, v in self.given() if not self.fields[n].inferred and not self.fields[n].required}
        name = type(self).__name__
        return call(name if self.definition else f"nn.{name}", *positional, **options)

    def forward(self, module: Ref, *inputs: Any) -> Code:
        """The call of the built module on its inputs (None where an optional one was not given)."""
        last = max((i for i, x in enumerate(inputs, 1) if x is not None), default=0)
        return call(str(module), *inputs[:last])

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        """The inference form in ONNX: the output's name, or nested tuples as in `infer`. Raises `Unsupported`."""
        raise Unsupported(f"`{type(self).__name__}` has no ONNX form")


class Function(Operation):
    """A function: owns nothing. Tensors come first in its argument list, then its fields, unless `order` says else."""

    order: ClassVar[tuple[str, ...]] = ()
    """Positional order of inputs and fields where it is not 'inputs, then fields' (`("equation", "*operands")`)."""
    extra: ClassVar[str] = ""
    """The field that collects arguments of unknown names as (name, value) pairs; without one they are errors."""
    overloaded: ClassVar[bool] = False
    """Whether torch has forms of it with other arguments, so that what a call leaves out cannot always be written."""
    namespace: ClassVar[str] = "torch"
    """Where torch keeps the function: `torch` or `F`."""
    likelihood: ClassVar[Literal["softmax", "exp", "sigmoid", "identity"] | None] = None
    """Of a loss against classes: what makes probabilities of its first input, the scores."""

    def options(self) -> dict[str, Any]:
        """The fields that differ from their defaults, as torch spells them."""
        return {
            name: torch_dtype(value) if "DType" in self.fields[name].kind and isinstance(value, str) else value
            for name, value in self.given()
        }

    def torch(self, *inputs: Any) -> Code | Ref:
        """The expression over the inputs' names; by default `<namespace>.<name>(inputs, **options)`."""
        return call(f"{self.namespace}.{type(self).__name__}", *inputs, **self.options())

    def onnx(self, g: OnnxGraph, *inputs: Any) -> Any:
        """As for layers; a number among the inputs arrives as a Python number or Dim."""
        raise Unsupported(f"`{type(self).__name__}` has no ONNX form")
