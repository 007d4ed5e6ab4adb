"""Files that were made to do harm: what they promise is not believed, and what they would take is not given."""

from __future__ import annotations

import gzip
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nnspec
from nnspec import ir, registry
from nnspec.compiler import compile_text
from nnspec.training.dataset import Dataset, Loaded, read
from nnspec.training.datasets import cifar
from nnspec.training.fault import Fault
from nnspec.training.feeding.feed import split
from nnspec.training.files import vocabulary
from nnspec.training.files.pickles import read_pickle
from nnspec.training.runs.preparation import Preparation
from nnspec.training.tables import text as table_text
from nnspec.training.using.unseen import read_samples

NAMES = ("NPY", "NPZ", "IDX", "CIFAR10", "CSV", "Text", "Lines", "WAVFolder", "Parquet")
CLASSES: list[Any] = [registry.find("dataset", name) for name in NAMES]
NPY, NPZ, IDX, CIFAR10, CSV, Text, Lines, WAVFolder, Parquet = CLASSES

MODEST = 64 << 20
"""Bytes that reading a bad file may take."""


def refused(action: Callable[[], Any]) -> str:
    """What is said of a file, which takes little memory to find out."""
    tracemalloc.start()
    try:
        with pytest.raises(Fault) as caught:
            action()
        assert tracemalloc.get_traced_memory()[1] < MODEST
    finally:
        tracemalloc.stop()
    return " ".join((caught.value.message, *caught.value.notes, *caught.value.helps))


def npy(shape: str, body: bytes) -> bytes:
    """A numpy array whose header promises a shape."""
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + body


# --- pickles and archives --------------------------------------------------------------------------------------------


def test_a_pickle_that_numbers_a_value_beyond_all_others_is_not_given_room_for_it() -> None:
    said = refused(lambda: read_pickle(b"\x80\x02Nr\xff\xff\xff\x00.", "b", "root"))
    assert "more parts" in said


def test_a_pickle_of_endless_small_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.training.files.pickles._MOST_OPERATIONS", 1000)
    assert read_pickle(b"\x80\x02]" + b"K\1a" * 400 + b".", "b", "root") == [1] * 400
    assert "more parts" in refused(lambda: read_pickle(b"\x80\x02]" + b"K\1a" * 600 + b".", "b", "root"))


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.REGTYPE])
def test_an_archive_whose_headers_go_on_and_on_is_left(
    kind: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cifar, "_MOST_BYTES", 1 << 20)
    info = tarfile.TarInfo("long")
    info.type, info.size = kind, 200 << 20
    with gzip.open(tmp_path / "cifar-10-python.tar.gz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(200):
            file.write(bytes(1 << 20))
    assert "holds more than CIFAR does" in refused(lambda: CIFAR10(".").load(tmp_path))


# --- arrays ----------------------------------------------------------------------------------------------------------


def test_memory_for_a_packed_idx_file_is_asked_for_as_its_bytes_come(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">III", 60_000, 500, 500) + b"abc")
    assert "ends after 3 of the 15,000,000,000 bytes" in refused(lambda: IDX("x.gz").load(tmp_path))


def test_a_packed_idx_file_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnspec.training.files.idx._PIECE", 7)
    pixels = np.arange(5 * 3 * 4, dtype="uint8")
    with gzip.open(tmp_path / "x.gz", "wb") as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">III", 5, 3, 4) + pixels.tobytes())
    image = IDX("x.gz").load(tmp_path).fields["image"]
    assert isinstance(image, np.ndarray)
    assert (image == pixels.reshape(5, 1, 3, 4)).all()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_an_archive_of_arrays_is_unpacked_by_numpys_method_only(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", method) as archive:
        archive.writestr("x.npy", npy("(2,)", b"abcdefgh"))
    assert "packed in a way that numpy does not use" in refused(lambda: NPZ("x.npz").types(tmp_path))


def test_arrays_without_samples_are_refused_before_a_run(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(npy("(0, 1000000000000)", b""))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", npy("(0, 1000000000000)", b""))
    assert "has no samples" in refused(lambda: NPY("x.npy").types(tmp_path))
    assert "has no samples" in refused(lambda: NPZ("x.npz").types(tmp_path))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_new_samples_take_no_memory_that_a_header_promises(name: str, tmp_path: Path) -> None:
    content = npy("(2000000000,)", b"abc")
    (tmp_path / "x.npy").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", content)
    preparation = Preparation(None, tmp_path, {}, {}, {"x": ("float32", ())})
    said = refused(lambda: read_samples(tmp_path / name, ["x"], preparation))
    assert "cannot be read as arrays of numpy" in said
    assert "8,000,000,128" in said


def test_only_the_arrays_that_the_model_takes_are_unpacked(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((3, 2)), names=np.array(["a", "b"]))
    preparation = Preparation(None, tmp_path, {}, {}, {"x": ("float32", (2,)), "names": ("float32", ())})
    found = read_samples(tmp_path / "x.npz", ["x"], preparation).fields["x"]
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [[1, 1]] * 3
    assert "neither numbers nor bools" in refused(lambda: read_samples(tmp_path / "x.npz", ["names"], preparation))


def test_data_that_does_not_fit_in_memory_is_said_to(tmp_path: Path) -> None:
    class Endless(Dataset):
        def load(self, base: Path) -> Loaded:
            raise MemoryError

    assert "does not fit in memory" in refused(lambda: read(Endless(), tmp_path))


# --- tables ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"1" * 5000, b"1," * 2500, b'"a\n",' * 1000, b"a,b\n1,2\n" + b"1," * 2500])
def test_a_row_without_an_end_is_not_read_to_it(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_text, "_LONGEST_ROW", 2000)
    (tmp_path / "t.csv").write_bytes(content)
    assert "does not end within 2,000 characters" in refused(lambda: CSV("t.csv").types(tmp_path))


def test_a_packed_table_without_line_ends_takes_no_memory(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wb", compresslevel=1) as file:
        for _ in range(100):
            file.write(b"1" * (1 << 20))
    assert "line 1 of t.csv.gz does not end" in refused(lambda: CSV("t.csv.gz").types(tmp_path))


@pytest.mark.parametrize("characters", [1 << 24, 100, 12])
def test_a_long_table_is_read_in_pieces_without_losing_a_row(
    characters: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_text, "_BLOCK_CHARACTERS", characters)
    count = 2 * table_text._BLOCK + 17
    numbers = np.random.default_rng(0).normal(size=(count, 2)).astype("float32")
    words = np.random.default_rng(1).choice(["a", "b", "c"], count)
    rows = (f"{x!r},{y!r},{word}\n" for (x, y), word in zip(numbers.tolist(), words, strict=True))
    (tmp_path / "t.csv").write_text("x,y,w\n" + "".join(rows))
    loaded = CSV("t.csv", target="w").load(tmp_path)
    assert (np.asarray(loaded.fields["features"]) == numbers).all()
    assert np.asarray(loaded.fields["label"]).tolist() == ["abc".index(word) for word in words]


def test_unsigned_numbers_that_are_too_large_are_refused(tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"n": arrow.array([1, 2**63], arrow.uint64())}), tmp_path / "t.parquet")
    data = Parquet("t.parquet", features=(), columns={"n": "n"}, integers=("n",))
    assert "out of the range of an int" in refused(lambda: data.load(tmp_path))


# --- texts and sounds ------------------------------------------------------------------------------------------------


def test_a_token_beyond_all_others_is_not_given_a_place(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    (tmp_path / "t.txt").write_text("a b " * 10)
    words = '{"a": 0, "b": 4294967295}'
    model = f'{{"type": "WordLevel", "vocab": {words}, "unk_token": "a"}}'
    parts = ("normalizer", "pre_tokenizer", "post_processor", "decoder", "truncation", "padding")
    none = ", ".join(f'"{part}": null' for part in parts)
    (tmp_path / "v.json").write_text(f'{{"version": "1.0", "added_tokens": [], {none}, "model": {model}}}')
    assert "a token 4,294,967,295" in refused(lambda: Text("t.txt", context=3, tokenizer="v.json").load(tmp_path))


def test_a_vocabulary_of_endless_words_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a" * 100)
    (tmp_path / "v.txt").write_text("a\n" + "a" * (vocabulary._LONGEST_WORD + 1))
    assert "1,000 are the limit" in refused(lambda: Text("t.txt", context=3, tokenizer="v.txt").load(tmp_path))


def test_an_alphabet_has_no_character_twice(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("ab\nba\n")
    assert "'a' twice" in refused(lambda: Lines("t.txt", alphabet="aba").load(tmp_path))


def wav(place: Path, rate: int = 8000) -> None:
    """A sound of ten samples."""
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", 20) + bytes(20)
    place.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_a_pattern_of_many_stars_takes_no_time(tmp_path: Path) -> None:
    wav(tmp_path / f"{'a' * 200}.wav")
    data = WAVFolder(".", label="(*)" + "*a" * 30 + "b")
    assert "does not fit the pattern" in refused(lambda: data.load(tmp_path))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("(*)_*", {"a_b_c": "a", "b_1": "b"}),
        ("*_(*)_*", {"x_a_b": "a", "y_b_1_2": "b"}),
        ("*_(*)", {"x_a_b": "a_b", "y_b": "b"}),
        ("(?)*", {"abc": "a", "bcd": "b"}),
        ("*(??)", {"xxab": "ab", "cd": "cd"}),
        ("a*(b*c)*d", {"axbyczd": "byc", "aabcd": "bc"}),
        ("(*-*)-*", {"a-b-c-d": "a-b", "c-d-e": "c-d"}),
        ("*.(*)*1", {"x.1": "", "z.b.21": ""}),
    ],
)
def test_a_star_takes_as_little_as_it_can(pattern: str, names: dict[str, str], tmp_path: Path) -> None:
    for name in names:
        wav(tmp_path / f"{name}.wav")
    loaded = WAVFolder(".", label=pattern).load(tmp_path)
    numbers = np.asarray(loaded.fields["label"]).tolist()
    assert [loaded.classes["label"][number] for number in numbers] == [names[name] for name in sorted(names)]


def test_sounds_of_several_rates_are_reported_by_a_check(tmp_path: Path) -> None:
    wav(tmp_path / "a_1.wav", 8000)
    wav(tmp_path / "b_1.wav", 16000)
    assert "2 different rates" in refused(lambda: WAVFolder(".", label="(*)_*").types(tmp_path))


# --- what nobody may notice ------------------------------------------------------------------------------------------


def test_classes_that_are_numbers_are_in_the_order_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,10\n2,9\n3,-2\n4,9\n")
    loaded = CSV("t.csv", target="y", classes=True).load(tmp_path)
    assert loaded.classes["label"] == ("-2", "9", "10")
    assert loaded.fields["label"].tolist() == [2, 1, 0, 1]


@pytest.mark.parametrize("fill", ["mean", "most_frequent", 0.0])
def test_a_row_without_a_target_is_neither_filled_nor_left_out_in_silence(fill: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,10\n2,\n,3\n")
    assert "has no value in column `y`" in refused(lambda: CSV("t.csv", target="y", fill=fill).load(tmp_path))


def test_classes_of_other_numbers_are_not_validated_on(tmp_path: Path) -> None:
    pixels = np.zeros((4, 8, 8, 3), "uint8")
    image = pytest.importorskip("PIL.Image")
    for i, (part, name) in enumerate((p, n) for p in ("a", "b") for n in ("cat", "dog")):
        (tmp_path / part / name).mkdir(parents=True)
        for number in range(2):
            image.fromarray(pixels[i]).save(tmp_path / part / name / f"{number}.png")
    spec = (
        "model Net {\n  input image: float[N, 3, 8, 8]\n  output y = image -> Flatten -> Linear(2)\n}\n"
        'train {\n  data = ImageFolder("a", classes=["cat", "dog"])\n'
        '  validation = ImageFolder("b", classes=["dog", "cat"])\n'
        "  loss = cross_entropy(y, label)\n  optimizer = SGD(lr=0.1)\n  epochs = 1\n}\n"
    )
    (tmp_path / "net.nns").write_text(spec)
    with pytest.raises(nnspec.NnspecError, match="the classes of `label` are others") as caught:
        nnspec.train(tmp_path / "net.nns", out=None)
    assert caught.value.diagnostics[0].notes == ("trained on: `cat`, `dog`", "validated on: `dog`, `cat`")
    (tmp_path / "net.nns").write_text(spec.replace(', classes=["dog", "cat"]', ""))
    nnspec.train(tmp_path / "net.nns", out=None)


@pytest.mark.parametrize("count", [2, 7, 10, 23])
@pytest.mark.parametrize("ordered", [False, True])
def test_the_parts_of_a_fold_are_all_samples_once(count: int, ordered: bool) -> None:
    parts = min(count, 5)
    held: list[int] = []
    for number in range(parts):
        train, validation = divided(count, ordered, fold=(number, parts))
        assert sorted((*train, *validation)) == list(range(count))
        held += validation
    assert sorted(held) == list(range(count))


@pytest.mark.parametrize("overlap", [0, 1, 4])
@pytest.mark.parametrize("settings", [{"split": 0.3}, {"fold": (0, 4)}, {"fold": (1, 4)}, {"fold": (3, 4)}])
def test_what_shares_a_target_with_what_is_validated_on_is_not_trained_on(
    settings: dict[str, Any], overlap: int
) -> None:
    train, validation = divided(40, True, overlap, **settings)
    assert validation == list(range(validation[0], validation[0] + len(validation)))
    distance = min(abs(one - other) for one in train for other in validation)
    assert distance == overlap + 1
    assert len(train) + len(validation) == 40 - overlap * (1 + (settings.get("fold") in [(1, 4)]))


PICTURES = np.random.default_rng(0).integers(0, 256, (20, 3)).astype("uint8")
BYTES = Loaded({"x": PICTURES}, divisor={"x": 255.0})
FLOATS = Loaded({"x": PICTURES.astype("float32") / np.float32(255)})


@pytest.mark.parametrize(("trained", "validated"), [(BYTES, FLOATS), (FLOATS, BYTES), (BYTES, BYTES), (FLOATS, FLOATS)])
def test_what_is_validated_on_means_the_same_however_it_is_stored(trained: Loaded, validated: Loaded) -> None:
    training = trained_on(3, "transform = (x=[Normalize(mean=0.5, std=2.0)])")
    parts = split(training, trained, (), torch.Generator(), validated)
    assert parts.validation is not None
    found = [part.whole("x", parts.pipelines["x"]) for part in (parts.train, parts.validation)]
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], (torch.tensor(PICTURES) / 255 - 0.5) / 2)


def test_what_is_evaluated_means_the_same_however_it_is_stored(tmp_path: Path) -> None:
    pixels = PICTURES[:, :1].repeat(16, 1).reshape(20, 4, 4)
    labels = (np.arange(20) % 2).astype("uint8")
    (tmp_path / "x").write_bytes(b"\0\0\x08\x03" + struct.pack(">III", 20, 4, 4) + pixels.tobytes())
    (tmp_path / "y").write_bytes(b"\0\0\x08\x01" + struct.pack(">I", 20) + labels.tobytes())
    floats = (pixels / 255).astype("float32")[:, None]
    np.savez(tmp_path / "xy.npz", image=floats, label=labels.astype("int64"))
    (tmp_path / "net.nns").write_text(
        "model Net {\n  input image: float[N, 1, 4, 4]\n  output y = image -> Flatten -> Linear(2)\n}\n"
        'train {\n  data = IDX("x", "y")\n  loss = cross_entropy(y, label)\n  optimizer = SGD(lr=0.1)\n'
        "  epochs = 1\n}\n"
    )
    nnspec.train(tmp_path / "net.nns", out=tmp_path / "runs", progress=False)
    run = tmp_path / "runs" / "Net-1"
    same, other = (
        nnspec.evaluate(run, data=f'{data}("{tmp_path}/{path}"{more})')["loss"]
        for data, path, more in (("IDX", "x", f', "{tmp_path}/y"'), ("NPZ", "xy.npz", ""))
    )
    assert other == pytest.approx(same, rel=1e-6)


@pytest.mark.parametrize("said", ['validation = Random(of=(x="float[N, 3]"))', "fold = (0, 5)"])
def test_a_part_that_the_data_comes_with_is_not_passed_over(said: str) -> None:
    whole = Loaded(FLOATS.fields, validation=FLOATS.fields)
    other = FLOATS if said.startswith("validation") else None
    with pytest.raises(Fault, match="both say what is validated on"):
        split(trained_on(3, said), whole, (), torch.Generator(), other)
    assert split(trained_on(3, ""), whole, (), torch.Generator()).validation is not None


def trained_on(width: int, *lines: str) -> ir.Training:
    """A section about a field `x` of so many columns."""
    listed = "\n  ".join(lines)
    text = (
        f"model Net {{\n  input x: float[N, {width}]\n  output y = x -> Linear(1)\n}}\n"
        f'train {{\n  data = Random(of=(x="float[N, {width}]"))\n  loss = mean(y)\n  optimizer = SGD(lr=0.1)\n'
        f"  {listed}\n}}\n"
    )
    training = compile_text(text, train=True).program.training
    assert training is not None
    return training


def divided(count: int, ordered: bool, overlap: int = 0, **settings: Any) -> tuple[list[int], list[int]]:
    """The numbers of the samples that are trained on, and of those that are validated on."""
    listed = f"split = {settings['split']}" if "split" in settings else f"fold = {settings['fold']}"
    training = trained_on(1, "transform = (x=[Standardize()])", listed)
    x = np.arange(count, dtype="float32")[:, None]
    loaded = Loaded({"x": x}, ordered=ordered, overlap=overlap)
    parts = split(training, loaded, (), torch.Generator().manual_seed(3))
    assert parts.validation is not None
    found = [
        [int(value) for value in part.read("x", np.arange(len(part))).flatten()]
        for part in (parts.train, parts.validation)
    ]
    assert parts.pipelines["x"].states[0]["mean"] == pytest.approx([np.mean(found[0])]), "of the training part alone"
    return found[0], found[1]


def test_a_picture_of_too_many_pixels_is_reported_by_a_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = pytest.importorskip("PIL.Image")
    monkeypatch.setattr(image, "MAX_IMAGE_PIXELS", 100)  # Pillow warns of more, and raises for twice as many
    for side in (12, 20):
        folder = tmp_path / f"{side}" / "a"
        folder.mkdir(parents=True)
        image.new("RGB", (side, side)).save(folder / "x.png")
        data = registry.find("dataset", "ImageFolder")
        assert data is not None
        assert "too many pixels" in refused(partial(data(f"{side}").types, tmp_path))
