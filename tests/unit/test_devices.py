"""Several processes train one model: what they come to is what one process comes to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.training.fault import Fault
from nnspec.training.feeding.feed import Share
from nnspec.training.processes.sharding import sound, units
from nnspec.training.running.run import Wanted, train

SPEC = """\
block Half(d) {
  input x: float[N, d]
  output y: float[N, d] = x -> Linear(d) -> Tanh
}
model Net(d = 7) {
  input features: float[N, 2]
  a = Half(d=d)
  h = features -> Linear(d) -> a -> { Linear(d) -> ReLU } * 2 -> Half(d=d) -> a
  output scores: float[N, 2] = h -> head: Linear(2)
}
train {
  data           = Moons(203)
  loss           = cross_entropy(scores, label)
  optimizer      = AdamW(lr=1e-2)
  params "head.*" { lr = 1e-3 }
  params "linear.bias" { freeze = true }
  schedule       = CosineAnnealingLR(T_max=20)
  metrics        = [accuracy(scores, label)]
  accumulate     = 2
  clip_grad_norm = 0.5
  average        = EMA(decay=0.8)
  checkpoint     = (every=4, keep=9)
  epochs         = 2
  batch_size     = 20
  strategy       = "ddp"
}
"""
"""162 samples to train on: the last batch has two, and the last step of an epoch is made of it alone."""

IN_TURN = """\
model Net {
  input features: float[N, 2]
  h = features -> body: Linear(6) -> Tanh
  output scores: float[N, 2] = h -> head: Linear(2)
}
train {
  data       = Moons(100)
  batch_size = 20
  epochs     = 2
  update slow {
    params = "body.*"
    loss = cross_entropy(scores, label)
    optimizer = SGD(lr=0.1)
  }
  update fast {
    params = "head.*"
    loss = cross_entropy(2 * scores, label)
    optimizer = SGD(lr=0.2)
    every = 2
  }
}
"""

SEARCHING = SPEC.replace("AdamW(lr=1e-2)", "LBFGS(lr=0.1, max_iter=4)").replace("accumulate     = 2", "")
SEARCHING = SEARCHING.replace("batch_size     = 20", "batch_size     = 162")
SEARCHING = "\n".join(line for line in SEARCHING.splitlines() if "head.*" not in line)

NORMED = SPEC.replace("-> Half(d=d) -> a\n", "-> BatchNorm1d\n")

CASES = {
    "ddp": SPEC,
    "fsdp": SPEC.replace('"ddp"', '"fsdp"'),
    "at once": SPEC.replace("accumulate     = 2", ""),
    "clipped": SPEC.replace('"ddp"', '"fsdp"').replace("clip_grad_norm", "clip_grad_value").replace("= 0.5", "= 0.01"),
    "momentum": SPEC.replace('"ddp"', '"fsdp"').replace("AdamW(lr=1e-2)", "SGD(lr=0.05, momentum=0.9)"),
    "in turn": IN_TURN,
    "searching": SEARCHING,
}
REFUSED = {
    "too few": SPEC.replace("batch_size     = 20", "batch_size     = 1"),
    "no validation": SPEC.replace("Moons(203)", "Moons(4)"),
    "not finite": SPEC.replace("AdamW(lr=1e-2)", "SGD(lr=1e38)"),
    "not finite pieces": CASES["fsdp"].replace("AdamW(lr=1e-2)", "SGD(lr=1e38)"),
    "a number": CASES["fsdp"]
    .replace("-> head:", "-> scale: Scale -> head:")
    .replace(
        "model Net", "block Scale {\n  input x: float[N, D]\n  param s: float[] = 1\n  output y = x * s\n}\nmodel Net"
    ),
}


def one(text: str, root: Path, resume: Path | None = None) -> None:
    """Train in this process alone."""
    compiled = compile_text(text, "net.nns", train=True)
    where = None if resume is None else str(resume)
    train(compiled.program, compiled.sources, Wanted(root.parent, "cpu", root, resume=where, accept_changes=True))


def many(jobs: list[dict[str, str]], folder: Path, size: int = 2) -> None:
    """Train in several processes."""
    folder.mkdir()
    (folder / "jobs.json").write_text(json.dumps(jobs))
    started = []
    for rank in range(size):
        about = {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
        command = [sys.executable, "-m", "tests.unit.devices_worker", str(rank), str(size), str(folder)]
        environment = {**os.environ, **about, "OMP_NUM_THREADS": "1"}
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
    said = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0] * size, "\n".join(said)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases in one process and in two (which are started once), and runs that go on in the other way."""
    folder = tmp_path_factory.mktemp("devices")
    jobs = []
    for name, text in CASES.items():
        one(text, folder / "one" / name)
        jobs.append({"text": text, "root": str(folder / "two" / name)})
    for name in ("ddp", "fsdp"):
        begun = shutil.copytree(folder / "one" / name / "Net-1", folder / "1 to 2" / name / "Net-1")
        place = str(begun / "checkpoints" / "step-00000004")
        jobs.append({"text": CASES[name], "root": str(folder / "1 to 2" / name), "resume": place})
    jobs += [{"text": text, "root": str(folder / "two" / name)} for name, text in REFUSED.items()]
    jobs.append({"text": NORMED, "root": str(folder / "two" / "normed")})
    many(jobs, folder / "work")
    for name in ("ddp", "fsdp"):
        begun = shutil.copytree(folder / "two" / name / "Net-1", folder / "2 to 1" / name / "Net-1")
        one(CASES[name], folder / "2 to 1" / name, begun / "checkpoints" / "step-00000004")
    return folder


def weights(place: Path) -> Mapping[str, torch.Tensor]:
    last = sorted((place / "Net-1" / "checkpoints").glob("step-*"))[-1]
    return load_file(last / "model.safetensors")


def rows(place: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (place / "Net-1" / "metrics.jsonl").read_text().splitlines()]


def same(one: Path, other: Path) -> None:
    torch.testing.assert_close(weights(one), weights(other), rtol=0, atol=1e-6)
    for mine, yours in zip(rows(one), rows(other), strict=True):
        assert mine.keys() == yours.keys()
        numbers = [name for name in mine if name not in ("seconds", "samples_per_second") and mine[name] is not None]
        for name in numbers:
            assert mine[name] == pytest.approx(yours[name], rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("name", CASES)
def test_two_processes_come_to_the_weights_and_metrics_of_one(runs: Path, name: str) -> None:
    same(runs / "one" / name, runs / "two" / name)


@pytest.mark.parametrize("name", ["ddp", "fsdp"])
@pytest.mark.parametrize("way", ["1 to 2", "2 to 1"])
def test_a_run_goes_on_in_the_middle_of_an_epoch_with_another_number_of_processes(
    runs: Path, way: str, name: str
) -> None:
    same(runs / "one" / name, runs / way / name)


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("too few", "NNS603", "2 processes share each batch, and a batch has 1"),
        ("no validation", "NNS602", "a single sample to validate on"),
        ("not finite", "NNS621", "after 1 step"),
        ("not finite pieces", "NNS621", "after 1 step"),
        ("a number", "NNS603", "without dimensions"),
    ],
)
def test_what_cannot_be_trained_is_said_alike_by_all(runs: Path, name: str, code: str, words: str) -> None:
    said = [(runs / "two" / name / f"refused-{rank}").read_text() for rank in range(2)]
    assert said[0] == said[1]
    assert said[0].startswith(code)
    assert words in said[0]


def test_batch_norms_end_with_what_all_processes_measured(runs: Path) -> None:
    saved = weights(runs / "two" / "normed")
    assert saved["batch_norm1d.num_batches_tracked"] == 16
    assert len(rows(runs / "two" / "normed")) == 2


def built(text: str) -> tuple[list[tuple[str, ...]], nn.Module]:
    from nnspec.backends.torch import build

    program = compile_text(text, "net.nns", train=True).program
    entry = program.entries[0]
    return units(program, program.modules[entry.module]), build(program, entry)


def test_pieces_are_gathered_by_the_blocks_that_the_spec_repeats() -> None:
    found, module = built(SPEC)
    assert sound(module, found) == [("a",), ("sequential.0.0",), ("sequential.1.0",), ("half_1",)]


def test_a_block_whose_weights_another_one_has_is_not_gathered_by_itself() -> None:
    found, module = built(SPEC)
    module.get_submodule("half_1.linear").weight = module.get_submodule("a.linear").weight
    assert sound(module, found) == [("sequential.0.0",), ("sequential.1.0",)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (IN_TURN.replace("epochs     = 2", 'epochs = 2\n  strategy = "fsdp"'), "several `update`s"),
        (SEARCHING.replace('"ddp"', '"fsdp"'), "`LBFGS` cannot train pieces"),
        (CASES["fsdp"].replace("AdamW", "Adafactor"), "`Adafactor` cannot train pieces"),
    ],
)
def test_what_cannot_be_cut_in_pieces_is_refused_before_it_runs(text: str, words: str) -> None:
    with pytest.raises(NnspecError) as caught:
        compile_text(text, "net.nns", train=True)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "NNS603"
    assert words in diagnostic.message


def test_shares_of_a_batch_are_the_batch() -> None:
    for of in (1, 2, 3, 7):
        parts = [Share(rank, of).of_range(10, 33) for rank in range(of)]
        assert parts[0][0] == 10
        assert parts[-1][1] == 33
        assert all(left[1] == right[0] for left, right in pairwise(parts))
        assert max(b - a for a, b in parts) - min(b - a for a, b in parts) <= 1


def test_a_fault_says_its_process_once() -> None:
    fault = Fault("no").of_process(1, 2).of_process(0, 2)
    assert fault.notes == ("in process 1 of 2, counted from 0",)
    assert Fault("no").of_process(0, 1).notes == ()


# --- the launcher ----------------------------------------------------------------------------------------------------


def command(folder: Path, text: str, *more: str) -> subprocess.Popen[str]:
    (folder / "net.nns").write_text(text)
    words = [sys.executable, "-m", "nnspec", "run", "net.nns", "--nproc", "2", "-q", *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    pipe = subprocess.PIPE
    return subprocess.Popen(words, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def begun(process: subprocess.Popen[str], folder: Path) -> None:
    """Wait until the first step is near."""
    end = time.monotonic() + 120
    while not list(folder.glob("runs/Net-1/checkpoints/step-*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.1)
    time.sleep(1)


LONG = SPEC.replace("epochs         = 2", "steps          = 1_000_000").replace("every=4", "every=1000")


@pytest.mark.slow
def test_a_stopped_launcher_saves_and_goes_on(tmp_path: Path) -> None:
    process = command(tmp_path, LONG)
    begun(process, tmp_path)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "stopped after" in out
    before = json.loads((tmp_path / "runs/Net-1/result.json").read_text())
    assert before["status"] == "interrupted"
    again = command(tmp_path, LONG.replace("1_000_000", str(before["steps"] + 3)), "--resume", "--accept-changes")
    assert again.communicate(timeout=120)[1] == ""
    assert again.returncode == 0
    assert json.loads((tmp_path / "runs/Net-1/result.json").read_text())["steps"] == before["steps"] + 3


@pytest.mark.slow
def test_a_process_that_is_killed_is_one_diagnostic(tmp_path: Path) -> None:
    process = command(tmp_path, LONG)
    begun(process, tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("this system does not say which processes another one has started")
    found = [int(child) for child in children.read_text().split()]
    workers = [pid for pid in found if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error[NNS650]: process")
    assert "signal 9" in err
    assert err.count("error[") == 1


@pytest.mark.slow
def test_what_goes_wrong_in_one_process_is_one_diagnostic(tmp_path: Path) -> None:
    process = command(tmp_path, REFUSED["not finite"])
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert err.startswith("error[NNS621]")
    assert err.count("error[") == 1


def test_a_spec_with_errors_starts_no_processes(tmp_path: Path) -> None:
    started = time.monotonic()
    process = command(tmp_path, SPEC.replace("Tanh", "Tahn"))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.count("error[") == 1
    assert time.monotonic() - started < 30
