"""The benches run, and what they assert holds; how fast anything is depends on the machine and is not tested."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench import loops, training, zoo
from bench.training import Case
from tests.zoo.table import NETWORKS

ROOT = Path(__file__).parent.parent.parent

ROWS = {
    "start": ("check simple_nn.nns", "check transformer_encoder.nns"),
    "scale": ("10_000 linear, one chain", "* 10_000 blocks"),
    "module": ("MLP, batch 1", "CNN, batch 32: peak memory", "transformer, backward"),
    "onnx": ("compile --weights", "compile, fresh weights") if find_spec("onnxscript") else (),
    "graphs": ("compile of 1.05 GB: peak memory", "GPT-2: nodes", "LSTM: latency") if find_spec("onnxscript") else (),
    "training": ("tiny MLP, batch 32", "MLP, batch 512", "digits CNN, batch 64", "transformer, batch 16"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_a_bench_prints_its_table(name: str) -> None:
    command = [sys.executable, "-m", "bench", name, "--rounds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    # 1 is a bound that was missed, which a single round says little about.
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    first_cells = [line.split("  ")[0] for line in done.stdout.splitlines()]
    assert [row for row in ROWS[name] if row not in first_cells] == []


@pytest.mark.parametrize("case", training.CASES, ids=lambda case: case.title)
def test_a_run_has_the_losses_of_a_loop_that_is_written_by_hand(case: Case, tmp_path: Path) -> None:
    few = case._replace(samples=2 * case.batch_size + 3)
    with training.one_thread():
        compiled, task = training.prepared(few, tmp_path, epochs=2)
        ours, theirs = training.losses(compiled, tmp_path), loops.tuned(task)[1]
    assert len(ours) == 6
    assert ours == theirs


def test_the_bench_refuses_losses_that_differ_by_a_bit() -> None:
    with pytest.raises(AssertionError, match="batch 2"):
        training.assert_alike("a case", [1.0, 2.0], [1.0, 2.0000002], exactly=True)
    training.assert_alike("on a GPU", [1.0, 2.0], [1.0, 2.0000002], exactly=False)


def test_the_zoo_has_a_line_for_each_network() -> None:
    network = next(each for each in NETWORKS if each.name == "lenet")
    name, parameters, spec, original, emitted, *gaps = zoo.cells(network)
    assert (name, parameters) == ("lenet", "60,840")
    assert int(spec) < int(original) < int(emitted) < 3 * int(original)
    assert len(gaps) == 4
    assert all(float(gap) < 1e-5 for gap in gaps)


def test_a_bench_that_is_not_there_is_wrong_usage() -> None:
    command = [sys.executable, "-m", "bench", "stat"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert "no bench `stat`" in done.stderr
