"""Whole random programs: constants, files that import each other, blocks, and a model with inputs and outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from random import Random

from tests.generate import moves, steps  # noqa: F401 - `moves` registers its steps
from tests.generate.blocks import Block, declare, settle
from tests.generate.body import FLOAT, INT, Body, Tensor
from tests.generate.library import add_example

_INPUTS = {
    "x": Tensor(FLOAT, ("N", "T", "8")),
    "image": Tensor(FLOAT, ("N", "4", "H", "W")),
    "features": Tensor(FLOAT, ("N", "12")),
}


@dataclass(frozen=True)
class Program:
    """The text of a program, and the files that it imports by name."""

    text: str
    files: dict[str, str]


def write(seed: int) -> Program:
    """The random program of a seed."""
    random = Random(seed)
    blocks: list[Block] = []
    for number in range(random.choice([0, 1, 2, 3, 4, 6])):
        block = declare(random, f"Block{number}", blocks)
        block.file = random.choice([0, 0, 1]) if all(k.file for k in blocks if k.name in " ".join(block.lines)) else 0
        blocks.append(block)
    imported = [k for k in blocks if k.file]
    own = [k for k in blocks if not k.file]
    model, imports = _model(random, blocks)
    names = ", ".join(k.name for k in imported)
    head = [f'from "parts/blocks.nns" import {names}'] if imported else []
    if imported and random.random() < 0.4:
        head = ['import "parts/blocks.nns" as parts']
        own, model = ([_through(k, imported) for k in own], _renamed(model, imported))
    head = [*(["nnspec 1", ""] if random.random() < 0.3 else []), *head, *imports]
    parts = ["\n".join(head)] if head else []
    parts += ["base = 4\nwide = 2 * base"] + ["\n".join(k.lines) for k in own] + ["\n".join(model)]
    files = {"parts/blocks.nns": "\n\n".join("\n".join(k.lines) for k in imported) + "\n"} if imported else {}
    return Program("\n\n".join(parts) + "\n", files)


def _model(random: Random, blocks: list[Block]) -> tuple[list[str], list[str]]:
    b = Body(random, blocks, sizes=["4", "8", "12", "base", "wide"], flags=["depth > 1", "deep"])
    inputs = _inputs(b)
    imports: list[str] = []
    for _ in range(random.randint(2, 6)):
        x = steps.pick(b)
        found = steps.run(b, x)
        if random.random() < 0.15 and b.values[found].rank == 3:
            b.line(f'assert {b.values[found].width} % 4 == 0, "widths"')
    outputs = _outputs(b, random)
    for _ in range(random.choice([0, 1, 1, 3])):
        imports = list(dict.fromkeys([*imports, *add_example(b, inputs, random)]))
    settle(b)
    defaults = f"depth = {random.choice('23')}, deep = {random.choice(['true', 'false'])}"
    facts = ['  assert T <= 24, "a short context"'] if "x" in b.values and random.random() < 0.3 else []
    return [f"## The model.\nmodel Net({defaults}) {{", *inputs, *facts, *b.lines, *outputs, "}"], imports


def _through(block: Block, imported: list[Block]) -> Block:
    return replace(block, lines=_renamed(block.lines, imported))


def _renamed(lines: list[str], imported: list[Block]) -> list[str]:
    """Blocks of another file under its name."""
    words = re.compile(rf"\b({'|'.join(k.name for k in imported)})\b")
    return [words.sub(r"parts.\1", line) for line in lines]


def _inputs(b: Body) -> list[str]:
    chosen = b.random.sample(list(_INPUTS), b.random.choice([1, 1, 2]))
    lines = []
    for name in chosen:
        b.let(name, _INPUTS[name])
        lines.append(f"  input {name}: {_INPUTS[name]}")
    if "x" in chosen and b.chance(0.4):
        b.let("mask", Tensor("bool", ("N", "T")))
        lines.append(f"  input mask: bool[N, T]{b.random.choice([' = none', ''])}")
    if b.chance(0.3):
        ids = Tensor(INT, ("N", "T") if "x" in chosen else ("N", "S"))
        lines.append(f"  input ids: {ids}")
        b.let("ids", ids)
        steps.tokens(b, "ids", "8", 10)
    return lines


def _outputs(b: Body, random: Random) -> list[str]:
    known = [n for n, t in b.values.items() if t.dtype == FLOAT and t.dims is not None]
    lines = []
    for number, name in enumerate(dict.fromkeys([known[-1], *random.sample(known, min(len(known), 2))])):
        type_ = b.values[name]
        said = f": {type_}" if random.random() < 0.6 else ""
        head = f" -> {b.always('head')}{steps.project(b, type_, '4')}" if random.random() < 0.3 else ""
        said = "" if head and said else said
        lines.append(f"  output out{number}{said} = {name}{head}")
    if random.random() < 0.25:
        aux = f"{known[0]} -> aux_head: {steps.project(b, b.values[known[0]], '4')}"
        lines.append(f"  if training {{ output aux = {aux} }}")
    if random.random() < 0.2:
        lines.append(f"  output all = [{', '.join(random.sample(known, min(2, len(known))))}]")
    return lines
