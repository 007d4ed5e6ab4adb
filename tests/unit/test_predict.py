"""Using what was trained: predictions, evaluations and compiled files against the module called by hand."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner, Result

import nnspec
from nnspec.backends.torch import load_weights
from nnspec.cli import nnspec as group
from nnspec.training.using.answers import Meaning, columns
from tests.unit.trained import FLOWERS, flowers, trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table."""
    folder = tmp_path_factory.mktemp("flowers")
    flowers(folder)
    return trained(folder)


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(each) for each in arguments], catch_exceptions=False)


def rows(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def prepared(run: Path) -> tuple[torch.Tensor, list[str]]:
    """The table's features as the model takes them, and its labels: by hand."""
    table = rows((run.parents[1] / "flowers.csv").read_text())
    features = np.array(
        [
            [float(r["height"]), float(r["weight"]), float(r["color"] == "blue"), float(r["color"] == "red")]
            for r in table
        ],
        dtype="float32",
    )
    state = json.loads((run / "data.json").read_text())["transforms"]["features"][0]["state"]
    scaled = (features.astype("float64") - state["mean"]) / state["deviation"]
    return torch.tensor(scaled.astype("float32")), [r["kind"] for r in table]


def by_hand(run: Path) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = nnspec.load(run)(prepared(run)[0])
    return result


def unlabelled(run: Path, to: Path, delimiter: str = ",") -> Path:
    """The table without its target, its other columns in another order."""
    table = rows((run.parents[1] / "flowers.csv").read_text())
    names = ["color", "weight", "height"]
    to.write_text("\n".join(delimiter.join(line) for line in (names, *([r[n] for n in names] for r in table))) + "\n")
    return to


# --- predict ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_predictions_are_those_of_the_module_called_by_hand(run: Path, tmp_path: Path, batch_size: int) -> None:
    source, target = unlabelled(run, tmp_path / "new.csv"), tmp_path / "answers.csv"
    assert cli("predict", run, "-i", source, "-o", target, "--batch-size", batch_size).exit_code == 0
    shares = by_hand(run).softmax(1)
    found = rows(target.read_text())
    assert list(found[0]) == ["label", "p(ash)", "p(elm)", "p(fir)"]
    words = ["ash", "elm", "fir"]
    assert [r["label"] for r in found] == [words[i] for i in shares.argmax(1)]
    numbers = torch.tensor([[float(r[f"p({word})"]) for word in words] for r in found])
    torch.testing.assert_close(numbers, shares)


def test_a_table_may_have_another_delimiter_and_its_target(run: Path, tmp_path: Path) -> None:
    plain = cli("predict", run, "-i", unlabelled(run, tmp_path / "new.csv")).stdout
    assert cli("predict", run, "-i", unlabelled(run, tmp_path / "new.tsv", "\t")).stdout == plain
    assert cli("predict", run, "-i", run.parents[1] / "flowers.csv").stdout == plain
    assert cli("predict", run, "-i", tmp_path / "new.csv", "-o", tmp_path / "a.tsv").exit_code == 0
    assert rows((tmp_path / "a.tsv").read_text(), "\t") == rows(plain)


def test_arrays_go_in_and_come_out(run: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(5, 4))
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", features=x.astype("float32"), other=np.zeros(3))
    for name in ("x.npy", "x.npz"):
        assert cli("predict", run, "-i", tmp_path / name, "-o", tmp_path / "y.npz").exit_code == 0
        with np.load(tmp_path / "y.npz") as found:
            expected = nnspec.predict(run, {"features": x.astype("float32")})["logits"]
            np.testing.assert_array_equal(found["logits"], expected)
            np.testing.assert_array_equal(found["logits.class"], expected.argmax(1))
            np.testing.assert_allclose(found["logits.probability"], expected.softmax(1), rtol=1e-6)
    assert cli("predict", run, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy").exit_code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    one = nnspec.predict(run, {"features": x[0].astype("float32")})["logits"]
    torch.testing.assert_close(one, expected[:1])


def test_a_checkpoint_can_be_chosen(tmp_path: Path) -> None:
    flowers(tmp_path)
    run = trained(tmp_path, FLOWERS.replace("train {", "train {\n  checkpoint = (every=4, keep=100)"))
    x = {"features": np.ones((2, 4), dtype="float32")}
    early = run / "checkpoints" / "step-00000004"
    assert early.is_dir()
    torch.testing.assert_close(nnspec.predict(run, x, checkpoint="4"), nnspec.predict(early, x))
    assert not torch.equal(nnspec.predict(run, x)["logits"], nnspec.predict(early, x)["logits"])


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", "height,weight\n1,2\n", "no column `color`"),
        ("x.csv", "height,weight,color\n1,x,red\n", "`weight`"),
        ("x.csv", "height,weight,color\n1,2,green\n", "`green`"),
        ("x.csv", "height,weight,color\n1,,red\n", "no value"),
        ("x.csv", "", "is empty"),
        ("x.npy", "nothing", "cannot be read as arrays"),
        ("x.npz", "nothing", "cannot be read as arrays"),
        ("x.png", "nothing", "holds pictures"),
        ("missing.csv", None, "there is no file"),
    ],
)
def test_an_input_that_does_not_suit_is_an_error(
    run: Path, tmp_path: Path, name: str, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    result = cli("predict", run, "-i", tmp_path / name, "-o", tmp_path / "y.csv")
    assert result.exit_code == 1
    assert says in result.stderr
    assert not (tmp_path / "y.csv").exists()


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 5), "float32"), "samples [samples, 4]"),
        (np.zeros((0, 4), "float32"), "no samples"),
        (np.full((2, 4), np.nan, "float32"), "is not finite in sample 0"),
        (np.zeros((2, 4), "complex64"), "complex64"),
    ],
)
def test_arrays_that_do_not_suit_are_an_error(run: Path, array: np.ndarray, says: str) -> None:
    with pytest.raises(nnspec.NnspecError) as caught:
        nnspec.predict(run, {"features": array})
    assert says in str(caught.value)
    with pytest.raises(nnspec.NnspecError, match="has no field `features`"):
        nnspec.predict(run, {"x": array})


def test_an_output_that_cannot_be_written_keeps_what_was_there(run: Path, tmp_path: Path) -> None:
    source = unlabelled(run, tmp_path / "new.csv")
    result = cli("predict", run, "-i", source, "-o", tmp_path / "no" / "y.csv")
    assert result.exit_code == 1
    assert "NNS509" in result.stderr
    assert cli("predict", run, "-i", source, "-o", tmp_path / "y.pdf").exit_code == 2


# --- meanings --------------------------------------------------------------------------------------------------------


def test_numbers_and_two_classes_become_columns() -> None:
    y = torch.tensor([[0.5], [-2.0]])
    assert columns({"y": y}, {}) == [("y", [0.5, -2.0])]
    two = Meaning("sigmoid", 0, "target", ("no", "yes"))
    (label, chosen), (title, shares) = columns({"y": y}, {"y": two}) or []
    assert (label, chosen, title) == ("target", ["yes", "no"], "p(yes)")
    assert shares == pytest.approx(torch.sigmoid(y)[:, 0].tolist())
    assert [title for title, _ in columns({"y": torch.zeros(2, 2, 2)}, {}) or []] == [
        "y.0.0",
        "y.0.1",
        "y.1.0",
        "y.1.1",
    ]
    assert columns({"y": torch.zeros(1, 200, 200)}, {}) is None
    pairs = {"a": Meaning("exp", 1, "label"), "b": Meaning("softmax", 1, "label")}
    titles = [title for title, _ in columns({"a": torch.zeros(1, 2), "b": torch.zeros(1, 2)}, pairs) or []]
    assert titles == ["label", "p(0)", "p(1)", "label.2", "p(0).2", "p(1).2"]


BINARY = FLOWERS.replace("logits: float[N, 3]", "logits: float[N, 1]").replace("Linear(3)", "Linear(1)")
BINARY = BINARY.replace("cross_entropy(logits, label)", "binary_cross_entropy_with_logits(logits, target)")
BINARY = BINARY.replace("[accuracy(logits, label)]", "[binary_accuracy(logits, target)]").replace('"kind"', '"color"')
BINARY = BINARY.replace(', one_hot=["color"]', "").replace("features: float[N, 4]", "features: float[N, 2]")


def test_two_classes_have_their_names(tmp_path: Path) -> None:
    flowers(tmp_path)
    run = trained(tmp_path, BINARY)
    found = rows(cli("predict", run, "-i", tmp_path / "flowers.csv").stdout)
    assert list(found[0]) == ["target", "p(red)"]
    for each in found:
        assert each["target"] == ("red" if float(each["p(red)"]) >= 0.5 else "blue")


NUMBERS = """\
model Net {
  input features: float[N, 1]
  output y: float[N, 1] = features -> Linear(1)
}

train {
  data = CSV("flowers.csv", target="weight", features=["height"])
  transform = (features=[MinMaxScale()])
  loss = mse_loss(y, target)
  optimizer = SGD(lr=0.1)
  epochs = 2
  split = 0
}
"""


def test_numbers_come_out_as_numbers_and_nothing_was_validated(tmp_path: Path) -> None:
    flowers(tmp_path)
    run = trained(tmp_path, NUMBERS)
    found = rows(cli("predict", run, "-i", tmp_path / "flowers.csv").stdout)
    heights = np.array([float(r["height"]) for r in rows((tmp_path / "flowers.csv").read_text())])
    scaled = (heights - heights.min()) / (heights.max() - heights.min())
    expected = nnspec.load(run)(torch.tensor(scaled, dtype=torch.float32)[:, None])
    np.testing.assert_allclose([float(r["y"]) for r in found], expected.detach()[:, 0], rtol=1e-5)
    with pytest.raises(nnspec.NnspecError, match="it has no validation part"):
        nnspec.evaluate(run)
    assert nnspec.evaluate(run, part="train").keys() == {"loss"}


# --- pictures --------------------------------------------------------------------------------------------------------

PICTURES = """\
model Net {
  input image: float[N, 3, 6, 6]
  output logits: float[N, 2] = image -> conv: Conv2d(4, 3) -> ReLU -> Flatten -> fc: Linear(2)
}

train {
  data = ImageFolder("pictures", size=6)
  transform = (image=[Normalize(mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))])
  loss = cross_entropy(logits, label)
  optimizer = Adam(lr=1e-2)
  epochs = 2
  batch_size = 4
}
"""


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """Two classes of pictures, as files; their pixels by file."""
    image = pytest.importorskip("PIL.Image")
    random, found = np.random.default_rng(0), {}
    for name in ("cat", "dog"):
        (folder / "pictures" / name).mkdir(parents=True)
        for i in range(6):
            pixels = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
            image.fromarray(pixels).save(folder / "pictures" / name / f"{i}.png")
            found[f"{name}/{i}.png"] = pixels
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, np.ndarray]]:
    """A run on pictures, and these."""
    folder = tmp_path_factory.mktemp("pictures")
    found = pictures(folder)
    return trained(folder, PICTURES), found


def test_a_folder_of_pictures_has_a_row_for_each_file(seen: tuple[Path, dict[str, np.ndarray]]) -> None:
    run, pixels = seen
    found = rows(cli("predict", run, "-i", run.parents[1] / "pictures").stdout)
    assert [r["file"] for r in found] == sorted(pixels)
    x = np.stack([pixels[r["file"]] for r in found]).transpose(0, 3, 1, 2) / np.float32(255)
    mean, std = (np.array(v, dtype="float32").reshape(3, 1, 1) for v in ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)))
    shares = nnspec.load(run)(torch.tensor((x - mean) / std)).softmax(1).detach()
    np.testing.assert_allclose([float(r["p(dog)"]) for r in found], shares[:, 1], rtol=1e-4)
    one = rows(cli("predict", run, "-i", run.parents[1] / "pictures" / "dog" / "3.png").stdout)
    assert one == [next(r for r in found if r["file"] == "dog/3.png") | {"file": "3.png"}]


def test_preprocessing_of_pictures_becomes_a_part_of_the_model(
    seen: tuple[Path, dict[str, np.ndarray]], tmp_path: Path
) -> None:
    run, pixels = seen
    target = tmp_path / "net.onnx"
    assert cli("compile", run, "-o", target, "--with-preprocessing", "--verify").exit_code == 0
    x = np.stack(list(pixels.values())).transpose(0, 3, 1, 2)
    (found,) = onnxruntime.InferenceSession(target).run(None, {"image": x})
    np.testing.assert_allclose(found, nnspec.predict(run, {"image": x})["logits"], atol=1e-5)


# --- text ------------------------------------------------------------------------------------------------------------

WRITER = """\
model Writer {
  input tokens: int[N, T]
  output logits: float[N, T, CHARACTERS] = tokens -> Embedding(CHARACTERS, 8) -> Linear(CHARACTERS)
}

train {
  data = Text("song.txt", context=6 TOKENIZER)
  loss = cross_entropy(logits, target, dim=-1)
  optimizer = Adam(lr=0.1)
  epochs = 12
  batch_size = 16
}
"""


@pytest.mark.parametrize(("characters", "tokenizer"), [("3", ', tokenizer="character"'), ("256", "")])
def test_a_model_of_characters_writes_on(tmp_path: Path, characters: str, tokenizer: str) -> None:
    (tmp_path / "song.txt").write_text("abc" * 200)
    run = trained(tmp_path, WRITER.replace("CHARACTERS", characters).replace("TOKENIZER", tokenizer))
    result = cli("predict", run, "--prompt", "bca", "--length", 20, "--temperature", 0)
    assert result.stdout == ("bca" * 8)[:23] + "\n"  # longer than the context
    drawn = [cli("predict", run, "--prompt", "c", "--seed", seed, "--temperature", 5).stdout for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert cli("predict", run, "--prompt", "a", "-o", tmp_path / "out.txt", "--temperature", 0).exit_code == 0
    assert (tmp_path / "out.txt").read_text().startswith("abcabc")
    assert cli("predict", run, "--prompt", "").exit_code == 1
    if tokenizer:
        assert "knows no token for `x`" in cli("predict", run, "--prompt", "x").stderr.replace("'", "`")
    assert cli("predict", run).exit_code == 2


def test_only_a_model_of_tokens_writes_on(run: Path) -> None:
    result = cli("predict", run, "--prompt", "a")
    assert result.exit_code == 1
    assert "does not write on" in result.stderr


# --- evaluate --------------------------------------------------------------------------------------------------------


def test_an_evaluation_is_what_the_run_reported(run: Path) -> None:
    best = json.loads((run / "result.json").read_text())["best"]
    found = nnspec.evaluate(run)
    assert found == {name: best[f"val/{name}"] for name in ("loss", "accuracy")}
    result = cli("evaluate", run, "--output-format", "json")
    assert json.loads(result.stdout) == {"part": "validation", "samples": 18, **found}
    assert "accuracy" in cli("evaluate", run).stdout


def test_an_evaluation_on_all_data_is_that_of_the_module_called_by_hand(run: Path) -> None:
    logits, (_, kinds) = by_hand(run), prepared(run)
    labels = torch.tensor([["ash", "elm", "fir"].index(kind) for kind in kinds])
    expected = {
        "loss": torch.nn.functional.cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(1) == labels).double().mean().item(),
    }
    table = run.parents[1] / "flowers.csv"
    for data in (str(table), f'CSV("{table}", target="kind")'):
        assert nnspec.evaluate(run, data=data) == pytest.approx(expected)
    assert nnspec.evaluate(run, part="all") == pytest.approx(expected)


def test_other_data_keeps_the_classes_of_the_run(run: Path, tmp_path: Path) -> None:
    lines = (run.parents[1] / "flowers.csv").read_text().splitlines()
    (tmp_path / "some.csv").write_text("\n".join(line for line in lines if not line.endswith("ash")) + "\n")
    logits, (_, kinds) = by_hand(run), prepared(run)
    kept = [i for i, kind in enumerate(kinds) if kind != "ash"]
    right = [["ash", "elm", "fir"][i] for i in logits.argmax(1).tolist()]
    expected = sum(right[i] == kinds[i] for i in kept) / len(kept)
    for data in (str(tmp_path / "some.csv"), f'CSV("{tmp_path / "some.csv"}", target="kind")'):
        assert nnspec.evaluate(run, data=data)["accuracy"] == pytest.approx(expected)
    (tmp_path / "new.csv").write_text("\n".join(lines).replace("fir", "oak") + "\n")
    with pytest.raises(nnspec.NnspecError, match="`oak`"):
        nnspec.evaluate(run, data=str(tmp_path / "new.csv"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ('CSV("none.csv", target="kind")', "NNS601"),
        ("CVS()", "NNS"),
        ('CSV("x.csv"', "NNS1"),
        ('CSV(paths="x.csv")', "NNS"),
        ("Iris()", "NNS641"),
        ("none.csv", "NNS601"),
    ],
)
def test_other_data_that_cannot_be_used_is_an_error(run: Path, data: str, code: str) -> None:
    result = cli("evaluate", run, "--data", data)
    assert result.exit_code == 1
    assert code in result.stderr


# --- compile ---------------------------------------------------------------------------------------------------------


def session(path: Path, **inputs: np.ndarray) -> Any:
    return onnxruntime.InferenceSession(path).run(None, inputs)[0]


def test_a_run_compiles_with_its_weights(run: Path, tmp_path: Path) -> None:
    x, expected = prepared(run)[0], by_hand(run)
    assert cli("compile", run, "-o", tmp_path / "net.onnx").exit_code == 0
    np.testing.assert_allclose(session(tmp_path / "net.onnx", features=x.numpy()), expected, atol=1e-5)
    assert cli("compile", run, "-o", tmp_path / "net.py").exit_code == 0
    scope: dict[str, Any] = {}
    exec((tmp_path / "net.py").read_text(), scope)
    module = scope["Net"]()
    assert cli("compile", run, "-o", tmp_path / "alone.safetensors").exit_code == 0
    for name in ("net.safetensors", "alone.safetensors"):
        module.load_state_dict(load_weights(tmp_path / name))
        torch.testing.assert_close(module.eval()(x), expected)
    assert cli("compile", run, "-o", tmp_path / "fast.onnx", "--optimize", "--verify").exit_code == 0
    np.testing.assert_allclose(session(tmp_path / "fast.onnx", features=x.numpy()), expected, atol=1e-5)


def test_preprocessing_becomes_a_part_of_the_model(run: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(50, 60, size=(6, 4)).astype("float32")
    expected = nnspec.predict(run, {"features": x})["logits"]
    for options in ((), ("--optimize",)):
        arguments = ("compile", run, "-o", tmp_path / "net.onnx", "--with-preprocessing", *options)
        assert cli(*arguments).exit_code == 0
        np.testing.assert_allclose(session(tmp_path / "net.onnx", features=x), expected, atol=2e-5)
    assert cli("compile", run, "-o", tmp_path / "net.py", "--with-preprocessing").exit_code == 0
    scope: dict[str, Any] = {}
    exec((tmp_path / "net.py").read_text(), scope)
    module = scope["Net"]()
    module.load_state_dict(load_weights(tmp_path / "net.safetensors"))
    torch.testing.assert_close(module(torch.tensor(x)), expected)


def test_what_is_more_than_numbers_cannot_become_a_part_of_the_model(tmp_path: Path) -> None:
    flowers(tmp_path)
    text = NUMBERS.replace("MinMaxScale()", "Log(eps=100.0)")
    result = cli("compile", trained(tmp_path, text), "-o", tmp_path / "net.onnx", "--with-preprocessing")
    assert result.exit_code == 1
    assert "`Log` of `features` cannot become a part of the model" in result.stderr


def test_options_of_runs_are_refused_for_specs(run: Path, tmp_path: Path) -> None:
    spec = run.parents[1] / "net.nns"
    assert cli("compile", spec, "--checkpoint", "last").exit_code == 2
    assert cli("compile", spec, "-o", tmp_path / "w.safetensors").exit_code == 2
    assert cli("compile", run, "--set", "hidden=3").exit_code == 2
    assert cli("compile", run, "--format", "weights").exit_code == 2


# --- runs ------------------------------------------------------------------------------------------------------------


def test_runs_are_a_table_that_can_be_sorted(run: Path) -> None:
    spec = run.parents[1] / "net.nns"
    slow = nnspec.train(
        spec, out=run.parent, name="slow", progress=False, overrides={"train.optimizer.lr": 1e-6, "train.epochs": 1}
    )
    lines = cli("runs", run.parent).stdout.splitlines()
    titles = "run status epochs best time loss accuracy val/loss val/accuracy train.optimizer.lr train.epochs"
    assert " ".join(lines[0].split()) == titles
    assert [line.split()[0] for line in lines[1:]] == ["Net-1", "slow-1"]
    found = json.loads(cli("runs", run.parent, "--sort", "val/loss", "--reverse", "--output-format", "json").stdout)
    assert [each["name"] for each in found] == ["slow-1", "Net-1"]
    assert found[0]["path"] == str(slow.directory)
    assert cli("runs", run.parent, "--sort", "val/los").exit_code == 2
    assert "there are no runs" in cli("runs", run).stdout
