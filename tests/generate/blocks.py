"""Blocks and functions of random programs, and calls of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.generate import steps
from tests.generate.body import FLOAT, Body, Tensor

SEQUENCE = Tensor(FLOAT, ("N", "T", "D"))
IMAGE = Tensor(FLOAT, ("N", "C", "H", "W"))
VECTOR = Tensor(FLOAT, ("N", "D"))
_ARITHMETIC = re.compile(r"[\d\s()+*/-]+")


@dataclass
class Block:
    """A block as its callers see it; types are in its own symbols and hyperparameters."""

    name: str
    takes: Tensor
    gives: tuple[Tensor, ...]
    lines: list[str]
    parameters: dict[str, str] = field(default_factory=dict)
    """Kinds of hyperparameters by name, in order: size, count, flag, act, norm."""
    defaults: dict[str, str] = field(default_factory=dict)
    style: str = "plain"
    function: bool = False
    recurrent: bool = True
    """Whether it may stand in a scan: it has no batch norm."""
    file: int = 0


def substituted(dim: str, known: dict[str, str]) -> str:
    """A dimension of a block in the words of its caller."""
    return worked_out(re.sub(r"[A-Za-z_]\w*", lambda m: steps.bracketed(known.get(m[0], m[0])), dim))


def worked_out(dim: str) -> str:
    """A dimension without symbols as a number."""
    if not _ARITHMETIC.fullmatch(dim):
        return dim
    return str(eval(dim))  # digits and operators only


def call(b: Body, x: str) -> str | None:
    """Use some block that takes this value; None if there is none."""
    type_ = b.values[x]
    fitting = [k for k in b.blocks if k.takes.rank == type_.rank and (k.recurrent or not b.scanning)]
    fitting = [k for k in fitting if k.style != "tied" or not (b.loops or b.nested)]
    fitting = [k for k in fitting if b.nested == 0 or (k.style in ("plain", "tree") and _flat(k))]
    if not fitting:
        return None
    block = b.random.choice(fitting)
    given, known = _arguments(b, block)
    known |= dict(zip(block.takes.dims or (), type_.dims or (), strict=True))
    gives = [Tensor(t.dtype, tuple(substituted(d, known) for d in t.dims or ())) for t in block.gives]
    if block.function:
        named = ", ".join(f"{k}={v}" for k, v in given.items())
        flow = f"{x} -> {block.name}({named})" if b.chance(0.5) else f"{block.name}({x}{', ' if named else ''}{named})"
        return b.bind("h", gives[0], flow, x)
    return _CALLS[block.style](b, x, block, _recipe(b, block, given), gives)


def _flat(block: Block) -> bool:
    return len(block.gives) == 1 and block.gives[0].wide("_") == block.takes.wide("_")


def _recipe(b: Body, block: Block, given: dict[str, str]) -> str:
    """The block with its arguments: some by position, those that are the defaults left out now and then."""
    order = list(block.parameters)
    written = {k: v for k, v in given.items() if block.defaults.get(k) != v or b.chance(0.3)}
    parts, by_position = [], True
    for name in order:
        by_position = by_position and name in written and b.chance(0.7)
        if name in written:
            parts.append(written[name] if by_position else f"{name}={written[name]}")
    return f"{block.name}({', '.join(parts)})" if parts or b.chance(0.5) else block.name


def _arguments(b: Body, block: Block) -> tuple[dict[str, str], dict[str, str]]:
    known = {}
    for name, kind in block.parameters.items():
        if name in block.defaults and b.chance(0.4):
            known[name] = block.defaults[name]
        else:
            known[name] = argument(b, kind, block.takes)
    return dict(known), dict(known)


def argument(b: Body, kind: str, type_: Tensor) -> str:
    """A value for a hyperparameter."""
    if kind == "size":
        return b.size()
    if kind == "tied":
        return "TIED"
    if kind == "count":
        return b.random.choice(["1", "2", *(["depth"] if "depth > 1" in b.flags else [])])
    if kind == "widths":
        return b.random.choice(["[4, 8]", "[8]", "[2 * k for k in [2, 4, 2]]", "[4] + [8]"])
    if kind == "flag":
        return b.random.choice(["true", "false", *(["deep"] if "deep" in b.flags else [])])
    if kind in ("act", "layer"):
        functions = ["tanh", "sigmoid"] if kind == "act" else []
        return b.random.choice(["ReLU", "GELU", "{ Tanh -> sigmoid }", "SiLU", "ELU(0.5)", "{ relu }", *functions])
    norms = ["GroupNorm(2, eps=1e-3)"] if type_.rank == 4 else ["LayerNorm(eps=1e-3)", "RMSNorm(eps=1e-3)", "LayerNorm"]
    return b.random.choice(["none", *norms])


# --- what a caller writes for each style -----------------------------------------------------------------------------


def _call_plain(b: Body, x: str, block: Block, recipe: str, gives: list[Tensor]) -> str:
    if len(gives) > 1:
        return _unpacked(b, x, f"{x} -> {b.label('two')}{recipe}", gives)
    if gives[0] == b.values[x] and b.chance(0.4) and not b.loops:
        return b.bind("h", gives[0], f"{x} -> {b.fresh('stack')}: {recipe} * {b.random.choice('123')}", x)
    if gives[0] == b.values[x] and b.chance(0.3) and not b.loops and not b.scanning and b.nested == 0:
        name = b.fresh("kept")
        b.line(f"{name} = {recipe}{'' if recipe.endswith(')') else '()'}")
        return b.bind("h", gives[0], f"{x} -> {name} -> tanh -> {name}", x)
    return b.bind("h", gives[0], f"{x} -> {b.label('use')}{recipe}", x)


def _unpacked(b: Body, x: str, flow: str, gives: list[Tensor]) -> str:
    if len(gives) == 1:
        return b.bind("h", gives[0], flow, x)
    names = [b.fresh("p") for _ in gives]
    b.line(f"{', '.join(names)} = {flow}")
    for name, type_ in zip(names, gives, strict=True):
        b.let(name, type_)
    return b.random.choice(names)


def _call_list(b: Body, x: str, block: Block, recipe: str, gives: list[Tensor]) -> str:
    type_ = b.values[x]
    others = b.find(lambda t: t == type_)
    given = [x, *(b.random.choice(others) for _ in range(b.random.randint(0, 2)))]
    return _unpacked(b, x, f"[{', '.join(given)}] -> {b.label('join')}{recipe}", gives)


def _call_masked(b: Body, x: str, block: Block, recipe: str, gives: list[Tensor]) -> str:
    masks = b.find(lambda t: t == Tensor("bool", (b.values[x].dims or ())[:2]))
    optional = [m for m in masks if m.startswith("mask")]
    if not masks or b.chance(0.3):
        return _unpacked(b, x, f"{x} -> {b.label('masked')}{recipe}", gives)
    mask = b.random.choice(optional or masks)
    head = b.random.choice([f"({x}, {mask})", f"({x}, mask={mask})"])
    return _unpacked(b, x, f"{head} -> {b.label('masked')}{recipe}", gives)


def _call_context(b: Body, x: str, block: Block, recipe: str, gives: list[Tensor]) -> str:
    others = b.find(lambda t: t.rank == 3 and t.dtype == FLOAT and (t.dims or "")[0] == (b.values[x].dims or "")[0])
    other = b.random.choice(others)
    head = b.random.choice([f"({x}, {other})", f"({x}, context={other})"])
    if gives == [b.values[x]] and not b.loops and b.chance(0.4):
        return b.bind("h", gives[0], f"{head} -> {b.fresh('decoder')}: {recipe} * 2", x)
    return _unpacked(b, x, f"{head} -> {b.label('cross')}{recipe}", gives)


def _call_tied(b: Body, x: str, block: Block, recipe: str, gives: list[Tensor]) -> str:
    """The caller's own layer comes first, and its weight goes into the block."""
    first = b.fresh("source")
    b.line(f"{b.fresh('t')} = {x} -> {first}: Linear(8, bias=false)")
    path = ".".join([*b.groups, first, "weight"])
    return _unpacked(b, x, f"{x} -> {b.label('ties')}{recipe.replace('TIED', path)}", gives)


_CALLS: dict[str, Callable[[Body, str, Block, str, list[Tensor]], str]] = {
    "plain": _call_plain,
    "tree": _call_plain,
    "list": _call_list,
    "masked": _call_masked,
    "context": _call_context,
    "tied": _call_tied,
}


# --- declarations ----------------------------------------------------------------------------------------------------


def declare(random: Random, name: str, known: list[Block]) -> Block:
    """A random block that may use those before it."""
    style = random.choice(["plain", "plain", "plain", "tree", "list", "masked", "context", "tied", "function"])
    if style == "function":
        return _function(random, name.replace("Block", "form"))
    takes = SEQUENCE if style in ("masked", "context") else random.choice([SEQUENCE, IMAGE, VECTOR])
    takes = random.choice([SEQUENCE, VECTOR]) if style == "tied" else takes
    b = Body(random, known, sizes=["4", "8", takes.width])
    b.let("x", takes)
    kinds, defaults = _hyperparameters(b, style)
    before = _STYLES[style](b, takes)
    x = before
    for _ in range(random.randint(1, 3)):
        x = steps.run(b, x, flat=style == "tree" or takes.rank != 4)
    gives = _grow(b, name, x, takes, list(kinds)) if style == "tree" else _outputs(b, x, takes)
    settle(b)
    head = ", ".join(
        f"{k}{_kind_of(random, v)}" + (f" = {defaults[k]}" if k in defaults else "") for k, v in kinds.items()
    )
    doc = [f"## A block: {name}."] if random.random() < 0.5 else []
    lines = [*doc, f"block {name}({head}) {{" if head else f"block {name} {{", *_inputs(style, takes), *b.lines, "}"]
    fit = not any("BatchNorm" in line for line in lines) and all(
        k.recurrent for k in known if k.name in " ".join(lines)
    )
    return Block(name, takes, gives, lines, kinds, defaults, style, recurrent=fit)


def _kind_of(random: Random, kind: str) -> str:
    if kind != "layer" and random.random() < 0.6:
        return ""
    return {
        "tied": ": parameter",
        "size": ": int",
        "count": ": int",
        "flag": ": bool",
        "layer": ": layer",
        "widths": ": list[int]",
    }.get(kind, "")


def _hyperparameters(b: Body, style: str) -> tuple[dict[str, str], dict[str, str]]:
    kinds, defaults = {}, {}
    if style == "tree":
        kinds["levels"], defaults["levels"] = "count", "2"
    if b.chance(0.7):
        kinds["width"] = "size"
        b.sizes += ["width", "2 * width"] if b.chance(0.5) else ["width"]
    for name, kind, default in (
        ("depth", "count", "2"),
        ("deep", "flag", "true"),
        ("act", "act", "ReLU"),
        ("rule", "norm", "none"),
        ("widths", "widths", "[4, 8]"),
    ):
        if b.chance(0.35):
            kinds[name], defaults[name] = kind, default
    if "width" in kinds and b.chance(0.4) and next(iter(kinds)) == "width":
        defaults["width"] = "8"
    if style == "tied":
        kinds = {"tied": "tied", **kinds}
    kinds = {
        **{k: v for k, v in kinds.items() if k not in defaults},
        **{k: v for k, v in kinds.items() if k in defaults},
    }
    kinds |= {"act": "layer"} if "act" in kinds and b.chance(0.5) else {}
    b.flags += [
        flag for name, flag in (("depth", "depth > 1"), ("deep", "deep"), ("rule", "rule != none")) if name in kinds
    ]
    b.flags += [f"width != {b.sizes[2]}", "width >= 8"] if "width" in kinds else []
    b.acts += ["act"] if "act" in kinds else []
    b.widths = "widths" in kinds
    return kinds, defaults


def _inputs(style: str, takes: Tensor) -> list[str]:
    if style == "list":
        return [f"  input xs: list[{takes}]"]
    lines = [f"  input x: {takes}"]
    if style == "context":
        return [*lines, "  input context: float[N, S, E]"]
    return [*lines, "  input mask: bool[N, T] = none  # where to look"] if style == "masked" else lines


def _start(b: Body, takes: Tensor) -> str:
    if "rule != none" in b.flags:
        b.line(f"if rule != none {{ x = x -> {b.fresh('norm')}: rule }}")
    if "act" in b.acts and b.chance(0.3):
        b.line("x = x -> act")
    if b.widths:
        steps.for_each_width(b, "x")
    return "x"


def _start_list(b: Body, takes: Tensor) -> str:
    del b.values["x"]
    layer = steps.project(b, takes, takes.width)
    forms = [f'sum([x -> "branches.{{i}}": {layer} for i, x in enumerate(xs)])', "sum(xs)", "xs[0] + xs[-1]"]
    forms += [f"cat([mean(stack(xs), 0), xs[0]], dim={takes.axis}) -> {layer}"]
    name = b.bind("h", takes, b.random.choice(forms))
    if b.chance(0.3):
        b.line(f"if len(xs) > 1 {{ {name} = {name} * tanh(xs[1]) }}")
    return name


def _start_context(b: Body, takes: Tensor) -> str:
    del takes
    q, k, v = (f"{x} -> {b.always('p')}Linear(8)" for x in ("x", "context", "context"))
    y = b.bind("y", SEQUENCE.wide("8"), f"softmax(({q}) @ transpose({k}, 1, 2) / 3, dim=-1) @ ({v})")
    return b.bind("x", SEQUENCE, f"x + ({y} -> {b.always('o')}Linear(D))")


def _start_tied(b: Body, takes: Tensor) -> str:
    name = b.bind("h", takes.wide("8"), f"x -> {b.fresh('own')}: Linear(8, weight=tied)")
    return b.random.choice([name, "x"]) if b.chance(0.2) else name


def _start_masked(b: Body, takes: Tensor) -> str:
    form = b.random.choice(["x * unsqueeze(mask, 2)", "masked_fill(x, logical_not(mask)[:, :, none], 0)"])
    b.line(f"if mask != none {{ x = {form} }}")
    return "x"


_STYLES = {
    "plain": _start,
    "tree": _start,
    "list": _start_list,
    "masked": _start_masked,
    "context": _start_context,
    "tied": _start_tied,
}


def _outputs(b: Body, x: str, takes: Tensor) -> tuple[Tensor, ...]:
    type_ = b.values[x]
    if b.chance(0.25) and "xs" not in b.values:
        b.line(f"output first: {type_} = {x}")
        b.line(f"output second = {x} -> {b.always('second')}{steps.project(b, type_, '4')}")
        return (type_, type_.wide("4"))
    b.line(b.random.choice([f"output {x}", f"output y: {type_} = {x}", f"output {x} -> tanh"]))
    return (type_,)


def _grow(b: Body, name: str, x: str, takes: Tensor, parameters: list[str]) -> tuple[Tensor, ...]:
    """A block that uses itself, to the depth that its first hyperparameter says."""
    b.line(f"{x} = {steps.fold(b, x, takes)}")
    rest = "".join(f", {p}={p}" for p in parameters if p != "levels")
    with b.inside("if levels > 1 {"):
        b.line(f"{x} = ({x} -> left: {name}(levels=levels - 1{rest})) + {x}")
        if b.chance(0.5):
            b.line(f"{x} = {x} -> right: {name}(levels=levels - 1{rest})")
    b.line(f"output {x}")
    return (takes,)


def _function(random: Random, name: str) -> Block:
    takes = random.choice([SEQUENCE, IMAGE, VECTOR])
    b = Body(random, [], sizes=[takes.width], owns=False)
    b.let("x", takes)
    kinds, defaults = ({"scale": "count"}, {"scale": "1"}) if random.random() < 0.5 else ({}, {})
    x = "x"
    for _ in range(random.randint(1, 3)):
        x = steps.run(b, x, flat=True)
    if kinds:
        b.line(f"{x} = {x} / (1 + scale)")
    b.line(f"output {x}")
    head = "(scale = 1)" if kinds else ""
    return Block(
        name,
        takes,
        (b.values[x],),
        [f"block {name}{head} {{", f"  input x: {takes}", *b.lines, "}"],
        kinds,
        defaults,
        function=True,
    )


def settle(b: Body) -> None:
    """How some parameters start, at the end of a body."""
    starts = [
        "normal(std=0.2)",
        "xavier_uniform",
        'kaiming_normal(nonlinearity="relu")',
        "orthogonal(gain=0.5)",
        "0.05",
    ]
    for path in b.random.sample(b.paths, min(len(b.paths), b.random.choice([0, 1, 1]))):
        form = b.random.choice(["{}.weight", '"{}.w*"'])
        b.line(f"params {form.format(path)} {{ init = {b.random.choice(starts)} }}")
    if b.paths and b.chance(0.3):
        b.line(f"params Linear.weight {{ init = {b.random.choice(starts)} }}")
