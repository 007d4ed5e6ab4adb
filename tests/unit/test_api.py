"""What `import nnspec` offers to Python."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnspec

NET = """\
model Net(hidden = 4) {
  input x: float[N, 3]
  output y: float[N, 2] = x -> fc1: Linear(hidden) -> ReLU -> fc2: Linear(2)
}
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A spec in a file."""
    path = tmp_path / "net.nns"
    path.write_text(NET)
    return path


def test_importing_nnspec_loads_nothing_heavy() -> None:
    heavy = {"click", "lark", "numpy", "onnx", "pydantic", "rich", "torch"}
    program = f"import nnspec, sys; print(sorted({heavy} & set(sys.modules)))"
    root = Path(nnspec.__file__).parents[1]
    ended = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"


def test_everything_that_is_public_exists_and_is_documented() -> None:
    for name in nnspec.__all__:
        assert inspect.getdoc(getattr(nnspec, name)), name


def test_load_gives_a_module_that_is_its_source(net: Path) -> None:
    module = nnspec.load(net, hidden=7)
    assert module(torch.zeros(5, 3)).shape == (5, 2)
    assert list(module.state_dict()) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert module.state_dict()["fc1.weight"].shape == (7, 3)
    assert inspect.getsource(type(module)) in nnspec.source(net, hidden=7)


def test_loads_takes_text_and_numbers_of_numpy() -> None:
    assert nnspec.loads(NET, hidden=np.int64(3)).state_dict()["fc1.weight"].shape == (3, 3)
    biased = "model M(bias = true) {\n  input x: float[N, 2]\n  output y = x -> fc: Linear(2, bias=bias)\n}\n"
    assert list(nnspec.loads(biased, bias=np.bool_(False)).state_dict()) == ["fc.weight"]


def test_load_takes_weights_and_a_device(net: Path, tmp_path: Path) -> None:
    torch.manual_seed(0)
    first = nnspec.load(net)
    torch.save(first.state_dict(), tmp_path / "net.pt")
    second = nnspec.load(str(net), weights=tmp_path / "net.pt", device=torch.device("cpu"))
    x = torch.randn(2, 3)
    assert torch.equal(first(x), second(x))


def test_fresh_weights_follow_torchs_generator(net: Path) -> None:
    torch.manual_seed(3)
    first = nnspec.load(net).state_dict()
    torch.manual_seed(3)
    assert all(torch.equal(first[name], tensor) for name, tensor in nnspec.load(net).state_dict().items())


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"hiden": 3}, "NNS314", "did you mean `hidden`?"),
        ({"hidden": 0}, "NNS304", "must be at least 1"),
        ({"model": "Other"}, "NNS210", "no model `Other`"),
        ({"device": "cuda:99"}, "NNS620", "devices that are there: cpu"),
        ({"weights": "nix.safetensors"}, "NNS505", "there is no file"),
        ({"train.epochs": 3}, "NNS314", "only `nnspec run` looks at"),
    ],
)
def test_what_is_wrong_is_raised_with_diagnostics(net: Path, options: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(nnspec.NnspecError) as caught:
        nnspec.load(net, **options)
    assert [d.code for d in caught.value.diagnostics] == [code]
    assert says in str(caught.value)


def test_weights_of_another_shape_are_named(net: Path, tmp_path: Path) -> None:
    torch.save(nnspec.load(net, hidden=9).state_dict(), tmp_path / "net.pt")
    with pytest.raises(nnspec.NnspecError, match=r"`fc1.weight` has shape \[4, 3\] in the model and \[9, 3\]"):
        nnspec.load(net, weights=tmp_path / "net.pt")


def test_a_hyperparameter_that_the_language_does_not_have_is_a_type_error(net: Path) -> None:
    with pytest.raises(TypeError, match="hyperparameter `hidden` must be a number"):
        nnspec.load(net, hidden=torch.zeros(1))


def test_a_missing_file_is_no_oserror(tmp_path: Path) -> None:
    with pytest.raises(nnspec.NnspecError, match="cannot read"):
        nnspec.load(tmp_path / "nix.nns")
    with pytest.raises(nnspec.NnspecError, match="cannot read"):
        nnspec.check(tmp_path)


def test_check_lists_what_is_wrong(net: Path) -> None:
    assert nnspec.check(net) == ()
    (fault,) = nnspec.check_text(NET.replace("ReLU", "Relu6"))
    assert (fault.code, fault.severity) == ("NNS201", "error")


# --- training --------------------------------------------------------------------------------------------------------

TRAINED = """\
model Net(hidden = 4) {
  input features: float[N, 4]
  output logits: float[N, 3] = features -> Linear(hidden) -> ReLU -> Linear(3)
}

train {
  data = Iris(standardize=true)
  loss = cross_entropy(logits, label)
  optimizer = Adam(lr=1e-2)
  metrics = [accuracy(logits, label)]
  epochs = 3
  batch_size = 30
}
"""


class Heard(nnspec.Callback):
    """Writes down what it hears, and stops a run after some epochs."""

    def __init__(self, stop_after: int = 100) -> None:
        self.heard: list[str] = []
        self.stop_after = stop_after

    def start(self, outline: Any) -> None:
        self.outline = outline
        self.heard.append(f"start {outline.done} of {outline.steps}")

    def epoch(self, row: Any) -> None:
        self.heard.append(f"epoch {row.epoch}")
        if row.epoch == self.stop_after:
            self.outline.stop()

    def checkpoint(self, directory: Path) -> None:
        assert (directory / "model.safetensors").is_file()
        if self.heard:
            self.heard.append(f"checkpoint {directory.name}")

    def finish(self, result: Any) -> None:
        self.heard.append(result.status)

    def close(self) -> None:
        self.heard.append("close")


def test_train_takes_text_and_gives_model_history_and_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard = Heard()
    overrides = {"hidden": np.int64(7), "train.epochs": 2, "train.optimizer": "SGD(lr=0.1)"}
    run = nnspec.train(TRAINED, out=None, overrides=overrides, callbacks=[heard], progress=False)
    assert run.model.state_dict()["linear.weight"].shape == (7, 4)
    assert [row["epoch"] for row in run.history] == [1, 2]
    assert run.history[-1]["lr"] == 0.1
    assert run.result.status == "finished"
    assert run.directory is None
    assert heard.heard == ["start 0 of 8", "epoch 1", "epoch 2", "finished", "close"]
    assert capsys.readouterr() == ("", "")
    with pytest.raises(nnspec.NnspecError, match="no directory to predict from"):
        run.predict({"features": np.zeros((1, 4), "float32")})


@pytest.mark.parametrize("callbacks", [[print], [Heard], print, Heard(), ["Heard"]])
def test_what_is_no_callback_is_refused_before_anything_runs(callbacks: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"objects of subclasses of nnspec\.Callback"):
        nnspec.train(TRAINED, out=tmp_path / "runs", callbacks=callbacks, progress=False)
    assert not (tmp_path / "runs").exists()


def test_a_callback_can_stop_a_run_which_then_goes_on_to_the_same_end(tmp_path: Path) -> None:
    spec = tmp_path / "net.nns"
    spec.write_text(TRAINED)
    heard = Heard(stop_after=1)
    first = nnspec.train(spec, out=tmp_path / "runs", callbacks=[heard], progress=False)
    assert first.result.status == "interrupted"
    assert heard.heard == ["start 0 of 12", "epoch 1", "checkpoint step-00000004", "interrupted", "close"]
    assert first.directory is not None
    second = nnspec.train(spec, out=tmp_path / "runs", resume=first.directory, progress=False)
    assert second.directory == first.directory
    whole = nnspec.train(spec, out=tmp_path / "runs", name="whole", progress=False)
    assert whole.directory == tmp_path / "runs" / "whole-1"
    expected = whole.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in second.model.state_dict().items())
    numbers = [{k: v for k, v in row.items() if not k.startswith("s")} for row in second.history]
    assert numbers == [{k: v for k, v in row.items() if not k.startswith("s")} for row in whole.history]
    lines = [json.loads(line) for line in (second.directory / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in lines] == [1, 2, 3]


def test_training_works_outside_of_the_main_thread(tmp_path: Path) -> None:
    found: list[str] = []

    def work() -> None:
        found.append(nnspec.train(TRAINED, out=tmp_path, progress=False, overrides={"train.epochs": 1}).result.status)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["finished"]


def test_what_a_callback_raises_ends_the_run(tmp_path: Path) -> None:
    class Wrong(nnspec.Callback):
        def epoch(self, row: Any) -> None:
            raise ZeroDivisionError

    heard = Heard()
    with pytest.raises(ZeroDivisionError):
        nnspec.train(TRAINED, out=None, callbacks=[Wrong(), heard], progress=False)
    assert heard.heard[-1] == "close"


@pytest.mark.parametrize(
    ("text", "options", "code"),
    [
        (NET, {}, "NNS610"),
        (TRAINED, {"device": "cuda:99"}, "NNS620"),
        (TRAINED, {"loggers": ["tensorbord"]}, "NNS642"),
        (TRAINED, {"overrides": {"train.epoch": 3}}, "NNS"),
        (TRAINED, {"overrides": {"hiden": 3}}, "NNS314"),
        ("nothing.nns", {}, "NNS601"),
    ],
)
def test_train_reports_what_is_wrong(text: str, options: dict[str, Any], code: str) -> None:
    with pytest.raises(nnspec.NnspecError) as caught:
        nnspec.train(text, **{"out": None, "progress": False, **options})
    assert caught.value.diagnostics[0].code.startswith(code)
