"""Codes 6xx: training and data."""

from __future__ import annotations

from nnspec.codes import Code

_MODEL = """
model Net {
  input x: float[N, 2]
  output scores: float[N, 2] = x -> Linear(2)
}
"""


def _spec(train: str, model: str = _MODEL) -> str:
    """A spec whose `train` section holds these lines."""
    body = "\n".join(f"  {line.strip()}" for line in train.strip().splitlines())
    return f"{model}\ntrain {{\n{body}\n}}\n"


_SETTINGS = """
data = Moons()
inputs = (x=features)
loss = cross_entropy(scores, label)
optimizer = SGD(lr=0.1)
"""

_GOOD = _spec(_SETTINGS)

_CSV = _GOOD.replace("Moons()", 'CSV("points.csv", target="kind")')

CODES = (
    Code(
        "NNS601",
        "a file cannot be read",
        """
        A spec or a file of data is not there, or may not be read. Relative paths in a spec start from the folder of
        the spec. A spec whose data is missing can be checked, compiled and exported all the same.
        """,
        _CSV.replace("points.csv", "pionts.csv"),
        _CSV,
        "run",
    ),
    Code(
        "NNS602",
        "data is malformed",
        """
        A file of data is not what it should be: a line with too few columns, text where a number is needed, a file
        that ends too early, a column that does not exist. The message names the file and the line.
        """,
        _CSV.replace('"kind"', '"knid"'),
        _CSV,
        "run",
    ),
    Code(
        "NNS603",
        "settings do not go together",
        """
        Each argument is fine by itself, and together they mean nothing: Nesterov's momentum without momentum, or
        both `epochs` and `steps`.
        """,
        _GOOD.replace("lr=0.1", "lr=0.1, nesterov=true"),
        _GOOD.replace("lr=0.1", "lr=0.1, momentum=0.9, nesterov=true"),
    ),
    Code(
        "NNS604",
        "the data does not fit the spec",
        """
        What was loaded is not what the spec was checked with, or holds values that the model cannot take: classes
        that the loss has no score for, indices beyond an embedding, numbers that are not finite.
        """,
        _CSV,
        _CSV.replace("Linear(2)", "Linear(3)").replace("[N, 2] =", "[N, 3] ="),
        "run",
    ),
    Code(
        "NNS605",
        "a package is not installed, or too old",
        """
        Some data sets come with packages that are installed apart: `pip install "nnspec[train]"` brings
        scikit-learn, `nnspec[tables]` what reads Parquet files and `nnspec[hub]` Hugging Face's data sets, and
        `pip install "nnspec[metrics]"` torchmetrics, which works out most metrics. Some optimizers
        came with a torch that is newer than the one nnspec needs; the message says which.
        """,
        _GOOD.replace("Moons()", "Digits()"),
        _GOOD,
        "run",
    ),
    Code(
        "NNS606",
        "a name in `train` has two meanings",
        """
        A bare name in `train` is an output of the model or a field of the data. Where both have it, say which:
        `model.label` or `data.label`.
        """,
        _spec(_SETTINGS.replace("scores, label", "label, label"), _MODEL.replace("scores", "label")),
        _spec(_SETTINGS.replace("scores, label", "model.label, data.label"), _MODEL.replace("scores", "label")),
    ),
    Code(
        "NNS607",
        "no field of the data feeds an input",
        """
        Fields feed the inputs of their names; `inputs = (x=features)` says which field feeds an input of another
        name.
        """,
        _spec(_SETTINGS.replace("inputs = (x=features)", "")),
        _GOOD,
    ),
    Code(
        "NNS608",
        "a field does not fit the input it feeds",
        """
        A field and the input that it feeds must have the same element type and the same sizes; the first dimension
        is the batch.
        """,
        _GOOD.replace("x: float[N, 2]", "x: float[N, 3]"),
        _GOOD,
    ),
    Code(
        "NNS609",
        "a statement does not belong in `train`",
        """
        `train` holds settings (`epochs = 5`) and bindings that its loss and metrics use. Inputs, outputs and layers
        belong in a model.
        """,
        _spec(_SETTINGS + "output scores"),
        _GOOD,
    ),
    Code(
        "NNS610",
        "`train` is incomplete",
        """
        A `train` section says at least its data, its loss and its optimizer.
        """,
        _spec(_SETTINGS.replace("optimizer = SGD(lr=0.1)", "")),
        _GOOD,
    ),
    Code(
        "NNS611",
        "a binding in `train` is not used",
        """
        A name that is no setting is a binding, and a binding that neither the loss nor a metric uses is most likely
        a misspelt setting.
        """,
        _spec(_SETTINGS + "epoch = 5"),
        _spec(_SETTINGS + "epochs = 5"),
    ),
    Code(
        "NNS612",
        "a loss or metric is not one number",
        """
        Losses and metrics are single floats, worked out from the outputs of the model and the fields of the data;
        `mean` and `sum` make one number of many.

        A metric of the library, such as `accuracy`, is counted over all batches of an epoch. So a loss cannot be made
        of it, and an expression around it uses numbers and other metrics, but no tensor of a batch.
        """,
        _GOOD.replace("cross_entropy(scores, label)", "scores"),
        _GOOD.replace("cross_entropy(scores, label)", "mean(scores * scores)"),
    ),
    Code(
        "NNS620",
        "a device is not there",
        """
        `--device` takes cpu, cuda, cuda:1, mps or auto, and the device must be there: the message lists those that
        are. `auto` takes the best of them.
        """,
        _GOOD,
        _GOOD,
        "run",
    ),
    Code(
        "NNS621",
        "the loss is not finite",
        """
        The loss became infinite or not a number, and nothing good comes after that. The usual causes are a learning
        rate that is too high, a logarithm or a division of zero, and data far from zero. The best weights so far are
        kept in the run's directory.
        """,
        _GOOD.replace("lr=0.1", "lr=1e38"),
        _GOOD,
        "run",
    ),
    Code(
        "NNS622",
        "weights do not fit the model",
        """
        What `weights` names is a file of tensors, or a run (`weights = "runs/Net-1"`: its best weights). It is not
        there, holds no tensors, or holds others than the model has: names and shapes must be the model's own.
        """,
        _spec(_SETTINGS + 'weights = "other.safetensors"'),
        _GOOD,
        "run",
    ),
    Code(
        "NNS623",
        "the run's directory cannot be written",
        """
        The disk is full, or the place is not writable. What was written before is whole: each file is written beside
        its place and moved there when it is complete.
        """,
        _GOOD,
        _GOOD,
        "run",
    ),
    Code(
        "NNS624",
        "no sizes were found that the model accepts",
        """
        Running a spec without `train` feeds it a random batch, and for that each symbol needs a size with which the
        model's requirements hold. Some hundreds are tried; give the sizes if none of them fits.
        """,
        _MODEL,
        _MODEL,
        "run",
    ),
    Code(
        "NNS625",
        "a device has not enough memory",
        """
        A batch, with all that must be kept for the backward pass, does not fit in the device's memory. A smaller
        `batch_size` is the first thing to try.
        """,
        _spec(_SETTINGS + "batch_size = 100_000_000"),
        _GOOD,
        "run",
    ),
    Code(
        "NNS626",
        "there is nothing to train",
        """
        Training follows the loss's gradient with respect to the model's parameters. A model without parameters has
        none, and neither has a loss that no parameter flows into: one of the data alone, or of a class that was
        chosen by `argmax`.
        """,
        _GOOD.replace("cross_entropy(scores, label)", "mean(target)"),
        _GOOD,
        "run",
    ),
    Code(
        "NNS627",
        "the optimizer cannot train these parameters",
        """
        Some optimizers are for certain parameters: `Muon` for matrices alone, `SparseAdam` for embeddings whose
        gradients are sparse. Most others take no sparse gradients, which an embedding makes where it says
        `sparse=true`.
        """,
        _GOOD.replace("SGD(lr=0.1)", "Muon(lr=0.1)"),
        _GOOD.replace("SGD(lr=0.1)", "Muon(lr=0.1)").replace("Linear(2)", "Linear(2, bias=false)"),
    ),
)
