"""Warnings: what is regretted is said, and what is only unusual is not (`tests/errors/warn_*` has the wording)."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.compiler import check, check_text, compile_text

EXAMPLES = sorted((Path(__file__).parent.parent.parent / "examples").glob("*.nns"))


def model(body: str, inputs: str = "input x: float[N, 8]", head: str = "M", before: str = "", after: str = "") -> str:
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    return f"{before}model {head} {{\n  {inputs}\n{lines}\n}}\n{after}"


def trained(output: str, loss: str) -> str:
    body = f"output y = {output}"
    train = f"train {{\n  data = Iris()\n  inputs = (x=features)\n  loss = {loss}\n  optimizer = Adam(lr=1e-2)\n}}\n"
    return model(body, "input x: float[N, 4]", after=train)


IMAGE = "input x: float[N, 3, 32, 32]"
SEQUENCE = "input x: float[N, T, 8]"
BRANCH = "block B {\n  input x: float[N, D]\n  output a = x -> Linear(3)\n  output b = x -> Linear(2)\n}\n"
SCALE = "block S {\n  input x: float[N, D]\n  h = relu(x)\n  output x -> Linear(D)\n}\n"
TABLE = "block Head(table: parameter) {\n  input x: float[N, D]\n  output x -> Linear(5, bias=false, weight=table)\n}\n"

SILENT = {
    "one of several outputs": model("y, (h, c) = x -> LSTM(4)\noutput y", "input x: float[N, T, 8]"),
    "a discarded output": model("_, (h, c) = x -> LSTM(4)\noutput h", "input x: float[N, T, 8]"),
    "one output of a block": model("a, b = x -> B\noutput a", before=BRANCH),
    "the last turn of a loop": model(
        "outs = []\nfor i in range(3) {\n  a = x -> Linear(8)\n  x = relu(a)\n}\noutput y = x"
    ),
    "used in training only": model(
        "aux = x -> aux: Linear(3)\noutput y = x -> Linear(2)\nif training { output extra = aux }"
    ),
    "an input that gives a size": model(
        "output y = zeros(N, T) + x", "input x: float[N, 1]\n  input like: float[N, T]", head="M"
    ),
    "a parameter in a group": model("g: { param w: float[8] = ones() }\noutput y = x * w"),
    "a parameter that is tied": model(
        "param w: float[5, 8] = normal()\noutput y = x -> Head(w)", before=TABLE.replace("[N, D]", "[N, 8]")
    ),
    "a hyperparameter in a name": model('output y = x -> "fc{n}": Linear(3)', head="M(n = 1)"),
    "a bias that is meant": model("output y = x -> Conv1d(4, 3, bias=true) -> BatchNorm1d", "input x: float[N, 3, T]"),
    "a bias that is used twice": model(
        "h = x -> Conv1d(4, 3)\noutput y = (h -> BatchNorm1d) + h", "input x: float[N, 3, T]"
    ),
    "a bias along another dimension": model("output y = x -> Linear(4) -> BatchNorm1d", "input x: float[N, 3, 5]"),
    "scores in front of the loss": trained("x -> Linear(3)", "cross_entropy(y, label)"),
    "log-probabilities": trained("x -> Linear(3) -> LogSoftmax(dim=1)", "nll_loss(y, label)"),
    "a softmax elsewhere": trained("x -> Linear(3) -> Softmax(dim=1) -> Linear(3)", "cross_entropy(y, label)"),
    "probabilities of their own": trained(
        "x -> Linear(3)\n  output p = y -> softmax(dim=1)", "cross_entropy(y, label)"
    ),
    "a convolution that keeps its channels": model("output y = x -> Conv2d(64, 3)", "input x: float[N, 64, H, W]"),
    "a stride by position": model("output y = x -> Conv2d(64, 3, 2)", "input x: float[N, 64, H, W]"),
    "patches": model("output y = x -> Conv2d(64, 16, 16)", "input x: float[N, 64, 64, 64]"),
    "half overlapping patches": model("output y = x -> Conv1d(64, 16, 8)", "input x: float[N, 64, 640]"),
    "a wide kernel of another size": model("output y = x -> Conv2d(16, 16, 3)", "input x: float[N, 3, 32, 32]"),
    "a wide kernel by name": model(
        "output y = x -> Conv2d(3, kernel_size=16, stride=3)", "input x: float[N, 3, 32, 32]"
    ),
    "some layers of a recurrence": model("y, _ = x -> LSTM(8, 2)\noutput y", "input x: float[N, T, 8]"),
    "many layers by name": model("y, _ = x -> LSTM(8, num_layers=6)\noutput y", "input x: float[N, T, 8]"),
    "an epsilon by position": model("output y = x -> BatchNorm2d(1e-3)", "input x: float[N, 1, 4, 4]"),
    "an order that fits one of two uses": model(
        "output y = x -> P\noutput z = w -> P",
        "input x: float[N, 3, 32, 32]\n  input w: float[N, 5, 32, 32]",
        before="block P {\n  input x: float[N, C, H, W]\n  output x -> Conv2d(3, 16, 3)\n}\n",
    ),
}


@pytest.mark.parametrize("text", SILENT.values(), ids=SILENT)
def test_what_is_only_unusual_is_not_warned_of(text: str) -> None:
    assert [f"{d.code}: {d.message}" for d in check_text(text)] == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_raise_no_alarm(path: Path) -> None:
    assert check(path.read_text("utf-8"), path.name, base=path.parent).diagnostics == ()


LOUD = {
    "a loop whose results nobody uses": (
        model("for i in range(3) { h = relu(x) }\noutput y = x -> Linear(2)"),
        ["NNS230"],
    ),
    "a block that is used twice": (model("output y = x -> S -> S", before=SCALE), ["NNS230"]),
    "a chain of layers is one report": (
        model("h = x -> Linear(4) -> ReLU -> Linear(3)\noutput y = x -> Linear(2)"),
        ["NNS231"],
    ),
    "an input that only dead values use": (
        model("h = relu(z)\noutput y = x -> Linear(2)", "input x: float[N, 8]\n  input z: float[N, 8]"),
        ["NNS230"],
    ),
    "softmax in a block": (
        trained("x -> P", "cross_entropy(y, label)")
        + "block P {\n  input x: float[N, D]\n  output x -> Linear(3) -> Softmax(dim=1)\n}\n",
        ["NNS630"],
    ),
    "softmax behind a reshape": (
        trained("x -> Linear(3) -> Softmax(dim=1) -> reshape((N, 3))", "cross_entropy(y, label)"),
        ["NNS630"],
    ),
    "scores as log-probabilities": (trained("x -> Linear(3)", "nll_loss(y, label)"), ["NNS631"]),
    "torch's Conv2d": (model("output y = x -> Conv2d(3, 16, 3)", IMAGE), ["NNS330"]),
    "torch's Conv2d with a stride": (model("output y = x -> Conv2d(3, 16, 3, 1)", IMAGE), ["NNS330"]),
    "torch's Conv2d of one channel": (
        model("output y = x -> Conv2d(1, 6, 5)", "input x: float[N, 1, 32, 32]"),
        ["NNS330"],
    ),
    "torch's Conv1d": (model("output y = x -> Conv1d(3, 16, 3)", "input x: float[N, 3, 40]"), ["NNS330"]),
    "torch's ConvTranspose2d": (model("output y = x -> ConvTranspose2d(3, 16, 2)", IMAGE), ["NNS330"]),
    "torch's LSTM": (model("y, _ = x -> LSTM(8, 16)\noutput y", SEQUENCE), ["NNS330"]),
    "torch's GRU": (model("y, _ = x -> GRU(8, 16)\noutput y", SEQUENCE), ["NNS330"]),
    "torch's BatchNorm2d": (
        model("output y = x -> BatchNorm2d(1)", "input x: float[N, 1, 32, 32]"),
        ["NNS330"],
    ),
    "torch's Conv2d that is bound first": (model("c = Conv2d(3, 16, 3)\noutput y = x -> c", IMAGE), ["NNS330"]),
    "torch's Conv2d, repeated": (model("output y = x -> Conv2d(3, 16, 1) * 2", IMAGE), ["NNS330"]),
    "a linear bias in front of a norm": (model("output y = x -> Linear(4) -> BatchNorm1d"), ["NNS430"]),
}


@pytest.mark.parametrize(("text", "codes"), LOUD.values(), ids=LOUD)
def test_what_is_regretted_is_warned_of_once(text: str, codes: list[str]) -> None:
    checked = check(text)
    assert [d.code for d in checked.diagnostics] == codes
    assert {d.severity for d in checked.diagnostics} == {"warning"}
    assert checked.ok


def test_the_repair_of_torch_s_order_leaves_the_input_s_size_out() -> None:
    text = model("output y = x -> Conv2d(3, 16, 3)", IMAGE)
    (fix,) = check_text(text)[0].fixes
    (edit,) = fix.edits
    repaired = text[: edit.span.start] + edit.text + text[edit.span.end :]
    assert "-> Conv2d(16, 3)\n" in repaired
    assert check_text(repaired) == ()


def test_compiling_gives_the_warnings_and_errors_hide_them() -> None:
    text = model("h = relu(x)\noutput y = x -> Linear(2)")
    assert [d.code for d in compile_text(text).diagnostics] == ["NNS230"]
    assert [d.code for d in check_text(text.replace("Linear(2)", "Linaer(2)"))] == ["NNS201"]
