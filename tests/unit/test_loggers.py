"""Loggers: what they tell their services, held against stand-ins; and a notebook's output."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nnspec.training.fault import Fault
from nnspec.training.listener import Listener, Outline, Row, Step
from nnspec.training.loggers import Enduring, logger, names
from nnspec.training.result import Result
from nnspec.training.watching.bar import progress_on
from nnspec.training.watching.notebook import Notebook

RUN = {"model": "Net", "settings": {"epochs": 2, "weights": None}, "optimizer": {"name": "Adam", "lr": 0.1}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's directory, as far as loggers look at it."""
    (tmp_path / "run.json").write_text(json.dumps(RUN | {"overrides": {"hidden": "3"}}))
    (tmp_path / "curves.svg").write_text("<svg/>")
    return tmp_path


def row(epoch: int) -> Row:
    return Row(epoch, epoch * 10, {"loss": 0.5 / epoch}, {"loss": 0.75}, 0.25, 100.0, {"lr": 0.1})


def told(listener: Listener, directory: Path | None, done: int = 0, *, ends: bool = True) -> None:
    """Let a listener hear of a run of two epochs."""
    listener.start(Outline(2, 10, 20, 16, "Net", ("a note",), directory, done=done))
    for epoch in (1, 2):
        listener.step(Step(epoch, epoch * 10 - 5, {"loss": 1.0}, {"lr": 0.1}, 90.0))
        listener.epoch(row(epoch))
    if ends:
        listener.finish(Result("finished", 2, 20, 0.5, (row(1), row(2)), row(1), directory))
    listener.close()


class Calls:
    """Writes down what is called, with its arguments."""

    def __init__(self) -> None:
        self.all: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            self.all.append((name, args, options))
            return SimpleNamespace(info=SimpleNamespace(run_id="abc"))

        return call

    def named(self, name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
        """The arguments of all calls of that name."""
        return [(args, options) for each, args, options in self.all if each == name]


def module(name: str, **attributes: Any) -> ModuleType:
    """A module with these contents."""
    found = ModuleType(name)
    vars(found).update(attributes)
    return found


def test_there_are_three_loggers_and_a_misspelt_one_is_a_fault() -> None:
    assert names() == ("mlflow", "tensorboard", "wandb")
    with pytest.raises(Fault) as caught:
        logger("tensorbord")
    assert (caught.value.code, caught.value.helps) == ("NNS642", ("did you mean `tensorboard`?",))


@pytest.mark.parametrize("name", names())
def test_a_logger_whose_package_is_absent_says_which(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        logger(name)
    assert caught.value.name == name


def test_tensorboard_gets_scalars_by_step_and_drops_what_a_resumed_run_does_again(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, made = Calls(), []

    def writer(folder: str, purge_step: int | None) -> Calls:
        made.append((folder, purge_step))
        return calls

    monkeypatch.setitem(sys.modules, "tensorboard", module("tensorboard"))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module("tensorboard", SummaryWriter=writer))
    told(logger("tensorboard"), run)
    told(logger("tensorboard"), run, done=10)
    assert made == [(str(run / "tensorboard"), None), (str(run / "tensorboard"), 11)]
    scalars = [args for args, _ in calls.named("add_scalar")]
    assert ("train/loss", 0.25, 20) in scalars
    assert ("val/loss", 0.75, 10) in scalars
    assert ("lr", 0.1, 10) in scalars
    assert ("step/loss", 1.0, 5) in scalars
    assert "optimizer.lr = 0.1" in calls.named("add_text")[0][0][1]
    assert len(calls.named("close")) == 2


class FakeRun(Calls):
    """A run of wandb."""

    def __init__(self, identity: str) -> None:
        super().__init__()
        self.id = identity
        self.summary: dict[str, Any] = {}


class FakeWandb:
    """As much of wandb as is used."""

    def __init__(self) -> None:
        self.runs: list[FakeRun] = []
        self.inits: list[dict[str, Any]] = []

    def init(self, **options: Any) -> FakeRun:
        """Begin a run."""
        self.inits.append(options)
        made = FakeRun(options["id"] or f"id{len(self.runs)}")
        self.runs.append(made)
        return made


def test_wandb_goes_on_with_the_run_that_it_knows(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=fake.init))
    told(logger("wandb"), run)
    told(logger("wandb"), run, done=10)
    told(logger("wandb"), run)  # from the beginning: another run there
    assert [(each["id"], each["resume"]) for each in fake.inits] == [(None, None), ("id0", "must"), (None, None)]
    assert fake.inits[0]["config"]["hidden"] == "3"
    assert "settings.weights" not in fake.inits[0]["config"]
    assert ({"step/loss": 1.0, "step": 5},) in [args for args, _ in fake.runs[0].named("log")]
    assert fake.runs[0].summary == {"best/loss": 0.5, "best/val/loss": 0.75, "status": "finished"}
    assert fake.runs[0].named("finish") == [((), {})]


def test_a_run_that_fails_is_marked_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, calls = FakeWandb(), Calls()
    monkeypatch.setitem(sys.modules, "wandb", module("wandb", init=fake.init))
    told(logger("wandb"), run, ends=False)
    assert fake.runs[0].named("finish") == [((), {"exit_code": 1})]
    monkeypatch.setitem(sys.modules, "mlflow", calls)
    told(logger("mlflow"), run, ends=False)
    assert calls.named("end_run") == [(("FAILED",), {})]


def test_mlflow_gets_parameters_once_and_metrics_by_step(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls()
    monkeypatch.setitem(sys.modules, "mlflow", calls)
    told(logger("mlflow"), run)
    told(logger("mlflow"), run, done=10)
    assert calls.named("start_run") == [
        ((), {"run_id": None, "run_name": run.name}),
        ((), {"run_id": "abc", "run_name": None}),
    ]
    assert len(calls.named("log_params")) == 1
    (values,), options = calls.named("log_metrics")[1]
    assert (values["train/loss"], values["val/loss"], options) == (0.25, 0.75, {"step": 20})
    assert calls.named("log_artifact")[0] == ((str(run / "curves.svg"),), {})


class Failing(Listener):
    """Fails at an epoch."""

    def __init__(self) -> None:
        self.heard = 0

    def epoch(self, row: Row) -> None:
        self.heard += 1
        raise OSError("the network is gone")


def test_a_logger_that_fails_in_mid_run_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    failing = Failing()
    told(Enduring(failing, "service"), None)
    assert failing.heard == 1
    assert capsys.readouterr().err == "note: service is left out from here on: the network is gone\n"


def test_a_logger_that_cannot_start_is_a_fault() -> None:
    class Closed(Listener):
        def start(self, outline: Outline) -> None:
            raise RuntimeError("no account")

    with pytest.raises(Fault, match="`service` cannot be logged to") as caught:
        told(Enduring(Closed(), "service"), None)
    assert caught.value.notes == ("no account",)


# --- notebooks -------------------------------------------------------------------------------------------------------


class Shown:
    """What a notebook's cell shows."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, page: str) -> None:
        """Show another page."""
        self.pages.append(page)


def test_a_notebook_shows_a_bar_a_table_and_the_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = Shown()

    def display(page: str, display_id: bool) -> Shown:
        shown.pages.append(page)
        return shown

    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", module("IPython", get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", module("display", HTML=str, display=display))
    progress = progress_on(sys.stderr)
    assert type(progress) is Notebook
    told(progress, None)
    assert '<progress value="0" max="20"' in shown.pages[0]
    assert "note: a note" in shown.pages[0]
    assert "epoch 1/2  loss 1.0000  90 samples/s" in shown.pages[1]
    last = shown.pages[-1]
    assert '<progress value="20" max="20"' in last
    assert "<td>val/loss</td>" in last
    assert "finished after 20 steps in 0.5 s" in last
    picture = re.search(r'base64,([^"]+)"', last)
    assert picture is not None
    assert base64.b64decode(picture[1]).startswith(b"<svg ")


def test_a_terminal_session_of_ipython_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", module("IPython", get_ipython=SimpleNamespace))
    assert type(progress_on(sys.stderr)) is not Notebook
