"""Pictures, sounds and texts: read as other readers read them, of the types they say, one by one or all at once."""

from __future__ import annotations

import gzip
import json
import pickle
import tarfile
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nnspec import ir, registry
from nnspec.training.dataset import Lazy, Loaded
from nnspec.training.fault import DataError, MissingData, SettingError
from nnspec.training.feeding.feed import split, take

from ..zoo.libraries import torchvision
from .test_datasets import data, fault, idx

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")

SHARED = Path(__file__).parents[3] / "shared" / "data"
RNG = np.random.default_rng(0)


def array(field: Any) -> np.ndarray:
    """All samples of a field, read in two halves, the second one backwards, and put in order again."""
    if not isinstance(field, Lazy):
        return np.asarray(field)
    order = np.arange(len(field))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    read = pickle.loads(pickle.dumps(field)).read
    return np.concatenate([read(first), read(second[::-1])[::-1]])


def checked(name: str, *args: Any, base: Path, **kwargs: Any) -> Loaded:
    """The data, loaded, after its fields (and those to validate on) were compared with the types that were said."""
    dataset = data(name, *args, **kwargs)
    types, loaded = dataset.types(base), dataset.load(base)
    for fields in (loaded.fields, loaded.validation or loaded.fields):
        assert list(fields) == list(types)
        for field, type_ in types.items():
            values = fields[field]
            assert values.shape == (len(next(iter(fields.values()))), *type_.dims[1:]), field
            assert str(values.dtype) == ("uint8" if field in loaded.divisor else type_.dtype), field
            assert type_.dtype == "float32" or field not in loaded.divisor
            assert array(values).dtype == values.dtype
    for field, names in loaded.classes.items():
        assert array(loaded.fields[field]).max() < len(names)
    return loaded


# --- MNIST and its like ---------------------------------------------------------------------------------------------


def write_halves(folder: Path, names: str, labels: int = 10, packed: bool = False) -> dict[str, tuple[Any, Any]]:
    """Two halves of random images as IDX files; `names` has `{}` for the half."""
    folder.mkdir(parents=True, exist_ok=True)
    made = {}
    for half, count in (("train", 7), ("t10k" if "emnist" not in names else "test", 4)):
        image = RNG.integers(0, 256, (count, 28, 28)).astype("uint8")
        label = RNG.integers(1, labels, count).astype("uint8")
        for kind, content in (("images-idx3", image), ("labels-idx1", label)):
            file = folder / f"{names.format(half)}-{kind}-ubyte{'.gz' * packed}"
            file.write_bytes(gzip.compress(idx(content)) if packed else idx(content))
        made[half] = (image, label)
    return made


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_images_and_classes_are_those_that_torchvision_reads(name: str, tmp_path: Path) -> None:
    write_halves(tmp_path / name / "raw", "{}")
    loaded = checked(name, ".", base=tmp_path, test=True)
    for train, fields in ((True, loaded.fields), (False, loaded.validation)):
        original = getattr(torchvision("torchvision.datasets"), name)(tmp_path, train=train)
        assert fields is not None
        assert np.array_equal(array(fields["image"])[:, 0], original.data)
        assert np.array_equal(array(fields["label"]), original.targets)
    kind = [str(n).partition(" - ")[0] for n in original.classes] if name != "MNIST" else list("0123456789")
    assert loaded.classes["label"] == tuple(kind)


@pytest.mark.parametrize("part", ["byclass", "bymerge", "balanced", "letters", "digits", "mnist"])
def test_the_splits_of_emnist_are_torchvisions_upright_and_numbered_from_0(part: str, tmp_path: Path) -> None:
    classes = torchvision("torchvision.datasets").EMNIST.classes_split_dict[part]
    write_halves(tmp_path / "EMNIST" / "raw", f"emnist-{part}-{{}}", labels=len(classes))
    original = torchvision("torchvision.datasets").EMNIST(tmp_path, split=part, train=True)
    loaded = checked("EMNIST", ".", base=tmp_path, split=part, test=True)
    assert np.array_equal(array(loaded.fields["image"])[:, 0], original.data.mT)
    lying = checked("EMNIST", ".", base=tmp_path, split=part, upright=False)
    assert np.array_equal(array(lying.fields["image"])[:, 0], original.data)
    named = [loaded.classes["label"][i] for i in array(loaded.fields["label"])]
    assert named == [classes[i] for i in original.targets]


def test_the_test_half_validates_when_asked_and_is_trained_on_where_it_is_alone(tmp_path: Path) -> None:
    made = write_halves(tmp_path, "{}", packed=True)
    assert checked("MNIST", ".", base=tmp_path).validation is None
    both = checked("MNIST", ".", base=tmp_path, test=True)
    assert (len(both), both.notes) == (7, ())
    with pytest.raises(SettingError):
        data("MNIST", ".", part="test", test=True).types(tmp_path)
    for file in tmp_path.glob("train*"):
        file.unlink()
    alone = checked("MNIST", ".", base=tmp_path)
    assert np.array_equal(array(alone.fields["label"]), made["t10k"][1])
    assert "only the test half" in alone.notes[0]
    missing = fault(lambda: data("MNIST", ".", test=True).load(tmp_path))
    assert isinstance(missing, MissingData)
    assert "train-images-idx3-ubyte" in missing.notes[0]


def test_an_unpacked_file_stays_on_the_disk_until_it_is_used(tmp_path: Path) -> None:
    write_halves(tmp_path, "{}")
    loaded = checked("IDX", "train-images-idx3-ubyte", base=tmp_path)
    assert list(loaded.fields) == ["image"]
    assert isinstance(loaded.fields["image"], np.memmap)
    floats = RNG.random((3, 4, 5)).astype(">f4")
    (tmp_path / "floats").write_bytes(idx(floats, 13))
    loaded = checked("IDX", "floats", base=tmp_path)
    assert loaded.divisor == {}
    assert np.array_equal(array(loaded.fields["image"])[:, 0], floats)


# --- CIFAR ----------------------------------------------------------------------------------------------------------


COARSE = "coarse_labels"


def write_cifar(
    folder: Path, kind: int, binary: bool, protocol: int = 2, draw: np.random.Generator = RNG
) -> dict[str, dict[str, Any]]:
    """The files of CIFAR-10 or CIFAR-100, of a few random images each."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"] if kind == 10 else ["train", "test"]
    made = {}
    for name in names:
        held: dict[str, Any] = {"data": draw.integers(0, 256, (3, 3072)).astype("uint8")}
        held["labels" if kind == 10 else "fine_labels"] = draw.integers(0, kind, 3).tolist()
        if kind == 100:
            held[COARSE] = draw.integers(0, 20, 3).tolist()
        made[name] = held
        labels = [held[COARSE], held["fine_labels"]] if kind == 100 else [held["labels"]]
        rows = np.concatenate([np.array(labels, "uint8").T, held["data"]], axis=1)
        whole = {"batch_label": name, "filenames": ["a.png"] * 3, **held}
        content = rows.tobytes() if binary else pickle.dumps(whole, protocol=protocol)
        (folder / f"{name}{'.bin' * binary}").write_bytes(content)
    words = {"label_names" if kind == 10 else "fine_label_names": [f"k{i}" for i in range(kind)]}
    words |= {"coarse_label_names": [f"c{i}" for i in range(20)]} if kind == 100 else {}
    if binary:
        for key, listed in words.items():
            file = "batches.meta.txt" if key == "label_names" else f"{key}.txt"
            (folder / file).write_text("\n".join(listed) + "\n\n")
    else:
        (folder / ("batches.meta" if kind == 10 else "meta")).write_bytes(pickle.dumps(words, protocol=protocol))
    return made


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("kind", [10, 100])
def test_cifar_for_python_is_what_torchvision_reads(
    kind: int, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path / ("cifar-10-batches-py" if kind == 10 else "cifar-100-python"), kind, False, protocol)
    cls = getattr(torchvision("torchvision.datasets"), f"CIFAR{kind}")
    monkeypatch.setattr(cls, "_check_integrity", lambda self: True)
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    loaded = checked(f"CIFAR{kind}", ".", base=tmp_path, test=True)
    for train, fields in ((True, loaded.fields), (False, loaded.validation)):
        original = cls(tmp_path, train=train)
        assert fields is not None
        assert np.array_equal(array(fields["image"]), original.data.transpose(0, 3, 1, 2))
        assert array(fields["label"]).tolist() == original.targets
    assert loaded.classes["label"] == tuple(original.classes)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", [10, 100])
def test_both_forms_of_cifar_hold_the_same_unpacked_or_not(kind: int, packed: bool, tmp_path: Path) -> None:
    found = []
    for binary in (False, True):
        root = tmp_path / f"{binary}"
        stem = {(10, False): "batches-py", (10, True): "batches-bin"}.get(
            (kind, binary), "binary" if binary else "python"
        )
        folder = root / f"cifar-{kind}-{stem}"
        made = write_cifar(folder, kind, binary, draw=np.random.default_rng(3))
        if packed:
            with tarfile.open(root / f"cifar-{kind}-{'binary' if binary else 'python'}.tar.gz", "w:gz") as archive:
                archive.add(folder, folder.name)
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()
        loaded = checked(f"CIFAR{kind}", ".", base=root)
        expected = np.concatenate([each["data"] for name, each in made.items() if "test" not in name])
        assert np.array_equal(array(loaded.fields["image"]).reshape(-1, 3072), expected)
        found.append(loaded)
    for field in found[0].fields:
        assert np.array_equal(array(found[0].fields[field]), array(found[1].fields[field]))
    assert found[0].classes == found[1].classes
    assert set(found[0].classes) == ({"label"} if kind == 10 else {"label", "coarse"})


class Runs:
    """What runs a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def test_nothing_in_a_pickle_is_ever_run(tmp_path: Path) -> None:
    write_cifar(tmp_path, 10, False)
    mark = tmp_path / "ran"
    for bad in (Runs(mark.touch), Runs(eval, "1"), Runs(getattr, dict, "keys"), [Runs(exec, "x = 1")]):
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"data": bad, "labels": [1]}))
        found = fault(lambda: data("CIFAR10", ".").load(tmp_path))
        assert "holds more than plain data" in found.message
        assert "it names" in found.notes[0]
    assert not mark.exists()


@pytest.mark.parametrize(
    ("held", "words"),
    [
        ([], "holds no dict"),
        ({"labels": [1]}, "is no array of bytes"),
        ({"data": np.zeros((1, 3072)), "labels": [1]}, "is no array of bytes"),
        ({"data": np.array([{}], dtype=object), "labels": [1]}, "is no array of bytes"),
        ({"data": np.zeros((1, 3071), "uint8"), "labels": [1]}, "instead of [images, 3072]"),
        ({"data": np.zeros((2, 3072), "uint8").T.copy().T, "labels": [1]}, "is no array of bytes"),
        ({"data": np.zeros((1, 3072), "uint8")}, "no list of whole numbers `labels`"),
        ({"data": np.zeros((1, 3072), "uint8"), "labels": ["x"]}, "no list of whole numbers `labels`"),
        ({"data": np.zeros((1, 3072), "uint8"), "labels": [1, 2]}, "has 1 images and 2 labels"),
    ],
)
def test_pickles_that_hold_something_else_are_refused(held: Any, words: str, tmp_path: Path) -> None:
    write_cifar(tmp_path, 10, False)
    (tmp_path / "data_batch_3").write_bytes(pickle.dumps(held, protocol=2))
    assert words in fault(lambda: data("CIFAR10", ".").load(tmp_path)).message


def test_every_cut_of_a_pickle_is_a_fault(tmp_path: Path) -> None:
    write_cifar(tmp_path, 10, False)
    whole = (tmp_path / "data_batch_1").read_bytes()
    for end in (0, 1, 2, 10, 50, len(whole) // 2, len(whole) - 1):
        (tmp_path / "data_batch_1").write_bytes(whole[:end])
        assert isinstance(fault(lambda: data("CIFAR10", ".").load(tmp_path)), DataError)


# --- pictures -------------------------------------------------------------------------------------------------------


def picture(place: Path, height: int = 12, width: int = 20, mode: str = "RGB", **options: Any) -> np.ndarray:
    """A random picture, saved; its pixels [height, width, channels]."""
    place.parent.mkdir(parents=True, exist_ok=True)
    depth = len(Image.new(mode, (1, 1)).getbands())
    pixels = RNG.integers(0, 256, (height, width, depth)).astype("uint8")
    Image.fromarray(pixels[..., 0] if depth == 1 else pixels, mode=None).save(place, **options)
    return pixels


def test_sub_folders_are_classes_as_torchvision_has_them(tmp_path: Path) -> None:
    for name in ("dogs/1.png", "dogs/deep/er/0.png", "cats/b.PNG", "cats/a.jpg", "cats/.hidden.png", ".git/x.png"):
        picture(tmp_path / name)
    (tmp_path / "dogs" / "notes.txt").write_text("no picture")
    loaded = checked("ImageFolder", ".", base=tmp_path)
    original = torchvision("torchvision.datasets").ImageFolder(
        tmp_path,
        is_valid_file=lambda path: path.lower().endswith(("png", "jpg")) and "/." not in path,
        allow_empty=True,
    )
    assert loaded.classes == {"label": ("cats", "dogs")}
    # Torchvision counts the hidden folder among the classes.
    assert array(loaded.fields["label"]).tolist() == [label - 1 for _, label in original.samples]
    image = array(loaded.fields["image"])
    for i, (pixels, _) in enumerate(original):
        assert np.array_equal(image[i].transpose(1, 2, 0), np.asarray(pixels))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_of_any_mode_become_the_channels_asked_for(mode: str, channels: int, tmp_path: Path) -> None:
    picture(tmp_path / "a.png", mode=mode)
    loaded = checked("ImageFolder", ".", base=tmp_path, size=(6, 9), channels=channels)
    original = Image.open(tmp_path / "a.png").convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
    expected = np.asarray(original.resize((9, 6), Image.Resampling.BILINEAR)).reshape(6, 9, channels)
    assert list(loaded.fields) == ["image"]
    assert np.array_equal(array(loaded.fields["image"])[0].transpose(1, 2, 0), expected)


def test_a_picture_of_another_form_is_stretched_cut_or_put_on_black(tmp_path: Path) -> None:
    pixels = np.zeros((10, 20, 3), "uint8")
    pixels[:, :5] = 255  # the left quarter is white
    Image.fromarray(pixels).save(tmp_path / "a.png")
    found = {
        fit: array(checked("ImageFolder", ".", 10, base=tmp_path, fit=fit).fields["image"])[0, 0]
        for fit in ("stretch", "crop", "pad")
    }
    assert found["stretch"][:, 0].min() > 200
    assert found["stretch"][:, -1].max() == 0
    assert found["crop"].max() == 0  # the middle half is black
    assert found["pad"][:2].max() == found["pad"][-2:].max() == 0
    assert found["pad"][4, 0] > 200


def test_pictures_are_turned_upright_and_deep_ones_scaled(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    pixels = picture(tmp_path / "turned" / "a.png", 4, 6, exif=exif)
    image = array(checked("ImageFolder", "turned", base=tmp_path).fields["image"])[0]
    assert np.array_equal(image.transpose(1, 2, 0), np.rot90(pixels, -1))
    (tmp_path / "deep").mkdir()
    deep = (np.arange(24).reshape(4, 6) * 2730).astype("uint16")
    Image.fromarray(deep).save(tmp_path / "deep" / "a.png")
    image = array(checked("ImageFolder", "deep", base=tmp_path, channels=1).fields["image"])[0, 0]
    assert np.array_equal(image, deep >> 8)


def test_remarks_on_folders_say_what_was_left_out(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "1.png")
    picture(tmp_path / "loose.png")
    (tmp_path / "empty").mkdir()
    notes = checked("ImageFolder", ".", base=tmp_path).notes
    assert "folders without pictures (`empty`)" in notes[0]
    assert "1 pictures beside the folders" in notes[1]
    assert "of one class, `a`" in notes[2]


def test_any_damage_to_a_picture_is_a_fault_that_names_it(tmp_path: Path) -> None:
    for ending in ("png", "jpg", "gif", "bmp", "webp", "tif"):
        folder = tmp_path / ending
        picture(folder / f"x.{ending}", 40, 40)
        whole = (folder / f"x.{ending}").read_bytes()
        for end in (0, 3, 20, len(whole) // 2):
            (folder / f"x.{ending}").write_bytes(whole[:end])
            loaded = data("ImageFolder", ending, 8).load(tmp_path)
            found = fault(lambda loaded=loaded: array(loaded.fields["image"]))  # type: ignore[misc]
            assert f"{ending}/x.{ending}" in found.message


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png", 40, 40)
    for pixels in (1000, 100):  # where Pillow warns, and where it refuses
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pixels)
        loaded = data("ImageFolder", ".", 8).load(tmp_path)
        assert "too many pixels" in fault(lambda loaded=loaded: array(loaded.fields["image"])).message  # type: ignore[misc]


def test_pillow_is_asked_for_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    assert data("ImageFolder", ".", 8).types(tmp_path)["image"].rank == 4
    found = fault(lambda: data("ImageFolder", ".", 8).load(tmp_path))
    assert (found.code, found.helps) == ("NNS605", ('pip install "nnspec[media]"',))


# --- sounds ---------------------------------------------------------------------------------------------------------


def write_wav(place: Path, content: np.ndarray, rate: int = 8000) -> None:
    from scipy.io import wavfile

    place.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(place, rate, content)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("dtype", "scale"), [("uint8", 128), ("int16", 2**15), ("int32", 2**31), ("float32", 1), ("float64", 1)]
)
def test_sounds_are_read_as_scipy_reads_them(dtype: str, scale: int, channels: int, tmp_path: Path) -> None:
    from scipy.io import wavfile

    bounds = {"uint8": (0, 256), "int16": (-(2**15), 2**15), "int32": (-(2**31), 2**31)}
    shape = (50, channels)
    made = RNG.integers(*bounds[dtype], shape) if dtype in bounds else RNG.random(shape) * 2 - 1
    write_wav(tmp_path / "a.wav", made.astype(dtype))
    expected = wavfile.read(tmp_path / "a.wav")[1].astype("float64").reshape(shape)
    expected = (expected - 128 * (dtype == "uint8")) / scale
    audio = array(checked("WAVFolder", ".", base=tmp_path, channels=channels).fields["audio"])[0]
    assert np.allclose(audio, expected.T if channels > 1 else expected[:, 0], atol=1e-7)
    assert np.abs(audio).max() <= 1
    if channels == 2:
        mixed = array(checked("WAVFolder", ".", base=tmp_path).fields["audio"])[0]
        assert np.allclose(mixed, expected.mean(1), atol=1e-6)


def test_24_bits_and_odd_chunks_are_read_as_the_standard_library_has_them(tmp_path: Path) -> None:
    values = np.array([0, 1, -1, 2**23 - 1, -(2**23), 123456])
    raw = b"".join(int(v).to_bytes(3, "little", signed=True) for v in values)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(3)
        file.setframerate(44100)
        file.writeframes(raw)
    assert np.allclose(array(checked("WAVFolder", ".", base=tmp_path).fields["audio"])[0], values / 2**23)
    whole = (tmp_path / "a.wav").read_bytes()
    odd = whole[:12] + b"LIST" + (3).to_bytes(4, "little") + b"abc\0" + whole[12:]
    (tmp_path / "a.wav").write_bytes(odd)
    assert np.allclose(array(checked("WAVFolder", ".", base=tmp_path).fields["audio"])[0], values / 2**23)
    extensible = whole.replace(
        whole[12:36],
        b"fmt "
        + (40).to_bytes(4, "little")
        + b"\xfe\xff"
        + whole[22:36]
        + b"\x16\0\x18\0\0\0\0\0"
        + b"\1\0"
        + bytes(14),
    )
    (tmp_path / "a.wav").write_bytes(extensible)
    assert np.allclose(array(checked("WAVFolder", ".", base=tmp_path).fields["audio"])[0], values / 2**23)


def test_sounds_are_cut_or_filled_up_and_their_lengths_kept(tmp_path: Path) -> None:
    for i, length in enumerate((3, 5, 8)):
        write_wav(tmp_path / f"{i}.wav", np.full(length, 2**14, "int16"))
    whole = checked("WAVFolder", ".", base=tmp_path)
    assert (array(whole.fields["audio"]) > 0).sum(1).tolist() == [3, 5, 8]
    assert array(whole.fields["length"]).tolist() == [3, 5, 8]
    cut = checked("WAVFolder", ".", 4, base=tmp_path)
    assert (array(cut.fields["audio"]) == 0.5).sum(1).tolist() == array(cut.fields["length"]).tolist() == [3, 4, 4]
    assert cut.notes == ("2 of 3 sounds are longer than 4 and were cut",)


def test_classes_of_sounds_come_from_folders_or_names(tmp_path: Path) -> None:
    for name in ("10_ann_0.wav", "9_bob_0.wav", "9_ann_1.wav"):
        write_wav(tmp_path / "flat" / name, np.ones(4, "int16"))
        write_wav(tmp_path / "deep" / name[:2].strip("_") / name, np.ones(4, "int16"))
    assert "label" not in checked("WAVFolder", "flat", base=tmp_path).fields
    by_digit = checked("WAVFolder", "flat", base=tmp_path, label="(*)_*")
    assert by_digit.classes == {"label": ("9", "10")}
    assert array(by_digit.fields["label"]).tolist() == [1, 0, 0]
    by_name = checked("WAVFolder", "flat", base=tmp_path, label="*_(*)_?")
    assert by_name.classes == {"label": ("ann", "bob")}
    assert array(by_name.fields["label"]).tolist() == [0, 0, 1]
    assert checked("WAVFolder", "deep", base=tmp_path).classes == {"label": ("10", "9")}
    for wrong in ("*_*", "(*)_(*)", "(*"):
        with pytest.raises(SettingError, match="in parentheses"):
            data("WAVFolder", "flat", label=wrong).types(tmp_path)


def test_spoken_digits_are_thirty_of_each(tmp_path: Path) -> None:
    if not (SHARED / "fsdd").is_dir():
        pytest.skip("the folder fsdd is not beside this one")
    loaded = checked("WAVFolder", str(SHARED / "fsdd"), base=tmp_path, label="(*)_*", sample_rate=8000)
    assert np.bincount(array(loaded.fields["label"])).tolist() == [30] * 10
    assert np.abs(array(loaded.fields["audio"])).max(axis=1).min() > 0.01


# --- texts ----------------------------------------------------------------------------------------------------------


def decoded(loaded: Loaded, row: np.ndarray) -> str:
    return "".join(loaded.classes["tokens"][i] for i in row)


@pytest.mark.parametrize("stride", [None, 1, 3, 7])
def test_windows_are_pieces_of_the_text_and_what_comes_after(stride: int | None, tmp_path: Path) -> None:
    text = "".join(RNG.choice(list("abc déf\n"), 101))
    (tmp_path / "t.txt").write_bytes(text.encode())
    loaded = checked("Text", "t.txt", 5, "character", base=tmp_path, stride=stride)
    tokens, target = array(loaded.fields["tokens"]), array(loaded.fields["target"])
    step = stride or 5
    assert [decoded(loaded, row) for row in tokens] == [text[i : i + 5] for i in range(0, 96, step)]
    assert [decoded(loaded, row) for row in target] == [text[i + 1 : i + 6] for i in range(0, 96, step)]
    assert loaded.classes["target"] == tuple(sorted(set(text)))
    assert loaded.ordered


def training(held: float) -> ir.Training:
    record = ir.Record("Text", {})
    return ir.Training(0, record, {}, {"tokens": "tokens"}, (("data", "target"),), (), settings={"split": held})


@pytest.mark.parametrize("stride", [1, 2, 4, 10])
def test_no_target_is_both_trained_on_and_validated_on(stride: int, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(bytes(RNG.integers(0, 256, 400).astype("uint8")))
    loaded = data("Text", "t.txt", 10, stride=stride).load(tmp_path)
    parts = split(training(0.2), loaded, (), torch.Generator())
    assert parts.validation is not None
    seen = [
        {int(i) * stride + k for i in np.asarray(part.indices) for k in range(1, 11)}
        for part in (parts.train, parts.validation)
    ]
    assert not seen[0] & seen[1]
    assert max(seen[0]) < min(seen[1])
    assert len(seen[0] | seen[1]) > 370
    assert len(split(training(0.0), loaded, (), torch.Generator()).train) == len(loaded)


def test_many_windows_take_no_memory(tmp_path: Path) -> None:
    if not (SHARED / "tinyshakespeare.txt").is_file():
        pytest.skip("tinyshakespeare.txt is not beside this folder")
    loaded = data("Text", str(SHARED / "tinyshakespeare.txt"), 256, "character", stride=1).load(tmp_path)
    tokens = loaded.fields["tokens"]
    assert isinstance(tokens, Lazy)
    assert (len(tokens), tokens.bounds) == (1_115_394 - 256, (0, 64))
    assert len(pickle.dumps(tokens)) < 5_000_000
    assert decoded(loaded, take(tokens, np.array([0]))[0].numpy()).startswith("First Citizen:\nBefore we")


def test_bytes_have_no_names_and_need_no_encoding(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(bytes(range(256)))
    loaded = checked("Text", "t.txt", 255, base=tmp_path)
    assert loaded.classes == {}
    assert array(loaded.fields["target"])[0].tolist() == list(range(1, 256))


def test_an_alphabet_numbers_the_characters_of_two_files_alike(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abba")
    (tmp_path / "b.txt").write_text("cab")
    for name, rows in (("a.txt", [0, 1, 1]), ("b.txt", [2, 0])):
        loaded = checked("Text", name, len(rows), "character", base=tmp_path, alphabet="abc")
        assert array(loaded.fields["tokens"])[0].tolist() == rows
    found = fault(lambda: data("Text", "b.txt", 2, "character", alphabet="ab").load(tmp_path))
    assert (found.message, found.at) == ("b.txt has characters that the alphabet lacks: 'c'", "alphabet")
    with pytest.raises(SettingError, match="'a' twice"):
        data("Text", "b.txt", 2, "character", alphabet="aba").load(tmp_path)
    with pytest.raises(SettingError, match="is for characters"):
        data("Text", "b.txt", 2, alphabet="ab").load(tmp_path)


def test_a_tokenizers_file_is_used_as_its_library_does(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    text = "the cat sat on the mat, the cat sat.\n" * 30
    trained = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="[UNK]"))
    trained.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel()
    trained.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=60, special_tokens=["[UNK]"], show_progress=False)
    trained.train_from_iterator([text], trainer)
    trained.enable_truncation(4)  # which is for another use
    trained.save(str(tmp_path / "tokenizer.json"))
    trained.no_truncation()
    (tmp_path / "t.txt").write_text(text)
    loaded = checked("Text", "t.txt", 6, "tokenizer.json", base=tmp_path)
    tokens = array(loaded.fields["tokens"])
    assert tokens.reshape(-1).tolist() == trained.encode(text).ids[: tokens.size]
    assert text.startswith(trained.decode(tokens.reshape(-1).tolist()).strip())
    assert loaded.classes["tokens"][int(tokens[0, 0])] == trained.id_to_token(int(tokens[0, 0]))


@pytest.mark.parametrize("form", ["lines", "json"])
def test_a_plain_vocabulary_takes_the_longest_word_that_fits(form: str, tmp_path: Path) -> None:
    words = ["a", "b", "ab", "abc", "c", " "]
    file = tmp_path / "vocabulary"
    file.write_text("\n".join(words) + "\n" if form == "lines" else json.dumps({w: i for i, w in enumerate(words)}))
    (tmp_path / "t.txt").write_text("abc ab ba cab")
    loaded = checked("Text", "t.txt", 3, "vocabulary", base=tmp_path)
    assert array(loaded.fields["tokens"]).tolist() == [[3, 5, 2], [5, 1, 0]]
    assert loaded.classes["tokens"] == tuple(words)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{broken", "it begins as JSON and is none"),
        ('{"a": 0, "b": 2}', "neither a tokenizer nor a vocabulary"),
        ('{"a": 0, "b": 0}', "neither a tokenizer nor a vocabulary"),
        ("{}", "neither a tokenizer nor a vocabulary"),
        ('{"model": {"type": "Nothing"}}', "no tokenizer that can be read"),
        ("a\n\nb", "has an empty word, or one twice"),
        ("a\nb\n", "has no word for 'c'"),
    ],
)
def test_a_tokenizers_file_that_is_none_is_a_fault(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("abc")
    (tmp_path / "vocabulary").write_text(content)
    found = fault(lambda: data("Text", "t.txt", 1, "vocabulary").load(tmp_path))
    assert words in found.message
    assert found.at == "tokenizer"


def test_lines_begin_and_end_with_token_0(tmp_path: Path) -> None:
    (tmp_path / "n.txt").write_text("bo\n\nanna\n")
    loaded = checked("Lines", "n.txt", base=tmp_path)
    assert loaded.classes["tokens"] == ("\n", "a", "b", "n", "o")
    assert array(loaded.fields["tokens"]).tolist() == [[0, 2, 4, 0, 0], [0, 1, 3, 3, 1]]
    assert array(loaded.fields["target"]).tolist() == [[2, 4, 0, -100, -100], [1, 3, 3, 1, 0]]
    longer = checked("Lines", "n.txt", 7, base=tmp_path, alphabet="nboa")
    assert array(longer.fields["tokens"])[1].tolist() == [0, 4, 1, 1, 4, 0, 0]
    found = fault(lambda: data("Lines", "n.txt", 4).load(tmp_path))
    assert found.message == "n.txt has lines of up to 4 characters, for which length=5 is needed"


# --- torchvision's --------------------------------------------------------------------------------------------------


def test_data_sets_of_torchvision_come_by_name(tmp_path: Path) -> None:
    torchvision("torchvision.datasets")
    write_halves(tmp_path / "MNIST" / "raw", "{}")
    ours = checked("MNIST", ".", base=tmp_path, part="test")
    theirs = checked("Torchvision", "MNIST", 28, root=".", part="test", channels=1, base=tmp_path)
    for field in ("image", "label"):
        assert np.array_equal(array(theirs.fields[field]), array(ours.fields[field]))
    assert theirs.classes["label"][0] == "0 - zero"
    small = checked("Torchvision", "MNIST", (9, 8), root=".", base=tmp_path)
    assert small.fields["image"].shape == (7, 3, 9, 8)
    for name in ("1", "2"):
        picture(tmp_path / "train" / "cats" / f"{name}.png", 9, 9)
    assert len(checked("Torchvision", "ImageFolder", 8, root="train", base=tmp_path)) == 2


def test_nothing_is_fetched_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torchvision("torchvision.datasets")
    asked: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *a, **k: asked.append(a))
    found = fault(lambda: data("Torchvision", "CIFAR10", 32).load(tmp_path))
    assert isinstance(found, MissingData)
    assert found.helps[0] == "download=true fetches the files"
    assert not asked
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("CIFRA10", {}, "has no data set `CIFRA10`"),
        ("VisionDataset", {}, "has no data set"),
        ("utils", {}, "has no data set"),
        ("MNIST", {"part": "middle"}, 'has parts "train" and "test"'),
        ("FakeData", {"part": "train"}, "has no parts"),
        ("FakeData", {"download": True}, "does not fetch FakeData"),
        ("SVHN", {"part": "nothing"}, "cannot open SVHN with these arguments"),
    ],
)
def test_faults_of_torchvisions_data_sets(name: str, arguments: dict[str, Any], words: str, tmp_path: Path) -> None:
    torchvision("torchvision.datasets")
    assert words in fault(lambda: data("Torchvision", name, 32, **arguments).load(tmp_path)).message


# --- all of them ----------------------------------------------------------------------------------------------------


def test_folders_that_are_not_there_say_what_is(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "file").write_text("")

    def said(name: str, path: str) -> DataError:
        return fault(lambda: data(name, path).load(tmp_path))

    for name in ("ImageFolder", "WAVFolder"):
        assert data(name, "picture").schema(tmp_path) is None
        found = said(name, "picture")
        assert isinstance(found, MissingData)
        assert found.notes == (f"looked for {tmp_path / 'picture'}",)
        assert "`pictures`" in found.helps[0]
        assert said(name, "file").message == "`file` is a file, and a folder is needed"
        assert isinstance(said(name, "x" * 5000), MissingData)


def test_every_data_set_is_found_by_its_name() -> None:
    names = ("IDX", "MNIST", "FashionMNIST", "KMNIST", "EMNIST", "CIFAR10", "CIFAR100", "ImageFolder", "WAVFolder")
    for name in (*names, "Text", "Lines", "Torchvision"):
        cls = registry.find("dataset", name)
        assert cls is not None
        assert cls.__doc__


def test_what_is_validated_on_is_numbered_as_what_is_trained_on(tmp_path: Path) -> None:
    for name in ("a/cat/1.png", "a/dog/1.png", "a/owl/1.png", "b/owl/1.png", "b/dog/1.png"):
        picture(tmp_path / name, 7, 5)
    for name in ("s/1_x.wav", "s/2_x.wav", "t/2_y.wav"):
        write_wav(tmp_path / name, np.ones(9 if name == "s/1_x.wav" else 4, "int16"))
    (tmp_path / "a.txt").write_text("abcd\nefg\n")
    (tmp_path / "b.txt").write_text("dc\nba\n")
    for first, second, field, expected in (
        (data("ImageFolder", "a"), data("ImageFolder", "b"), "label", [1, 2]),
        (data("WAVFolder", "s", label="(*)_*"), data("WAVFolder", "t"), "label", [1]),
        (data("Text", "a.txt", 3, "character"), data("Text", "b.txt", 3), "tokens", [[4, 3, 0]]),
        (data("Lines", "a.txt"), data("Lines", "b.txt"), "tokens", [[0, 4, 3, 0, 0], [0, 2, 1, 0, 0]]),
    ):
        held = second.following(first, tmp_path)
        assert array(held.load(tmp_path).fields[field]).tolist() == expected
        assert held.load(tmp_path).classes == first.load(tmp_path).classes
        assert held.types(tmp_path) == first.types(tmp_path)
        settled = first.settled(tmp_path)
        assert settled.load(tmp_path).classes == first.load(tmp_path).classes
        assert settled.settled(tmp_path) == settled
        assert second.following(data("Moons"), tmp_path) == second


def test_new_samples_need_no_labels(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "cat" / "1.png", 7, 5)
    picture(tmp_path / "new" / "1.png", 9, 9)
    write_wav(tmp_path / "s" / "1_x.wav", np.ones(9, "int16"))
    write_wav(tmp_path / "new" / "any.wav", np.ones(4, "int16"))
    (tmp_path / "i").write_bytes(idx(np.zeros((3, 4, 5), "uint8")))
    for dataset, path, field, shape in (
        (data("ImageFolder", "a"), "new", "image", (1, 3, 7, 5)),
        (data("WAVFolder", "s", label="(*)_*"), "new", "audio", (1, 9)),
        (data("IDX", "i", "l"), "i", "image", (3, 1, 4, 5)),
    ):
        other = dataset.settled(tmp_path).elsewhere(path, [field])
        assert other is not None
        loaded = other.load(tmp_path)
        assert "label" not in loaded.fields
        assert loaded.fields[field].shape == shape
    assert data("IDX", "i", "l").elsewhere("j", ["image", "label"]) is None
