"""What can be done with a value: each step writes lines that make a new value from one, and says its type.

A step that is `flat` changes the features at most, so that it can stand where the type has to come back: in loops,
branches, residual sums and scans.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.generate.body import BOOL, FLOAT, INT, Body, Tensor

Step = Callable[[Body, str], str]


@dataclass(frozen=True)
class Kind:
    """A step with what it needs: the ranks that it takes, and whether it makes layers or lines of its own."""

    run: Step
    ranks: tuple[int, ...]
    flat: bool
    layers: bool
    plain: bool
    """Whether it may stand in a loop, a branch or a scan."""
    weight: int


STEPS: list[Kind] = []


def step(
    *ranks: int, flat: bool = True, layers: bool = True, plain: bool = True, weight: int = 2
) -> Callable[[Step], Step]:
    """Register a step for tensors of floats of these ranks."""

    def register(run: Step) -> Step:
        STEPS.append(Kind(run, ranks, flat, layers, plain, weight))
        return run

    return register


def run(b: Body, x: str, *, flat: bool = False) -> str:
    """One random step that a value allows."""
    type_ = b.values[x]
    flat = flat or b.nested > 0
    fitting = [
        kind
        for kind in STEPS
        if type_.rank in kind.ranks
        and (kind.flat or not flat)
        and (b.owns or not kind.layers)
        and (kind.plain or not (b.loops or b.scanning or b.nested > 1))
    ]
    return b.random.choices(fitting, [kind.weight for kind in fitting])[0].run(b, x)


def project(b: Body, type_: Tensor, width: str) -> str:
    """A layer that makes a width from any other, and leaves the rest of the shape."""
    bias = ", bias=false" if b.chance(0.3) else ""
    if type_.rank == 4:
        kernel = b.random.choice(["1", "3, padding=1", "(3, 1), padding=(1, 0)", '5, padding="same"'])
        layer = f"Conv2d({width}, {kernel}{bias})"
    else:
        layer = f"Linear({width}{bias})"
    if b.chance(0.08) and not b.scanning:
        b.wrapped = True
        return f"weight_norm({layer})"
    return layer


def fold(b: Body, x: str, wanted: Tensor) -> str:
    """An expression of the wanted type, made from a value that has other features at most."""
    type_ = b.values[x]
    if type_ == wanted:
        return x
    assert b.owns, "a function cannot project"
    return f"{x} -> {b.label('back')}{project(b, type_, wanted.width)}"


def bracketed(text: str) -> str:
    """An operand: a flow stands in brackets."""
    return f"({text})" if " " in text else text


def sub(b: Body, x: str, steps: int = 1) -> str:
    """Some flat steps from a value, as an expression of its own type."""
    type_, found = b.values[x], x
    for _ in range(steps):
        found = run(b, found, flat=True)
    if b.values[found].dims != type_.dims and not b.owns:
        return x
    return fold(b, found, type_)


def chain(b: Body, type_: Tensor) -> str:
    """A chain of layers in braces that leaves a type as it is."""
    items = [f"{b.random.choice(['', '', 'a: '])}{project(b, type_, b.size())}", b.act()]
    items.append(project(b, type_, type_.width))
    if b.chance(0.3):
        items.insert(1, "Dropout(0.1)")
    return "{ " + " -> ".join(items) + " }"


def layer_like(b: Body, type_: Tensor) -> str:
    """Anything that leaves a type as it is, as a recipe."""
    return chain(b, type_) if b.chance(0.5) else project(b, type_, type_.width)


# --- one value to another ---------------------------------------------------------------------------------------------


@step(2, 3, 4, layers=False, weight=3)
def activate(b: Body, x: str) -> str:
    items = " -> ".join(b.act() for _ in range(b.random.randint(1, 3)))
    return b.bind("h", b.values[x], f"{x} -> {items}", x)


@step(2, 3, 4, weight=4)
def dense(b: Body, x: str) -> str:
    width = b.size()
    name, type_ = b.label(), b.values[x].wide(width)
    layer = project(b, type_, width)
    if layer.startswith("Linear") and name and not b.loops and '"' not in name and not b.guarded:
        b.paths.append(".".join([*b.groups, name[:-2]]))
    return b.bind("h", type_, f"{x} -> {name}{layer} -> {b.act()}", x)


@step(2, 3, 4)
def normalise(b: Body, x: str) -> str:
    rank = b.values[x].rank
    layers = ["LayerNorm", "LayerNorm(eps=1e-3, bias=false)", "RMSNorm(eps=1e-3)"]
    if rank == 4:
        layers = ["GroupNorm(2, eps=1e-3)", "GroupNorm(1, eps=1e-3)"]
        layers += [] if b.scanning else ["BatchNorm2d", "BatchNorm2d(eps=1e-3)"]
    return b.bind("h", b.values[x], f"{x} -> {b.label('norm')}{b.random.choice(layers)}", x)


@step(2, 3, 4, weight=3)
def residual(b: Body, x: str) -> str:
    type_ = b.values[x]
    return b.bind("h", type_, f"{x} + ({x} -> {b.label('res')}{chain(b, type_)})", x)


@step(2, 3, 4)
def gate(b: Body, x: str) -> str:
    type_ = b.values[x].wide(b.size())
    value, opened = project(b, type_, type_.width), project(b, type_, type_.width)
    flows = f"({x} -> {b.label('v')}{value}) * sigmoid({x} -> {b.label('g')}{opened})"
    return b.bind("h", type_, flows, x)


@step(2, 3, 4, plain=False)
def shared(b: Body, x: str) -> str:
    """One layer that is used twice."""
    name, type_ = b.fresh("enc"), b.values[x]
    b.line(f"{name} = {layer_like(b, type_)}")
    return b.bind("h", type_, f"{x} -> {name} -> {b.act()} -> {name}", x)


@step(2, 3, plain=False)
def tied(b: Body, x: str) -> str:
    """Two layers with one weight."""
    first, second, width = b.fresh("t"), b.fresh("t"), b.size()
    path = ".".join([*b.groups, first, "weight"])
    type_ = b.values[x].wide(width)
    y = b.bind("y", type_, f"{x} -> {first}: Linear({width}, bias=false)")
    return b.bind("h", type_, f"{y} + ({x} -> relu -> {second}: Linear({width}, weight={path}))")


@step(2, 3, 4)
def repeated(b: Body, x: str) -> str:
    type_ = b.values[x]
    counts = ["1", "2", "3", *(["depth"] if "depth > 1" in b.flags else [])]
    return b.bind("h", type_, f"{x} -> {b.always('layers')}{layer_like(b, type_)} * {b.random.choice(counts)}", x)


@step(2, 3, 4)
def grouped(b: Body, x: str) -> str:
    """Several statements under one name."""
    if b.loops or b.scanning or len(b.groups) > 1:
        return activate(b, x)
    type_, name, before = b.values[x], b.fresh("part"), b.groups
    result = b.fresh("h")
    with b.inside(f"{name}: {{"):
        b.groups = [*before, name]
        b.line(f"{result} = {sub(b, x, 2)}")
    b.groups = before
    return b.let(result, type_)


@step(2, 3, 4, plain=False)
def parameters(b: Body, x: str) -> str:
    type_ = b.values[x]
    scale, shift = b.fresh("scale"), b.fresh("shift")
    tail = ", 1, 1" if type_.rank == 4 else ""
    if b.groups or b.guarded:
        return activate(b, x)
    start = b.random.choice(["1", "0.5", "normal(std=0.5)", "uniform(-1, 1)", "ones", "trunc_normal(std=0.3)"])
    b.line(f"param {scale}: float[{type_.width}{tail}] = {start}")
    numbers = f"arange({type_.width}) / 8"
    if tail:
        numbers = f"reshape({numbers}, ({type_.width}, 1, 1))"
    b.line(f"buffer {shift}: float[{type_.width}{tail}] = {numbers}")
    return b.bind("h", type_, f"tanh({x} * {scale} + {shift})", x)


@step(2, 3, 4, layers=False)
def halves(b: Body, x: str) -> str:
    """Cut into pieces, and put together in another order."""
    type_, axis = b.values[x], b.values[x].axis
    first, second = b.fresh("a"), b.fresh("b")
    b.line(f"{first}, {second} = chunk({x}, 2, dim={axis})")
    joined = b.random.choice([f"cat([{second}, {first}], dim={axis})", f"cat([{first} * {second}, {second}], {axis})"])
    return b.bind("h", type_, joined, x)


@step(2, 3, 4, layers=False, weight=1)
def choose(b: Body, x: str) -> str:
    """A mask of bools, and what it takes."""
    mask = b.fresh("seen")
    b.line(f"{mask} = {x} > {b.random.choice(['0', '0.25', '-1'])}")
    taken = [
        f"where({mask}, {x}, 0.1 * {x})",
        f"masked_fill({x}, logical_not({mask}), 0.5)",
        f"{x} * to({mask}, float)",
    ]
    return b.bind("h", b.values[x], b.random.choice(taken), x)


@step(2, 3, 4, layers=False, weight=1)
def arithmetic(b: Body, x: str) -> str:
    others = [o for o in b.find(lambda t: t == b.values[x]) if o != x] or [x]
    other = b.random.choice(others)
    forms = [f"0.5 * ({x} + {other})", f"maximum({x}, {other})", f"{x} - tanh({other})", f"{x} / (1 + abs({other}))"]
    forms += [f"clamp({x}, min=-2, max=2)", f"exp(-abs({x}))", f"sqrt(1 + {x} ** 2)", f"-{x} if 1 < 2 else {other}"]
    return b.bind("h", b.values[x], b.random.choice(forms), x)


@step(2, 3, 4, layers=False, weight=1)
def statistics(b: Body, x: str) -> str:
    axis = b.values[x].axis
    forms = [f"{x} - mean({x}, dim={axis}, keepdim=true)", f"softmax({x}, dim={axis})", f"cumsum({x}, dim={axis}) / 8"]
    forms += [f"{x} / (1 + norm({x}, dim={axis}, keepdim=true))", f"log_softmax({x}, dim={axis})"]
    return b.bind("h", b.values[x], b.random.choice(forms), x)


@step(2, 3, 4)
def training_only(b: Body, x: str) -> str:
    """Something that inference lacks."""
    if b.scanning or b.loops:
        return b.bind("h", b.values[x], f"{x} -> Dropout(0.25)", x)
    name = b.bind("noisy", b.values[x], f"1.0 * {x}")
    type_ = b.values[x]
    forms = [f"{name} -> {b.always('drop')}Dropout(0.25)", f"{name} + 0.1 * randn_like({name})"]
    forms.append(f"{name} * bernoulli(full(({', '.join(['1'] * type_.rank)}), 0.5))")
    b.line(f"if training {{ {name} = {b.random.choice(forms)} }}")
    return name


# --- compile-time control --------------------------------------------------------------------------------------------


@step(2, 3, 4, weight=3)
def looped(b: Body, x: str) -> str:
    if len(b.loops) > 1 or b.scanning:
        return activate(b, x)
    type_, i = b.values[x], f"i{len(b.loops)}"
    heads = [(i, "range(2)"), (i, "range(1, 3)"), (f"{i}, w{i}", "enumerate([4, 8])"), (i, "[1, 3]")]
    heads += [(i, "range(depth)")] if "depth > 1" in b.flags else []
    targets, over = b.random.choice(heads)
    name = b.bind("x", type_, x)
    with b.inside(f"for {targets} in {over} {{", loops=[*b.loops, i], flags=[*b.flags, f"{i} % 2 == 0", f"{i} > 0"]):
        flags = b.flags
        if "w" in targets and type_.rank != 4 and b.chance(0.7):
            down = f"{b.always('down')}Linear({type_.width})"
            b.line(f"{name} = {name} -> {b.always('up')}Linear(2 * w{i}) -> {b.act()} -> {down}")
        b.line(f"{name} = {sub(b, name, b.random.randint(1, 2))}")
        b.flags = flags
    b.flags = [f for f in b.flags if i not in f]
    return name


def for_each_width(b: Body, x: str) -> None:
    """A step for each item of a list of widths, with what it changes brought back."""
    type_ = b.values[x]
    with b.inside("for i, width_i in enumerate(widths) {"):
        middle = project(b, type_, "width_i")
        b.line(f'{x} = {x} -> "up.{{i}}": {middle} -> {b.act()} -> "down.{{i}}": {project(b, type_, type_.width)}')


@step(2, 3, 4, weight=3)
def branched(b: Body, x: str) -> str:
    if b.nested > 2:
        return activate(b, x)
    type_ = b.values[x]
    name = b.bind("x", type_, x)
    flag = b.random.choice([*b.flags, "1 + 1 == 2", "not (2 in [1, 3])", f"{type_.width} == 8"])
    with b.inside(f"if {flag} {{", "} else {" if (both := b.chance(0.6)) else "}", guarded=True):
        b.line(f"{name} = {sub(b, name)}")
    if both:
        b.lines.pop()
        with b.inside("} else {", guarded=True):
            b.line(f"{name} = {sub(b, name)}")
    return name


@step(2, 3, 4)
def listed(b: Body, x: str) -> str:
    """A list of tensors that a loop fills, or a comprehension."""
    if b.loops or b.scanning:
        return activate(b, x)
    type_, xs = b.values[x], b.fresh("xs")
    label = b.fresh("each")
    if b.chance(0.5):
        b.line(
            f'{xs} = [{x} -> "{label}.{{k}}": {project(b, type_, type_.width)} for k in range({b.random.choice("23")})]'
        )
    else:
        b.line(f"{xs} = [{x}]")
        with b.inside(f"for k in range({b.random.choice('12')}) {{"):
            layer = project(b, type_, type_.width)
            b.line(f'{xs} = {xs} + [{xs}[-1] -> "{label}.{{k}}": {layer} -> {b.act()}]')
    forms = [f"sum({xs})", f"sum({xs}[1:]) + {xs}[0]", f"mean(stack({xs}, dim=0), dim=0)", f"amax(stack({xs}), 0)"]
    return b.bind("h", type_, b.random.choice(forms))


@step(2, 3, 4)
def widened(b: Body, x: str) -> str:
    """Several widths side by side."""
    type_, widths = b.values[x], ["4", "8"]
    parts = ", ".join(f"{x} -> {b.always('side')}{project(b, type_, w)}" for w in widths)
    return b.bind("h", type_.wide("12"), f"cat([{parts}], dim={type_.axis})", x)


@step(2, 3, 4, weight=6)
def through_a_block(b: Body, x: str) -> str:
    from tests.generate.blocks import call

    found = call(b, x)
    return found if found is not None else activate(b, x)


def tokens(b: Body, name: str, width: str, words: int) -> str:
    """Integers as vectors."""
    type_ = b.values[name]
    assert type_.dtype in (INT, BOOL)
    return b.bind(
        "e", Tensor(FLOAT, (*(type_.dims or ()), width)), f"{name} -> {b.fresh('table')}: Embedding({words}, {width})"
    )


def pick(b: Body, ranks: Sequence[int] = (2, 3, 4)) -> str:
    """A value to go on with: mostly one of the newest."""
    found = b.find(lambda t: t.dtype == FLOAT and t.rank in ranks)
    return found[-1] if b.chance(0.6) else b.random.choice(found)
