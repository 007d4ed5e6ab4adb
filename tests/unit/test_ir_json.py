"""The IR's JSON: nothing is lost, nothing odd gets in."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec import ir
from nnspec.diagnostics import Span
from nnspec.dims import maximum, parse_dim, symbol
from nnspec.ir_json import IRFormatError, dumps, loads
from nnspec.types import DTYPES, TensorType

counts = st.integers(0, 2**63 - 1)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
spans = st.none() | st.builds(Span, counts, counts, counts)
dims = st.sampled_from(
    (
        *(symbol("N"), symbol("été"), -symbol("N"), maximum(symbol("N"), symbol("T") + 1)),
        *(parse_dim("2 * H // 3 - T"), parse_dim("(1 if H >= T else H % 4)")),
    )
)
sizes = dims | counts
types = st.builds(TensorType, st.sampled_from(DTYPES), st.lists(sizes, max_size=3).map(tuple))
scalars: st.SearchStrategy[Any] = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), words, dims),
    *(st.builds(ir.Ref, counts), types),
)


def tuples(items: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, max_size=2).map(tuple)


def maps(items: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(words, items, max_size=2)


def composite(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return tuples(inner) | maps(inner) | st.builds(ir.Record, words, maps(inner), spans)


anything = st.recursive(scalars, composite, max_leaves=4)
results = tuples(st.recursive(counts, tuples, max_leaves=3))
nodes = (
    st.builds(ir.Call, words, tuples(anything), results, st.none() | counts, maps(sizes), spans)
    | st.builds(ir.Op, words, tuples(anything), maps(anything), results, spans)
    | st.builds(ir.Read, words, tuples(counts), spans)
    | st.builds(ir.Foreign, tuples(anything), tuples(counts), spans)
)
graphs = st.builds(
    ir.Graph,
    tuples(st.none() | counts),
    tuples(st.builds(ir.Value, types, words, spans)),
    tuples(nodes),
    tuples(anything),
)
initializers = st.builds(ir.Initializer, words, maps(anything))
members = st.builds(
    ir.Member,
    words,
    st.sampled_from(["module", "param", "buffer"]),
    st.sampled_from(["label", "bound", "auto", "position", "group"]),
    spans,
    st.none() | counts,
    st.none() | types,
    st.none() | initializers,
    st.none() | graphs,
    words,
)
modules = st.builds(
    ir.Module,
    st.sampled_from(["block", "extern", "layer", "chain", "repeat", "group"]),
    words,
    maps(st.builds(ir.Attr, anything, st.none() | words)),
    maps(counts),
    tuples(members),
    tuples(st.builds(ir.Tie, words, words, spans)),
    spans,
    words,
    tuples(st.builds(ir.Setting, words, words, st.none() | initializers, st.none() | graphs, spans)),
    words,
)
methods = st.builds(
    ir.Method,
    counts,
    st.sampled_from(["infer", "train", "both"]),
    tuples(words),
    tuples(words),
    tuples(st.builds(ir.Symbol, words, counts, st.integers(-4, 4), spans)),
    tuples(st.builds(ir.Requirement, sizes, st.sampled_from([">=", "=="]), words, spans)),
    graphs,
)
records = st.builds(ir.Record, words, maps(anything), spans)
groups = st.builds(ir.Group, words, words, maps(anything), st.none() | records, spans)
updates = st.builds(ir.Update, graphs, records, tuples(groups), st.none() | records, words, spans)
trainings = st.builds(
    ir.Training,
    counts,
    records,
    maps(types),
    maps(words),
    tuples(st.tuples(st.sampled_from(["model", "data", "clock"]), words)),
    tuples(updates),
    tuples(st.builds(ir.Metric, words, graphs)),
    maps(anything),
    spans,
    st.none() | records,
    maps(tuples(records)),
    maps(tuples(records)),
    st.none() | records,
)
programs = st.builds(
    ir.Program,
    tuples(modules),
    tuples(methods),
    tuples(st.builds(ir.Entry, words, counts, maps(counts), words, spans)),
    st.none() | trainings,
    tuples(st.tuples(words, words)),
)


@settings(max_examples=150, deadline=None)
@given(programs)
def test_reading_gives_what_was_written(program: ir.Program) -> None:
    text = dumps(program)
    read = loads(text)
    assert read == program
    # Equality takes 1, 1.0 and True for the same; the text does not.
    assert dumps(read) == text
    assert repr(read) == repr(program)


def with_value(value: Any) -> ir.Program:
    return ir.Program((ir.Module("layer", "L", {"a": ir.Attr(value)}),), (), ())


def read_value(value: Any) -> Any:
    return loads(dumps(with_value(value))).modules[0].arguments["a"].value


@pytest.mark.parametrize("value", [1, 1.0, True, 0, False, 0.0, -0.0, math.inf, -math.inf, (1, (2.0, ())), "1"])
def test_kinds_of_values_survive(value: Any) -> None:
    assert repr(read_value(value)) == repr(value)


def test_undefined_numbers_survive() -> None:
    assert math.isnan(read_value(math.nan))


def test_what_the_ir_cannot_hold_is_refused_when_writing() -> None:
    with pytest.raises(TypeError, match="the IR cannot hold"):
        dumps(with_value(object()))


def test_defaults_are_left_out_and_the_header_comes_first() -> None:
    assert dumps(with_value(3)) == (
        '{\n  "format": "nnspec-ir",\n  "version": 1,\n'
        '  "modules": [{"kind": "layer", "name": "L", "arguments": {"a": {"value": 3}}}],\n'
        '  "methods": [],\n  "entries": []\n}\n'
    )


def document(**changes: Any) -> str:
    whole = {"format": "nnspec-ir", "version": 1, "modules": [], "methods": [], "entries": []}
    return json.dumps(whole | changes)


def module(**changes: Any) -> str:
    return document(modules=[{"kind": "layer", "name": "L"} | changes])


def argument(value: Any) -> str:
    return module(arguments={"a": {"value": value}})


def param(text: Any) -> str:
    return module(members=[{"name": "w", "kind": "param", "origin": "auto", "type": text}])


WRONG = [
    ("", "", "Invalid JSON: EOF while parsing a value at line 1 column 0"),
    ("[1]", "", "Input should be an object"),
    ("{}", "format", 'this is not an IR of nnspec: `"format": "nnspec-ir"` is missing'),
    (document(version=2), "version", "this nnspec reads version 1 of the IR, not 2"),
    (document(version=True), "version", "this nnspec reads version 1 of the IR, not true"),
    (document(extra=1), "extra", "Extra inputs are not permitted"),
    (document(modules=[{"kind": "layer"}]), "modules[0].name", "Field required"),
    (module(name=3), "modules[0].name", "Input should be a valid string"),
    (module(kind="zoo"), "modules[0].kind", "Input should be 'block', 'extern', 'layer', 'chain', 'repeat' or 'group'"),
    (module(sizes={"C": "64"}), "modules[0].sizes.C", "Input should be a valid integer"),
    (module(sizes={"C": 2**63}), "modules[0].sizes.C", f"Input should be less than {2**63}"),
    (module(span=[0, 1]), "modules[0].span", "a span is [source, start, end]"),
    (module(span=[0, -1, 2]), "modules[0].span", "a span is [source, start, end]"),
    (argument(2**63), "modules[0].arguments.a.value", "a number of more than 64 bits"),
    (argument({"float": "1"}), "modules[0].arguments.a.value", "a tagged float is inf, -inf or nan"),
    (argument([{"ref": -1}]), "modules[0].arguments.a.value", "the number of a value is a whole number of at least 0"),
    (argument({"dim": "N ** 2"}), "modules[0].arguments.a.value", "not a size: 'N ** 2'"),
    (argument({"dict": []}), "modules[0].arguments.a.value", "a tagged dict is an object"),
    (
        argument({"code": "x"}),
        "modules[0].arguments.a.value",
        "an object among values has one tag of dim, ref, float, type, dict or is a record",
    ),
    (
        argument({"record": "SGD", "lr": 1}),
        "modules[0].arguments.a.value",
        "a record among values has the name `record`, `arguments` and perhaps a `span`",
    ),
    (param(3), "modules[0].members[0].type", "a type is a text such as `float[N, 64]`"),
    (param("flot[N]"), "modules[0].members[0].type", "not a type, such as `float[N, 64]`: 'flot[N]'"),
    (param("float[-1]"), "modules[0].members[0].type", "a size is out of range in 'float[-1]'"),
    (param("float[min(N, 2)), 1]"), "modules[0].members[0].type", "not a size: 'min(N, 2)), 1'"),
    (param("float[N // 0]"), "modules[0].members[0].type", "not a size: 'N // 0'"),
]


@pytest.mark.parametrize(("text", "place", "message"), WRONG)
def test_what_is_wrong_is_said_with_its_place(text: str, place: str, message: str) -> None:
    with pytest.raises(IRFormatError) as caught:
        loads(text)
    assert caught.value.faults[0] == (place, message)


@pytest.mark.parametrize(
    ("node", "place", "message"),
    [
        ({"kind": "read", "path": 1, "outputs": []}, "[0].path", "Input should be a valid string"),
        ({"kind": "jump"}, "[0]", "the kind of a node is call, op, read, scan, foreign"),
        ({"kind": 3}, "[0]", "the kind of a node is call, op, read, scan, foreign"),
        ("read", "[0]", "the kind of a node is call, op, read, scan, foreign"),
    ],
)
def test_the_kind_of_a_node_says_what_it_holds(node: Any, place: str, message: str) -> None:
    method = {"module": 0, "mode": "both", "input_names": [], "output_names": [], "symbols": [], "requires": []}
    graph = {"inputs": [], "values": [], "nodes": [node], "outputs": []}
    with pytest.raises(IRFormatError) as caught:
        loads(document(methods=[method | {"graph": graph}]))
    assert caught.value.faults == ((f"methods[0].graph.nodes{place}", message),)


HOSTILE = {
    "deep arrays": "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "long version": document(version="9" * 100_000),
    "long number": '{"format": "nnspec-ir", "version": ' + "9" * 100_000 + "}",
    "deep size": param("float[" + "(" * 50_000 + "]"),
    "a power": param("float[" + " * ".join(["(N + T + 1)"] * 60) + "]"),
    "many faults": module(members=[1] * 10_000),
    "deep value": argument(json.loads("[" * 250 + "]" * 250)),
    "nul": "\x00",
    "half a character": '"\ud800"',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_refused_in_time_and_few_words(name: str) -> None:
    with pytest.raises(IRFormatError) as caught:
        loads(HOSTILE[name])
    assert len(caught.value.faults) <= 10
    assert len(str(caught.value)) < 2_000


def test_long_sums_of_sizes_are_read() -> None:
    text = param("float[" + "N * T * H * S + " * 5_000 + "1]")
    assert str(loads(text).modules[0].members[0].type) == "float[5000 * H * N * S * T + 1]"


def test_the_ir_itself_stays_light() -> None:
    code = "import sys, nnspec.ir; print('pydantic' in sys.modules, 'numpy' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["False", "False"]
