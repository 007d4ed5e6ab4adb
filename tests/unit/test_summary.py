"""Summaries: numbers against torch, sharing, folding, symbols."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import nnspec
from nnspec.compiler import compile_text
from nnspec.summary import SizeError, Summary, summarize
from nnspec.summary_memory import MemoryReport, optimizer_named, report_memory, spell_bytes
from nnspec.summary_text import as_json, as_text

CONV = """
model Conv(width = 8) {
  input image: float[N, 3, H, W]
  x = image -> conv1: Conv2d(width, 3, stride=2, padding=1, bias=false) -> BatchNorm2d -> ReLU
  x = x -> body: { Conv2d(width, 3, padding=1) -> ReLU } * 3
  output y = x -> AdaptiveAvgPool2d(1) -> Flatten -> fc: Linear(10)
}
"""

ATTENTION = """
block Layer(heads) {
  input x: float[N, T, D]
  h = x -> norm: LayerNorm
  q, k, v = chunk(h -> qkv: Linear(3 * D), 3, dim=-1)
  q = rearrange(q, "n t (h d) -> n h t d", h=heads)
  k = rearrange(k, "n t (h d) -> n h t d", h=heads)
  v = rearrange(v, "n t (h d) -> n h t d", h=heads)
  y = rearrange(matmul(softmax(matmul(q, transpose(k, -1, -2)), dim=-1), v), "n h t d -> n t (h d)")
  output x + (y -> out: Linear(D))
}

model Net {
  input tokens: int[N, T]
  wte = Embedding(50, 16)
  assert T <= 64, "too long"
  x = tokens -> wte
  x = x -> layers: Layer(4) * 5
  output logits = x -> head: Linear(50, bias=false, weight=wte.weight)
}
"""


def summary(text: str, sizes: dict[str, int] | None = None, **hyperparameters: Any) -> Summary:
    """The summary of a spec's model."""
    return summarize(compile_text(text, overrides=hyperparameters).program, sizes=sizes)


@pytest.mark.parametrize(
    ("text", "sizes", "inputs"),
    [
        (CONV, {"N": 2, "H": 17, "W": 12}, torch.zeros(2, 3, 17, 12)),
        (ATTENTION, {"N": 3, "T": 7}, torch.zeros(3, 7, dtype=torch.int64)),
    ],
)
def test_totals_are_what_torch_counts(text: str, sizes: dict[str, int], inputs: torch.Tensor) -> None:
    module = nnspec.loads(text).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(inputs)
    found = summary(text, sizes)
    assert found.macs == counter.get_total_flops() // 2
    assert found.weights.parameters == sum(p.numel() for p in module.parameters())
    assert found.weights.buffers == sum(b.numel() for b in module.buffers())
    assert found.weights.parameter_bytes == 4 * found.weights.parameters


@pytest.mark.parametrize("text", [CONV, ATTENTION])
def test_rows_of_one_depth_add_up_to_the_total(text: str) -> None:
    found = summary(text)
    rows = [row for row in found.rows if row.depth == 0]
    assert sum(row.parameters * row.count for row in rows) == found.weights.parameters
    total: Any = 0
    for row in rows:
        assert row.macs is not None
        total = total + row.macs * row.count
    assert total == found.macs


def test_costs_keep_their_symbols_until_sizes_are_given() -> None:
    open_, fixed = summary(ATTENTION), summary(ATTENTION, {"N": 3, "T": 7})
    assert open_.symbols == ("N", "T")
    assert fixed.symbols == ()
    assert isinstance(fixed.macs, int)
    assert "N * T * T * 160 + N * T * " in as_text(open_)
    assert str(fixed.outputs[0][1]) == "float[3, 7, 50]"


def test_repeated_blocks_share_a_row() -> None:
    paths = [row.path for row in summary(ATTENTION).rows]
    assert paths[:4] == ["wte", "layers", "layers.0-4", "layers.0-4.norm"]
    (folded,) = [row for row in summary(ATTENTION).rows if row.count == 5]
    assert (folded.kind, folded.depth, folded.parameters) == ("Layer", 1, 32 + 816 + 272)
    assert "Layer (each of 5)" in as_text(summary(ATTENTION))


def test_copies_that_differ_are_not_folded() -> None:
    text = """
    model Net {
      input x: float[N, 4]
      for i in range(6) { x = x -> "fc{i}": Linear(4 if i < 3 else 8) }
      output y = x
    }
    """
    rows = summary(textwrap.dedent(text)).rows
    assert [(row.path, row.count) for row in rows] == [("fc0-2", 3), ("fc3", 1), ("fc4-5", 2)]


@pytest.mark.parametrize("layer", ["Linear(4, bias=i < 1)", "Linear(4 if i < 1 else 5)"])
def test_neighbours_of_other_parameters_are_not_folded(layer: str) -> None:
    text = (
        f'model Net {{\n  input x: float[N, 4]\n  for i in range(2) {{ x = x -> "fc{{i}}": {layer} }}\n  output x\n}}\n'
    )
    assert [row.path for row in summary(text.replace("output x", "output y = x")).rows] == ["fc0", "fc1"]


@pytest.mark.parametrize(
    ("names", "rows"),
    [
        (("fc9", "fc10"), ["fc9-10"]),
        (("fc09", "fc10"), ["fc09-10"]),
        (("fc01", "fc2"), ["fc01", "fc2"]),
        (("fc1", "fc3"), ["fc1", "fc3"]),
        (("n" + "1" * 5000, "n" + "1" * 4999 + "2"), ["n" + "1" * 5000, "n" + "1" * 4999 + "2"]),
    ],
)
def test_copies_are_folded_when_their_names_are_counted_on(names: tuple[str, str], rows: list[str]) -> None:
    flow = " -> ".join(f"{name}: Linear(3)" for name in names)
    text = f"model M {{\n  input x: float[N, 3]\n  output y = x -> {flow}\n}}\n"
    assert [row.path for row in summary(text).rows] == rows


def test_one_layer_at_other_sizes_is_not_folded() -> None:
    text = "model Net {\n  input x: float[N, 2, 9, 9]\n  output y = x -> deep: Conv2d(2, 3) * 3\n}\n"
    rows = summary(text).rows
    assert [row.path for row in rows] == ["deep", "deep.0", "deep.1", "deep.2"]
    assert str(rows[-1].outputs[0]) == "float[N, 2, 3, 3]"


def test_a_tied_parameter_counts_where_it_is_owned() -> None:
    rows = {row.path: row for row in summary(ATTENTION).rows}
    assert rows["wte"].parameters == 50 * 16
    assert rows["head"].parameters == 0


def test_a_layer_that_is_used_twice_costs_twice_and_counts_once() -> None:
    text = "model Net {\n  input x: float[N, 4]\n  f = Linear(4)\n  output y = x -> f -> f\n}\n"
    found = summary(text)
    (row,) = found.rows
    assert (row.uses, row.parameters, str(row.macs)) == (2, 20, "32 * N")
    assert "Linear (2 uses)" in as_text(found)


def test_bare_parameters_and_members_of_training_have_rows() -> None:
    text = """
    model Net {
      input x: float[N, 4]
      param scale: float[4] = 1.0
      buffer shift: float[4] = zeros(4)
      if training { output aux = x -> side: Linear(3) }
      output y = x * scale + shift
    }
    """
    found = summary(textwrap.dedent(text).replace("output aux = x -> side: Linear(3)", "z = x -> side: Linear(3)"))
    rows = {row.path: row for row in found.rows}
    assert rows["scale"].kind == "parameter"
    assert rows["shift"].kind == "buffer"
    assert (rows["side"].uses, rows["side"].parameters) == (0, 15)
    assert found.weights.parameters == 4 + 15
    assert "Linear (not used)" in as_text(found)


def test_a_group_that_only_holds_what_others_are_tied_to_is_used() -> None:
    text = """
    model Net {
      input ids: int[N, T]
      shared: { param weight: float[10, 4] = normal() }
      x = ids -> words: Embedding(10, 4, weight=shared.weight)
      output y = x -> head: Linear(10, weight=words.weight)
    }
    """
    found = summary(textwrap.dedent(text))
    rows = {row.path: row for row in found.rows}
    assert [rows[name].parameters for name in ("shared", "words", "head")] == [40, 0, 10]
    assert "not used" not in as_text(found)


def test_requirements_are_shown_and_checked() -> None:
    found = summary(ATTENTION)
    assert "requires T <= 64  (too long)" in as_text(found)
    with pytest.raises(SizeError, match=r"requires T <= 64 \(too long\)"):
        summary(ATTENTION, {"T": 65})
    assert summary(ATTENTION, {"T": 64}).requires == ()
    with pytest.raises(SizeError, match="no symbol `S`: its symbols are N, T"):
        summary(ATTENTION, {"S": 1})


def test_the_table_fits_a_terminal_and_can_be_cut_at_a_depth() -> None:
    found = summary(CONV)
    assert max(map(len, as_text(found, width=78).splitlines())) <= 78
    assert "body" in as_text(found, depth=1)
    assert "0-2" not in as_text(found, depth=1)
    numbers = [line for line in as_text(found).splitlines() if line.startswith("total")]
    assert numbers[0].endswith("(in H, N, W)")


def test_json_has_everything() -> None:
    found = json.loads(as_json(summary(ATTENTION)))
    assert found["version"] == 1
    assert found["inputs"] == [{"name": "tokens", "type": "int[N, T]", "optional": False}]
    assert found["requires"] == [{"condition": "T <= 64", "message": "too long"}]
    assert found["rows"][0] == {
        "path": "wte",
        "type": "Embedding",
        "depth": 0,
        "outputs": ["float[N, T, 16]"],
        "parameters": 800,
        "macs": 0,
        "copies": 1,
        "uses": 1,
        "externs": 0,
    }


def test_ten_thousand_copies_are_one_row() -> None:
    text = "model Net {\n  input x: float[N, 4]\n  output y = x -> deep: Linear(4) * 10_000\n}\n"
    found = summary(text)
    assert [row.path for row in found.rows] == ["deep", "deep.0-9999"]
    assert found.weights.parameters == 200_000


# --- memory ----------------------------------------------------------------------------------------------------------

TRAINED = (
    CONV
    + """
train {
  data      = "no such data"
  loss      = nothing(at, all)
  optimizer = SGD(lr=0.1, momentum=0.9)
}
"""
)

FULL = {"N": 2, "H": 17, "W": 12}


def memory_of(text: str, sizes: dict[str, int], limit: int | None = None) -> tuple[Summary, MemoryReport]:
    """The summary with memory, for the optimizer of the train section."""
    compiled = compile_text(text, with_optimizer=True)
    found = summarize(compiled.program, sizes=sizes)
    report = report_memory(compiled.program, found, sizes, optimizer_named(compiled.optimizer), limit)
    assert report is not None
    return found, report


def test_memory_is_shown_where_all_sizes_are_numbers() -> None:
    found, report = memory_of(CONV, FULL)
    text = as_text(found, memory=report)
    assert report.optimizer == "AdamW"
    assert "kept" in next(line for line in text.splitlines() if line.startswith("layer"))
    weights = spell_bytes(found.weights.parameter_bytes + found.weights.buffer_bytes)
    lines = text.splitlines()
    assert any(re.match(rf"inference   [0-9.]+ kB at most: weights {weights}, inputs 4.9 kB, act", s) for s in lines)
    assert any(re.match(rf"training    [0-9.]+ kB at most with AdamW: weights {weights}, ", s) for s in lines)
    assert max(map(len, text.splitlines())) <= 100
    compiled = compile_text(CONV)
    open_ = summarize(compiled.program, sizes={"N": 2})
    assert report_memory(compiled.program, open_, {"N": 2}, optimizer_named(None)) is None
    assert "--size H=...,W=... gives costs and memory as numbers" in as_text(open_)


def test_rows_of_one_depth_keep_what_all_do() -> None:
    found, report = memory_of(CONV, FULL)
    assert report.memory is not None
    kept = report.memory.kept
    folded = [row for row in found.rows if row.depth == 0]
    assert sum(kept.get(row.place, 0) for row in folded) == kept[""]
    (row,) = [row for row in found.rows if row.path == "body.0-2"]
    assert row.place == "body.2"
    assert kept["body.2"] == 2 * 8 * 9 * 6 * 4


def test_the_column_goes_where_there_is_no_room() -> None:
    found, report = memory_of(CONV, FULL)
    narrow = as_text(found, width=70, memory=report)
    assert "kept" not in narrow
    assert max(map(len, narrow.splitlines())) <= 80


def test_the_optimizer_is_that_of_the_file_even_if_nothing_else_of_its_training_is_right() -> None:
    _, report = memory_of(TRAINED, FULL)
    assert report.optimizer == "SGD"
    found, _ = memory_of(CONV, FULL)
    assert report.memory is not None
    assert report.memory.optimizer == found.weights.parameter_bytes


def test_what_fits_is_said_for_this_batch_and_the_largest() -> None:
    found, report = memory_of(TRAINED, FULL, 200_000)
    assert report.fit is not None
    assert report.fit.most_training is not None
    text = as_text(found, memory=report)
    assert f"training with SGD fits in 200 kB at N = 2; at most N = {report.fit.most_training}" in text
    for samples, fits in ((report.fit.most_training, True), (report.fit.most_training + 1, False)):
        _, again = memory_of(TRAINED, FULL | {"N": samples}, 200_000)
        assert again.fit is not None
        assert again.fit.training is fits
        assert again.fit.most_training == report.fit.most_training
    _, open_ = memory_of(TRAINED, {"H": 17, "W": 12}, 200_000)
    assert open_.memory is None
    assert open_.fit is not None
    assert open_.fit.most_training == report.fit.most_training
    _, small = memory_of(TRAINED, FULL, 1)
    assert "does not fit in 1 B at N = 2; not even N = 1" in as_text(found, memory=small)
    with pytest.raises(SizeError, match=r"what fits depends on `H` and `W`: say `--size H=\.\.\.,W=\.\.\.`"):
        memory_of(TRAINED, {"N": 2}, 200_000)


def test_a_batch_that_the_model_refuses_does_not_fit() -> None:
    text = "model M {\n  input x: float[N, 4]\n  assert N <= 5\n  output y = x -> Linear(4)\n}\n"
    _, report = memory_of(text, {"N": 1}, 10**9)
    assert report.fit is not None
    assert report.fit.most_training == 5


def test_json_has_memory_in_bytes() -> None:
    found, report = memory_of(TRAINED, FULL, 10**9)
    said = json.loads(as_json(found, report))
    assert said["version"] == 1
    assert said["memory"]["weights_bytes"] == said["bytes"]
    assert said["memory"]["optimizer"] == "SGD"
    assert said["memory"]["fits"] == {"inference": True, "training": True}
    assert said["memory"]["kept_bytes"] == sum(row["kept_bytes"] for row in said["rows"] if row["depth"] == 0)


def test_bytes_are_spelt_with_three_digits() -> None:
    numbers = [0, 999, 1000, 1049, 999_949, 999_950, 8 * 10**9, 10**15, 10**400]
    said = [spell_bytes(number) for number in numbers]
    assert said[:8] == ["0 B", "999 B", "1.0 kB", "1.0 kB", "999.9 kB", "1.0 MB", "8.0 GB", "1,000 TB"]
    assert len(said[8]) > 400


def test_enormous_sizes_are_numbers_too() -> None:
    found, report = memory_of(CONV, {"N": 10**40, "H": 10**40, "W": 10**40}, 10**12)
    assert "not even N = 1" in as_text(found, memory=report)
