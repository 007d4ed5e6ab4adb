"""Slicing and indexing of tensors, `x[...]`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from nnspec.arguments import arg
from nnspec.dims import Dim, Size, show
from nnspec.functions._lowering import END
from nnspec.functions._positions import joint
from nnspec.layer import Code, Example, Function, OnnxGraph, Ref, Rules, ShapeError, index
from nnspec.layers._expect import expect_tensor
from nnspec.types import TensorType, is_int

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape

_WHOLE = ("slice", None, None, None)


class _Step(NamedTuple):
    """What happens to one dimension: an item of the index, and the dimension it is about (None for a new one)."""

    item: Any
    axis: int | None


class getitem(Function):
    """Part of a tensor, `x[items]`, as in torch; bounds are checked, and index tensors hold integers.

    `items` has one entry for each item in the brackets: a number or size, `("slice", start, stop, step)` whose parts
    are sizes or None, `"..."`, None for a new dimension, or `"tensor"`, which stands for the next index tensor.
    Dimensions without an item are kept whole. An index tensor of shape [A, B] puts these dimensions in the place of the
    one it picks from; several are broadcast and picked together, and their result stands in front unless they are
    neighbours. Unlike torch, a slice beyond the end is refused, as is a negative step. Source: `torch.Tensor`.
    """

    of_complex = "parts"

    items: tuple[Any, ...] = arg(doc="what stands in the brackets")

    examples = (
        Example("x[:, 0]", x="float[N, T, 8]"),
        Example("x[:, -1, 2:6]", x="float[N, T, 8]"),
        Example("x[..., ::2]", x="float[N, 3, 8]"),
        Example("x[:, none, :, 1:]", x="int[N, 3, 4]"),
        Example("x[:T, :T]", x="bool[64, 64]", y="float[T]"),
        Example("x[:, T - 1]", x="float[N, T, 8]"),
        Example("x[:, 1:T:3]", x="float[N, T]"),
        Example("x[:, -2:]", x="float[N, 5]"),
        Example("x[i]", x="float[10, 8]", i="int[N, T]"),
        Example("x[:, i, 1:]", x="float[N, 6, 8]", i="int[T]"),
        Example("x[i, j]", x="float[7, 6, 8]", i="int[N]", j="int[N]"),
        Example("x[i, :, j]", x="float[5, 6, 8]", i="int32[N, 1]", j="int[3]"),
        Example("x[..., i, j]", x="float[N, 6, 8]", i="int[T, 1]", j="int[T, 4]"),
    )

    def infer(self, rules: Rules, x: TensorType, *tensors: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        indices = [_expect_index(self, t, i) for i, t in enumerate(tensors, 1)]
        if not self.items or len(tensors) != self.items.count("tensor"):
            raise ShapeError(f"{len(tensors)} index tensors do not go with {self.items}", code="NNS411", at="items")
        dims: list[Size] = []
        picked: list[int] = []
        for item, at in self._plan(x):
            if item == "tensor":
                picked.append(len(dims))
                dims.append(0)
            elif at is None:
                dims.append(1)
            elif isinstance(item, tuple):
                dims.append(sliced(rules, x, at, *item[1:]))
            else:
                check_index(rules, x, at, item)
        if picked:
            shape = rules.broadcast(*(t.dims for t in indices))
            dims = _inserted(dims, picked, shape)
        return x.with_dims(*dims)

    def _plan(self, x: TensorType) -> list[_Step]:
        """The items with the dimensions that they are about; `...` and what is left out written as whole slices."""
        used = sum(item is not None and item != "..." for item in self.items)
        dots = sum(item == "..." for item in self.items if isinstance(item, str))
        if dots > 1:
            raise ShapeError("an index has at most one `...`", code="NNS411", label="more than one `...`")
        if used > x.rank:
            raise ShapeError(
                f"{used} indices are too many for {x}, which has {x.rank} dimension{'' if x.rank == 1 else 's'}",
                code="NNS411",
                label="too many indices",
            )
        items = self.items if dots else (*self.items, "...")
        plan: list[_Step] = []
        axis = 0
        for item in items:
            if item == "...":
                plan += [_Step(_WHOLE, axis + i) for i in range(x.rank - used)]
                axis += x.rank - used
            elif item is None:
                plan.append(_Step(None, None))
            else:
                plan.append(_Step(item, axis))
                axis += 1
        return plan

    def memory(self, m: Tape, *inputs: Any) -> Any:
        x, *tensors = inputs
        steps: list[int] = []
        for item, at in self._plan(x.type):
            if at is None:
                steps.append(0)
            elif item == "tensor":
                return m.op(m.output, x, keeps=tensors)
            elif isinstance(item, tuple):
                steps.append(x.strides[at] * (1 if item[3] is None else m.size(item[3])))
        return m.view(x, m.output.dims, steps, passes=False)

    def torch(self, *inputs: Any) -> Code:
        x, *tensors = inputs
        rest = iter(tensors)
        return index(x, *(_python_item(item, rest) for item in self.items))

    def onnx(self, g: OnnxGraph, x: str, *tensors: str) -> Any:
        kind = g.type(x)
        plan = self._plan(kind)
        y = _lower_slices(g, x, plan)
        for item, at in reversed(plan):
            if at is not None and isinstance(item, (int, Dim)):
                y = g.node("Gather", y, g.size(item), axis=at)
        left = [step for step in plan if not isinstance(step.item, (int, Dim))]
        new = [i for i, step in enumerate(left) if step.axis is None]
        if new:
            y = g.node("Unsqueeze", y, g.constant(new))
        picked = [i for i, step in enumerate(left) if step.item == "tensor"]
        if not picked:
            return y
        if len(picked) == 1:
            return g.node("Gather", y, tensors[0], axis=picked[0])
        return _lower_picks(g, y, len(left), picked, tensors)


def _expect_index(function: Function, operand: Any, position: int) -> TensorType:
    x = expect_tensor(function, operand, position)
    if x.dtype not in ("int64", "int32"):
        helps = ["`where` or `masked_fill` choose by bools"] if x.dtype == "bool" else []
        helps += ["convert it with `to(x, int)`"] if is_int(x.dtype) else []
        raise ShapeError(
            f"a tensor that indexes must be of type int or int32, but this is {x}",
            code="NNS406",
            label="how many elements it picks is known at run time only" if x.dtype == "bool" else "not an index",
            input=position,
            helps=helps,
        )
    return x


def check_index(rules: Rules, x: TensorType, at: int, item: Any) -> None:
    size = x.dims[at]
    if not isinstance(item, (int, Dim)) or isinstance(item, bool):
        raise ShapeError(f"a tensor cannot be indexed by {item!r}", code="NNS405", label="not a whole number")
    message = f"index {show(item)} is outside dimension {at} of {x}"
    error = {"code": "NNS411", "label": f"the size there is {show(size)}"}
    if _is_negative(rules, item):
        rules.require_at_least(size, -item, message, **error)
        return
    rules.require_at_least(item, 0, message, **error)
    rules.require_at_least(size, item + 1, message, **error)


def sliced(rules: Rules, x: TensorType, at: int, start: Any, stop: Any, step: Any) -> Size:
    """The size that a slice leaves; its bounds must lie in the dimension."""
    size = x.dims[at]
    if start is None and stop is None and step is None:
        return size
    written = (start, stop) if step is None else (start, stop, step)
    text = ":".join("" if part is None else str(part) for part in written)
    for part in (start, stop, step):
        if part is not None and (not isinstance(part, (int, Dim)) or isinstance(part, bool)):
            raise ShapeError(f"a slice cannot have the bound {part!r}", code="NNS405", label="not a whole number")
    error: dict[str, Any] = {"code": "NNS411", "label": f"dimension {at} has size {show(size)}"}
    outside = f"the slice {text} does not lie in dimension {at} of {x}"
    if step is not None:
        message = f"the step of the slice {text} must be at least 1"
        rules.require_at_least(step, 1, message, code="NNS411", helps=("torch has no negative steps",))
    first = 0 if start is None else _bound(rules, start, size)
    last = size if stop is None else _bound(rules, stop, size)
    rules.require_at_least(first, 0, outside, **error)
    rules.require_at_least(size, last, outside, **error)
    rules.require_at_least(last, first, f"the slice {text} of dimension {at} of {x} ends before it starts", **error)
    length = last - first
    return rules.simplify(length if step in (None, 1) else (length + step - 1) // step)


def _bound(rules: Rules, value: Size, size: Size) -> Size:
    """A bound from the front. One whose sign is open counts as not negative, which then becomes a requirement."""
    if _is_negative(rules, value):
        return rules.simplify(size + value)
    rules.require_at_least(value, 0, f"the bound {show(value)} of a slice may not be negative", code="NNS411")
    return value


def _is_negative(rules: Rules, value: Size) -> bool:
    return rules.at_least(-1, value) is True


def _inserted(dims: Sequence[Size], picked: Sequence[int], shape: Sequence[Size]) -> list[Size]:
    """The dimensions of picked elements put in the place of those that index tensors pick from."""
    rest = [d for i, d in enumerate(dims) if i not in picked]
    place = _place(picked)
    return [*rest[:place], *shape, *rest[place:]]


def _place(picked: Sequence[int]) -> int:
    neighbours = picked[-1] - picked[0] + 1 == len(picked)
    return picked[0] if neighbours else 0


def _python_item(item: Any, tensors: Any) -> Any:
    if item == "...":
        return Ellipsis
    if item == "tensor":
        return Ref(next(tensors))
    return slice(*item[1:]) if isinstance(item, tuple) else item


def _lower_slices(g: OnnxGraph, x: str, plan: Sequence[_Step]) -> str:
    cuts = [(at, *item[1:]) for item, at in plan if isinstance(item, tuple) and item != _WHOLE]
    if not cuts:
        return x
    axes, starts, stops, steps = (list(column) for column in zip(*cuts, strict=True))
    return str(
        g.node(
            "Slice",
            x,
            g.shape([0 if s is None else s for s in starts]),
            g.shape([END if s is None else s for s in stops]),
            g.constant(axes),
            g.shape([1 if s is None else s for s in steps]) if any(s is not None for s in steps) else None,
        )
    )


def _lower_picks(g: OnnxGraph, x: str, rank: int, picked: Sequence[int], tensors: Sequence[str]) -> str:
    """Several index tensors: GatherND over the dimensions that they pick from, brought to the front."""
    rest = [i for i in range(rank) if i not in picked]
    if list(picked) != list(range(len(picked))):
        x = g.node("Transpose", x, perm=[*picked, *rest])
    shapes = [g.type(t).dims for t in tensors]
    shape = joint(shapes)
    columns = []
    for tensor, dims in zip(tensors, shapes, strict=True):
        wide = tensor if tuple(dims) == shape else g.node("Expand", tensor, g.shape(shape))
        columns.append(g.node("Unsqueeze", g.cast(wide, "int64"), g.constant([-1])))
    y: str = g.node("GatherND", x, g.node("Concat", *columns, axis=-1))
    place, count = _place(picked), len(shape)
    if not place:
        return y
    order = [*range(count, count + place), *range(count), *range(count + place, count + len(rest))]
    return str(g.node("Transpose", y, perm=order))
