"""Bad training, from the spec and the command line to what is said: a code, words, exit 1, and nothing lost."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nnspec import cli
from nnspec.training.feeding import feed, headroom
from nnspec.training.runs.listing import read_document

MODEL = """
model Net {
  input features: float[N, 4]
  output scores: float[N, 3] = features -> fc: Linear(3)
}
"""

NORMED = MODEL.replace("Linear(3)", "Linear(3, bias=false) -> BatchNorm1d")

LOSS = "cross_entropy(scores, label)"


class Case(NamedTuple):
    """What the section says otherwise, the code, and words of what is reported, among them the line it points at."""

    name: str
    lines: Mapping[str, str]
    code: str
    words: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    model: str = MODEL
    begun: bool = False
    """Whether a run begins, and fails."""

    def spec(self) -> str:
        written = {"data": "Iris()", "loss": LOSS, "optimizer": "SGD(lr=0.1)"} | dict(self.lines)
        lines = [value if name.startswith("params") else f"{name} = {value}" for name, value in written.items()]
        return f"{self.model}\ntrain {{\n  " + "\n  ".join(lines) + "\n}\n"


def setting(name: str, value: str, code: str, *words: str, **others: Any) -> Case:
    """A case of one setting, at which the message points."""
    return Case(f"{name} = {value}"[:40], {name: value}, code, (*words, f"{name} = "), **others)


SECTIONS = (
    Case("more classes", {}, "NNS604", ("goes up to 2", "scores for 2 classes"), model=MODEL.replace("3", "2")),
    setting("data", "Irris()", "NNS201", "unknown dataset", "did you mean `Iris`"),
    setting("metrics", "[acuracy(scores, label)]", "NNS201", "`accuracy`"),
    setting("optimizer", "Adamm(lr=1e-3)", "NNS201", "unknown optimizer", "Adam"),
    setting("schedule", "StepLRR(step_size=2)", "NNS201", "`StepLR`"),
    setting("average", "EMAA(decay=0.9)", "NNS201", "`EMA`"),
    setting("transform", "(features=[Normalise(mean=0, std=1)])", "NNS201", "`Normalize`"),
    setting("loss", "cross_entropyy(scores, label)", "NNS201", "`cross_entropy`"),
    setting("loss", "cross_entropy(scores, lable)", "NNS201", "did you mean `label`?"),
    setting("loss", "cross_entropy(scores, features)", "NNS401", "[batch, 3] and [batch, 4]"),
    setting("loss", "cross_entropy(scores, to(label, float))", "NNS401"),
    setting("loss", "scores", "NNS612", "float[batch, 3]", "`mean(...)`"),
    setting("loss", "1.0", "NNS612", "the number 1.0"),
    setting("loss", "mean(features)", "NNS626", "nothing to learn", begun=True),
    setting("optimizer", "SGD(lr=-0.1)", "NNS304", "at least 0, not -0.1"),
    setting("optimizer", "SGD(lr=0.1, nesterov=true)", "NNS603", "momentum"),
    setting("optimizer", "Muon(lr=0.1)", "NNS627", "`fc.bias` has 1 dimension"),
    setting("optimizer", "SparseAdam(lr=0.1)", "NNS627", "dense gradients", "train with Adam", begun=True),
    setting("seed", "-1", "NNS304", "at least 0"),
    setting("seed", "99999999999999999999", "NNS112", "64 bits"),
    setting("batch_size", "0", "NNS304", "at least 1, not 0"),
    setting("split", "1.0", "NNS304", "less than 1"),
    setting("fold", "(5, 5)", "NNS603", "no part 5 of 5", "fold = (4, 5)"),
    Case("more folds than samples", {"fold": "(0, 500)"}, "NNS602", ("150 samples cannot be split in 500",)),
    Case("two ways to split", {"split": "0.1", "fold": "(0, 5)"}, "NNS603", ("one of the two",)),
    Case("two lengths", {"epochs": "2", "steps": "9"}, "NNS603", ("`epochs` and `steps`", "one of the two")),
    setting("epochs", "0", "NNS304", "at least 1"),
    setting("accumulate", "0", "NNS304", "at least 1"),
    setting("clip_grad_norm", "0.0", "NNS304", "greater than 0"),
    setting("workers", "100_000", "NNS304", "at most 1024"),
    setting("precision", '"8"', "NNS303", '"bf16-mixed"'),
    setting("strategy", '"zero"', "NNS303", '"fsdp"'),
    setting("average", "EMA(decay=1.5)", "NNS304", "at most 1"),
    Case("average too late", {"average": "SWA(start=100)", "epochs": "2"}, "NNS603", ("100 epochs", "leave out start")),
    setting("early_stopping", '(patience=2, monitor="val/los")', "NNS615", 'did you mean "val/loss"?'),
    setting("early_stopping", "(patience=0)", "NNS304", "at least 1"),
    setting("checkpoint", "(evry=5)", "NNS301", "write `every`"),
    Case(
        "stopping by nothing",
        {"early_stopping": '(patience=2, monitor="val/loss")', "split": "0"},
        "NNS615",
        ("nothing to validate on", 'follow "loss"', "early_stopping = "),
    ),
    Case(
        "best of nothing",
        {"checkpoint": '(best="val/loss")', "split": "0"},
        "NNS615",
        ("nothing to validate on", "split = 0.2", "checkpoint = "),
    ),
    Case(
        "plateau of nothing",
        {"schedule": 'ReduceLROnPlateau(monitor="val/loss")', "split": "0"},
        "NNS615",
        ("nothing to validate on", "schedule = "),
    ),
    setting("schedule", 'ReduceLROnPlateau(monitor="val/f1")', "NNS615", "there are loss, val/loss"),
    Case(
        "schedule too short",
        {"schedule": "OneCycleLR(max_lr=0.1, total_steps=5)", "steps": "50"},
        "NNS603",
        ("ends after 5 steps, and there are 50", "leave out total_steps"),
    ),
    setting(
        "schedule",
        "SequentialLR([LinearLR(), ConstantLR()], milestones=[5, 8])",
        "NNS603",
        "2 milestones",
        "1 is needed",
    ),
    Case("pattern of nothing", {"params": 'params "*.wieght" { lr = 1 }'}, "NNS319", ("`fc.weight`",)),
    Case("everything frozen", {"params": 'params "*" { freeze = true }'}, "NNS614", ("no parameter is left",)),
    Case("unknown in params", {"params": 'params "*" { momentun = 1 }'}, "NNS301", ("write `momentum`",)),
    setting("transform", "(features=[CenterCrop(20)])", "NNS603", "is for images"),
    setting("transform", "(features=[RandomHorizontalFlip()])", "NNS613", "write it in `augment`"),
    setting("weights", '"none.safetensors"', "NNS622", "there is no file"),
    setting("weights", '"garbled.safetensors"', "NNS622", "not a safetensors file"),
    setting("weights", '"other.safetensors"', "NNS622", "lack `fc.weight`", "hold `foo.weight`"),
    setting("weights", '"shapes.safetensors"', "NNS622", "[3, 4] in the model and [3, 5] in the weights"),
    setting("weights", '"code.pt"', "NNS622"),
    setting("data", 'Python("code:load", of=(features="float[N, 4]", label="int[N]"))', "NNS222", "must be allowed"),
    setting("data", 'CSV("../../../nowhere/iris.csv", target=0)', "NNS601", "../../../nowhere/iris.csv", "looked for"),
    setting("data", 'NPY((features="nan.npy", label="label.npy"))', "NNS602", "not finite in sample 7"),
    setting("validation", 'NPY((features="x.npy", label="below.npy"))', "NNS604", "goes down to -1"),
    Case("a single sample", {"data": 'NPY((features="one.npy", label="class.npy"))'}, "NNS602", ("split = 0",)),
    Case(
        "a batch norm of one sample",
        {"data": 'NPY((features="one.npy", label="class.npy"))', "split": "0"},
        "NNS603",
        ("one sample at a time", "give it more"),
        model=NORMED,
        begun=True,
    ),
    setting("batch_size", "1", "NNS603", "batch norm", "larger batch_size", model=NORMED, begun=True),
    Case(
        "a step too long",
        {"optimizer": "SGD(lr=1e38)"},
        "NNS621",
        ("batch 2 of 4, after 1 step", "that of `fc` (Linear)", "smaller learning rate", f"loss = {LOSS}"),
        begun=True,
    ),
    Case(
        "an infinite loss in mid-run",
        {"loss": f"{LOSS} + log(6 - step)", "batch_size": "10", "checkpoint": "(every=2)"},
        "NNS621",
        (
            "the loss is -inf in epoch 1, batch 7 of 12, after 6 steps",
            "that of `log` in the loss",
            "look for a logarithm",
            "the last checkpoint is runs/Net-1/checkpoints/step-00000006",
        ),
        begun=True,
    ),
)

COMMANDS = (
    Case("no such device", {}, "NNS620", ("`cuda:7` is not there", "`auto`"), ("--device", "cuda:7")),
    Case("no device", {}, "NNS620", ("did you mean `cuda`?",), ("--device", "gpu")),
    Case("no such logger", {}, "NNS642", ("did you mean `tensorboard`?",), ("--log", "tensorbord")),
    Case("out is a file", {}, "NNS623", ("a file where a folder is needed", "--out DIR"), ("--out", "file")),
    Case("out is in a file", {}, "NNS623", ("file/runs", "a file where a folder"), ("--out", "file/runs")),
    Case("out is read-only", {}, "NNS623", ("/proc/runs cannot be written",), ("--out", "/proc/runs")),
    Case("out is too long", {}, "NNS623", ("name too long", "a..."), ("--out", "a" * 300)),
    Case("name is too long", {}, "NNS623", ("name too long",), ("--name", "a" * 300)),
    Case("no such setting", {}, "NNS314", ("did you mean `train.epochs`?",), ("--set", "train.epoch=3")),
    Case("bad rate from outside", {}, "NNS304", ("not -3", "--set"), ("--set", "train.optimizer.lr=-3")),
    Case("too large from outside", {}, "NNS112", ("64 bits",), ("--set", f"train.seed={2**64}")),
    Case("nothing to resume", {}, "NNS628", ("no run `Net` in runs", "leave out --resume"), ("--resume", "last")),
    Case("no best to resume", {}, "NNS628", ("no run `Net` in runs",), ("--resume", "best")),
    Case("no path to resume", {}, "NNS628", ("at `runs/none`", "a run's directory"), ("--resume", "runs/none")),
    Case("a file to resume", {}, "NNS628", ("at `file`",), ("--resume", "file")),
)


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("executed",))


def prepare(folder: Path) -> None:
    """The files that cases name."""
    (folder / "file").write_text("a file")
    (folder / "garbled.safetensors").write_bytes(b"no tensors " * 9)
    save_file({"foo.weight": torch.zeros(3, 4)}, folder / "other.safetensors")
    save_file({"fc.weight": torch.zeros(3, 5), "fc.bias": torch.zeros(3)}, folder / "shapes.safetensors")
    torch.save({"fc.weight": Bomb()}, folder / "code.pt")
    (folder / "code.py").write_text("import os\nos.mkdir('executed')\n")
    features, label = np.ones((20, 4), "float32"), np.arange(20) % 3
    arrays = {"x": features, "label": label, "below": label - 1, "one": features[:1], "class": label[:1]}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    features[7, 2] = np.nan
    np.save(folder / "nan.npy", features)


@pytest.mark.parametrize("case", [*SECTIONS, *COMMANDS], ids=lambda case: case.name)
def test_bad_training_is_reported(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    (tmp_path / "net.nns").write_text(case.spec())
    code, said = run("run", "net.nns", "-q", *case.arguments, capsys=capsys)
    assert code == 1, said
    assert f"error[{case.code}]" in said
    assert said.count("error[") == 1, said
    assert [word for word in case.words if word not in said] == [], said
    assert "Traceback" not in said
    assert "--> net.nns:" in said or case in COMMANDS, said
    results = [read_document(place) for place in tmp_path.glob("runs/*/result.json")]
    assert [result["status"] for result in results] == ["failed"] * case.begun
    assert half_written(tmp_path) == []
    assert not (tmp_path / "executed").exists()


def test_a_process_that_reads_data_and_dies_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = streamed(tmp_path, monkeypatch, capsys, lambda *_: os._exit(3))
    assert "error[NNS602]: a process that reads the data died" in said
    assert "workers = 0" in said


def test_data_that_can_no_longer_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lost(*_: Any) -> None:
        raise OSError(5, "Input/output error", "x.npy")

    said = streamed(tmp_path, monkeypatch, capsys, lost)
    assert "error[NNS601]: x.npy cannot be read any more: Input/output error" in said


def streamed(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], read: Any) -> str:
    """What is said of a run whose data is read by a process that does this."""
    monkeypatch.chdir(folder)
    prepare(folder)
    monkeypatch.setattr(feed, "_free_memory", lambda: 0)
    monkeypatch.setattr(feed.Part, "read", read)
    lines = {"data": 'NPY((features="x.npy", label="label.npy"))', "workers": "1"}
    (folder / "net.nns").write_text(Case("", lines, "", ()).spec())
    code, said = run("run", "net.nns", "-q", capsys=capsys)
    assert code == 1, said
    assert "--> net.nns:" in said
    assert read_document(folder / "runs/Net-1/result.json")["status"] == "failed"
    return said


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says how much memory a process has")
def test_out_of_memory_says_what_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(headroom, "free_memory", lambda: 600 << 20)
    wide = (
        MODEL.replace("N, 4", "N, 2")
        .replace("N, 3", "N, 2")
        .replace("Linear(3)", "Linear(500_000) -> ReLU -> Linear(2)")
    )
    lines = {"data": "Moons(4_000_000)", "batch_size": "4_000_000", "split": "0"}
    (tmp_path / "net.nns").write_text(Case("", lines, "", (), model=wide).spec())
    code, said = run("run", "net.nns", "-q", capsys=capsys)
    assert code == 1, said
    assert "error[NNS625]: cpu has not enough memory for batches of 4,000,000" in said
    assert "GiB were asked for at once" in said
    fits = int(said.partition("batch_size = ")[2].partition("batch_size = ")[2].split()[0])
    assert 1 <= fits <= 160  # a sample takes 4 MB in the forward pass alone
    assert read_document(tmp_path / "runs/Net-1/result.json")["status"] == "failed"


def half_written(folder: Path) -> list[Path]:
    """Files and folders that were begun and not brought to their places."""
    return [place for place in folder.rglob("*") if place.name.endswith((".part", ".old"))]


def run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """The exit code of a command line, and what it says."""
    with pytest.raises(SystemExit) as done:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(done.value.code or 0), captured.out + captured.err
