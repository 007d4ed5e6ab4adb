"""Predictions from sounds, from Parquet, of one of several models, and with values missing."""

from __future__ import annotations

import csv
import io
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import nnspec
from nnspec.cli import nnspec as group
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
