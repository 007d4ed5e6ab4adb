"""Rearranging dimensions by naming them, in the notation of einops."""

from __future__ import annotations

from typing import Any

from nnspec.arguments import arg
from nnspec.dims import Size, show
from nnspec.functions._lowering import reshaped
from nnspec.functions._operands import quotient_text
from nnspec.functions._pattern import DOTS, Group, Pattern, Side, atoms, fault, parse
from nnspec.layer import Code, Example, Function, OnnxGraph, Ref, Rules, call, method
from nnspec.layers._expect import expect_tensor, volume
from nnspec.types import TensorType


class rearrange(Function):
    """Dimensions split, merged and put in another order, by their names: "n t (h d) -> n h t d" with `h=8`.

    Brackets hold what makes up one dimension; all sizes in them but one must be given, by name. `1` is a dimension of
    size 1, `...` stands for any dimensions. Source: `einops.rearrange` (Rogozhnikov, ICLR 2022).
    """

    extra = "sizes"

    pattern: str = arg(doc='the dimensions before and after: "n c h w -> n (h w) c"')
    sizes: tuple[tuple[str, Size], ...] = arg((), doc="the sizes of names, as arguments of these names", keyword=True)

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

    def infer(self, rules: Rules, x: TensorType) -> TensorType:
        x = expect_tensor(self, x)
        pattern, groups, result = self._matched(x)
        given = self._given(pattern)
        known: dict[str, Size] = {}
        for at, (group, size) in enumerate(zip(groups, x.dims, strict=True)):
            self._take_apart(rules, group, size, given, known, f"dimension {at} of {x}")
        return x.with_dims(*(rules.simplify(volume(known[n] for n in group)) for group in result))

    def _matched(self, x: TensorType) -> tuple[Pattern, list[Group], list[Group]]:
        """The pattern, and its sides with one group for each dimension: `...` spelt out."""
        pattern = parse(self.pattern)
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

    def _given(self, pattern: Pattern) -> dict[str, Size]:
        names = atoms(pattern.left)
        for name, _ in self.sizes:
            if name not in names or name == DOTS:
                raise fault(self.pattern, f"has no `{name}`, which is given a size")
        return dict(self.sizes)

    def _take_apart(
        self, rules: Rules, group: Group, size: Size, given: dict[str, Size], known: dict[str, Size], what: str
    ) -> None:
        """Work out the sizes of the names that make up one dimension."""
        open_names = [name for name in group if name not in given]
        for name in group:
            if name in given:
                known[name] = given[name]
                message = f"`{name}` of `rearrange` must be at least 1, not {show(given[name])}"
                rules.require_at_least(given[name], 1, message, code="NNS409", at=name)
        inner = rules.simplify(volume(given[name] for name in group if name in given))
        shown = f"({' '.join(group)})" if len(group) > 1 else "".join(group) or "1"
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

    def torch(self, *inputs: Any) -> Code | Ref:
        """Plain torch: dimensions of size 1 dropped, groups taken apart, put in order, put together, 1s added."""
        pattern = parse(self.pattern)
        y: Any = inputs[0]
        y = _taken_apart(y, pattern, dict(self.sizes))
        y = _ordered(y, atoms(pattern.left), atoms(pattern.right))
        y = _put_together(y, pattern)
        return y  # type: ignore[no-any-return] # a Code, or the input itself

    def onnx(self, g: OnnxGraph, x: str) -> Any:
        kind = g.type(x)
        _, groups, result = self._matched(kind)
        known: dict[str, Size] = {}
        given = dict(self.sizes)
        for group, size in zip(groups, kind.dims, strict=True):
            inner = volume(given[name] for name in group if name in given)
            known |= {name: given.get(name, size if len(group) == 1 else size // inner) for name in group}
        before, after = atoms(tuple(groups)), atoms(tuple(result))
        y = reshaped(g, x, kind.dims, [known[name] for name in before])
        if before != after:
            y = g.node("Transpose", y, perm=[before.index(name) for name in after])
        return reshaped(g, y, [known[name] for name in after], [volume(known[n] for n in group) for group in result])


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
