"""What is wrong with a program is found, and what is right is not complained about."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nnspec import ir
from nnspec.backends.onnx import OnnxError, build
from nnspec.backends.onnx_graph import numpy_dtype
from nnspec.backends.onnx_weights import owned
from nnspec.compiler import compile_text
from nnspec.ir_json import IRFormatError, dumps, loads
from nnspec.verify import too_large, verify

SPEC = """
block Mlp(wide) {
  input x: float[N, T, D]
  input scale: float[D] = none
  h = x -> norm: LayerNorm -> fc1: Linear(wide) -> GELU -> fc2: Linear(D)
  if scale != none { h = h * scale }
  output x + h
}

block Half {
  input x: float[N, C, H, W]
  assert H % 2 == 0
  output y = x -> Conv2d(C, 3, stride=2, padding=1)
  output z = reshape(x, (N, C, H / 2, 2 * W))
}

model Net(depth = 2) {
  input tokens: int[N, T]
  input image: float[N, 3, H, W]
  assert H % 4 == 0
  wte = Embedding(10, 6)
  param shift: float[6] = normal(std=0.02)
  buffer ramp: int[6] = arange(6)
  x = tokens -> wte
  x = x -> blocks: Mlp(8) * depth
  x = (x, scale=shift) -> last: Mlp(8)
  head = Linear(10, bias=false, weight=wte.weight)
  y, z = image -> down: Half
  output logits = relu(x + ramp)
  output scores = (x -> Dropout(0.1)) -> head
  output small = y
  output wide = z
}
"""


@pytest.fixture(scope="module")
def program() -> ir.Program:
    return compile_text(SPEC).program


@pytest.fixture(scope="module")
def document(program: ir.Program) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(dumps(program))
    return whole


def test_what_the_elaborator_makes_is_in_order(program: ir.Program) -> None:
    assert verify(program) == []
    assert too_large(program) is None


def module(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(m for m in document["modules"] if m["name"] == name)
    return found


def member(document: dict[str, Any], owner: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(m for m in module(document, owner)["members"] if m["name"] == name)
    return found


def method(document: dict[str, Any], name: str) -> dict[str, Any]:
    """The last method of the block of that name."""
    number = document["modules"].index(module(document, name))
    found: dict[str, Any] = [m for m in document["methods"] if m["module"] == number][-1]
    return found


def graph(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = method(document, name)["graph"]
    return found


def node(document: dict[str, Any], owner: str, word: str) -> dict[str, Any]:
    """The first node of a block that calls a path or applies a function of that name."""
    nodes = graph(document, owner)["nodes"]
    found: dict[str, Any] = next(n for n in nodes if word in (n.get("path"), n.get("function")))
    return found


BROKEN: dict[str, Callable[[Any], Any]] = {
    "source 0 has no place from 5 to 99999": lambda d: module(d, "Mlp").update(span=[0, 5, 99999]),
    "source 3 has no place from 0 to 0": lambda d: d["entries"][0].update(span=[3, 0, 0]),
    "has two members of one name": lambda d: module(d, "Mlp")["members"].append(member(d, "Mlp", "fc1")),
    "`a.b`: this cannot be the name of a member": lambda d: member(d, "Mlp", "fc1").update(name="a.b"),
    "`forward`: this cannot be the name": lambda d: member(d, "Mlp", "fc1").update(name="forward"),
    "`fc1`: a module has the number of one": lambda d: member(d, "Mlp", "fc1").update(module=99),
    "`shift`: a parameter or buffer has a type": lambda d: member(d, "Net", "shift").update(type="float[N]"),
    "`shift`: it would have more than": lambda d: member(d, "Net", "shift").update(type=f"float[{2**40}]"),
    "`shift`: nothing says what it holds first": lambda d: member(d, "Net", "shift").pop("init"),
    "`ramp`: nothing says what it holds first": lambda d: member(d, "Net", "ramp").pop("value"),
    "`out_features` of layer `Linear` must be a whole number": lambda d: module(d, "Linear")["arguments"].update(
        out_features={"value": {"float": "nan"}}
    ),
    "there is no initialiser `system`": lambda d: member(d, "Net", "shift")["init"].update(function="system"),
    "`std` of initialiser `normal` must be a number": lambda d: member(d, "Net", "shift")["init"].update(
        arguments={"std": "0); import os"}
    ),
    "`ramp`: its value is a closed graph with one output of its type": lambda d: member(d, "Net", "ramp").update(
        type="int[7]"
    ),
    "`ramp`: node 0 (`arange`): it gives int[9], not int[6]": lambda d: member(d, "Net", "ramp")["value"]["nodes"][0][
        "attributes"
    ].update(start=9),
    "there is no layer `Evil`": lambda d: module(d, "GELU").update(name="Evil"),
    "layer `Linear` has no argument `code`": lambda d: module(d, "Linear")["arguments"].update(code={"value": 1}),
    "`bias` of layer `Linear` must be true or false": lambda d: module(d, "Linear")["arguments"].update(
        bias={"value": "__import__('os')"}
    ),
    "`out_features` of layer `Linear` must be at least 1": lambda d: module(d, "Linear")["arguments"].update(
        out_features={"value": 0}
    ),
    "layer `Linear` lacks its argument `out_features`": lambda d: module(d, "Linear")["arguments"].pop("out_features"),
    "are not those of the layer": lambda d: module(d, "Linear")["members"].pop(),
    "a block's name is an identifier": lambda d: module(d, "Mlp").update(name="Mlp(object): #"),
    "a repeat has neither a name": lambda d: module(d, "repeat").update(name="again"),
    "a module contains itself": lambda d: member(d, "Mlp", "gelu").update(module=d["modules"].index(module(d, "Net"))),
    "tie: there is no member `wte.bias`": lambda d: module(d, "Net")["ties"][0].update(owner="wte.bias"),
    "are not parameters of one type": lambda d: module(d, "Net")["ties"][0].update(owner="shift"),
    "`head.weight` is tied twice": lambda d: module(d, "Net")["ties"].append(module(d, "Net")["ties"][0]),
    "is tied to itself": lambda d: module(d, "Net")["ties"].append({"alias": "wte.weight", "owner": "head.weight"}),
    "a method belongs to a block": lambda d: method(d, "Net").update(module=0),
    "every input and output has a name": lambda d: method(d, "Net")["input_names"].pop(),
    "names of inputs are different identifiers": lambda d: method(d, "Net").update(input_names=["a", "a; import os"]),
    "names of outputs are different identifiers": lambda d: method(d, "Net")["output_names"].__setitem__(0, "1"),
    "a value's name is a word": lambda d: graph(d, "Net")["values"][0].update(hint="x\nimport os"),
    "two symbols have one name": lambda d: method(d, "Net")["symbols"].append(method(d, "Net")["symbols"][0]),
    "symbol `N` is not where it says": lambda d: method(d, "Net")["symbols"][0].update(axis=1),
    "there is no symbol `K` here": lambda d: method(d, "Net")["requires"][0].update(size="K"),
    "there is no value 999": lambda d: node(d, "Net", "wte").update(outputs=[999]),
    "is defined twice": lambda d: node(d, "Net", "wte").update(outputs=[0]),
    "is used before it is defined": lambda d: graph(d, "Net")["nodes"].reverse(),
    "is never defined": lambda d: graph(d, "Net")["values"].append({"type": "float[1]"}),
    "str cannot be an operand": lambda d: node(d, "Net", "relu")["inputs"].__setitem__(0, "x"),
    "its outputs are not numbers of values": lambda d: node(d, "Net", "wte").update(outputs=["ab"]),
    "an output is a value or a tuple": lambda d: graph(d, "Net")["outputs"].__setitem__(0, 3),
    "there are no outputs": lambda d: (graph(d, "Net").update(outputs=[]), method(d, "Net").update(output_names=[])),
    "a method contains itself": lambda d: node(d, "Mlp", "gelu").update(method=d["methods"].index(method(d, "Net"))),
    "there is no entry": lambda d: d.update(entries=[]),
    "entry 0 has an identifier for a name": lambda d: d["entries"][0].update(name="../x"),
    "entry 0 and its methods are of one module": lambda d: d["entries"][0].update(methods={"infer": 0}),
    "there is no member `wtf`": lambda d: node(d, "Net", "wte").update(path="wtf"),
    "only modules can be called": lambda d: node(d, "Net", "wte").update(path="shift"),
    "a layer has no methods of its own": lambda d: node(d, "Net", "wte").update(method=0),
    "there is no function `system`": lambda d: node(d, "Net", "relu").update(function="system"),
    "it gives float[N, T, 6], not float[N, T, 7]": lambda d: graph(d, "Net")["values"][
        node(d, "Net", "wte")["outputs"][0]
    ].update(type="float[N, T, 7]"),
    "it gives another number of outputs": lambda d: (
        graph(d, "Net")["values"].append({"type": "int[N]"}),
        node(d, "Net", "wte")["outputs"].append(len(graph(d, "Net")["values"]) - 1),
    ),
    "takes other inputs than these 2": lambda d: node(d, "Net", "wte")["inputs"].append({"ref": 0}),
    "a call of a block has a method": lambda d: node(d, "Net", "down").pop("method"),
    "its method is one of another module": lambda d: node(d, "Net", "down").update(
        method=node(d, "Net", "last")["method"]
    ),
    "its sizes are not those of its method": lambda d: node(d, "Net", "down")["dims"].pop("H"),
    "it takes 2 inputs, not 1": lambda d: node(d, "Net", "last")["inputs"].pop(),
    "it takes float[6], not None": lambda d: node(d, "Net", "last")["inputs"].__setitem__(1, None),
    "it takes float[N, 3, W, H], not float[N, 3, H, W]": lambda d: node(d, "Net", "down")["dims"].update(H="W", W="H"),
    "is nested deeper than 256": lambda d: nest(d, 300, 1),
    "holds more than 2,000,000 things": lambda d: nest(d, 40, 2),
}


def nest(document: dict[str, Any], depth: int, width: int) -> None:
    first = len(document["modules"])
    for number in range(first, first + depth):
        names = [{"name": f"m{i}", "kind": "module", "origin": "auto", "module": number + 1} for i in range(width)]
        document["modules"].append({"kind": "block", "name": "Deep", "members": names})
    document["modules"].append({"kind": "layer", "name": "ReLU"})


TRAINED = """
model Net {
  input features: float[N, F]
  assert F % 2 == 0
  output score = sum(features, dim=1, keepdim=true) -> fc: Linear(1)
}

train {
  data = Xor(64)
  loss = mse_loss(score, target)
  metrics = [binary_accuracy(score, target)]
  optimizer = SGD(lr=0.1)
  params "*.bias" { lr = 0.01 }
}
"""

BROKEN_TRAINING: dict[str, Callable[[Any], Any]] = {
    "training is of an entry": lambda t: t.update(entry=1),
    "there is no dataset `Evil`": lambda t: t["data"].update(name="Evil"),
    "dataset `Xor` has no argument `code`": lambda t: t["data"]["arguments"].update(code=1),
    "`samples` of dataset `Xor` must be at least 2": lambda t: t["data"]["arguments"].update(samples=-5),
    "`lr` of optimizer `SGD` must be a number": lambda t: t["updates"][0]["optimizer"]["arguments"].update(lr="x"),
    "nesterov=true needs momentum": lambda t: t["updates"][0]["optimizer"]["arguments"].update(nesterov=True),
    "`epochs` of `train` must be at least 1": lambda t: t["settings"].update(epochs=0),
    "`weights` of `train` must be a string or none": lambda t: t["settings"].update(weights=5),
    "`train` has no argument `code`": lambda t: t["settings"].update(code=5),
    "training feeds no field to the input `features`": lambda t: t.update(inputs={}),
    "to inputs of the model": lambda t: t["inputs"].update(other="features"),
    "the input `features` is float[N, F], and its field is int[batch]": lambda t: t["inputs"].update(features="label"),
    "there is no `scores` in the model": lambda t: t["names"][0].__setitem__(1, "scores"),
    "the loss: its inputs are not": lambda t: t["names"][1].__setitem__(1, "label"),
    "the loss: it is not one float number": lambda t: t["updates"][0]["loss"].update(outputs=[{"ref": 0}]),
    "the loss: node 0 (`mse_loss`)": lambda t: t["updates"][0]["loss"]["nodes"][0].update(inputs=[{"ref": 0}]),
    "`train` lacks its setting `seed`": lambda t: t["settings"].pop("seed"),
    "`checkpoint` of `train` is not complete": lambda t: t["settings"].update(checkpoint=[]),
    "metric `binary_accuracy`: its inputs are not": lambda t: t["metrics"][0]["graph"]["inputs"].__setitem__(0, [0]),
    "`params` of `*.bias` sets nothing": lambda t: t["updates"][0]["groups"][0]["settings"].clear(),
    "no loss or metric is called `epoch`": lambda t: t["metrics"][0].update(name="epoch"),
    "names of metrics are": lambda t: t["metrics"][0].update(name="loss"),
}


@pytest.fixture(scope="module")
def trained() -> ir.Program:
    return compile_text(TRAINED, train=True).program


def test_a_train_section_of_the_elaborator_is_in_order(trained: ir.Program) -> None:
    assert trained.training is not None
    assert verify(loads(dumps(trained))) == []


@pytest.mark.parametrize("message", BROKEN_TRAINING)
def test_a_train_section_is_not_believed_either(trained: ir.Program, message: str) -> None:
    broken = json.loads(dumps(trained))
    BROKEN_TRAINING[message](broken["training"])
    problems = verify(loads(json.dumps(broken)))
    assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_promise_is_found(document: dict[str, Any], message: str) -> None:
    broken = json.loads(json.dumps(document))
    BROKEN[message](broken)
    problems = verify(loads(json.dumps(broken)))
    assert any(message in problem for problem in problems), problems
    assert all(len(problem) < 1000 for problem in problems)


def test_there_is_a_limit_to_complaints(program: ir.Program) -> None:
    values = tuple(replace(v, hint=" ") for v in program.methods[-1].graph.values) * 200
    graph = replace(program.methods[-1].graph, values=values)
    assert len(verify(replace(program, methods=(replace(program.methods[-1], graph=graph),)))) == 100


def test_what_unfolds_without_end_is_too_large(document: dict[str, Any]) -> None:
    bomb = json.loads(json.dumps(document))
    nest(bomb, 60, 2)
    start = time.process_time()
    assert "when it is written out" in (too_large(loads(json.dumps(bomb))) or "")
    assert time.process_time() - start < 1


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every part of a JSON document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, part in items for inner in places(part, (*path, key)))]


def part(document: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


JUNK: list[Any] = [
    0,
    1,
    -1,
    10**9,
    2**62,
    1.5,
    True,
    None,
    "",
    "x",
    "N",
    "float[N]",
    "float[3]",
    [],
    [0],
    {},
    {"ref": 0},
]
JUNK += [{"dim": "N"}, {"dim": "Q // 2"}, {"float": "inf"}, {"dict": {}}, [[[]]], "weight", "Linear", "add", "0.fc1"]


def zeros(member: ir.Member) -> np.ndarray:
    assert member.type is not None
    return np.zeros([dim for dim in member.type.dims if isinstance(dim, int)], numpy_dtype(member.type.dtype))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_of_a_file_makes_it_crash(document: dict[str, Any], data: st.DataObject) -> None:
    edited = json.loads(json.dumps(document))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([p for p in places(edited) if p and p[0] != "sources"]))
        owner, key = part(edited, path[:-1]), path[-1]
        action = data.draw(st.sampled_from(["junk", "copy", "delete"]))
        if action == "delete":
            del owner[key]
        elif action == "junk":
            owner[key] = data.draw(st.sampled_from(JUNK))
        else:
            other = data.draw(st.sampled_from(places(edited)))
            owner[key] = json.loads(json.dumps(part(edited, other)))
    try:
        program = loads(json.dumps(edited))
    except IRFormatError:
        return
    if not verify(program):
        state = {path: zeros(member) for path, member in owned(program, program.main.module)}
        with contextlib.suppress(OnnxError):
            build(program, None, state)
