"""Every example that says how it is trained is trained as it says, and learns; the others run on a random batch."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest

from nnspec import compiler_run
from nnspec.compiler import Compiled, compile_text
from nnspec.diagnostics import NnspecError

EXAMPLES = Path(__file__).parent.parent / "examples"
SHARED = EXAMPLES.parent.parent / "shared" / "data"
"""Real data that may lie beside this checkout; tests that want it skip where it does not."""
TRAINED = {
    "digits_cnn": ("val/accuracy", 0.95),
    "binary_classifier": ("val/binary_accuracy", 0.92),
    "rnn_classifier": ("val/accuracy", 0.90),
    "scan_rnn": ("val/accuracy", 0.93),
    "multi_input": ("val/accuracy", 0.90),
    "optimizers": ("val/accuracy", 0.90),
    "std_convnet": ("val/accuracy", 0.92),
    "std_transformer": ("val/accuracy", 0.91),
}
"""What each reaches at least, on samples that it has not seen."""


def compiled(name: str, base: Path = EXAMPLES, **overrides: str) -> Compiled:
    text = (EXAMPLES / f"{name}.nns").read_text(encoding="utf-8")
    settings = {f"train.{key}": value for key, value in overrides.items()}
    return compile_text(text, f"{name}.nns", train=True, base=base, overrides=settings)


@pytest.mark.parametrize("name", TRAINED)
def test_an_example_reaches_what_it_should(name: str, tmp_path: Path) -> None:
    metric, least = TRAINED[name]
    _, result = compiler_run.train(compiled(name), base=EXAMPLES, root=tmp_path)
    assert result.status == "finished"
    assert result.json()["best"][metric] >= least


@pytest.mark.parametrize("optimizer", ["SGD(lr=0.1)", "Adam(lr=1e-2)", "RMSprop(lr=1e-2)", "Adagrad(lr=1e-1)"])
def test_one_network_learns_under_every_optimizer(optimizer: str, tmp_path: Path) -> None:
    _, result = compiler_run.train(compiled("optimizers", optimizer=optimizer), base=EXAMPLES, root=tmp_path)
    assert result.json()["best"]["val/accuracy"] >= 0.9


TUTORIAL = {
    "Perceptron": ("val/binary_accuracy", 0.95),
    "Classifier": ("val/accuracy", 0.95),
    "ResNet": ("val/accuracy", 0.97),
    "Reader": ("val/accuracy", 0.92),
    "Transformer": ("val/accuracy", 0.92),
}
"""What each network of the tutorial reaches at least."""


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIAL)
def test_a_network_of_the_tutorial_learns_as_it_says(name: str, tmp_path: Path) -> None:
    page = (EXAMPLES.parent / "docs" / "tutorial.md").read_text(encoding="utf-8")
    texts = re.findall(r"^```nns\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    text = next(text for text in texts if f"model {name}" in text)
    _, result = compiler_run.train(compile_text(text, train=True), base=tmp_path, root=tmp_path)
    metric, least = TUTORIAL[name]
    assert result.json()["best"][metric] >= least


def test_the_autoencoder_paints_better_than_the_mean_digit(tmp_path: Path) -> None:
    _, result = compiler_run.train(compiled("autoencoder"), base=EXAMPLES, root=tmp_path)
    assert result.json()["best"]["val/loss"] < 0.03  # the mean digit is at 0.073


def test_the_variational_autoencoder_paints_better_than_the_mean_digit(tmp_path: Path) -> None:
    _, result = compiler_run.train(compiled("vae"), base=EXAMPLES, root=tmp_path)
    best = result.json()["best"]
    assert best["val/error"] < 0.035  # the mean digit is at 0.073
    assert best["val/loss"] < 23.5


REAL = {
    "penguins": ("data/penguins.csv", "penguins.csv", 0.97),
    "mnist_cnn": ("data/mnist", ".", 0.97),
    "spoken_digits": ("data/fsdd", "fsdd", 0.90),
}
"""Where an example wants its files, where they lie in the shared folder, and the accuracy that it states."""


def shared(wanted: str, given: str, folder: Path) -> None:
    """Put shared files where an example looks for them, or skip the test."""
    if not (SHARED / given).exists():
        pytest.skip(f"{given} of the shared data is not beside this checkout")
    place = folder / wanted
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(SHARED / given)


@pytest.mark.parametrize("name", REAL)
def test_an_example_on_real_files_reaches_what_it_says(name: str, tmp_path: Path) -> None:
    wanted, given, least = REAL[name]
    shared(wanted, given, tmp_path)
    _, result = compiler_run.train(compiled(name, tmp_path), base=tmp_path, root=tmp_path / "runs")
    assert result.status == "finished"
    assert result.json()["best"]["val/accuracy"] >= least


@pytest.mark.slow
def test_the_character_transformer_reads_shakespeare(tmp_path: Path) -> None:
    shared("data/text.txt", "tinyshakespeare.txt", tmp_path)
    _, result = compiler_run.train(compiled("char_transformer", tmp_path), base=tmp_path, root=tmp_path / "runs")
    assert result.json()["best"]["val/loss"] < 1.9
    assert result.seconds < 600


def test_fashion_mnist_trains_on_files_of_its_format(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "fashion"
    folder.mkdir(parents=True)
    labels = np.arange(200, dtype=np.uint8) % 10
    images = np.zeros((200, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 3] = 255  # a bar whose height is the class
    (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, 200, 28, 28) + images.tobytes())
    (folder / "train-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, 200) + labels.tobytes())
    found = compiled("fashion_mnist", tmp_path, epochs="30", optimizer="SGD(lr=1e-1, momentum=0.9)")
    _, result = compiler_run.train(found, base=tmp_path, root=tmp_path)
    assert result.json()["best"]["val/accuracy"] >= 0.95


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.nns")), ids=lambda path: path.stem)
def test_an_example_without_training_runs_on_a_random_batch(path: Path) -> None:
    found = compile_text(path.read_text(encoding="utf-8"), path.name)
    trial = compiler_run.try_out(found)
    assert trial.outputs


def test_a_batch_norm_that_gets_one_sample_at_a_time_is_the_authors_to_repair(tmp_path: Path) -> None:
    text = """
model M {
  input features: float[N, 4]
  output logits: float[N, 3] = features -> Linear(8, bias=false) -> BatchNorm1d -> ReLU -> Linear(3)
}
train {
  data = Iris()
  loss = cross_entropy(logits, label)
  optimizer = SGD(lr=0.1)
  batch_size = 1
}
"""
    with pytest.raises(NnspecError) as caught:
        compiler_run.train(compile_text(text, train=True), base=tmp_path, root=tmp_path)
    assert [d.code for d in caught.value.diagnostics] == ["NNS603"]
