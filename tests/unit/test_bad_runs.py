"""Runs that are cut short, and directories of runs that are damaged: nothing is lost, and what is said helps."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnspec
from nnspec.compiler_outcome import Outcome
from nnspec.training.listener import Listener, Outline, Step
from nnspec.training.running.loop import Loop
from nnspec.training.runs import checkpoint
from nnspec.training.runs.checkpoint import FOLDER, names_in, read_index, read_state, read_weights
from nnspec.training.runs.history import read_lines
from nnspec.training.runs.listing import read_document

from .test_bad_training import MODEL, Bomb, Case, half_written, run

SPEC = Case("", {"epochs": "4", "batch_size": "40", "checkpoint": "(every=2, keep=9)"}, "", ()).spec()
"""Four epochs of three steps."""

LAST = "step-00000012"


def trained(folder: Path, resume: str | None = None, *callbacks: Listener, spec: str = SPEC) -> Outcome:
    """A run of the spec in a folder."""
    (folder / "net.nns").write_text(spec)
    return nnspec.train(folder / "net.nns", out=folder / "runs", progress=False, resume=resume, callbacks=callbacks)


def left(run: Path) -> tuple[dict[str, list[Any]], list[dict[str, Any]]]:
    """The last weights of a run and its epochs, without how long they took; all its checkpoints can be read."""
    for name in names_in(run / FOLDER):
        read_state(run / FOLDER / name), read_weights(run / FOLDER / name)
    last = read_index(run / FOLDER)["last"]
    assert last is not None
    weights = {name: tensor.tolist() for name, tensor in read_weights(run / FOLDER / last).items()}
    timed = ("seconds", "samples_per_second")
    return weights, [{k: v for k, v in row.items() if k not in timed} for row in read_lines(run)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that nothing happened to."""
    folder = tmp_path_factory.mktemp("whole")
    trained(folder)
    return folder / "runs/Net-1"


# --- a full disk -----------------------------------------------------------------------------------------------------


class Full:
    """From a certain call on, there is no room left."""

    def __init__(self, function: Callable[..., Any], after: int) -> None:
        self.function = function
        self.after = after
        self.calls = 0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.calls += 1
        if self.calls > self.after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.function(*arguments, **options)


WRITERS = {
    "sync": (os, "fsync"),
    "move": (os, "replace"),
    "weights": (checkpoint, "save_file"),
    "state": (torch, "save"),
}


@pytest.mark.parametrize(
    ("writer", "after"),
    [("sync", n) for n in (0, 3, 9, 14, 20, 27, 33, 41)]
    + [("move", n) for n in (0, 4, 8, 10, 12)]
    + [(name, n) for name in ("weights", "state") for n in (0, 1, 4)],
)
def test_a_full_disk_loses_nothing(
    writer: str, after: int, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.nns").write_text(SPEC)
    place, name = WRITERS[writer]
    with monkeypatch.context() as patch:
        full = Full(getattr(place, name), after)
        patch.setattr(place, name, full)
        code, said = run("run", "net.nns", "-q", capsys=capsys)
    assert full.calls > after, f"{name} is called {full.calls} times"
    assert code == 1, said
    assert "error[NNS623]" in said
    assert "cannot be written: no space left on device" in said
    assert "make room" in said
    assert "Traceback" not in said
    assert half_written(tmp_path) == []
    directory = tmp_path / "runs/Net-1"
    if directory.exists():
        left(directory)
    code, said = run("run", "net.nns", "-q", "--resume", "auto", capsys=capsys)
    assert code == 0, said
    assert left(directory) == left(whole)
    assert read_document(directory / "result.json")["status"] == "finished"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits of files")
def test_a_limit_of_the_system_loses_nothing(tmp_path: Path) -> None:
    # What a checkpoint knows grows by its epochs, until no more fits in a file.
    spec = SPEC.replace("epochs = 4", "epochs = 4_000").replace("every=2", "every=9")
    (tmp_path / "net.nns").write_text(spec)
    limited = (
        "import resource; from nnspec import cli; resource.setrlimit(resource.RLIMIT_FSIZE, (22_000, 22_000))\n"
        "cli.main(['run', 'net.nns', '-q'])"
    )
    done = subprocess.run([sys.executable, "-c", limited], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "error[NNS623]" in done.stderr
    assert "make room, and go on with `--resume`" in done.stderr
    assert half_written(tmp_path) == []
    directory = tmp_path / "runs/Net-1"
    assert left(directory)[1]
    assert step(directory) > 0
    shorter = spec.replace("epochs = 4_000", f"steps = {step(directory) + 3}")
    (tmp_path / "net.nns").write_text(shorter)
    result = nnspec.train(
        tmp_path / "net.nns", out=tmp_path / "runs", resume="last", accept_changes=True, progress=False
    )
    assert result.directory == directory
    assert step(directory) == int(shorter.partition("steps = ")[2].split()[0])


def step(run: Path) -> int:
    """The step of a run's last checkpoint."""
    return int(names_in(run / FOLDER)[-1].removeprefix("step-"))


# --- stopped ---------------------------------------------------------------------------------------------------------


class Signals(Listener):
    """Sends signals to its own process after a step."""

    every_step = True

    def __init__(self, after: int, *signals: signal.Signals) -> None:
        self.after = after
        self.signals = signals

    def step(self, now: Step) -> None:
        if now.step == self.after:
            for number in self.signals:
                os.kill(os.getpid(), number)


def test_a_second_interrupt_stops_at_once(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, None, Signals(5, signal.SIGINT, signal.SIGINT))
    directory = tmp_path / "runs/Net-1"
    assert read_document(directory / "result.json")["status"] == "interrupted"
    assert names_in(directory / FOLDER)[-1] == "step-00000004"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    trained(tmp_path, "auto")
    assert left(directory) == left(whole)


def test_a_signal_in_validation_stops_behind_it(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = Loop.evaluate

    def signalled(loop: Loop, batches: Any) -> dict[str, float]:
        if loop.step == 6:
            os.kill(os.getpid(), signal.SIGTERM)
        return evaluate(loop, batches)

    monkeypatch.setattr(Loop, "evaluate", signalled)
    outcome = trained(tmp_path)
    assert outcome.result.status == "interrupted"
    assert outcome.directory is not None
    assert [row["epoch"] for row in read_lines(outcome.directory)] == [1, 2]
    monkeypatch.setattr(Loop, "evaluate", evaluate)
    trained(tmp_path, "auto")
    assert left(outcome.directory) == left(whole)


class Broken(Listener):
    """A user's callback with a fault of its own."""

    def __init__(self, method: str) -> None:
        self.closed = False
        setattr(self, method, self.fail)

    def fail(self, heard: Any) -> None:
        """Whatever it hears."""
        if getattr(heard, "epoch", 2) == 2 or isinstance(heard, Outline):
            raise ZeroDivisionError("the user's own")

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("method", ["start", "epoch", "checkpoint", "finish"])
def test_what_a_callback_raises_ends_the_run_as_it_is(method: str, whole: Path, tmp_path: Path) -> None:
    callback = Broken(method)
    with pytest.raises(ZeroDivisionError, match="the user's own"):
        trained(tmp_path, None, callback)
    assert callback.closed
    directory = tmp_path / "runs/Net-1"
    assert read_document(directory / "result.json")["message"] == "the user's own"
    trained(tmp_path, "last")
    assert left(directory) == left(whole)


# --- damaged ---------------------------------------------------------------------------------------------------------


def cut(place: Path) -> None:
    """Take the second half of a file away."""
    content = place.read_bytes()
    place.write_bytes(content[: len(content) // 2])


def stored(**parts: Any) -> Callable[[Path], None]:
    """Writes another state, whose parts are what they should not be."""
    return lambda place: torch.save(torch.load(place / "state.pt") | parts, place / "state.pt")


RESUME = ("run", "net.nns", "-q", "--resume", "last")

CHECKPOINTS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "half a state": (lambda place: cut(place / "state.pt"), "`state.pt` is damaged"),
    "no state": (lambda place: (place / "state.pt").unlink(), "it has no `state.pt`"),
    "an empty state": (lambda place: (place / "state.pt").write_bytes(b""), "`state.pt` is damaged"),
    "a state of code": (lambda place: torch.save({"step": Bomb()}, place / "state.pt"), "and is not run"),
    "a pickle": (lambda place: (place / "state.pt").write_bytes(pickle.dumps(Bomb())), "and is not run"),
    "a list": (lambda place: torch.save([1], place / "state.pt"), "holds no state of a run"),
    "a step below 0": (stored(step=-5), "holds no state of a run"),
    "a step in words": (stored(step="five"), "holds no state of a run"),
    "seconds in words": (stored(seconds="five"), "holds no state of a run"),
    "no processes": (stored(processes=[]), "or damaged"),
    "other rows": (stored(rows=[{"a": 1}]), "or damaged"),
    "another order": (stored(order=torch.zeros(3)), "or damaged"),
    "no updates": (stored(updates=[]), "or damaged"),
    "other updates": (stored(updates=[{"a": 1}]), "or damaged"),
    "other weights": (stored(module={"a": torch.ones(1)}), "the weights lack `fc.weight`"),
    "half the weights": (lambda place: cut(place / "model.safetensors"), "is not a safetensors file"),
    "no weights": (lambda place: (place / "model.safetensors").unlink(), "there is no file"),
}


@pytest.fixture
def copied(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the run, which may be damaged, in a folder with its spec and an input."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.nns").write_text(SPEC)
    np.save(tmp_path / "x.npy", np.ones((2, 4), "float32"))
    return Path(shutil.copytree(whole, tmp_path / "runs/Net-1"))


def content(folder: Path) -> dict[Path, bytes]:
    return {place: place.read_bytes() for place in folder.rglob("*") if place.is_file()}


@pytest.mark.parametrize("damage", CHECKPOINTS)
def test_a_damaged_checkpoint_is_not_gone_on_from(damage: str, copied: Path, capsys: Any) -> None:
    act, words = CHECKPOINTS[damage]
    act(copied / FOLDER / LAST)
    before = content(copied)
    code, said = run(*RESUME, capsys=capsys)
    assert code == 1, said
    assert "error[NNS628]: the checkpoint runs/Net-1/checkpoints/" in said
    assert words in said
    assert all(word not in said for word in ("Traceback", "Error:", "[Errno", "torch.load")), said
    assert content(copied) == before
    assert not Path("executed").exists()
    if "cannot be read" in said:
        earlier = said.partition("`--resume ")[2].partition("`")[0]
        code, said = run("run", "net.nns", "-q", "--resume", earlier, capsys=capsys)
        assert code == 0, said


def test_another_spec_is_shown_and_has_to_be_accepted(copied: Path, capsys: Any) -> None:
    before = content(copied)
    Path("net.nns").write_text(SPEC.replace("lr=0.1", "lr=0.2"))
    code, said = run(*RESUME, capsys=capsys)
    assert code == 1
    assert "error[NNS629]" in said
    assert "-    lr=0.1" in said
    assert "+    lr=0.2" in said
    assert "--accept-changes" in said
    Path("net.nns").write_text(SPEC.replace("fc: Linear(3)", "Linear(7) -> fc: Linear(3)"))
    code, said = run(*RESUME, "--accept-changes", capsys=capsys)
    assert code == 1
    assert "error[NNS628]" in said
    assert "`fc.weight` has shape [3, 7] in the model and [3, 4] in the weights" in said
    assert content(copied) == before


def nothing_left(run: Path) -> None:
    shutil.rmtree(run / FOLDER)


def no_whole_weights(run: Path) -> None:
    for place in run.rglob("model.safetensors"):
        cut(place)


RUNS: dict[str, tuple[Callable[[Path], Any], str, str]] = {
    "no checkpoints": (nothing_left, "NNS640", "has no checkpoint"),
    "no program": (lambda run: (run / "program.json").unlink(), "NNS640", "has no `program.json`"),
    "half a program": (lambda run: cut(run / "program.json"), "NNS", "program.json"),
    "another program": (lambda run: (run / "program.json").write_text("[1]"), "NNS", "program.json"),
    "a binary program": (lambda run: (run / "program.json").write_bytes(bytes(range(256))), "NNS", "program.json"),
    "half the data": (lambda run: cut(run / "data.json"), "NNS640", "`runs/Net-1/data.json` is damaged"),
    "no data": (lambda run: (run / "data.json").unlink(), "NNS640", "`runs/Net-1/data.json` is not there"),
    "a list of data": (lambda run: (run / "data.json").write_text("[1]"), "NNS640", "it holds no object"),
    "half the weights": (
        no_whole_weights,
        "NNS",
        "is not a safetensors file",
    ),
}


def test_what_is_not_needed_may_be_damaged(copied: Path, capsys: Any) -> None:
    for place in copied.rglob("meta.json"):
        cut(place)
    for name in ("run.json", "metrics.jsonl", "result.json", "checkpoints/index.json"):
        (copied / name).write_bytes(b"\xff")
    for command in (("compile", "runs/Net-1", "-o", "m.py"), ("predict", "runs/Net-1", "-i", "x.npy"), RESUME):
        code, said = run(*command, capsys=capsys)
        assert code == 0, said


@pytest.mark.parametrize("damage", RUNS)
@pytest.mark.parametrize("command", ["predict", "evaluate", "compile"])
def test_a_damaged_run_is_not_used(command: str, damage: str, copied: Path, capsys: Any) -> None:
    act, code, words = RUNS[damage]
    act(copied)
    options = {"predict": ("-i", "x.npy", "-o", "y.npy"), "evaluate": (), "compile": ("-o", "m.py")}[command]
    status, said = run(command, "runs/Net-1", *options, capsys=capsys)
    if command == "compile" and "data" in damage:  # which says nothing about data
        assert status == 0, said
        return
    assert status == 1, said
    assert f"error[{code}" in said
    assert "NNS901" not in said
    assert words in said
    assert not any(Path(name).exists() for name in ("y.npy", "m.py", "m.safetensors"))


def test_the_table_of_runs_has_the_damaged_ones_too(copied: Path, capsys: Any) -> None:
    for number, name in enumerate(("run.json", "result.json", "metrics.jsonl", "program.json"), 2):
        for kind, act in (
            ("cut", cut),
            ("list", lambda p: p.write_text("[1]")),
            ("bytes", lambda p: p.write_bytes(b"\xff")),
        ):
            act(Path(shutil.copytree(copied, f"runs/{kind}-{number}")) / name)
    Path("runs/file-1").write_text("no run")
    Path("runs/empty-1").mkdir()
    code, said = run("runs", "--output-format", "json", capsys=capsys)
    assert code == 0, said
    assert len(json.loads(said)) == 13
    code, said = run("runs", "--sort", "val/loss", capsys=capsys)
    assert code == 0, said
    assert len(said.splitlines()) == 14
    assert MODEL not in said
