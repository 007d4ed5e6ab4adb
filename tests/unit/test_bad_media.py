"""Bad pictures, sounds and texts, from the files to what is said: a code, a place in the spec, words, and exit 1."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nnspec import cli

from .test_datasets import idx

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")

IMAGE = """
model Net {
  input image: float[N, C, H, W]
  output scores: float[N, 2] = mean(image, dim=1, keepdim=true) -> AdaptiveAvgPool2d(2) -> Flatten -> Linear(2)
}
"""

SOUND = """
model Net {
  input audio: float[N, T]
  output scores: float[N, 2] = stack([mean(audio, dim=1), amax(audio, dim=1)], dim=1) -> Linear(2)
}
"""

TEXT = """
model Net {
  input tokens: int[N, T]
  output scores: float[N, T, 256] = tokens -> Embedding(256, 4) -> Linear(256)
}
"""

CLASSES = "cross_entropy(scores, label)"
NEXT = "cross_entropy(scores, target, dim=-1)"

PIXELS = np.zeros((4, 28, 28), "uint8")
LABELS = np.array([0, 1, 0, 1], "uint8")

Content = bytes | str | Callable[[Path], None]


class Case(NamedTuple):
    """Files by name, the data of the spec, and what is reported."""

    name: str
    files: Mapping[str, Content]
    data: str
    code: str
    words: tuple[str, ...]
    more: str = ""
    change: tuple[str, str] = ("", "")
    """What the model has otherwise."""

    def spec(self) -> str:
        is_text = self.data.startswith(("Text", "Lines"))
        model = TEXT if is_text else SOUND if self.data.startswith("WAV") else IMAGE
        loss = NEXT if is_text else CLASSES
        lines = (f"data = {self.data}", f"loss = {loss}", "optimizer = SGD(lr=0.1)", "epochs = 1", self.more)
        return f"{model.replace(*self.change)}\ntrain {{\n  " + "\n  ".join(lines) + "\n}\n"


def png(height: int = 8, width: int = 8, shade: int = 0) -> Callable[[Path], None]:
    """Writes a picture of one shade."""
    return lambda place: Image.new("L", (width, height), shade).save(place, format="png")


def wav(content: Any, rate: int = 8000) -> Callable[[Path], None]:
    """Writes a sound."""

    def write(place: Path) -> None:
        from scipy.io import wavfile

        wavfile.write(place, rate, np.asarray(content))

    return write


TONE = np.arange(40, dtype="int16")


def cut(write: Callable[[Path], None], keep: int) -> Callable[[Path], None]:
    """Writes a file and takes all but its first bytes away."""

    def both(place: Path) -> None:
        write(place)
        place.write_bytes(place.read_bytes()[:keep])

    return both


def packed(place: Path) -> None:
    """Writes an archive of CIFAR's."""
    noise = bytes(1) + np.random.default_rng(0).integers(0, 256, 3072).astype("uint8").tobytes()
    with tarfile.open(place, "w:gz") as archive:
        for i in range(1, 6):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/data_batch_{i}.bin")
            member.size = len(noise)
            archive.addfile(member, io.BytesIO(noise))


def with_form(form: int, bits: int = 16) -> Callable[[Path], None]:
    """Writes a sound whose header says that it is of another form."""

    def both(place: Path) -> None:
        wav(TONE)(place)
        whole = bytearray(place.read_bytes())
        whole[20:22], whole[34:36] = form.to_bytes(2, "little"), bits.to_bytes(2, "little")
        place.write_bytes(bytes(whole))

    return both


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def cifar(**changes: Any) -> dict[str, Content]:
    """The files of CIFAR-10 for Python; a change replaces a file."""
    held = {"data": np.zeros((2, 3072), "uint8"), "labels": [0, 1]}
    files: dict[str, Content] = {f"c/data_batch_{i}": pickle.dumps(held) for i in range(1, 6)}
    return files | {f"c/{name}": content for name, content in changes.items()}


def halves(images: np.ndarray = PIXELS) -> dict[str, Content]:
    """The files of MNIST."""
    return {"m/train-images-idx3-ubyte": idx(images), "m/train-labels-idx1-ubyte": idx(LABELS)}


TWO: dict[str, Content] = {"f/a/1.png": png(), "f/a/2.png": png(), "f/b/1.png": png(), "f/b/2.png": png()}
SOUNDS: dict[str, Content] = {"w/a/1.wav": wav(TONE), "w/b/1.wav": wav(TONE)}
FOLDER = 'ImageFolder("f", size=8)'
WAVS = 'WAVFolder("w")'

CASES = (
    # IDX
    Case("idx truncated", {"i": idx(PIXELS)[:-1], "l": idx(LABELS)}, 'IDX("i", "l")', "NNS602",
         ("i ends after 3,135 of the 3,136 bytes",)),
    Case("idx too long", {"i": idx(PIXELS) + b"x", "l": idx(LABELS)}, 'IDX("i", "l")', "NNS602", ("i goes on after",)),
    Case("idx magic", {"i": b"\x89PNG" + bytes(100), "l": idx(LABELS)}, 'IDX("i", "l")', "NNS602",
         ("i is not an IDX file", "it begins with 89 50 4e 47")),
    Case("idx empty", {"i": "", "l": idx(LABELS)}, 'IDX("i", "l")', "NNS602", ("it begins with nothing",)),
    Case("idx exchanged", {"i": idx(PIXELS), "l": idx(LABELS)}, 'IDX("l", "i")', "NNS602",
         ("l has 1 dimension", "are the two files exchanged?")),
    Case("idx counts", {"i": idx(PIXELS), "l": idx(LABELS[:3])}, 'IDX("i", "l")', "NNS602",
         ("i has 4 images, and l has 3 labels",)),
    Case("idx gzip", {"i": gzip.compress(idx(PIXELS))[:-9], "l": idx(LABELS)}, 'IDX("i", "l")', "NNS602",
         ("i is a damaged gzip file",)),
    Case("idx huge", {"i": bytes([0, 0, 8, 3]) + b"\xff" * 12, "l": idx(LABELS)}, 'IDX("i", "l")', "NNS602",
         ("GiB is the limit",)),
    Case("idx missing", {"imags": idx(PIXELS), "l": idx(LABELS)}, 'IDX("images", "l")', "NNS601",
         ("there is no file `images`", "`imags`")),
    Case("idx labels beyond", {"i": idx(PIXELS), "l": idx(LABELS + 1)}, 'IDX("i", "l")', "NNS604",
         ("goes up to 2", "scores for 2 classes")),
    Case("mnist missing", {"m/other": ""}, 'MNIST("m")', "NNS601",
         ("the files of MNIST are not in `m`", "train-images-idx3-ubyte", "`other`", "download=True")),
    Case("mnist of other sizes", halves(PIXELS[:, :8]), 'MNIST("m")', "NNS602", ("are not 28 x 28",)),
    Case("mnist without test", halves(), 'MNIST("m", test=true)', "NNS601", ("t10k-images-idx3-ubyte",)),
    Case("mnist both halves", halves(), 'MNIST("m", part="test", test=true)', "NNS603", ("at once",)),
    Case("mnist test labels beyond", halves() | {"m/t10k-images-idx3-ubyte": idx(PIXELS),
         "m/t10k-labels-idx1-ubyte": idx(LABELS + 5)}, 'MNIST("m", test=true)', "NNS604",
         ("t10k-labels-idx1-ubyte", "goes up to 6")),
    # CIFAR
    Case("cifar binary cut", {f"c/data_batch_{i}.bin": bytes(3073 * 2 - 1) for i in range(1, 6)}, 'CIFAR10("c")',
         "NNS602", ("data_batch_1.bin has 6,145 bytes", "no whole number of images of 3,073")),
    Case("cifar batch gone", {"c/data_batch_1.bin": bytes(3073)}, 'CIFAR10("c")', "NNS601",
         ("`data_batch_2.bin`", "of CIFAR10 is not in")),
    Case("cifar pickle cut", cifar(data_batch_2=cifar()["c/data_batch_2"][:99]), 'CIFAR10("c")', "NNS602",  # type: ignore[index]
         ("data_batch_2 is damaged",)),
    Case("cifar pickle runs code", cifar(data_batch_2=pickle.dumps({"data": Bomb()})), 'CIFAR10("c")', "NNS602",
         ("data_batch_2", "more than plain data", "mkdir")),
    Case("cifar counts", cifar(data_batch_4=pickle.dumps({"data": np.zeros((2, 3072), "uint8"), "labels": [1]})),
         'CIFAR10("c")', "NNS602", ("data_batch_4 has 2 images and 1 labels",)),
    Case("cifar archive cut", {"c/cifar-10-binary.tar.gz": cut(packed, 3000)}, 'CIFAR10("c")', "NNS602",
         ("cifar-10-binary.tar.gz is a damaged archive",)),
    Case("cifar missing", {"c/readme": ""}, 'CIFAR100("c")', "NNS601", ("the files of CIFAR100 are not in `c`",)),
    # pictures
    Case("picture broken", TWO | {"f/b/2.png": cut(png(40, 40), 45)}, FOLDER, "NNS602", ("b/2.png is damaged",)),
    Case("picture of text", TWO | {"f/b/2.png": "hello"}, FOLDER, "NNS602", ("b/2.png is not a picture",)),
    Case("picture empty", TWO | {"f/b/2.png": ""}, FOLDER, "NNS602", ("b/2.png is not a picture",)),
    Case("picture classes unknown", TWO, 'ImageFolder("f", 8, classes=["a", "c"])', "NNS602",
         ("the folder `b` in `f` is none of the classes", "`c`")),
    Case("picture classes twice", TWO, 'ImageFolder("f", 8, classes=["a", "a"])', "NNS603", ("`a` is there twice",)),
    Case("no pictures", {"f/a/notes.txt": "x"}, FOLDER, "NNS602", ("there are no pictures in `f`", "`a`", ".jpg")),
    Case("no classes", {"f/1.png": png(), "f/2.png": png()}, FOLDER, "NNS201", ("label",)),
    Case("mixed sizes", TWO | {"f/b/2.png": png(9, 7)}, 'ImageFolder("f")', "NNS602",
         ("not of one size", "a/1.png is 8 x 8", "b/2.png is 9 x 7", "size=64")),
    Case("folder missing", TWO, 'ImageFolder("g", size=8)', "NNS601", ("there is no folder `g`", "looked for")),
    Case("folder is a file", {"f": "x"}, FOLDER, "NNS601", ("`f` is a file, and a folder is needed",)),
    Case("two channels", TWO, 'ImageFolder("f", 8, channels=2)', "NNS603", ("1, 3 or 4 channels",)),
    Case("more classes than scores", TWO | {"f/c/1.png": png()}, FOLDER, "NNS604", ("goes up to 2",)),
    Case("crop too large", TWO, FOLDER, "NNS603", ("a piece of 9 x 9 does not fit into images of 8 x 8",),
         more="augment = (image=[RandomCrop(9)])"),
    # sounds
    Case("rates differ", SOUNDS | {"w/b/2.wav": wav(TONE, 16000)}, WAVS, "NNS602",
         ("have 2 different rates", "2 at 8,000, 1 at 16,000", "2.wav")),
    Case("rate not the one asked for", SOUNDS, 'WAVFolder("w", sample_rate=16_000)', "NNS602",
         ("8,000 numbers a second instead of 16,000",)),
    Case("sound of mp3", SOUNDS | {"w/b/2.wav": with_form(0x55)}, WAVS, "NNS602", ("2.wav holds MP3", "convert it")),
    Case("sound of 12 bits", SOUNDS | {"w/b/2.wav": with_form(1, 12)}, WAVS, "NNS602", ("2.wav holds 12-bit PCM",)),
    Case("sound empty", SOUNDS | {"w/b/2.wav": ""}, WAVS, "NNS602", ("2.wav is empty",)),
    Case("sound of text", SOUNDS | {"w/b/2.wav": "hello"}, WAVS, "NNS602", ("2.wav is not a WAV file",)),
    Case("sound without samples", SOUNDS | {"w/b/2.wav": wav(TONE[:0])}, WAVS, "NNS602", ("2.wav holds no sound",)),
    Case("sound cut", SOUNDS | {"w/b/2.wav": cut(wav(TONE), 80)}, WAVS, "NNS602",
         ("2.wav ends after 36 of the 80 bytes",)),
    Case("sound cut in its header", SOUNDS | {"w/b/2.wav": cut(wav(TONE), 30)}, WAVS, "NNS602",
         ("2.wav ends before its sound begins",)),
    Case("sound not finite", SOUNDS | {"w/b/2.wav": wav(np.array([0.0, np.nan], "float32"))}, WAVS, "NNS602",
         ("2.wav holds numbers that are not finite",)),
    Case("mono for stereo", SOUNDS, 'WAVFolder("w", channels=2)', "NNS602", ("has 1 channel instead of 2",)),
    Case("name without class", {"w/a.wav": wav(TONE)}, 'WAVFolder("w", label="(*)_*")', "NNS602",
         ("a.wav does not fit the pattern `(*)_*`",)),
    Case("pattern without class", SOUNDS, 'WAVFolder("w", label="*_*")', "NNS603", ("in parentheses",)),
    # texts
    Case("text not utf-8", {"t.txt": b"abc\xff\xfe" * 9}, 'Text("t.txt", 4, "character")', "NNS602",
         ("t.txt is not a text in UTF-8", "byte 3 is ff", "byte")),
    Case("text too short", {"t.txt": "four"}, 'Text("t.txt", 4)', "NNS602",
         ("t.txt has 4 bytes", "a shorter context fits")),
    Case("text empty", {"t.txt": ""}, 'Text("t.txt", 4, "character")', "NNS602", ("t.txt has 0 characters",)),
    Case("tokenizer missing", {"t.txt": "hello there"}, 'Text("t.txt", 4, "tokenizer.json")', "NNS601",
         ("there is no file `tokenizer.json`",)),
    Case("tokenizer garbled", {"t.txt": "hello there", "v.json": '{"model": {"type": "BPE", "vocab": 3}}'},
         'Text("t.txt", 4, "v.json")', "NNS602", ("v.json is no tokenizer that can be read",)),
    Case("tokenizer cut", {"t.txt": "hello there", "v.json": '{"model": {"type": "BPE", "voc'},
         'Text("t.txt", 4, "v.json")', "NNS602", ("v.json is damaged",)),
    Case("text beyond the embedding", {"t.txt": "ab" * 20}, 'Text("t.txt", 4)', "NNS604",
         ("goes up to 98", "looks it up in 9 rows"), change=("Embedding(256", "Embedding(9")),
    Case("lines too long", {"t.txt": "anna\nbo\n"}, 'Lines("t.txt", 3)', "NNS602", ("length=5 is needed",)),
    Case("lines of nothing", {"t.txt": "\n\n"}, 'Lines("t.txt")', "NNS602", ("t.txt has no lines",)),
    # torchvision
    Case("torchvision misspelt", {}, 'Torchvision("CIFRA10", 32)', "NNS602", ("did you mean `CIFAR10`?",)),
)  # fmt: skip


def write(files: Mapping[str, Content], folder: Path) -> None:
    """Put the files of a case where its spec looks for them."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if callable(content):
            content(place)
        else:
            place.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_bad_media_is_reported(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if "Torchvision" in case.data:
        from ..zoo.libraries import torchvision

        torchvision("torchvision.datasets")
    write(case.files, tmp_path)
    (tmp_path / "net.nns").write_text(case.spec())
    with pytest.raises(SystemExit) as done:
        cli.main(["run", "net.nns"])
    captured = capsys.readouterr()
    said = captured.out + captured.err
    assert done.value.code == 1, said
    assert f"error[{case.code}]" in said
    assert "--> net.nns:" in said
    assert [word for word in case.words if word not in said] == [], said
    assert "Traceback" not in said
    assert said.count("error[") == 1, said
    assert not (tmp_path / "ran").exists()


def test_good_media_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cases above fail for what is bad in them: without it, the same specs run."""
    monkeypatch.chdir(tmp_path)
    binary: dict[str, Content] = {f"b/data_batch_{i}.bin": bytes(3073) for i in range(1, 6)}
    tests = {name.replace("train-", "t10k-"): content for name, content in halves().items()}
    good = (
        Case("", {"i": idx(PIXELS), "l": idx(LABELS)}, 'IDX("i", "l")', "", ()),
        Case("", halves(), 'MNIST("m")', "", ()),
        Case("", tests, 'MNIST("m", test=true)', "", ()),
        Case("", cifar(), 'CIFAR10("c")', "", ()),
        Case("", binary, 'CIFAR10("b")', "", ()),
        Case("", {"p/cifar-10-binary.tar.gz": packed}, 'CIFAR10("p")', "", ()),
        Case("", TWO, FOLDER, "", (), more="augment = (image=[RandomCrop(8, padding=2)])"),
        Case("", SOUNDS, WAVS, "", ()),
        Case("", {"t.txt": "hello there"}, 'Text("t.txt", 4)', "", ()),
        Case("", {"t.txt": "hello there"}, 'Lines("t.txt")', "", ()),
    )
    for case in good:
        write(case.files, tmp_path)
        (tmp_path / "net.nns").write_text(case.spec().replace("epochs = 1", "epochs = 1\n  split = 0"))
        with pytest.raises(SystemExit) as done:
            cli.main(["run", "net.nns"])
        captured = capsys.readouterr()
        assert not done.value.code, case.data + captured.out + captured.err
