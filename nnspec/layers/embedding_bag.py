"""Sums, means and maxima of embeddings, bag by bag."""

from __future__ import annotations

from typing import Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.layer import Example, Layer, OnnxGraph, Operation, Rules, ShapeError, Weight
from nnspec.layers._expect import expect_rank, expect_tensor
from nnspec.layers._lowering import reduce
from nnspec.types import TensorType, show_dtype


class Bags:
    """What the layer and the function share: which bags there are, and what is made of them."""

    __slots__ = ("last", "mode", "operation", "padding")

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.mode: str = getattr(operation, "mode")  # noqa: B009 - of the layer and of the function
        self.last: bool = getattr(operation, "include_last_offset")  # noqa: B009
        self.padding: int | None = getattr(operation, "padding_idx")  # noqa: B009

    def infer(self, rules: Rules, x: Any, table: TensorType, offsets: Any, weights: Any, inputs: dict[str, int]) -> Any:
        """The type of the bags; `inputs` are the numbers of the inputs by name."""
        kind = self._expect_numbers(x, 0, "looks numbers up, but its input is")
        expect_rank(self.operation, kind, "N, L", "L")
        self._check_options(rules, table)
        if weights is not None:
            self._check_weights(rules, kind, weights, table, inputs["per_sample_weights"])
        count = kind.dims[0] if kind.rank == 2 else None
        if kind.rank == 1 and offsets is not None:
            count = self._count(rules, offsets, inputs["offsets"])
        elif kind.rank == 1 or offsets is not None:
            self._refuse_offsets(kind, offsets, inputs["offsets"])
        assert count is not None
        return table.with_dims(count, table.dims[1])

    def _expect_numbers(self, operand: Any, input: int, what: str) -> TensorType:
        x = expect_tensor(self.operation, operand, input)
        if x.dtype not in ("int64", "int32"):
            raise ShapeError(
                f"`{type(self.operation).__name__}` {what} {x}",
                code="NNS406",
                label=f"is of type {show_dtype(x.dtype)}, not int or int32",
                input=input,
                helps=("give it an integer type, such as int[N, T]",),
            )
        return x

    def _check_options(self, rules: Rules, table: TensorType) -> None:
        count, index = table.dims[0], self.padding
        if index is not None:
            message = f"padding_idx {index} is out of range for {show(count)} embeddings"
            label = f"must be from {show(-count)} to {show(count - 1)}"
            least = index + 1 if index >= 0 else -index
            rules.require_at_least(count, least, message, code="NNS411", at="padding_idx", label=label)
        for name in ("scale_grad_by_freq", "sparse"):
            if self.mode == "max" and getattr(self.operation, name):
                message = f'`{type(self.operation).__name__}(mode="max")` cannot have {name}'
                raise ShapeError(message, code="NNS304", at=name)

    def _check_weights(self, rules: Rules, x: TensorType, operand: Any, table: TensorType, input: int) -> None:
        name = type(self.operation).__name__
        weights = expect_tensor(self.operation, operand, input)
        if self.mode != "sum":
            helps = ('say `mode="sum"`',)
            message = f'`{name}(mode="{self.mode}")` takes no per_sample_weights: only sums are weighted'
            raise ShapeError(message, code="NNS304", at="mode", input=input, helps=helps)
        message = f"the per_sample_weights of `{name}` must be {table.with_dims(*x.dims)}, not {weights}"
        if weights.rank != x.rank or weights.dtype != table.dtype:
            raise ShapeError(message, code="NNS402" if weights.rank != x.rank else "NNS406", input=input)
        for ours, theirs in zip(x.dims, weights.dims, strict=True):
            rules.require_equal(theirs, ours, message, input=input)

    def _count(self, rules: Rules, operand: Any, input: int) -> Size:
        offsets = self._expect_numbers(operand, input, "needs offsets of type int, but they are")
        expect_rank(self.operation, offsets, "B", input=input)
        count = offsets.dims[0]
        if not self.last:
            return count
        message = f"with include_last_offset one of {show(count)} offsets is the end of the last bag: there is no bag"
        rules.require_at_least(count, 2, message, code="NNS403", input=input)
        return rules.simplify(count - 1)

    def _refuse_offsets(self, x: TensorType, offsets: Any, input: int) -> None:
        name = type(self.operation).__name__
        if offsets is not None:
            message = f"each row of {x} is a bag for `{name}`, which then takes no offsets"
            raise ShapeError(message, code="NNS402", input=input, helps=("leave the offsets out",))
        message = f"`{name}` needs to know where the bags begin in {x}"
        helps = ("give it offsets, int[B]: where each bag begins, 0 first", "or make each row a bag, as in int[N, L]")
        raise ShapeError(message, code="NNS402", input=0, helps=helps)

    def lower(self, g: OnnxGraph, x: str, table: str, offsets: str | None, weights: str | None) -> str:
        """What is made of each bag, in ONNX."""
        kind, dtype = g.type(x), g.type(table).dtype
        # Runtimes do not add up halves; torch does it in float32 too.
        wide = dtype if dtype in ("float32", "float64") else "float32"
        rows = g.cast(g.node("Gather", table, x, axis=0), wide)
        if weights is not None:
            rows = g.node("Mul", rows, g.node("Unsqueeze", g.cast(weights, wide), g.constant([-1])))
        counted = None
        if self.padding is not None:
            count = g.type(table).dims[0]
            index = self.padding if self.padding >= 0 else count + self.padding
            given = g.node("Equal", g.cast(x, "int64"), g.size(index))
            counted = g.node("Not", given)
        if offsets is None:
            y = self._of_rows(g, rows, counted, wide)
        else:
            total = g.type(offsets).dims[0] - (1 if self.last else 0)
            bags = _bag_numbers(g, g.cast(offsets, "int64"), kind.dims[0], g.type(offsets).dims[0])
            bags = g.node("Where", counted, bags, g.size(total)) if counted is not None else bags
            y = self._of_stretches(g, rows, bags, total, g.type(table).dims[1], wide)
        return y if wide == dtype else g.cast(y, dtype)

    def _of_rows(self, g: OnnxGraph, rows: str, counted: str | None, dtype: str) -> str:
        """Each row of [N, L] is a bag."""
        ops = {"sum": "ReduceSum", "mean": "ReduceMean", "max": "ReduceMax"}
        if counted is None:
            return reduce(g, ops[self.mode], rows, [1], keepdims=False)
        filler = float("-inf") if self.mode == "max" else 0.0
        rows = g.node("Where", g.node("Unsqueeze", counted, g.constant([-1])), rows, g.constant(filler, dtype))
        y = reduce(g, "ReduceMax" if self.mode == "max" else "ReduceSum", rows, [1], keepdims=False)
        if self.mode == "sum":
            return y
        count = reduce(g, "ReduceSum", g.cast(counted, dtype), [1])
        return self._finished(g, y, count, dtype)

    def _finished(self, g: OnnxGraph, y: str, count: str, dtype: str) -> str:
        """Sums to means; the maximum of nothing is 0."""
        if self.mode == "mean":
            return str(g.node("Div", y, g.node("Max", count, g.constant(1.0, dtype))))
        zero = g.constant(0.0, dtype)
        return str(g.node("Where", g.node("Greater", count, zero), y, zero))

    def _of_stretches(self, g: OnnxGraph, rows: str, bags: str, total: Size, width: Size, dtype: str) -> str:
        """Row i of [n, D] is in the bag `bags[i]`; what is in none has the number behind the last."""
        ends, first = g.shape([total]), g.constant([0])

        def collected(values: str, start: float, shape: list[Size], reduction: str) -> str:
            buffer = g.node("Expand", g.constant(start, dtype), g.shape(shape))
            places = bags if len(shape) == 1 else g.node("Unsqueeze", bags, g.constant([1]))
            places = g.node("Expand", places, g.node("Shape", values))
            filled = g.node("ScatterElements", buffer, places, values, axis=0, reduction=reduction)
            return str(g.node("Slice", filled, first, ends, first))

        if self.mode == "sum":
            return collected(rows, 0.0, [total + 1, width], "add")
        ones = g.node("Expand", g.constant(1.0, dtype), g.node("Shape", bags))
        count = g.node("Unsqueeze", collected(ones, 0.0, [total + 1], "add"), g.constant([1]))
        if self.mode == "mean":
            return self._finished(g, collected(rows, 0.0, [total + 1, width], "add"), count, dtype)
        if g.opset >= 18:
            y = collected(rows, float("-inf"), [total + 1, width], "max")
        else:  # Its scatter knows no maximum: all bags look at all rows.
            numbers = g.node("Range", g.constant(0), g.size(total), g.constant(1))
            inside = g.node("Equal", g.node("Unsqueeze", numbers, g.constant([1])), bags)
            inside = g.node("Unsqueeze", inside, g.constant([2]))
            y = reduce(
                g, "ReduceMax", g.node("Where", inside, rows, g.constant(float("-inf"), dtype)), [1], keepdims=False
            )
        return self._finished(g, y, count, dtype)


def _bag_numbers(g: OnnxGraph, offsets: str, count: Size, bags: Size) -> str:
    """Of `count` elements the number of the bag that each is in: how many bags begin at it or before, less one."""
    zeros = g.node("Expand", g.constant(0), g.shape([count + 1]))
    ones = g.node("Expand", g.constant(1), g.shape([bags]))
    begins = g.node("ScatterElements", zeros, offsets, ones, axis=0, reduction="add")
    started = g.node("CumSum", begins, g.constant(0))
    numbers = g.node("Slice", started, g.constant([0]), g.shape([count]), g.constant([0]))
    return str(g.node("Sub", numbers, g.constant(1)))


class EmbeddingBag(Layer):
    """Looks up a learned vector for each number and adds up those of a bag: int[N, L] to float[N, embedding_dim].

    A row is a bag; of numbers in a row, int[L], the bags begin at `offsets`, int[B], the first of them 0.
    Source: `torch.nn.EmbeddingBag`, less `max_norm` and `norm_type`, which would change the weights in a forward pass.
    """

    num_embeddings: int = arg(ge=1, doc="how many vectors there are; numbers are below it")
    embedding_dim: int = arg(ge=1, doc="size of each vector")
    scale_grad_by_freq: bool = arg(False, keyword=True, doc="divide gradients by how often a number occurs")
    mode: Literal["sum", "mean", "max"] = arg("mean", keyword=True, doc="what is made of a bag's vectors")
    sparse: bool = arg(False, keyword=True, doc="make sparse gradients, which only some optimizers take")
    include_last_offset: bool = arg(False, keyword=True, doc="the last offset is the end of the last bag")
    padding_idx: int | None = arg(None, keyword=True, doc="a number that does not count, and whose vector stays zero")

    examples = (
        Example("EmbeddingBag(10, 4)", x="int[N, L]"),
        Example('EmbeddingBag(10, 4, mode="sum")', x="int[N, L]", per_sample_weights="float[N, L]"),
        Example('EmbeddingBag(5, 4, mode="max", padding_idx=1)', x="int32[N, L]"),
        Example("EmbeddingBag(5, 4, padding_idx=-5)", x="int[N, L]"),
    )

    def infer(self, rules: Rules, x: TensorType, offsets: Any = None, per_sample_weights: Any = None) -> TensorType:
        table = TensorType("float32", (self.num_embeddings, self.embedding_dim))
        inputs = {"offsets": 1, "per_sample_weights": 2}
        result: TensorType = Bags(self).infer(rules, x, table, offsets, per_sample_weights, inputs)
        return result

    def weights(self) -> dict[str, Weight]:
        return {"weight": Weight((self.num_embeddings, self.embedding_dim))}

    def onnx(self, g: OnnxGraph, x: str, offsets: str | None = None, per_sample_weights: str | None = None) -> Any:
        return Bags(self).lower(g, x, g.weight("weight"), offsets, per_sample_weights)
