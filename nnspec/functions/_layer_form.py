"""Functions that compute what a layer without parameters does, with the same arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from nnspec.layer import Code, Function, Layer, OnnxGraph, Rules, call
from nnspec.types import Operand, TensorType


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

    def derivation(self, inputs: Sequence[Operand], output: Any) -> str:
        return self.as_layer().derivation(inputs, output)

    def torch(self, *inputs: Any) -> Code:
        options = self.options()
        required = [options.pop(name) for name, spec in self.fields.items() if spec.required]
        return call(f"{self.namespace}.{type(self).__name__}", *inputs, *required, **options)

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        return self.as_layer().onnx(g, x)
