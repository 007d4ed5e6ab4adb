"""Functions that compute what a layer without parameters does, with the same arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.arguments import Field
from nnspec.layer import Code, Function, Layer, OnnxGraph, Rules, call
from nnspec.types import Operand, TensorType

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class LayerForm(Function):
    """A function whose rules are those of `layer`. Its class says `fields = <layer>.fields`, or lists them itself."""

    namespace = "F"
    layer: ClassVar[type[Layer]]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "layer" in cls.__dict__:  # In what it says it calls itself by the function's name.
            cls.layer = type(cls.__name__, (cls.layer,), {})

    def as_layer(self) -> Layer:
        """The layer with these arguments."""
        return self.layer(**self.__dict__)

    def infer(self, rules: Rules, x: TensorType) -> Any:
        layer = self.as_layer()
        layer.accept(x)
        return layer.infer(rules, x)

    def memory(self, m: Tape, *inputs: Any) -> Any:
        return self.as_layer().memory(m, *inputs)

    def derivation(self, inputs: Sequence[Operand], output: Any) -> str:
        return self.as_layer().derivation(inputs, output)

    def gives_back(self, inputs: Sequence[Operand], output: Any) -> int | None:
        return self.as_layer().gives_back(inputs, output)

    def is_random(self) -> bool:
        return self.as_layer().is_random()

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        required = [options.pop(name) for name, spec in self.fields.items() if spec.required]
        return call(f"{self.namespace}.{type(self).__name__}", *inputs, *required, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return self.as_layer().onnx(g, x)


def in_order(layer: type[Layer], *last: str) -> Mapping[str, Field]:
    """A layer's arguments with these behind the others: torch orders some otherwise in its functions."""
    return {n: f for n, f in layer.fields.items() if n not in last} | {n: layer.fields[n] for n in last}


class _WithWeights:
    """A graph in which a layer's parameters are values of the graph itself."""

    def __init__(self, g: OnnxGraph, given: Mapping[str, str]) -> None:
        self._graph = g
        self._given = given

    def weight(self, name: str) -> str:
        return self._given[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._graph, name)


def with_weights(g: OnnxGraph, given: Mapping[str, str]) -> Any:
    """The graph for the lowering of a layer whose parameters are operands of a function."""
    return _WithWeights(g, given)
