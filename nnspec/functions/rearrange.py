"""Dimensions by their names, in the notation of einops: put in another order, repeated, and reduced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import reshaped, wide
from nnspec.functions._pattern import DOTS, Group, Pattern, Side, atoms, fault, number_of, parse
from nnspec.functions._reduction import extreme
from nnspec.functions.reduction import amax, amin, mean, prod, sum
from nnspec.layer import Code, Example, Function, OnnxGraph, Ref, Rules, call, method
from nnspec.layers._expect import expect_tensor, quotient_text, volume
from nnspec.layers._lowering import reduce as reduce_axes
from nnspec.types import TensorType, is_float

if TYPE_CHECKING:
    from nnspec.layer_memory import Tape


class _Patterned(Function):
    """What reads a pattern, and takes the dimensions of its input apart by it."""

    extra = "sizes"

    pattern: str = arg(doc='the dimensions before and after: "n c h w -> n (h w) c"')
    sizes: tuple[tuple[str, Size], ...] = arg((), doc="the sizes of names, as arguments of these names", keyword=True)

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        known, result = self.known(rules, x)
        return x.with_dims(*(rules.simplify(volume(known[n] for n in group)) for group in result))

    def read(self) -> Pattern:
        """The pattern, which must be one of this function."""
        return parse(self.pattern, type(self).__name__)

    def known(self, rules: Rules, x: TensorType) -> tuple[dict[str, Size], list[Group]]:
        """The sizes of all names for an input, proved to fit it, and what makes up the dimensions of the result."""
        pattern, groups, result = self.matched(x)
        given = self.given_sizes(pattern)
        known: dict[str, Size] = {}
        for at, (group, size) in enumerate(zip(groups, x.dims, strict=True)):
            self._take_apart(rules, group, size, given, known, f"dimension {at} of {x}")
        for name in atoms(pattern.right):
            if name not in known and name != DOTS:
                if name not in given:
                    raise fault(self.pattern, f"makes a dimension `{name}` of no size", f"give it: `{name}=...`")
                known[name] = self._sized(rules, name, given[name])
        return known, result

    def matched(self, x: TensorType) -> tuple[Pattern, list[Group], list[Group]]:
        """The pattern, and its sides with one group for each dimension: `...` spelt out."""
        pattern = self.read()
        dots = DOTS in pattern.left
        fixed = len(pattern.left) - dots
        if DOTS in atoms(pattern.left) and not dots:
            raise fault(self.pattern, "has `...` in brackets on its left side")
        if x.rank < fixed or (x.rank > fixed and not dots):
            raise fault(
                self.pattern,
                f"names {fixed} dimension{'' if fixed == 1 else 's'}, but its input is {x}",
                *(("`...` stands for any dimensions",) if x.rank > fixed else ()),
            )
        if x.rank == fixed and (DOTS,) in pattern.right:
            raise fault(self.pattern, "makes a dimension of `...`, which stands for none here")
        hidden = tuple(f"...{i}" for i in range(x.rank - fixed))
        return pattern, _spelt(pattern.left, hidden), _spelt(pattern.right, hidden)

    def given_sizes(self, pattern: Pattern) -> dict[str, Size]:
        """The sizes that are given: by arguments, and by numbers in the pattern."""
        names = dict.fromkeys((*atoms(pattern.left), *atoms(pattern.right)))
        for name, _ in self.sizes:
            if name not in names or name == DOTS:
                raise fault(self.pattern, f"has no `{name}`, which is given a size")
        numbers = {name: size for name in names if (size := number_of(name)) is not None}
        return {**dict(self.sizes), **numbers}

    def _sized(self, rules: Rules, name: str, size: Size) -> Size:
        message = f"`{name}` of `{type(self).__name__}` must be at least 1, not {show(size)}"
        rules.require_at_least(size, 1, message, code="NNS409", at=name)
        return size

    def _take_apart(
        self, rules: Rules, group: Group, size: Size, given: dict[str, Size], known: dict[str, Size], what: str
    ) -> None:
        """Work out the sizes of the names that make up one dimension."""
        open_names = [name for name in group if name not in given]
        for name in group:
            if name in given:
                known[name] = self._sized(rules, name, given[name])
        inner = rules.simplify(volume(given[name] for name in group if name in given))
        words = [name.partition("#")[0] for name in group]
        shown = f"({' '.join(words)})" if len(group) > 1 else "".join(words) or "1"
        if len(open_names) > 1:
            names = " and ".join(f"`{n}`" for n in open_names)
            raise fault(self.pattern, f"leaves {names} open", f"give the size of one: `{open_names[0]}=...`")
        if open_names and len(group) > 1:
            known[open_names[0]] = rules.exact(
                size,
                inner,
                f"`{shown}` cannot be taken apart: {what}, of size {show(size)}, must divide by {show(inner)}",
                code="NNS404",
                label=f"{quotient_text(size, inner)} must be whole",
                at="pattern",
            )
        elif open_names:
            known[open_names[0]] = size
        else:
            rules.require_equal(
                size,
                inner,
                f"`{shown}` in the pattern has size {show(inner)}, but {what} has size {show(size)}",
                label=f"{show(size)} is not {show(inner)}",
                at="pattern",
            )

    def sizes_at_run_time(self, kind: TensorType) -> dict[str, Size]:
        """The sizes of all names, where the input is known to fit."""
        pattern, groups, _ = self.matched(kind)
        given = self.given_sizes(pattern)
        known = dict(given)
        for group, size in zip(groups, kind.dims, strict=True):
            inner = volume(given[name] for name in group if name in given)
            known |= {name: given.get(name, size if len(group) == 1 else size // inner) for name in group}
        return known


class rearrange(_Patterned):
    """Dimensions split, merged and put in another order, by their names: "n t (h d) -> n h t d" with `h=8`.

    Brackets hold what makes up one dimension; all sizes in them but one must be given, by name. `1` is a dimension of
    size 1, `...` stands for any dimensions; unlike in einops for one at least where it makes up a dimension, or is
    reduced. Source: `einops.rearrange` (Rogozhnikov, ICLR 2022).
    """

    of_complex = "parts"
    examples = (
        Example('rearrange(x, "n t (h d) -> n h t d", h=4)', x="float[N, T, 12]"),
        Example('rearrange(x, "n h t d -> n t (h d)")', x="float[N, 4, T, 3]"),
        Example(
            'rearrange(x, "n c (h p) (w q) -> n (h w) (p q c)", p=2, q=2)',
            y="float[H, W]",
            x="float[N, 3, 2 * H, 2 * W]",
        ),
        Example('rearrange(x, "... d t -> ... t d")', x="int[N, 3, 8, T]"),
        Example('rearrange(x, "n 1 t -> (n t) 1")', x="float[N, 1, T]"),
        Example('rearrange(x, "b ... c -> c (b ...)")', x="float[N, 3, T, 2]"),
        Example('rearrange(x, "(k n) -> n k", k=2, n=N)', y="float[N]", x="float[2 * N]"),
        Example('rearrange(x, "(n 1) c -> n c")', x="float[N, 3]"),
    )

    def memory(self, m: Tape, *inputs: Any) -> Any:
        _, groups, result = self.matched(inputs[0].type)
        known = self.sizes_at_run_time(inputs[0].type)
        before, after = atoms(tuple(groups)), atoms(tuple(result))
        y = m.reshape(inputs[0], [m.size(known[name]) for name in before])
        y = m.permute(y, [before.index(name) for name in after])
        return m.reshape(y, m.output.dims)

    def torch(self, *inputs: Any) -> Code | Ref:
        """Plain torch: dimensions of size 1 dropped, groups taken apart, put in order, put together, 1s added."""
        pattern = self.read()
        y: Any = inputs[0]
        y = _taken_apart(y, pattern, self.given_sizes(pattern))
        y = _ordered(y, atoms(pattern.left), atoms(pattern.right))
        y = _put_together(y, pattern)
        return y  # type: ignore[no-any-return] # a Code, or the input itself

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        _, groups, result = self.matched(kind)
        known = self.sizes_at_run_time(kind)
        before, after = atoms(tuple(groups)), atoms(tuple(result))
        y = reshaped(g, x, kind.dims, [known[name] for name in before])
        y = _transposed(g, y, before, after)
        return reshaped(g, y, [known[name] for name in after], [volume(known[n] for n in group) for group in result])


class repeat(_Patterned):
    """New dimensions along which everything is repeated: "n t d -> n r t d" with `r=4`; [N, T, D] to [N, 4, T, D].

    Names that stand on the right alone are new; a number there is one without a name: "h w -> (h 2) (w 2)" doubles each
    pixel. All else is as in `rearrange`. Source: `einops.repeat` (Rogozhnikov, ICLR 2022).
    """

    examples = (
        Example('repeat(x, "n t d -> n r t d", r=4)', x="float[N, T, 3]"),
        Example('repeat(x, "n h w -> n (h 2) (w 3)")', x="float[N, H, W]"),
        Example('repeat(x, "d -> n t d", n=N, t=2)', y="int[N]", x="int[3]"),
        Example('repeat(x, "n (h d) -> (r n) d h", d=2, r=3)', x="float[N, 6]"),
        Example('repeat(x, "n ... c -> n r ... (c 2)", r=3)', x="float[N, T, 5]"),
        Example('repeat(x, "... -> ... 1 r", r=T)', y="float[T]", x="bool[N, 3]"),
        Example('repeat(x, "n 1 d -> n d")', x="float[N, 1, 3]"),
    )

    def memory(self, m: Tape, *inputs: Any) -> Any:
        _, groups, result = self.matched(inputs[0].type)
        known = self.sizes_at_run_time(inputs[0].type)
        before, after = atoms(tuple(groups)), atoms(tuple(result))
        kept = [name for name in after if name in before]
        y = m.reshape(inputs[0], [m.size(known[name]) for name in before])
        y = m.permute(y, [before.index(name) for name in kept])
        y = m.reshape(y, [m.size(known[name]) if name in before else 1 for name in after])
        return m.reshape(m.expand(y, [m.size(known[name]) for name in after]), m.output.dims)

    def torch(self, *inputs: Any) -> Code | Ref:
        """As `rearrange`, with new dimensions expanded (or copied, where `...` hides how many dimensions there are)."""
        pattern = self.read()
        given = self.given_sizes(pattern)
        before, after = atoms(pattern.left), atoms(pattern.right)
        y = _taken_apart(inputs[0], pattern, given)
        y = _ordered(y, before, [name for name in after if name in before])
        y = _repeated(y, before, after, given)
        return _put_together(y, pattern)  # type: ignore[no-any-return] # a Code, or the input itself

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        _, groups, result = self.matched(kind)
        known = self.sizes_at_run_time(kind)
        before, after = atoms(tuple(groups)), atoms(tuple(result))
        kept = [name for name in after if name in before]
        y = reshaped(g, x, kind.dims, [known[name] for name in before])
        y = _transposed(g, y, before, kept)
        new = [at for at, name in enumerate(after) if name not in before]
        if new:
            y = g.node("Unsqueeze", y, g.constant(new))
            y = g.node("Expand", y, g.shape([known[name] if name not in before else 1 for name in after]))
        return reshaped(g, y, [known[name] for name in after], [volume(known[n] for n in group) for group in result])


class reduce(_Patterned):
    """Dimensions taken away by their names: "n c h w -> n c" with "mean"; [N, C, H, W] to [N, C].

    What stands on the left alone is reduced, a number too: "n (t 2) d -> n t d" with "max" pools pairs. All else is as
    in `rearrange`. Source: `einops.reduce` (Rogozhnikov, ICLR 2022).
    """

    order = ("x", "pattern", "reduction")

    reduction: Literal["sum", "mean", "max", "min", "prod"] = arg(doc="what becomes of the elements")

    examples = (
        Example('reduce(x, "n c h w -> n c", "mean")', x="float[N, 3, H, W]"),
        Example('reduce(x, "n (t 2) d -> n t d", "max")', y="float[T]", x="float[N, 2 * T, 3]"),
        Example('reduce(x, "n c (h p) (w q) -> n (h w) c", "sum", p=2, q=3)', x="int[N, 3, 4, 6]"),
        Example('reduce(x, "n t d -> d n", "min")', x="float[N, T, 3]"),
        Example('reduce(x, "n ... d -> n d", "prod")', x="float[N, 3, 2, 4]"),
        Example('reduce(x, "n ... d -> d ...", "max")', x="bool[N, T, 4]"),
        Example('reduce(x, "n ... (d 2) e -> ... d", "prod")', x="float[2, T, 4, 2]"),
        Example('reduce(x, "n t ->", "mean")', x="float[N, T]"),
        Example('reduce(x, "n 1 t -> t n 1", "sum")', x="float[N, 1, T]"),
    )

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        y = super().infer(rules, x)
        return y.with_dtype(_REDUCTIONS[self.reduction]().result(x)) if self._loses(self.read()) else y

    def _loses(self, pattern: Pattern) -> bool:
        """Whether there is anything to reduce: if not, elements stay what they are, as does their type."""
        return not set(atoms(pattern.left)) <= set(atoms(pattern.right))

    def matched(self, x: TensorType) -> tuple[Pattern, list[Group], list[Group]]:
        found = super().matched(x)
        if DOTS in found[0].left and DOTS not in atoms(found[0].right) and x.rank < len(found[0].left):
            raise fault(self.pattern, "reduces `...`, which stands for no dimensions here")
        return found

    def torch(self, *inputs: Any) -> Code | Ref:
        """Groups taken apart, dimensions reduced, the others put in order and together."""
        pattern = self.read()
        before, after = atoms(pattern.left), atoms(pattern.right)
        y = _taken_apart(inputs[0], pattern, self.given_sizes(pattern))
        if DOTS in before and DOTS not in after:
            at = before.index(DOTS)
            y = method("flatten", y, at, at - len(before))
            before = ["...0" if name == DOTS else name for name in before]
        lost = [at for at, name in enumerate(before) if name not in after]
        y = self._reduced(y, [_number(before, at) for at in lost])
        y = _ordered(y, [name for name in before if name in after], after)
        return _put_together(y, pattern)  # type: ignore[no-any-return] # a Code

    def _reduced(self, y: Any, dims: list[int]) -> Any:
        if not dims:
            return y
        name = _REDUCTIONS[self.reduction].__name__
        if name != "prod":
            return call(f"torch.{name}", y, dim=dims[0] if len(dims) == 1 else tuple(dims))
        # torch has it for one dimension at a time: those from the front go back to front, the others front to back.
        for dim in (*sorted((d for d in dims if d >= 0), reverse=True), *sorted(d for d in dims if d < 0)):
            y = call("torch.prod", y, dim=dim)
        return y

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        pattern, groups, result = self.matched(kind)
        known = self.sizes_at_run_time(kind)
        before, after = atoms(tuple(groups)), atoms(tuple(result))
        dtype = _REDUCTIONS[self.reduction]().result(kind) if self._loses(pattern) else kind.dtype
        compute = "int32" if dtype == "bool" else wide(dtype)
        y = reshaped(g, g.cast(x, compute), kind.dims, [known[name] for name in before])
        lost = [at for at, name in enumerate(before) if name not in after]
        if lost:
            op, nans = _REDUCTIONS[self.reduction].op, is_float(dtype) and self.reduction in ("max", "min")
            y = extreme(g, op, y, lost, dtype, keepdims=False) if nans else reduce_axes(g, op, y, lost, keepdims=False)
        y = _transposed(g, y, [name for name in before if name in after], after)
        y = reshaped(g, y, [known[name] for name in after], [volume(known[n] for n in group) for group in result])
        return y if compute == dtype else g.cast(y, dtype)


_REDUCTIONS: dict[str, Any] = {"sum": sum, "mean": mean, "max": amax, "min": amin, "prod": prod}


def _transposed(g: OnnxGraph, y: str, before: list[str], after: list[str]) -> str:
    return y if before == after else str(g.node("Transpose", y, perm=[before.index(name) for name in after]))


def _repeated(y: Any, before: list[str], after: list[str], sizes: dict[str, Size]) -> Any:
    """New dimensions: those behind `...` count from the end and come back to front, the others front to back."""
    dots = after.index(DOTS) if DOTS in after else len(after)
    new = [at for at, name in enumerate(after) if name not in before]
    for at in (*(at for at in new if at < dots), *reversed([at for at in new if at > dots])):
        y = method("unsqueeze", y, _number(after, at))
        if DOTS in after:
            y = call("torch.repeat_interleave", y, sizes[after[at]], dim=_number(after, at))
    if new and DOTS not in after:
        y = method("expand", y, *(-1 if name in before else sizes[name] for name in after))
    return y


def _spelt(side: Side, hidden: tuple[str, ...]) -> list[Group]:
    """A side with `...` replaced by names for the dimensions that it stands for."""
    groups: list[Group] = []
    for group in side:
        if isinstance(group, str):
            groups += [(name,) for name in hidden]
        else:
            groups.append(tuple(n for name in group for n in (hidden if name == DOTS else (name,))))
    return groups


def _taken_apart(y: Any, pattern: Pattern, sizes: dict[str, Size]) -> Any:
    # Those behind `...` count from the end and go front to back, the others back to front: so the numbers stay right.
    side = pattern.left
    dots = side.index(DOTS) if DOTS in side else len(side)
    for at in (*range(dots + 1, len(side)), *reversed(range(dots))):
        group, dim = side[at], _number(side, at)
        if not group:
            y = method("squeeze", y, dim)
        elif len(group) > 1 and not isinstance(group, str):
            open_ = next((name for name in group if name not in sizes), None)
            # The method does the same in Python, in a quarter more time.
            y = call("torch.unflatten", y, dim, tuple(-1 if name == open_ else sizes[name] for name in group))
    return y


def _number(side: Side | list[str], at: int) -> int:
    """The number of a dimension: from the front, or from the end when `...` stands before it."""
    return at - len(side) if DOTS in side[:at] else at


def _ordered(y: Any, before: list[str], after: list[str]) -> Any:
    if before == after:
        return y
    if DOTS in before:
        moved = [name for name in before if name != DOTS]
        ways = (tuple(_number(side, side.index(name)) for name in moved) for side in (before, after))
        return call("torch.movedim", y, *ways)
    order = [before.index(name) for name in after]
    swapped = [i for i, j in enumerate(order) if i != j]
    return method("transpose", y, *swapped) if len(swapped) == 2 else method("permute", y, *order)


def _put_together(y: Any, pattern: Pattern) -> Any:
    names = atoms(pattern.right)
    end = len(names)
    # From the back: what stands before a group still has one dimension for each name.
    for at, group in reversed(list(enumerate(pattern.right))):
        if isinstance(group, str):
            end -= 1
            continue
        start = end - len(group)
        behind = len(pattern.right) - at
        hidden = DOTS in names[:start]
        if not group:
            y = method("unsqueeze", y, -behind if hidden else start)
        elif len(group) > 1 or DOTS in group:
            first = start - end - behind + 1 if hidden else start
            y = method("flatten", y, first, -behind if hidden or DOTS in group else end - 1)
        end = start
    return y
