"""Data sets: types are known without numpy, arrays are of exactly those types, and faults name a place."""

from __future__ import annotations

import gzip
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnspec import registry
from nnspec.training.dataset import Dataset, Lazy, Loaded
from nnspec.training.fault import DataError, MissingData

CSV_TEXT = """kind,width,place,height,empty
b,1.5,north,10,
a,2.5,south,20,
b,3.5,north,30,
"""


def data(name: str, *args: Any, **kwargs: Any) -> Dataset:
    cls = registry.find("dataset", name)
    assert cls is not None
    made = cls(*args, **kwargs)
    assert isinstance(made, Dataset)
    return made


def matching(dataset: Dataset, base: Path) -> Loaded:
    """The loaded data, after its arrays were compared with the types that were said."""
    types, loaded = dataset.types(base), dataset.load(base)
    assert list(types) == list(loaded.fields)
    for name, type_ in types.items():
        array = loaded.fields[name]
        assert str(array.dtype) == ("uint8" if name in loaded.divisor else type_.dtype), name
        assert array.shape == (len(loaded), *type_.dims[1:]), name
    return loaded


def samples(loaded: Loaded, name: str) -> np.ndarray:
    """All samples of a field."""
    array = loaded.fields[name]
    return array.read(np.arange(len(loaded))) if isinstance(array, Lazy) else array


def fault(action: Callable[[], object]) -> DataError:
    with pytest.raises(DataError) as caught:
        action()
    return caught.value


def idx(array: np.ndarray, code: int = 8) -> bytes:
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


PIXELS = np.arange(2 * 28 * 28, dtype="uint8").reshape(2, 28, 28)
LABELS = np.array([3, 7], dtype="uint8")


@pytest.mark.parametrize(
    ("name", "count", "classes"),
    [("Digits", 1797, 10), ("Iris", 150, 3), ("Wine", 178, 3), ("BreastCancer", 569, 2)],
)
def test_bundled_sets_of_classes_number_them_from_0(name: str, count: int, classes: int, tmp_path: Path) -> None:
    loaded = matching(data(name), tmp_path)
    assert len(loaded) == count
    assert set(samples(loaded, "label").tolist()) == set(range(classes))
    assert len(loaded.classes["label"]) == classes


@pytest.mark.parametrize("name", ["Diabetes", "Linnerud", "Moons", "Circles", "Xor"])
def test_other_sets_are_of_the_types_they_say(name: str, tmp_path: Path) -> None:
    matching(data(name), tmp_path)


def test_digits_are_grey_from_0_to_1(tmp_path: Path) -> None:
    image = samples(data("Digits").load(tmp_path), "image")
    assert (image.min(), image.max()) == (0.0, 1.0)


def test_the_two_forms_of_a_binary_label_agree(tmp_path: Path) -> None:
    loaded = data("BreastCancer").load(tmp_path)
    assert (samples(loaded, "target")[:, 0] == samples(loaded, "label")).all()


def test_iris_comes_whole_and_in_two_parts(tmp_path: Path) -> None:
    fields = data("Iris").load(tmp_path).fields
    assert (np.concatenate([fields["sepal"], fields["petal"]], axis=1) == fields["features"]).all()


def test_standardised_fields_are_those_asked_for() -> None:
    assert data("Wine").standardized() == ()
    assert data("Wine", standardize=True).standardized() == ("features",)
    assert data("Iris", standardize=True).standardized() == ("features", "sepal", "petal")
    assert data("Diabetes", standardize=True, standardize_target=True).standardized() == ("features", "target")


def test_made_data_depends_on_its_seed_only(tmp_path: Path) -> None:
    for name, arguments, field in (("RandomImages", (4, 5), "image"), ("Moons", (20,), "features")):
        one, same, other = (samples(data(name, *arguments, seed=s).load(tmp_path), field) for s in (1, 1, 2))
        assert (one == same).all()
        assert (one != other).any()


def test_types_are_known_without_numpy(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV_TEXT)
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)))
    (tmp_path / "i").write_bytes(idx(PIXELS))
    (tmp_path / "l").write_bytes(idx(LABELS))
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    program = (
        "import sys; from pathlib import Path; from nnspec import registry\n"
        "kinds = {'x': 'float[N, 3]', 'label': 'int[N]'}\n"
        "arguments = {'CSV': ['t.csv', 'kind'], 'NPZ': ['a.npz'], 'NPY': ['x.npy'], 'IDX': ['i', 'l'],"
        " 'RandomImages': [8, 8], 'Text': ['t.csv', 8], 'Random': [kinds], 'Python': ['a.b:C', kinds]}\n"
        "for name in registry.index('dataset'):\n"
        "    cls = registry.find('dataset', name)\n"
        "    required = ['nowhere' for field in cls.fields.values() if field.required]\n"
        "    types = cls(*arguments.get(name, required)).schema(Path(sys.argv[1]))\n"
        "    assert types or name not in arguments, name\n"
        "print(*{'numpy', 'torch', 'sklearn', 'pyarrow', 'datasets'} & set(sys.modules))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert result.stdout.strip() == ""


# --- CSV -------------------------------------------------------------------------------------------------------------


def test_a_csv_gives_features_and_numbered_classes(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV_TEXT)
    loaded = matching(data("CSV", "t.csv", "kind"), tmp_path)
    assert samples(loaded, "features").tolist() == [[1.5, 10], [2.5, 20], [3.5, 30]]
    assert samples(loaded, "label").tolist() == [1, 0, 1]
    assert samples(loaded, "target").tolist() == [[1], [0], [1]]
    assert loaded.classes == {"label": ("a", "b")}
    assert loaded.notes == (
        'left out of t.csv: columns that are no numbers (`place`, `empty`); one_hot=["place"] makes columns of 0 and 1 '
        "of text",
    )


def test_a_numeric_target_is_a_column_of_floats_unless_it_is_said_to_be_a_class(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,10\n2,9\n3,10\n4,2\n")
    assert samples(matching(data("CSV", "t.csv", "y"), tmp_path), "target").tolist() == [[10], [9], [10], [2]]
    loaded = matching(data("CSV", "t.csv", -1, classes=True), tmp_path)
    assert loaded.classes == {"label": ("2", "9", "10")}
    assert samples(loaded, "label").tolist() == [2, 1, 2, 0]


def test_a_csv_without_names_has_columns_by_number(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("1\t2\tx\n3\t4\ty\n")
    loaded = matching(data("CSV", "t.tsv", 2, (1,), header=False), tmp_path)
    assert samples(loaded, "features").tolist() == [[2], [4]]
    assert samples(loaded, "label").tolist() == [0, 1]


def test_the_row_numbers_of_a_data_frame_are_no_feature(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(",x,y\n0,5,a\n1,6,b\n")
    assert samples(matching(data("CSV", "t.csv", "y"), tmp_path), "features").tolist() == [[5], [6]]


def test_underscores_make_no_number(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1_0,5\n2_0,6\n")
    assert matching(data("CSV", "t.csv", "x"), tmp_path).classes == {"label": ("1_0", "2_0")}


def test_missing_values_are_refused_with_their_line_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y,z\n1,2,\n3,NA,5\n6,7,8\n")
    refused = fault(lambda: data("CSV", "t.csv", "x", ("y",)).load(tmp_path))
    assert refused.message == "line 3 of t.csv has no value in column `y`"
    assert "drop_missing=true" in refused.helps[0]
    loaded = matching(data("CSV", "t.csv", "x", ("y",), drop_missing=True), tmp_path)
    assert samples(loaded, "features").tolist() == [[2], [7]]
    assert loaded.notes == ("left out of t.csv: 1 row with missing values",)


@pytest.mark.parametrize(
    ("text", "arguments", "message", "at"),
    [
        ("", {}, "t.csv is empty", "path"),
        ("a,b\n1,2\n3\n", {}, "line 3 of t.csv has 1 column instead of 2", "path"),
        ("a,b\n1,2\n", {"target": "aa"}, "t.csv has no column `aa`", "target"),
        ("a,b\n1,2\n", {"target": 2}, "t.csv has no column 2: it has 2", "target"),
        ("a,a\n1,2\n", {"target": "a"}, "t.csv has several columns `a`", "target"),
        ("a,b\n1,x\n", {"features": ("b",)}, "column `b` of t.csv holds text, not numbers", "features"),
        ("a,b\n1,x\n", {"target": "a", "features": ("a",)}, "column `a` is the target, and", "features"),
        ("a,b\n1,x\n", {"target": "b", "classes": False}, "column `b` of t.csv holds text, not numbers", "target"),
        ("a,b\n1,\n", {"target": "b"}, "column `b` of t.csv has no values", "target"),
        ("a\nx\n", {}, "t.csv has no numeric column", "path"),
        ("a;b\n1;2\n", {}, "t.csv has one column only when split at ','", "delimiter"),
        ("1,2\n3,4\n", {}, "the first line of t.csv holds numbers, not the names of columns", "header"),
        ("a,b\n1,2\n", {"delimiter": "ab"}, "a delimiter is a single character", "delimiter"),
        ("a,b\n1,1e39\n", {}, "line 2 of t.csv, column `b`: 1e39 is out of the range of a float", None),
        ("a,b\n" + "1,2\n" * 1000 + "1,x\n", {}, "line 1002 of t.csv, column `b`: `x` is not a number", None),
    ],
)
def test_faults_of_a_csv(text: str, arguments: dict[str, Any], message: str, at: str | None, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(text)
    found = fault(lambda: data("CSV", "t.csv", **arguments).load(tmp_path))
    assert found.message.startswith(message)
    assert found.at == at


def test_a_misspelt_column_is_suggested(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV_TEXT)
    found = fault(lambda: data("CSV", "t.csv", "knd").types(tmp_path))
    assert found.helps == ("a column with a similar name is there: `kind`",)


def test_text_that_is_not_utf_8_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a,b\n\xff,1\n")
    assert fault(lambda: data("CSV", "t.csv").load(tmp_path)).message.startswith("t.csv is not a text in UTF-8")


def test_a_missing_file_says_where_it_was_looked_for_and_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "birds.csv").write_text(CSV_TEXT)
    dataset = data("CSV", "bird.csv")
    assert dataset.schema(tmp_path) is None
    found = fault(lambda: dataset.load(tmp_path))
    assert isinstance(found, MissingData)
    assert found.notes == (f"looked for {tmp_path / 'bird.csv'}",)
    assert "`birds.csv`" in found.helps[0]
    assert str(tmp_path) in fault(lambda: data("CSV", "none/x.csv").load(tmp_path)).helps[0]
    assert fault(lambda: data("CSV", ".").load(tmp_path)).message == "`.` is a folder, and a file is needed"


@pytest.mark.parametrize("path", ["x" * 5000, "~nobody-of-that-name/x.csv"])
def test_a_path_that_cannot_be_looked_at_is_a_missing_file(path: str, tmp_path: Path) -> None:
    assert data("CSV", path).schema(tmp_path) is None
    assert isinstance(fault(lambda: data("CSV", path).load(tmp_path)), MissingData)


# --- NPZ -------------------------------------------------------------------------------------------------------------


def test_arrays_of_an_archive_keep_their_types_but_for_wide_ones(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        name: np.arange(6).astype(name).reshape(3, 2)
        for name in ("bool", "uint8", "int32", "int64", "uint16", "float16", "float32", "float64")
    }
    arrays |= {"swapped": np.arange(6, dtype=">f4").reshape(3, 2)}
    arrays |= {"words": np.array(["a", "b", "c"]), "fortran": np.asfortranarray(np.ones((3, 4)))}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    loaded = matching(data("NPZ", "a.npz"), tmp_path)
    kept = {name: str(array.dtype) for name, array in loaded.fields.items()}
    changed = {"float64": "float32", "uint16": "int64", "swapped": "float32", "fortran": "float32"}
    assert kept == {name: changed.get(name, name) for name in arrays if name != "words"}
    assert (samples(loaded, "int32") == arrays["int32"]).all()
    assert "`words`" in loaded.notes[0]


def test_pickled_objects_are_never_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(2), bad=np.array([{"a": 1}, None], dtype=object))
    loaded = matching(data("NPZ", "a.npz"), tmp_path)
    assert list(loaded.fields) == ["x"]
    np.savez(tmp_path / "b.npz", words=np.array(["a", "b"]))
    assert fault(lambda: data("NPZ", "b.npz").types(tmp_path)).message == "b.npz holds no array of numbers or bools"


def test_faults_of_an_archive(tmp_path: Path) -> None:
    def message(content: bytes) -> str:
        (tmp_path / "a.npz").write_bytes(content)
        return fault(lambda: data("NPZ", "a.npz").load(tmp_path)).message

    def archive(**members: bytes) -> bytes:
        with zipfile.ZipFile(tmp_path / "made", "w") as file:
            for name, content in members.items():
                file.writestr(f"{name}.npy", content)
        return (tmp_path / "made").read_bytes()

    np.savez(tmp_path / "good.npz", x=np.zeros((3, 2)))
    good = (tmp_path / "good.npz").read_bytes()
    huge = (
        b"\x93NUMPY\x01\x00\x76\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 9), }".ljust(118)
    )
    assert "is damaged" in message(good[:100])
    assert "is damaged" in message(good[:180] + b"\xff" + good[181:])
    assert message(archive()) == "a.npz holds no arrays"
    assert message(archive(x=b"hello")) == "`x.npy` in a.npz is not a numpy array"
    assert "has a damaged header" in message(archive(x=b"\x93NUMPY\x01\x00\x05\x00{1:2}"))
    assert "GiB is the limit" in message(archive(x=huge))
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 2)), y=np.zeros(4))
    assert fault(lambda: data("NPZ", "a.npz").types(tmp_path)).message == (
        "`x` in a.npz has 3 samples, and `y` in a.npz has 4"
    )


# --- Text ------------------------------------------------------------------------------------------------------------


def test_a_text_is_cut_into_pieces_and_what_comes_after_each_byte(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(bytes(range(256)))
    loaded = matching(data("Text", "t.txt", context=4), tmp_path)
    assert samples(loaded, "tokens").reshape(-1).tolist() == list(range(252))
    assert samples(loaded, "target").reshape(-1).tolist() == list(range(1, 253))
    assert len(matching(data("Text", "t.txt", context=255), tmp_path)) == 1


def test_faults_of_a_text(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"short")
    long = fault(lambda: data("Text", "t.txt", context=5).load(tmp_path))
    assert (long.message, long.at) == ("t.txt has 5 bytes, and a window with what comes after it 6", "context")
    assert isinstance(fault(lambda: data("Text", "u.txt", context=5).load(tmp_path)), MissingData)
    assert data("Text", "u.txt", context=5).types(tmp_path).keys() == {"tokens", "target"}


# --- IDX -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_files_are_read_packed_or_not(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    (tmp_path / "i").write_bytes(pack(idx(PIXELS)))
    (tmp_path / "l").write_bytes(pack(idx(LABELS)))
    loaded = matching(data("IDX", "i", "l"), tmp_path)
    assert (samples(loaded, "image")[:, 0] == PIXELS).all()
    assert loaded.divisor == {"image": 255.0}
    assert samples(loaded, "label").tolist() == [3, 7]


def test_faults_of_idx_files(tmp_path: Path) -> None:
    def message(images: bytes, labels: bytes = idx(LABELS)) -> str:
        (tmp_path / "i").write_bytes(images)
        (tmp_path / "l").write_bytes(labels)
        return fault(lambda: data("IDX", "i", "l").load(tmp_path)).message

    whole = idx(PIXELS)
    assert message(b"PNG") == "i is not an IDX file"
    assert message(whole[:10]) == "i ends in the middle of its header"
    assert message(whole[:-1]) == "i ends after 1,567 of the 1,568 bytes that its header promises"
    assert message(whole + b"x") == "i goes on after the 1,568 bytes that its header promises"
    assert message(gzip.compress(whole)[:-20]).startswith("i is a damaged gzip file")
    assert message(idx(LABELS)) == "i has 1 dimension, and a file of images has 3"
    assert message(whole, idx(LABELS[:1])) == "i has 2 images, and l has 1 labels"
    assert "GiB is the limit" in message(whole[:4] + b"\xff\xff\xff\xff" + whole[8:])


@pytest.mark.parametrize("folder", ["", "raw", "FashionMNIST/raw"])
def test_mnist_is_found_where_torchvision_leaves_it(folder: str, tmp_path: Path) -> None:
    place = tmp_path / "data" / folder
    place.mkdir(parents=True)
    for part in ("train", "t10k"):
        (place / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(PIXELS)))
        (place / f"{part}-labels-idx1-ubyte").write_bytes(idx(LABELS if part == "train" else LABELS[::-1].copy()))
    assert samples(matching(data("FashionMNIST", "data"), tmp_path), "label").tolist() == [3, 7]
    test_part = data("FashionMNIST", "data", "test").load(tmp_path)
    assert samples(test_part, "label").tolist() == [7, 3]
    assert test_part.notes == ()


def test_mnist_with_its_test_part_only_is_usable_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx(PIXELS))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx(LABELS))
    assert "only the test half" in matching(data("MNIST", "."), tmp_path).notes[0]
    missing = fault(lambda: data("MNIST", ".", "train").load(tmp_path))
    assert isinstance(missing, MissingData)
    assert "train-images-idx3-ubyte" in missing.notes[0]
    assert "`t10k-images-idx3-ubyte`" in missing.notes[1]


def test_mnist_is_checked_without_its_files(tmp_path: Path) -> None:
    types = data("MNIST", "nowhere").schema(tmp_path)
    assert types is not None
    assert str(types["image"]) == "float[batch, 1, 28, 28]"
    assert "there is no folder" in fault(lambda: data("MNIST", "nowhere").load(tmp_path)).notes[1]
