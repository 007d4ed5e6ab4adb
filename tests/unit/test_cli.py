"""The command line: results, exit codes, formats, and what it says when something is wrong."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from nnspec import cli, compiler_output

NET = """\
model Net(hidden = 4, act = ReLU) {
  input x: float[N, 3]
  output y: float[N, 2] = x -> fc1: Linear(hidden) -> act -> fc2: Linear(2)
}
"""

TRAINED = """\
model Net(hidden = 4) {
  input x: float[N, 2]
  output y: float[N, 1] = x -> fc1: Linear(hidden) -> ReLU -> fc2: Linear(1)
}

train {
  data       = CSV("points.csv", target="t")
  loss       = mse_loss(y, target)
  optimizer  = SGD(lr=0.1)
  inputs     = (x=features)
  epochs     = 2
  batch_size = 4
}
"""


class Ended(NamedTuple):
    """How a command line ended."""

    code: int
    out: str
    err: str


class Shell:
    """Runs command lines in this process, in a folder of their own."""

    def __init__(self, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.capture = capture
        self.monkeypatch = monkeypatch

    def __call__(self, *arguments: str, stdin: str = "") -> Ended:
        self.monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as done:
            cli.main(arguments)
        out, err = self.capture.readouterr()
        assert isinstance(done.value.code, int)
        return Ended(done.value.code, out, err)


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    """A shell in an empty folder that holds `net.nns`."""
    monkeypatch.chdir(tmp_path)
    Path("net.nns").write_text(NET)
    return Shell(capsys, monkeypatch)


# --- check -----------------------------------------------------------------------------------------------------------


def test_check_names_a_file_without_faults_on_standard_output(shell: Shell) -> None:
    assert shell("check", "net.nns") == Ended(0, "net.nns: ok\n", "")
    assert shell("check", "-q", "net.nns") == Ended(0, "", "")


def test_check_reports_errors_on_standard_error_and_exits_with_1(shell: Shell) -> None:
    code, out, err = shell("check", "-", stdin=NET.replace("Linear(2)", "Linaer(2)"))
    assert (code, out) == (1, "")
    assert "error[NNS201]" in err
    assert "--> <stdin>:3:" in err
    assert err.endswith("1 error\n")


def test_check_goes_on_behind_a_file_that_cannot_be_read(shell: Shell) -> None:
    Path("latin.nns").write_bytes(b"# caf\xe9\n")
    code, out, err = shell("check", "nets.nns", "latin.nns", ".", "net.nns")
    assert (code, out) == (1, "net.nns: ok\n")
    assert "cannot read `nets.nns`" in err
    assert "there is `net.nns`" in err
    assert "`latin.nns` is not UTF-8 text (byte 5)" in err
    assert "`.`: is a directory" in err
    assert err.endswith("3 errors\n")


def test_check_json_is_one_object_for_all_files(shell: Shell) -> None:
    Path("bad.nns").write_text("model A {\n  output y = q\n}\n")
    code, out, err = shell("check", "bad.nns", "nix.nns", "net.nns", "--output-format", "json")
    assert (code, err) == (1, "")
    assert [d["code"] for d in json.loads(out)["diagnostics"]] == ["NNS201", "NNS601"]
    assert json.loads(out)["diagnostics"][0]["labels"][0]["line"] == 2


def test_check_concise_is_a_line_for_each_fault(shell: Shell) -> None:
    Path("bad.nns").write_text("model A {\n  output y = q\n}\n")
    code, out, _ = shell("check", "bad.nns", "--output-format", "concise")
    assert code == 1
    assert out.startswith("bad.nns:2:14: error[NNS201]")
    assert out.count("\n") == 1


def test_diagnostics_are_coloured_on_a_terminal_unless_no_color_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.cli.report import use_color

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert use_color(Terminal())
    assert not use_color(io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not use_color(Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert not use_color(Terminal())


# --- wrong usage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["chek", "net.nns"], "did you mean `check`?"),
        (["net.nns"], "did you mean `nnspec check net.nns`?"),
        (["check"], "FILE"),
        (["check", "--colour", "net.nns"], "--colour"),
        (["compile", "net.nns", "--set", "hidden"], "`hidden` is not NAME=VALUE"),
        (["compile", "net.nns", "--set", "=3"], "`=3` is not NAME=VALUE"),
        (["compile", "net.nns", "-o", "net.txt"], "say --format"),
        (["compile", "net.nns", "--format", "onnx"], "goes to a file"),
        (["compile", "net.nns", "-o", "net.py", "--verify"], "--verify is for ONNX"),
        (["compile", "net.nns", "-o", "a.onnx", "--seed", "1", "--weights", "a.pt"], "--seed is for fresh weights"),
        (["compile", "net.nns", "-o", "a.onnx", "--seed", str(2**63)], "--seed"),
        (["summary", "net.nns", "--size", "N=0"], "`N=0`: a size is at least 1"),
        (["summary", "net.nns", "--size", f"N={'9' * 5000}"], "is not a symbol and its size"),
        (["summary", "net.nns", "--memory", "much"], "`much` is no amount of memory, such as `8GB`"),
        (["summary", "net.nns", "--memory", "0GB"], "`0GB` is no amount of memory"),
    ],
)
def test_wrong_usage_exits_with_2(shell: Shell, arguments: list[str], says: str) -> None:
    code, out, err = shell(*arguments)
    assert (code, out) == (2, "")
    assert says in err


def test_summary_says_what_fits(shell: Shell) -> None:
    Path("train.nns").write_text(TRAINED)  # its data is not there
    code, out, err = shell("summary", "train.nns", "--size", "N=2", "--memory", "1kB")
    assert (code, err) == (0, "")
    assert "training with SGD fits in 1 kB at N = 2; at most N = " in out
    code, out, err = shell("summary", "net.nns", "--size", "N=2", "--optimizer", "Adm", "--output-format", "json")
    assert (code, out) == (1, "")
    assert "did you mean `Adam`?" in err
    said = json.loads(shell("summary", "net.nns", "--size", "N=2", "--output-format", "json").out)
    assert said["memory"]["optimizer"] == "AdamW"
    assert "memory" not in json.loads(shell("summary", "net.nns", "--output-format", "json").out)


def test_help_and_version(shell: Shell) -> None:
    assert shell("--version").out.startswith("nnspec 0.")
    for arguments in (
        ["-h"],
        ["check", "-h"],
        ["compile", "--help"],
        ["run", "-h"],
        ["summary", "-h"],
        ["explain", "-h"],
    ):
        code, out, err = shell(*arguments)
        assert (code, err) == (0, "")
        assert out.startswith("Usage: nnspec")


def test_an_internal_fault_asks_for_a_report_and_exits_with_2(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.cli import check as command

    def broken(*_: object, **__: object) -> None:
        raise AssertionError("a number is no name\nand more")

    monkeypatch.setattr(command, "check_input", broken)
    code, out, err = shell("check", "net.nns")
    assert (code, out) == (2, "")
    assert "error[NNS901]: nnspec failed: AssertionError: a number is no name\n" in err
    assert "Traceback" not in err
    monkeypatch.setenv("NNSPEC_TRACEBACK", "1")
    with pytest.raises(AssertionError):
        cli.main(["check", "net.nns"])


def test_a_reader_that_stops_early_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "net.nns").write_text(NET)
    command = f"{sys.executable} -m nnspec compile net.nns | true"
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2])}
    ended = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stderr == ""


def test_completion_offers_models_hyperparameters_and_names(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def offered(words: str) -> list[str]:
        monkeypatch.setenv("_NNSPEC_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", f"nnspec {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
        return [line.partition(",")[2] for line in shell().out.splitlines()]

    assert offered("su") == ["summary"]
    assert offered("compile net.nns --model N") == ["Net"]
    assert offered("compile net.nns --set hid") == ["hidden="]
    assert offered("run --device cu") == ["cuda", "cuda:0", "cuda:1"]
    assert "Conv2d" in offered("explain Conv")


# --- compile ---------------------------------------------------------------------------------------------------------


def test_compile_writes_source_to_standard_output_or_to_a_file(shell: Shell) -> None:
    code, out, err = shell("compile", "net.nns", "--set", "hidden=7", "--set", "act=Tanh")
    assert (code, err) == (0, "")
    assert "nn.Linear(3, 7)" in out
    assert "nn.Tanh()" in out
    assert shell("compile", "net.nns", "--set", "hidden=7", "--set", "act=Tanh", "-o", "out.py").out == ""
    assert Path("out.py").read_text() == out
    assert sorted(p.name for p in Path().iterdir()) == ["net.nns", "out.py"]


def test_compile_goes_on_from_an_ir(shell: Shell) -> None:
    source = shell("compile", "net.nns", "--set", "hidden=5").out
    assert shell("compile", "net.nns", "--set", "hidden=5", "-o", "net.json").code == 0
    assert shell("compile", "net.json") == Ended(0, source, "")
    assert shell("check", "net.json").out == "net.json: ok\n"
    assert "compiled already" in shell("compile", "net.json", "--set", "hidden=3").err
    Path("net.json").write_text('{"format": "nnspec-ir", "version": 1}')
    code, _, err = shell("compile", "net.json")
    assert code == 1
    assert "error[NNS507]" in err


def test_compile_writes_onnx_with_fresh_weights_and_verifies_it(shell: Shell) -> None:
    code, out, err = shell("compile", "net.nns", "-o", "net.onnx", "--verify")
    assert (code, out) == (0, "")
    assert "drawn with seed 0" in err
    assert "y at N = 1: max difference" in err
    assert "agrees with torch in 3 cases" in err
    first = Path("net.onnx").read_bytes()
    shell("compile", "net.nns", "-o", "net.onnx", "--seed", "0")
    assert Path("net.onnx").read_bytes() == first
    shell("compile", "net.nns", "-o", "net.onnx", "--seed", "1")
    assert Path("net.onnx").read_bytes() != first


def test_compile_takes_weights_without_importing_torch(shell: Shell) -> None:
    from safetensors.numpy import save_file

    shapes = {"fc1.weight": (4, 3), "fc1.bias": (4,), "fc2.weight": (2, 4), "fc2.bias": (2,)}
    save_file({name: np.ones(shape, np.float32) for name, shape in shapes.items()}, "net.safetensors")
    program = (
        "import sys\nfrom nnspec.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as done:\n    assert done.code == 0\n"
        "print('torch' in sys.modules)"
    )
    arguments = ["compile", "net.nns", "-o", "net.onnx", "--weights", "net.safetensors", "--external"]
    environment = os.environ | {"PYTHONPATH": str(Path(cli.__file__).parents[2])}
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert ended.stdout == "False\n", ended.stderr
    assert Path("net.onnx").exists()
    assert shell("compile", "net.nns", "-o", "net.onnx", "--weights", "net.safetensors", "--verify").code == 0


def test_compile_fails_when_onnx_runtime_differs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnspec.cli import compile as command

    real = compiler_output.module_arrays
    monkeypatch.setattr(command, "module_arrays", lambda module: {k: v + 1 for k, v in real(module).items()})
    code, _, err = shell("compile", "net.nns", "-o", "net.onnx", "--verify")
    assert code == 1
    assert "error[NNS508]" in err
    assert "exceeds" in err


def test_compile_says_why_weights_do_not_fit(shell: Shell) -> None:
    from safetensors.numpy import save_file

    save_file({"fc1.weight": np.ones((9, 3), np.float32)}, "net.safetensors")
    code, _, err = shell("compile", "net.nns", "-o", "net.onnx", "--weights", "net.safetensors")
    assert code == 1
    assert "error[NNS502]" in err
    assert "has shape [4, 3] in the model and [9, 3] in the weights" in err
    assert "there is no file `nix.pt`" in shell("compile", "net.nns", "-o", "net.onnx", "--weights", "nix.pt").err
    assert not Path("net.onnx").exists()


def test_compile_replaces_no_device_and_no_link(shell: Shell) -> None:
    Path("real").mkdir()
    Path("link.py").symlink_to("real/net.py")
    assert shell("compile", "net.nns", "-o", "link.py").code == 0
    assert Path("link.py").is_symlink()
    assert Path("real/net.py").read_text().startswith('"""Net in PyTorch')
    assert shell("compile", "net.nns", "-o", "/dev/null", "--format", "torch").code == 0
    assert "no ordinary file" in shell("compile", "net.nns", "-o", "/dev/null", "--format", "onnx").err
    assert not Path("/dev/null").is_file()
    assert "error[NNS509]" in shell("compile", "net.nns", "-o", "nowhere/net.py").err


def test_training_settings_are_refused_where_nothing_is_trained(shell: Shell) -> None:
    code, _, err = shell("compile", "net.nns", "--set", "train.epochs=3")
    assert code == 1
    assert "only `nnspec run` looks at" in err


def test_an_override_that_is_wrong_is_shown_as_it_was_written(shell: Shell) -> None:
    code, _, err = shell("compile", "net.nns", "--set", "hidden=(")
    assert code == 1
    assert "--> --set hidden=(:1:" in err
    assert "did you mean `hidden`?" in shell("compile", "net.nns", "--set", "hiden=3").err


# --- run -------------------------------------------------------------------------------------------------------------


def test_run_without_a_train_section_shows_what_comes_out(shell: Shell) -> None:
    code, out, err = shell("run", "net.nns", "--size", "N=5")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].startswith("input   x  float[5, 3]")
    assert out.splitlines()[1].startswith("output  y  float[5, 2]")
    code, _, err = shell("run", "net.nns", "--size", f"N={10**30}")
    assert code == 1
    assert "error[NNS625]: the input `x` would take" in err
    trial = json.loads(shell("run", "net.nns", "--output-format", "json").out)
    assert trial["outputs"][0]["type"] == "float[4, 2]"
    assert "has no symbol `M`: its symbols are N" in shell("run", "net.nns", "--size", "M=5").err


def test_run_names_the_devices_that_are_there(shell: Shell) -> None:
    code, _, err = shell("run", "net.nns", "--device", "cuda:99")
    assert code == 1
    assert "error[NNS620]: device `cuda:99` is not there" in err
    assert "devices that are there: cpu" in err


def test_run_trains_and_keeps_what_came_of_it(shell: Shell) -> None:
    Path("spec").mkdir()
    Path("spec/net.nns").write_text(TRAINED)
    Path("spec/points.csv").write_text("a,b,t\n" + "".join(f"{i},{i % 3},{i / 10}\n" for i in range(20)))
    code, out, err = shell("run", "spec/net.nns", "--set", "train.epochs=3", "--set", "hidden=2")
    assert code == 0, err
    assert "epoch 3/3" in err
    assert "weights in runs/Net-1" in out
    best = json.loads(Path("runs/Net-1/checkpoints/index.json").read_text())["best"]
    assert Path("runs/Net-1/checkpoints", best, "model.safetensors").exists()
    ended = shell("run", "spec/net.nns", "-q", "--out", "kept", "--name", "mine", "--output-format", "json")
    assert ended.err == ""
    assert json.loads(ended.out)["directory"] == str(Path("kept/mine-1"))
    assert "error[NNS620]" in shell("run", "spec/net.nns", "--device", "cuda:99").err
    assert "did you mean `train.epochs`" in shell("run", "spec/net.nns", "--set", "train.epoch=3").err


# --- explain ---------------------------------------------------------------------------------------------------------


def test_explain_reads_a_page_from_the_class(shell: Shell) -> None:
    code, out, _ = shell("explain", "Linear")
    assert code == 0
    assert out.startswith("Linear(out_features, bias=true)")
    assert "in_features" in out
    assert "Linear(10)" in out


def test_explain_suggests_a_name(shell: Shell) -> None:
    code, _, err = shell("explain", "Conv2")
    assert code == 1
    assert "did you mean `Conv2d`?" in err


@pytest.mark.parametrize("word", ["scan", "input", "len", "none"])
def test_explain_says_where_words_of_the_language_stand(shell: Shell, word: str) -> None:
    code, _, err = shell("explain", word)
    assert code == 1
    assert f"`{word}` is a word of the language" in err
    assert "docs/language.md" in err


@pytest.mark.parametrize(
    ("word", "text"),
    [
        ("freeze", "params body { freeze = true }"),
        ("label_smoothing", "cross_entropy(logits, label, label_smoothing=0.1)"),
        ("gradient_accumulation_steps", "did you mean `accumulate`?"),
        ("KFold", "did you mean `fold`?"),
        ("nn.CrossEntropyLoss", "did you mean `cross_entropy`?"),
        ("torch.nn.Linear", "did you mean `Linear`?"),
        ("shuffle", "always shuffled"),
        ("class_weights", "weight=cat([full((1,), w) for w in [1.0, 2.0, 0.5]], dim=0)"),
    ],
)
def test_explain_knows_what_other_trainers_call_it(shell: Shell, word: str, text: str) -> None:
    code, _, err = shell("explain", word)
    assert code == 1
    assert text in err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--epochs", "3"], "`--set train.epochs=3`"),
        (["--max-epochs=3"], "`--set train.epochs=3`"),
        (["--lr", "0.1"], "`--set train.optimizer.lr=0.1`"),
        (["--batch-size", "8"], "`--set train.batch_size=8`"),
        (["--seed"], "`--set train.seed=...`"),
    ],
)
def test_options_that_are_settings_say_how_they_are_set(shell: Shell, options: list[str], text: str) -> None:
    code, _, err = shell("run", "net.nns", *options)
    assert code == 2
    assert text in err


def test_train_is_called_run(shell: Shell) -> None:
    assert "did you mean `run`?" in shell("train", "net.nns").err


def test_explain_has_a_page_for_every_name(shell: Shell) -> None:
    from nnspec.registry_pages import known_names

    code, out, err = shell("explain", *known_names())
    assert (code, err) == (0, "")
    assert "LSTM(hidden_size, num_layers=1, " in out
    assert "is_causal=false, *, scale=none, enable_gqa=false)" in out
    assert "weight=none, *, ignore_index=-100, " in out
    assert "stringss" not in out


def test_explain_alone_lists_what_there_is(shell: Shell) -> None:
    code, out, _ = shell("explain")
    assert code == 0
    assert all(word in out for word in ("Conv2d", "cross_entropy", "AdamW", "Moons", "accuracy", "NNS401  "))
    assert "  batch_size = 32" in shell("explain", "train").out


def test_a_directory_or_other_file_of_weights_is_told_apart(shell: Shell) -> None:
    Path("runs/A-1").mkdir(parents=True)
    Path("notes.csv").write_text("a,b\n1,2\n")
    told = shell("compile", "net.nns", "-o", "net.onnx", "--weights", "runs/A-1").err
    assert "`runs/A-1` is a directory, and not that of a run with checkpoints" in told
    told = shell("compile", "net.nns", "-o", "net.onnx", "--weights", "notes.csv").err
    assert "`notes.csv` is not a safetensors file or a checkpoint" in told


def test_a_missing_package_is_named_with_fresh_weights_too(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nnspec.backends.onnx_torch", "nnspec.backends.onnx_graph"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    code, _, err = shell("compile", "net.nns", "-o", "net.onnx")
    assert code == 1
    assert "error[NNS504]" in err
    assert "pip install -e '.[onnx]'" in err


def test_a_run_that_fails_says_so_in_its_directory(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("points.csv").write_text("a,b,t\n" + "".join(f"{i},{i % 3},{i / 10}\n" for i in range(20)))
    Path("net.nns").write_text(TRAINED.replace("lr=0.1", "lr=1e38"))
    err = shell("run", "net.nns").err
    assert "NNS621" in err
    assert "are kept" not in err
    assert json.loads(Path("runs/Net-1/run.json").read_text())["optimizer"]["momentum"] == 0.0
    assert json.loads(Path("runs/Net-1/result.json").read_text())["status"] == "failed"

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nnspec.training.running.loop.Loop.run", interrupted)
    assert shell("run", "net.nns").code == 130
    assert json.loads(Path("runs/Net-2/result.json").read_text())["status"] == "interrupted"


def test_a_setting_without_its_path_is_recognised(shell: Shell) -> None:
    Path("net.nns").write_text(TRAINED.replace("hidden = 4", "hidden"))
    assert "give `hidden` a default, or `compile` and `run` it with `--set hidden=...`" in shell("check", "net.nns").err
    Path("net.nns").write_text(TRAINED)
    assert "did you mean `train.optimizer.lr`?" in shell("run", "net.nns", "--set", "lr=1").err
    assert "did you mean `train.optimizer.lr`?" in shell("run", "net.nns", "--set", "train.lr=1").err
    assert "did you mean `train.epochs`?" in shell("run", "net.nns", "--set", "epochs=3").err


def test_run_reports_the_section_although_the_model_has_errors(shell: Shell) -> None:
    Path("net.nns").write_text(TRAINED.replace("Linear", "Linaer", 1).replace("loss ", "los "))
    both = [shell(command, "net.nns").err for command in ("check", "run")]
    assert all("Linaer" in err and "did you mean the setting `loss`?" in err for err in both)
    assert "does not say its data" not in shell("run", "net.nns", "--set", "train.data=Iris()").err
