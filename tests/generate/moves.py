"""Steps that move or change other dimensions than the features: attention, recurrences, pools, images as sequences."""

from __future__ import annotations

from tests.generate.body import FLOAT, Body, Tensor
from tests.generate.steps import activate, bracketed, step, sub


@step(3, layers=False)
def turned(b: Body, x: str) -> str:
    """There and back again."""
    width = b.values[x].width
    forms = [f'rearrange(rearrange({x}, "n t (h d) -> n h t d", h=2), "n h t d -> n t (h d)")']
    forms += [
        f"transpose(transpose({x}, 1, 2) -> tanh, 1, 2)",
        f"reshape(flatten({x}, 0, 1) -> relu, ({_head(b, x)}, {width}))",
    ]
    forms += [
        f"flip({x}, (1,))",
        f"roll({x}, 1, 1)",
        f'repeat(reduce({x}, "n t (d 2) -> n t d", "mean"), "n t d -> n t (d 2)")',
    ]
    forms += [f"unbind(stack([{x}, {x}], dim=1), dim=1)[1]", f"squeeze(unsqueeze({x}, 2), 2)"]
    return b.bind("h", b.values[x], b.random.choice(forms), x)


def _head(b: Body, x: str) -> str:
    return ", ".join((b.values[x].dims or ())[:2])


@step(3)
def attended(b: Body, x: str) -> str:
    type_, heads = b.values[x], b.random.choice("124")
    width = type_.width
    q, k, v = (
        f'rearrange({x} -> {b.always(n)}Linear({width}), "n t (h d) -> n h t d", h={heads})' for n in ("q", "k", "v")
    )
    if b.chance(0.3) and not b.scanning and not b.loops:
        y = b.fresh("y")
        b.line(f"{y}, _ = {x} -> {b.always('mha')}MultiheadAttention({heads}, batch_first=true)")
        return b.bind("h", type_, y)
    causal = b.random.choice(["", ", is_causal=true"])
    y = b.bind("y", Tensor(FLOAT, None), f"scaled_dot_product_attention({q}, {k}, {v}{causal})")
    return b.bind("h", type_, f'rearrange({y}, "n h t d -> n t (h d)") -> {b.always("o")}Linear({width})')


@step(3, flat=False)
def recurrent(b: Body, x: str) -> str:
    width, name, reverse = b.size(), b.fresh("h"), b.random.choice([", bidirectional=true", ""])
    type_ = b.values[x].wide(f"2 * {width}" if reverse else width)
    if b.chance(0.5):
        b.line(f"{name}, (_, _) = {x} -> {b.label('lstm')}LSTM({width}, batch_first=true{reverse})")
    else:
        b.line(f"{name}, _ = {x} -> {b.label('gru')}GRU({width}, batch_first=true{reverse})")
    return b.let(name, _even(type_))


def _even(type_: Tensor) -> Tensor:
    from tests.generate.blocks import worked_out

    return Tensor(type_.dtype, tuple(worked_out(d) for d in type_.dims or ()))


@step(3, plain=False)
def scanned(b: Body, x: str) -> str:
    """A recurrence of one's own."""
    if b.groups or b.nested:
        return activate(b, x)
    type_, width, ys, last = b.values[x], b.size(), b.fresh("ys"), b.fresh("h")
    batch = (type_.dims or ())[0]
    part = b.fresh("part")
    reverse = b.random.choice(["", ", reverse=true"])
    b.line("")
    with b.inside(
        f"{ys}, {last} = scan {part} in {x} over dim=1{reverse} with {last} = zeros({batch}, {width}) {{", scanning=True
    ):
        b.let(part, Tensor(FLOAT, (batch, type_.width)))
        b.let(last, Tensor(FLOAT, (batch, width)))
        new = b.bind(
            "new",
            Tensor(FLOAT, (batch, width)),
            f"({part} -> {b.always('ih')}Linear({width})) + ({last} -> {b.always('hh')}Linear({width}))",
        )
        b.line(f"{last} = tanh({sub(b, new)})")
        b.line(f"yield {last}")
    b.line("")
    b.let(ys, type_.wide(width))
    b.let(last, Tensor(FLOAT, (batch, width)))
    if b.chance(0.5):
        return b.bind("h", type_.wide(width), f"{ys} + unsqueeze({last}, 1)")
    b.line(f"{ys} = {ys} * unsqueeze({last}, 1)")
    return ys


@step(3, plain=False, weight=1)
def scanned_twice(b: Body, x: str) -> str:
    """Two sequences of one length, two states and two stacked values."""
    if b.groups or b.nested:
        return activate(b, x)
    n, t, _ = b.values[x].dims or ()
    others = b.find(lambda o: o.rank == 3 and (o.dims or ())[:2] == (n, t))
    other, ys, zs, last = b.random.choice(others), b.fresh("ys"), b.fresh("zs"), b.fresh("count")
    small = Tensor(FLOAT, (n, "4"))
    head = f"scan a in {x}, b in {other} over dim=-2 with {last} = zeros({n}, 4), total = ones({n}, dtype=float)"
    b.line("")
    with b.inside(f"{ys}, {zs}, {last} = {head} {{", scanning=True):
        b.line(f"{last} = sigmoid(a -> {b.always('ia')}Linear(4)) * {last} + (b -> {b.always('ib')}Linear(4))")
        b.let(last, small)
        b.line("total = 0.5 * total + mean(b, dim=1)")
        b.line(f"yield ({last} * 0.5, a + unsqueeze(total, 1))")
    b.line("")
    for name, type_ in ((ys, Tensor(FLOAT, (n, t, "4"))), (zs, b.values[x]), (last, small)):
        b.let(name, type_)
    b.line(f"{zs} = cat([{zs}, {ys}], dim=2)[:, :, 0:4] * unsqueeze({last}, 1)")
    b.let(zs, Tensor(FLOAT, (n, t, "4")))
    return b.random.choice([ys, zs])


@step(4, flat=False, weight=3)
def shrunk(b: Body, x: str) -> str:
    n, c, h, w = b.values[x].dims or ()
    width = b.size()
    pools = ["MaxPool2d(2)", "AvgPool2d(2)"]
    if b.owns and b.chance(0.6):
        layer, floor = f"Conv2d({width}, 3, stride=2, padding=1)", "({} - 1) // 2 + 1"
    else:
        layer, floor, width = b.random.choice(pools), "{} // 2", c
        layer = layer if b.owns else "max_pool2d(2)"
    sizes = [_even(Tensor(FLOAT, (floor.format(bracketed(d)),))).dims[0] for d in (h, w)]  # type: ignore[index]
    return b.bind("h", Tensor(FLOAT, (n, width, *sizes)), f"{x} -> {b.label('down') if b.owns else ''}{layer}")


@step(4, flat=False, layers=False)
def resized(b: Body, x: str) -> str:
    n, c, h, w = b.values[x].dims or ()
    name = f'interpolate({x}, scale_factor=2, mode="{b.random.choice(["nearest", "bilinear"])}")'
    return b.bind("h", _even(Tensor(FLOAT, (n, c, f"2 * {bracketed(h)}", f"2 * {bracketed(w)}"))), name)


@step(4, flat=False, layers=False, weight=1)
def rows(b: Body, x: str) -> str:
    """An image as a sequence of places."""
    n, c, h, w = b.values[x].dims or ()
    places = _even(Tensor(FLOAT, (n, f"{bracketed(h)} * {bracketed(w)}", c)))
    forms = [f'rearrange({x}, "n c h w -> n (h w) c")', f"transpose(flatten({x}, 2), 1, 2)"]
    return b.bind("s", places, b.random.choice(forms))


@step(3, 4, flat=False, layers=False, weight=1)
def pooled(b: Body, x: str) -> str:
    """One vector for each sample."""
    type_ = b.values[x]
    dims = "[2, 3]" if type_.rank == 4 else "1"
    name = b.random.choice(["mean", "amax"])
    return b.bind("v", Tensor(FLOAT, ((type_.dims or ())[0], type_.width)), f"{name}({x}, dim={dims})")
