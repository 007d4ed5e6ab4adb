"""Warnings, of all phases: what is not wrong and is regretted all the same."""

from __future__ import annotations

from nnspec.codes import Code


def _model(body: str, inputs: str = "input x: float[N, 8]", head: str = "Net") -> str:
    """A model with these inputs and this body."""
    lines = "\n".join(f"  {line.strip()}" for line in body.strip().splitlines())
    return f"model {head} {{\n  {inputs}\n{lines}\n}}\n"


def _trained(output: str, data: str, loss: str) -> str:
    """A model with one output, and its training."""
    return f"""
model Net {{
  input features: float[N, {30 if data == "BreastCancer" else 4}]
  output {output}
}}

train {{
  data      = {data}(standardize=true)
  loss      = {loss}
  optimizer = Adam(lr=1e-2)
}}
"""


CODES = (
    Code(
        "NNS230",
        "a value that nobody uses",
        """
        A tensor is computed and no output depends on it, or an input or a hyperparameter is not mentioned again.
        Mostly another value was meant where it should have been used. This is a warning.
        """,
        _model("h = relu(x)\noutput y = x -> Linear(4)"),
        _model("h = relu(x)\noutput y = h -> Linear(4)"),
    ),
    Code(
        "NNS231",
        "parameters that no output depends on",
        """
        A layer is fed and nobody uses what it gives, or a `param` is never read. Its parameters are counted, stored
        and saved, and training never changes them. This is a warning.
        """,
        _model("h = x -> hidden: Linear(16)\noutput y = x -> Linear(4)"),
        _model("h = x -> hidden: Linear(16)\noutput y = h -> Linear(4)"),
    ),
    Code(
        "NNS330",
        "arguments in torch's order",
        """
        The first argument of a layer in torch is mostly the size of its input, which is inferred here: the arguments
        begin with what comes behind it. `Conv2d(3, 16, 3)` on 3 channels has 3 channels, kernels of 16 x 16 and a
        stride of 3. If that is meant, name the arguments: `Conv2d(3, kernel_size=16, stride=3)`. This is a warning.
        """,
        _model("output y = x -> Conv2d(3, 16, 3)", "input x: float[N, 3, 32, 32]"),
        _model("output y = x -> Conv2d(16, 3)", "input x: float[N, 3, 32, 32]"),
    ),
    Code(
        "NNS430",
        "a bias in front of a batch norm",
        """
        A batch norm subtracts the mean of each channel, and a constant that was added before with it: the bias costs
        memory and time and changes nothing. Published weights may hold one all the same; `bias=true` says that it is
        meant. This is a warning.
        """,
        _model("output y = x -> Conv2d(8, 3) -> BatchNorm2d", "input x: float[N, 3, H, W]"),
        _model("output y = x -> Conv2d(8, 3, bias=false) -> BatchNorm2d", "input x: float[N, 3, H, W]"),
    ),
    Code(
        "NNS630",
        "an activation in front of a loss that applies it itself",
        """
        `cross_entropy` takes scores and applies the log-softmax itself, `binary_cross_entropy_with_logits` the
        sigmoid. Applied twice the gradients become small: the model learns slowly and never gets sure. This is a
        warning.
        """,
        _trained("y = features -> Linear(3) -> Softmax(dim=1)", "Iris", "cross_entropy(y, label)"),
        _trained("y = features -> Linear(3)", "Iris", "cross_entropy(y, label)"),
    ),
    Code(
        "NNS631",
        "a loss of probabilities that gets scores",
        """
        `binary_cross_entropy` takes values from 0 to 1 and fails on others; `nll_loss` takes logarithms of
        probabilities, and means nothing for anything else. The model ends in scores of any size: use the loss that
        takes those, or end in a sigmoid or a log-softmax. The metric `binary_accuracy` takes probabilities too, unless
        it is given the `threshold` of scores, 0. This is a warning.
        """,
        _trained("y = features -> Linear(1)", "BreastCancer", "binary_cross_entropy(y, target)"),
        _trained("y = features -> Linear(1)", "BreastCancer", "binary_cross_entropy_with_logits(y, target)"),
    ),
)
