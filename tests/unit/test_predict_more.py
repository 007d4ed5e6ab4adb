"""Predictions from sounds, from Parquet, of one of several models, and with values missing."""

from __future__ import annotations

import csv
import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import nnspec
from nnspec.cli import nnspec as group
from nnspec.training.runs import preparation
from nnspec.training.using.answers import Meaning
from nnspec.training.using.predict import as_table
from tests.unit.trained import flowers, trained

SOUNDS = """\
model Net {
  input audio: float[N, 50]
  output logits: float[N, 2] = audio -> Linear(2)
}
train {
  data = WAVFolder("sounds")
  loss = cross_entropy(logits, label)
  optimizer = SGD(lr=0.1)
  epochs = 1
}
"""

GAN = """\
model Generator(latent = 3) {
  input z: float[N, latent]
  output points = z -> Linear(2)
}
block Discriminator {
  input points: float[N, 2]
  output points -> Linear(1)
}
train (G=Generator(), D=Discriminator()) {
  data = Moons(samples=40)
  fake = randn(N, 3) -> G
  update critic {
    params    = D
    loss      = mean(softplus(-(features -> D))) + mean(softplus(detach(fake) -> D))
    optimizer = SGD(lr=0.1)
  }
  update generator {
    params    = G
    loss      = mean(softplus(-(fake -> D)))
    optimizer = SGD(lr=0.1)
  }
  epochs = 1
}
"""


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(group, [str(each) for each in arguments], catch_exceptions=False)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def sound(place: Path, numbers: np.ndarray) -> None:
    """A WAV file of 16 bits."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(place), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(numbers.astype("<i2").tobytes())


def test_each_sound_of_a_folder_has_a_row_of_its_name(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name in ("sounds/low/0", "sounds/low/1", "sounds/high/0", "sounds/high/1", "new/b", "new/a"):
        sound(tmp_path / f"{name}.wav", random.integers(-30_000, 30_000, 50))
    run = trained(tmp_path, SOUNDS)
    found = rows(cli("predict", run, "-i", tmp_path / "new").stdout)
    assert [row["file"] for row in found] == ["a.wav", "b.wav"]
    with wave.open(str(tmp_path / "new" / "b.wav")) as file:
        numbers = np.frombuffer(file.readframes(50), "<i2").astype("float32") / np.float32(32768)
    with torch.no_grad():
        shares = nnspec.load(run)(torch.tensor(numbers)[None]).softmax(1)[0]
    assert float(found[1]["p(low)"]) == pytest.approx(shares[1].item(), rel=1e-5)
    alone = rows(cli("predict", run, "-i", tmp_path / "new" / "b.wav").stdout)
    assert [row["file"] for row in alone] == ["b.wav"]
    assert float(alone[0]["p(low)"]) == pytest.approx(shares[1].item(), rel=1e-5)
    (tmp_path / "none").mkdir()
    refused = cli("predict", run, "-i", tmp_path / "none")
    assert refused.exit_code == 1
    assert "there are no sounds" in refused.stderr


def test_a_run_of_csv_predicts_from_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = pandas.read_csv(flowers(tmp_path))
    run = trained(tmp_path)
    new = table.drop(columns="kind")
    new.to_csv(tmp_path / "new.csv", index=False)
    new.to_parquet(tmp_path / "new.parquet")
    answers = cli("predict", run, "-i", tmp_path / "new.parquet")
    assert answers.exit_code == 0
    assert answers.stdout == cli("predict", run, "-i", tmp_path / "new.csv").stdout
    new.loc[1, "height"] = None
    new.to_parquet(tmp_path / "new.parquet")
    refused = cli("predict", run, "-i", tmp_path / "new.parquet")
    assert refused.exit_code == 1
    assert "row 1 (from 0) of new.parquet has no value in column `height`" in refused.stderr


def test_a_missing_value_is_met_with_what_helps_there(tmp_path: Path) -> None:
    flowers(tmp_path)
    run = trained(tmp_path)
    (tmp_path / "new.csv").write_text("height,weight,color\n1,2,red\n,3,red\n")
    said = cli("predict", run, "-i", tmp_path / "new.csv").stderr
    assert "line 3 of new.csv has no value in column `height`" in said
    assert "leave the row out of the file" in said
    assert "drop_missing" not in said


def test_one_of_several_models_predicts_by_itself(tmp_path: Path) -> None:
    run = trained(tmp_path, GAN, "gan")
    z = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.save(tmp_path / "z.npy", z)
    result = cli("predict", run, "--model", "G", "-i", tmp_path / "z.npy", "-o", tmp_path / "y.npy")
    assert result.exit_code == 0
    with torch.no_grad():
        wanted = nnspec.load(run, model="G")(torch.tensor(z))
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), wanted.numpy())
    refused = cli("predict", run, "--model", "X", "-i", tmp_path / "z.npy")
    assert refused.exit_code == 1
    assert "trained `G` and `D`" in refused.stderr
    np.save(tmp_path / "z.npy", z[:, :2])
    assert "[samples, 3] are needed" in cli("predict", run, "--model", "G", "-i", tmp_path / "z.npy").stderr


def test_preprocessing_of_one_of_several_models_is_refused_with_the_reason(tmp_path: Path) -> None:
    run = trained(tmp_path, GAN, "gan")
    refused = cli("compile", run, "--model", "G", "--with-preprocessing", "-o", tmp_path / "g.onnx")
    assert refused.exit_code == 2
    assert "leave out --with-preprocessing" in refused.stderr
    assert not (tmp_path / "g.onnx").exists()


def test_a_terminal_shows_fewer_digits_than_a_file_holds() -> None:
    outputs = {"y": torch.tensor([[1.58076746e-05], [1 / 3]])}
    lines = as_table(outputs, {"y": Meaning()}, (), ",").splitlines()
    assert [np.float32(line) for line in lines[1:]] == outputs["y"][:, 0].tolist()
    assert as_table(outputs, {"y": Meaning()}, (), ",", digits=6).splitlines() == ["y", "1.58077e-05", "0.333333"]


# --- a target that was transformed -----------------------------------------------------------------------------------

PENGUINS = """\
model Net {{
  input features: float[N, 2]
  output grams: float[N, {width}] = features -> Linear({width})
}}
train {{
  data = CSV("birds.csv", target={target}, standardize=true)
  transform = (target=[{transforms}])
  loss = {loss}
  optimizer = Adam(lr=0.1)
  batch_size = 20
  epochs = 3
}}
"""


@pytest.mark.parametrize(
    ("loss", "target", "transforms", "steps"),
    [
        ("mse_loss(grams, target)", '"mass"', "Standardize()", True),
        ("huber_loss(target, grams)", '["mass", "length"]', "MinMaxScale(), Standardize()", True),
        (
            "l1_loss(grams, target) + 0.1 * smooth_l1_loss(grams, target)",
            '"mass"',
            "Normalize(mean=9.0, std=4.0)",
            True,
        ),
        ("mse_loss(2 * grams, target)", '"mass"', "Standardize()", False),
    ],
)
def test_numbers_come_in_the_units_of_the_field(
    tmp_path: Path, loss: str, target: str, transforms: str, steps: bool
) -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(60, 4)) * (1, 2, 800, 15) + (0, 5, 4200, 200)
    lines = ["a,b,mass,length", *(",".join(f"{x:.4f}" for x in row) for row in rows)]
    (tmp_path / "birds.csv").write_text("\n".join(lines) + "\n")
    width = 2 if "length" in target else 1
    text = PENGUINS.format(width=width, target=target, transforms=transforms, loss=loss)
    if width == 1:
        text = text.replace("standardize=true", 'features=["a", "b"], standardize=true')
    run = trained(tmp_path, text)

    found = nnspec.predict(run, tmp_path / "birds.csv")["grams"]
    data = preparation.read(json.loads((run / "data.json").read_text()), "data.json")
    x = data.pipelines["features"].prepare(torch.tensor(rows[:, :2].round(4), dtype=torch.float32))
    raw = nnspec.load(run)(x)
    assert found.shape == raw.shape
    # Transformed again, the numbers are those that the model gives.
    again = data.pipelines["target"].prepare(found) if steps else found
    torch.testing.assert_close(again, raw, rtol=1e-3, atol=1e-3)
    result = CliRunner().invoke(group, ["predict", str(run), "--input", str(tmp_path / "birds.csv")])
    assert result.exit_code == 0, result.output
    shown = list(csv.reader(io.StringIO(result.stdout)))
    assert float(shown[1][0]) == pytest.approx(found[0, 0].item(), rel=1e-3)


def test_samples_of_another_kind_are_a_type_error(tmp_path: Path) -> None:
    flowers(tmp_path)
    run = trained(tmp_path)
    with pytest.raises(TypeError, match=r"a path, or arrays by field.*not `list`"):
        nnspec.predict(run, [[1.0, 2.0]])  # type: ignore[arg-type]
