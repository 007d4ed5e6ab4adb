"""Runs of whole specs: from the text to a directory whose source and weights work without nnspec."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

import nnspec
from nnspec.compiler import compile_text
from nnspec.diagnostics import NnspecError
from nnspec.training.build import dataset
from nnspec.training.result import Result
from nnspec.training.running.run import Wanted, train
from nnspec.training.watching.progress import Lines

SPEC = """
model Net(hidden = 5) {
  input x: float[N, 2]
  output score: float[N, 1] = x -> fc1: Linear(hidden) -> ReLU -> fc2: Linear(1)
}

train {
  data       = Xor(200)
  inputs     = (x=features)
  loss       = binary_cross_entropy_with_logits(score, target)
  optimizer  = Adam(lr=0.05)
  metrics    = [binary_accuracy(score, target, threshold=0)]
  epochs     = 20
}
"""


def trained(text: str, base: Path, *, device: str = "cpu", root: Path | None = None) -> tuple[nn.Module, Result]:
    compiled = compile_text(text, "net.nns", train=True, base=base)
    return train(compiled.program, compiled.sources, Wanted(base, device, root))


def refused(text: str, base: Path, device: str = "cpu") -> str:
    with pytest.raises(NnspecError) as caught:
        trained(text, base, device=device)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code


def test_a_spec_learns_xor(tmp_path: Path) -> None:
    _, result = trained(SPEC, tmp_path)
    assert result.best is not None
    assert result.best.validation["binary_accuracy"] == 1.0
    assert result.directory is None


def test_the_run_directory_works_by_itself(tmp_path: Path) -> None:
    compiled = compile_text(SPEC, "net.nns", train=True, overrides={"hidden": 6, "train.epochs": "2"})
    module, result = train(
        compiled.program,
        compiled.sources,
        Wanted(tmp_path, "cpu", tmp_path / "runs", "xor", {"hidden": "6"}, Lines(io.StringIO())),
    )
    assert result.directory == tmp_path / "runs" / "xor-1"
    assert result.directory is not None
    assert (result.directory / "spec.nns").read_text() == SPEC
    about = json.loads((result.directory / "run.json").read_text())
    assert about["overrides"] == {"hidden": "6"}
    assert about["settings"]["epochs"] == 2
    assert about["settings"]["batch_size"] == 32
    program = (
        "import sys; sys.path.insert(0, '.'); from safetensors.torch import load_file; import torch, model\n"
        "net = model.Net(); net.load_state_dict(load_file('checkpoints/step-00000010/model.safetensors'))\n"
        "print(net(torch.ones(1, 2)).item()); assert 'nnspec' not in sys.modules\n"
    )
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, cwd=result.directory, capture_output=True, text=True, check=True).stdout
    assert float(answer) == module.eval()(torch.ones(1, 2)).item()


def test_plain_sgd_from_a_spec_moves_every_weight_by_minus_lr_times_its_gradient(tmp_path: Path) -> None:
    spec = SPEC.replace("Adam(lr=0.05)", "SGD(lr=0.25)").replace(
        "epochs     = 20", "steps = 1\n batch_size = 200\n split = 0"
    )
    start, _ = trained(spec.replace("lr=0.25", "lr=0"), tmp_path)
    moved, _ = trained(spec, tmp_path)
    program = compile_text(spec, train=True).program
    assert program.training is not None
    fields = dataset(program.training.data).load(tmp_path).fields
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(200, generator=generator)
    x, target = (torch.from_numpy(fields[name])[order] for name in ("features", "target"))
    start.zero_grad()
    F.binary_cross_entropy_with_logits(start.train()(x), target).backward()  # type: ignore[no-untyped-call]
    for before, after in zip(start.parameters(), moved.parameters(), strict=True):
        assert before.grad is not None
        assert torch.equal(after, before - 0.25 * before.grad)
    assert not torch.equal(next(moved.parameters()), next(start.parameters()))


def test_a_run_starts_from_given_weights(tmp_path: Path) -> None:
    _, result = trained(SPEC, tmp_path, root=tmp_path)
    assert result.directory is not None
    place = "Net-1/checkpoints/step-00000100/model.safetensors"
    again = SPEC.replace("epochs     = 20", f'steps = 1\n weights = "{place}"').replace("lr=0.05", "lr=0")
    module, _ = trained(again, tmp_path)
    saved = load_file(tmp_path / place)
    assert all(torch.equal(saved[name], weight) for name, weight in module.state_dict().items())
    assert refused(again.replace("Net-1/checkpoints", "nowhere"), tmp_path) == "NNS622"
    assert refused(again.replace("hidden = 5", "hidden = 4"), tmp_path) == "NNS622"


def test_what_goes_wrong_has_a_code(tmp_path: Path) -> None:
    csv = SPEC.replace("Xor(200)", 'CSV("points.csv", target="kind")')
    (tmp_path / "points.csv").write_text("a,b,kind\n1,2,x\n3,4,y\n5,6,x\n")
    trained(csv, tmp_path)
    (tmp_path / "points.csv").write_text("a,b,kind\n1,2,x\n3,,y\n5,6,x\n")
    assert refused(csv, tmp_path) == "NNS602"
    assert refused(SPEC.replace("0.05", "1e38"), tmp_path) == "NNS621"
    assert refused(SPEC, tmp_path, "cuda:99") == "NNS620"


def test_what_learns_nothing_is_refused(tmp_path: Path) -> None:
    loss = "binary_cross_entropy_with_logits(score, target)"
    assert refused(SPEC.replace(loss, "mean(target)"), tmp_path) == "NNS626"
    bare = SPEC.replace("x -> fc1: Linear(hidden) -> ReLU -> fc2: Linear(1)", "sum(x, dim=1, keepdim=true)")
    assert refused(bare, tmp_path) == "NNS626"


def test_a_setting_without_arguments_takes_none_from_outside(tmp_path: Path) -> None:
    with pytest.raises(NnspecError, match=r"`train\.epochs` has no `x`"):
        compile_text(SPEC, train=True, base=tmp_path, overrides={"train.epochs.x": "3"})


def test_labels_beyond_the_scores_are_refused_before_the_first_step(tmp_path: Path) -> None:
    spec = SPEC.replace("binary_cross_entropy_with_logits(score, target)", "cross_entropy(score, label)")
    assert refused(spec.replace("metrics", "# metrics"), tmp_path) == "NNS604"


def test_what_fits_of_other_weights_is_taken(tmp_path: Path) -> None:
    _, old = trained(SPEC, tmp_path, root=tmp_path)
    assert old.directory is not None
    other = SPEC.replace("fc2: Linear(1)", "fc2: Linear(1) -> Linear(1)").replace("epochs     = 20", "epochs = 1")
    other = other.replace("lr=0.05", "lr=0").replace("hidden = 5", "hidden = 5")
    started = other.replace("lr=0", 'lr=0)\n  weights = "Net-1"\n  seed = (7')
    assert refused(started, tmp_path) == "NNS622"
    stream = io.StringIO()
    compiled = compile_text(started.replace("seed =", "strict = false\n  seed ="), "net.nns", train=True, base=tmp_path)
    module, _ = train(compiled.program, compiled.sources, Wanted(tmp_path, listener=Lines(stream)))
    assert "4 of the model's 6 tensors are those of `Net-1`; fresh are linear.weight, linear.bias" in stream.getvalue()
    best = nnspec.load(old.directory)
    state, theirs = module.state_dict(), best.state_dict()
    assert all(torch.equal(state[name], theirs[name]) for name in theirs)
    none = started.replace("seed =", "strict = false\n  seed =").replace("fc1", "a").replace("fc2", "b")
    assert refused(none, tmp_path) == "NNS622"


def test_the_best_epoch_is_by_what_early_stopping_follows(tmp_path: Path) -> None:
    followed = SPEC.replace("epochs", 'early_stopping = (patience=20, monitor="val/binary_accuracy")\n  epochs')
    _, result = trained(followed, tmp_path)
    highest = max(row.validation["binary_accuracy"] for row in result.rows)
    first = next(row for row in result.rows if row.validation["binary_accuracy"] == highest)
    assert result.best == first
