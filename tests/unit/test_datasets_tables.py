"""Tables and arrays: what pandas, scikit-learn, numpy, safetensors, pyarrow and `datasets` make of the same files."""

from __future__ import annotations

import gzip
import json
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnspec import cli, ir_json, registry
from nnspec.compiler import compile_text
from nnspec.compiler_input import compile_input, read_input
from nnspec.diagnostics import NnspecError
from nnspec.training.dataset import Dataset, Lazy, Loaded
from nnspec.training.fault import DataError, Fault, MissingData
from nnspec.training.files import arrays as array_file
from nnspec.training.files.parquet_footer import read_footer

NAMES = ("CSV", "HuggingFace", "NPY", "NPZ", "Parquet", "Python", "Random", "Safetensors")
CLASSES: list[Any] = [registry.find("dataset", name) for name in NAMES]
CSV, HuggingFace, NPY, NPZ, Parquet, Python, Random, Safetensors = CLASSES

PENGUINS = Path(__file__).parents[3] / "shared" / "data" / "penguins.csv"
MEASURES = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


def samples(loaded: Loaded, name: str) -> np.ndarray:
    array = loaded.fields[name]
    return array.read(np.arange(len(loaded))) if isinstance(array, Lazy) else array


def matching(dataset: Dataset, base: Path) -> Loaded:
    """The loaded data, after its arrays were compared with the types that were said."""
    types, loaded = dataset.types(base), dataset.load(base)
    assert list(types) == list(loaded.fields)
    for name, type_ in types.items():
        assert (str(loaded.fields[name].dtype), loaded.fields[name].shape) == (
            type_.dtype,
            (len(loaded), *type_.dims[1:]),
        ), name
        assert samples(loaded, name).dtype == loaded.fields[name].dtype
    return loaded


def fault(action: Callable[[], object]) -> Fault:
    with pytest.raises(Fault) as caught:
        action()
    return caught.value


# --- tables against pandas and scikit-learn --------------------------------------------------------------------------


def both(pandas: Any, frame: Any, base: Path, **arguments: Any) -> list[Loaded]:
    """A frame as it is read from a text file and from a Parquet file."""
    frame.to_csv(base / "t.csv", index=False)
    frame.to_parquet(base / "t.parquet")
    return [matching(CSV("t.csv", **arguments), base), matching(Parquet("t.parquet", **arguments), base)]


@pytest.fixture
def pandas() -> Any:
    pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    return pytest.importorskip("pandas", reason="pandas is the oracle")


@pytest.fixture(params=["penguins", "made"])
def birds(request: pytest.FixtureRequest, pandas: Any) -> Any:
    """344 penguins with gaps, or as many that nobody has seen."""
    if request.param == "penguins":
        if not PENGUINS.exists():
            pytest.skip(f"{PENGUINS.name} is not there")
        return pandas.read_csv(PENGUINS)
    rng, count = np.random.default_rng(0), 301
    measures = {name: np.round(rng.gamma(2, 20, count), 1) for name in MEASURES}
    frame = pandas.DataFrame(measures).mask(rng.random((count, 4)) < 0.1)
    frame["species"] = rng.choice(["Puffin", "Auk", "Gull"], count)
    frame["island"] = rng.choice(["North", "East", "South"], count)
    frame["sex"] = pandas.Series(rng.choice(["male", "female"], count)).mask(rng.random(count) < 0.1)
    frame["year"] = rng.integers(2000, 2010, count)
    return frame


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_missing_numbers_are_filled_as_scikit_learn_does(
    strategy: str, pandas: Any, birds: Any, tmp_path: Path
) -> None:
    from sklearn.impute import SimpleImputer

    expected = SimpleImputer(strategy=strategy).fit_transform(birds[list(MEASURES)])
    for loaded in both(pandas, birds, tmp_path, target="species", features=MEASURES, fill=strategy):
        assert samples(loaded, "features") == pytest.approx(expected, rel=1e-6)
        assert samples(loaded, "label").tolist() == birds.species.astype("category").cat.codes.tolist()
        assert loaded.classes["label"] == tuple(sorted(set(birds.species)))
        assert f"{birds.bill_length_mm.isna().sum()} of `bill_length_mm`" in loaded.notes[-1]


def test_rows_with_missing_values_are_left_out_as_pandas_does(pandas: Any, birds: Any, tmp_path: Path) -> None:
    kept = birds.dropna(subset=["sex", *MEASURES])
    for loaded in both(pandas, birds, tmp_path, target="sex", features=MEASURES, drop_missing=True):
        assert (samples(loaded, "features") == kept[list(MEASURES)].to_numpy("float32")).all()
        assert samples(loaded, "label").tolist() == (kept.sex == "male").astype(int).tolist()
        assert (samples(loaded, "target")[:, 0] == samples(loaded, "label")).all()
        assert f"{len(birds) - len(kept)} rows" in loaded.notes[-1]


def test_words_become_columns_as_pandas_makes_dummies(pandas: Any, birds: Any, tmp_path: Path) -> None:
    expected = pandas.get_dummies(birds[["year", "island", "sex"]], columns=["island", "sex"]).to_numpy("float32")
    given = {"features": ("year",), "one_hot": ("island", "sex"), "fill": {"sex": "nobody"}}
    for loaded in both(pandas, birds, tmp_path, **given):
        found = samples(loaded, "features")
        gaps = birds.sex.isna().to_numpy()
        assert found.shape == (len(birds), 1 + 3 + 3)  # female, male, nobody
        assert (found[~gaps][:, [0, 1, 2, 3, 4, 5]] == expected[~gaps]).all()
        assert (found[gaps][:, 4:] == [0, 0, 1]).all()


def test_missing_words_are_filled_with_the_most_frequent_of_them(pandas: Any, birds: Any, tmp_path: Path) -> None:
    expected = birds.sex.fillna(birds.sex.mode()[0]).astype("category").cat.codes
    for loaded in both(pandas, birds, tmp_path, columns={"sex": "sex"}, features=("year",), fill="most_frequent"):
        assert samples(loaded, "sex").tolist() == expected.tolist()
    tie = pandas.DataFrame({"w": ["b", "a", "b", "a", None, "c"], "x": [1, 2, 3, 4, 5, 6]})
    for loaded in both(pandas, tie, tmp_path, columns={"w": "w"}, fill="most_frequent"):
        assert samples(loaded, "w").tolist() == [1, 0, 1, 0, 0, 2]


@pytest.mark.parametrize("seed", range(6))
def test_random_tables_are_what_pandas_reads(seed: int, pandas: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    rows = int(rng.choice([1, 2, 7, 100, 2500]))
    words = ["north", "a, b", 'say "so"', "two\nlines", "ünï", "3"]
    frame = pandas.DataFrame(
        {
            "x": rng.normal(size=rows) * 10.0 ** rng.integers(-20, 20, rows),
            "big": rng.integers(-(2**62), 2**62, rows),
            "yes": rng.random(rows) < 0.5,
            "word": rng.choice(words[: max(2, seed)], rows),
            "other": [f"w{n}" for n in rng.integers(0, 5, rows)],
        }
    )
    columns = {"word": "word", "pair": ("other", "word"), "id": "big", "ids": ("big",), "x": "x", "two": ("x", "yes")}
    for loaded in both(pandas, frame, tmp_path, columns=columns, integers=("id", "ids"), features=("yes", "x")):
        codes = {name: frame[name].astype("category").cat.codes.to_numpy("int64") for name in ("word", "other")}
        number = frame.x.to_numpy("float32")
        expected = {
            "features": np.stack([frame.yes, number], axis=1),
            "word": codes["word"],
            "pair": np.stack([codes["other"], codes["word"]], axis=1),
            "id": frame.big.to_numpy(),
            "ids": frame[["big"]].to_numpy(),
            "x": number,
            "two": np.stack([number, frame.yes], axis=1),
        }
        assert {name: samples(loaded, name).tolist() for name in expected} == {
            name: each.tolist() for name, each in expected.items()
        }
        assert loaded.classes == {"word": tuple(sorted(set(frame.word)))}


def test_several_targets_are_columns_side_by_side(pandas: Any, tmp_path: Path) -> None:
    frame = pandas.DataFrame({"x": [1.0, 2.0], "y": [3.0, 4.0], "z": [5, 6]})
    for loaded in both(pandas, frame, tmp_path, target=("z", "x")):
        assert samples(loaded, "target").tolist() == [[5, 1], [6, 2]]
        assert samples(loaded, "features").tolist() == [[3], [4]]


def test_a_settled_table_reads_another_file_in_the_same_way(pandas: Any, tmp_path: Path) -> None:
    first = pandas.DataFrame(
        {"x": [1.0, None, 5.0], "w": ["b", "a", "c"], "y": ["no", "yes", "no"], "id": ["p", "q", "r"]}
    )
    other = pandas.DataFrame({"id": ["r"], "y": ["yes"], "w": ["c"], "x": [None]}).astype({"x": "float64"})
    for name, cls in (("csv", CSV), ("parquet", Parquet)):
        for number, frame in enumerate((first, other)):
            write = frame.to_parquet if name == "parquet" else lambda path, f=frame: f.to_csv(path, index=False)
            write(tmp_path / f"{number}.{name}")
        made = cls(f"0.{name}", "y", one_hot=("w",), columns={"id": "id"}, fill="mean")
        settled = made.settled(tmp_path)
        again = settled.replace(path=f"1.{name}")
        assert again.types(tmp_path) == made.types(tmp_path)
        loaded = matching(again, tmp_path)
        assert samples(loaded, "features").tolist() == [[3, 0, 0, 1]]
        assert (samples(loaded, "label").tolist(), samples(loaded, "id").tolist()) == ([1], [2])
        assert loaded.classes == matching(made, tmp_path).classes
        alone = settled.elsewhere(f"1.{name}", {"features"})
        assert list(matching(alone, tmp_path).fields) == ["features"]


def test_a_packed_table_is_read_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "t.tsv.gz").write_bytes(gzip.compress(b"x\ty\n1\ta\n2\tb\n"))
    assert samples(matching(CSV("t.tsv.gz", "y"), tmp_path), "features").tolist() == [[1], [2]]
    (tmp_path / "u.csv.gz").write_bytes(gzip.compress(b"x,y\n1,a\n" * 9999)[:-20])
    assert "damaged gzip file" in fault(lambda: CSV("u.csv.gz", "y").load(tmp_path)).message


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        ("1 2 3", [1, 2, 3]),
        ("1e3 -0.5 +2.", [1000, -0.5, 2]),
        ("3.4028234e38 1 1", [3.4028234663852886e38, 1, 1]),
        ("1 nan 3", "line 3 of t.csv has no value in column `x`"),
        ("1 NA 3", "line 3 of t.csv has no value in column `x`"),
        ("1 2 inf", "line 4 of t.csv, column `x`: inf is out of the range of a float"),
        ("1 -1e39 3", "line 3 of t.csv, column `x`: -1e39 is out of the range of a float"),
        ("1e308 1e308 3", "line 2 of t.csv, column `x`: 1e308 is out of the range of a float"),
    ],
)
def test_numbers_are_those_of_a_float(cells: str, numbers: list[float] | str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"{cell},0\n" for cell in cells.split()))
    if isinstance(numbers, str):
        assert fault(lambda: CSV("t.csv", features=("x",)).load(tmp_path)).message == numbers
    else:
        found = samples(CSV("t.csv", features=("x",)).load(tmp_path), "features")
        assert found[:, 0].tolist() == np.array(numbers, "float32").tolist()


@pytest.mark.parametrize("cell", ["1_000", "1.5", "9223372036854775808", "9" * 5000, "1e400"])
def test_a_whole_number_is_one_of_64_bits(cell: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x\n1\n2\n" + "4\n" * 1000 + f"{cell}\n")
    found = fault(lambda: CSV("t.csv", columns={"x": "x"}, integers=("x",)).load(tmp_path))
    assert found.message.startswith("line 1004 of t.csv, column `x`")
    (tmp_path / "u.csv").write_text(f"x\n{2**63 - 1}\n{-(2**63)}\n7.0\n 5\n")
    whole = CSV("u.csv", columns={"x": "x"}, integers=("x",)).load(tmp_path)
    assert samples(whole, "x").tolist() == [2**63 - 1, -(2**63), 7, 5]


def test_a_word_that_is_none_of_those_given_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n1,a\n2,q\n")
    found = fault(lambda: CSV("t.csv", "y", words={"y": ("a", "b")}).load(tmp_path))
    assert found.message == "`q` in column `y` of t.csv is none of the words that are given"
    assert found.notes == ("they are `a`, `b`",)


def test_a_third_class_behind_the_sample_leaves_no_target_of_two(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,y\n" + "1,a\n2,b\n" * 500 + "3,c\n")
    loaded = CSV("t.csv", "y").load(tmp_path)
    assert loaded.classes["label"] == ("a", "b", "c")
    assert "target" not in loaded.fields


# --- Parquet ---------------------------------------------------------------------------------------------------------


def test_a_footer_is_read_as_pyarrow_reads_it(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    from pyarrow import parquet

    moment = np.array(["2020-01-01"], dtype="datetime64[ms]")
    columns = {
        **{f"number{i}": pa.array([1], t) for i, t in enumerate((pa.int8(), pa.uint64(), pa.float32(), pa.float64()))},
        "half": pa.array(np.ones(1, "float16")),
        "decimal": pa.array([1], pa.decimal128(9, 2)),
        "bool": pa.array([True]),
        "text": pa.array(["a"]),
        "large": pa.array(["a"], pa.large_string()),
        "words": pa.array(["a"]).dictionary_encode(),
        "date": pa.array(moment.astype("datetime64[D]")),
        "time": pa.array(moment),
        "empty": pa.nulls(1),
        "bytes": pa.array([b"a"]),
        "list": pa.array([[1, 2]]),
        "parts": pa.array([{"a": 1, "b": {"c": [2]}}]),
        "behind": pa.array([1]),
    }
    for version in ("1.0", "2.6"):
        parquet.write_table(pa.table(columns), tmp_path / "t.parquet", version=version)
        footer = read_footer(tmp_path / "t.parquet")
        assert footer.names == tuple(columns)
        assert footer.rows == 1
        kinds = dict(zip(footer.names, footer.kinds, strict=True))
        assert {n for n, k in kinds.items() if k == "number"} == {
            *(f"number{i}" for i in range(4)),
            "half",
            "decimal",
            "behind",
        }
        assert {n for n, k in kinds.items() if k == "text"} == {"text", "large", "words"}
        assert {n for n, k in kinds.items() if k == "date"} == {"date", "time"}
        assert {n for n, k in kinds.items() if k == "other"} == {"bytes", "list", "parts"}
        assert (kinds["bool"], kinds["empty"]) == ("bool", "empty")


def test_a_wide_footer_and_many_row_groups_are_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    from pyarrow import parquet

    table = pa.table({f"c{i}": np.arange(100.0) + i for i in range(300)})
    parquet.write_table(table, tmp_path / "t.parquet", row_group_size=7)
    loaded = matching(Parquet("t.parquet", "c0"), tmp_path)
    assert (samples(loaded, "features") == np.arange(100)[:, None] + np.arange(1, 300)).all()


def test_nested_columns_among_others_do_not_shift_them(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    from pyarrow import parquet

    table = pa.table({"s": pa.array([{"x": 1.0, "y": 2.0}] * 3), "x": [4.0, 5.0, 6.0], "l": [[1]] * 3})
    parquet.write_table(table, tmp_path / "t.parquet")
    loaded = matching(Parquet("t.parquet"), tmp_path)
    assert samples(loaded, "features").tolist() == [[4], [5], [6]]
    assert "`s`, `l`" in loaded.notes[0]


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_parquet_file_is_a_fault_and_nothing_else(seed: int, tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    from pyarrow import parquet

    path = tmp_path / "t.parquet"
    parquet.write_table(pa.table({"x": np.arange(50.0), "w": ["a", "b"] * 25}), path)
    content, rng = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for at in rng.integers(0, len(content), 8):
        content[at] = rng.integers(256)
    path.write_bytes(bytes(content[: int(rng.integers(len(content)))]) if seed % 2 else bytes(content))
    with suppress(DataError):
        Parquet("t.parquet", columns={"w": "w"}).load(tmp_path)


# --- arrays ----------------------------------------------------------------------------------------------------------

CASTS = {"float64": "float32", "uint16": "int64", "uint32": "int64"}


def arrays(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    names = ("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "float16", "float32", "float64")
    return {name: (rng.normal(size=(count, 3)) * 50).astype("int64").clip(0).astype(name) for name in names}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("count", [1, 2, 33])
def test_arrays_are_read_as_numpy_reads_them(
    count: int, large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(array_file, "IN_MEMORY", 0)
    given = arrays(np.random.default_rng(count), count)
    given |= {"swapped": given["float32"].astype(">f4"), "columns": np.asfortranarray(given["int64"])}
    given["flat"] = given["float32"][:, 0]
    for name, array in given.items():
        np.save(tmp_path / f"{name}.npy", array)
    loaded = matching(NPY({name: f"{name}.npy" for name in given}), tmp_path)
    order = np.random.default_rng(0).permutation(count)
    for name, array in given.items():
        field = loaded.fields[name]
        assert isinstance(field, Lazy) == large
        assert str(field.dtype) == CASTS.get(
            name, {"swapped": "float32", "columns": "int64", "flat": "float32"}.get(name, name)
        )
        assert (samples(loaded, name) == array).all()
        if isinstance(field, Lazy):
            again = pickle.loads(pickle.dumps(field))
            assert (again.read(order) == array[order]).all()
            assert len(pickle.dumps(field)) < 2000


def test_a_single_array_is_called_as_its_file(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", np.zeros((2, 3), "float32"))
    (tmp_path / "my pixels.npy").write_bytes((tmp_path / "pixels.npy").read_bytes())
    assert list(matching(NPY("pixels.npy"), tmp_path).fields) == ["pixels"]
    assert "cannot be the name of a field" in fault(lambda: NPY("my pixels.npy").types(tmp_path)).message


@pytest.mark.parametrize("large", [False, True])
def test_tensors_are_read_as_torch_reads_them(large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    if large:
        monkeypatch.setattr(array_file, "IN_MEMORY", 0)
    kinds = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    torch.manual_seed(0)
    tensors = {str(kind).removeprefix("torch."): (torch.randn(9, 2, 3) * 3).abs().to(kind) for kind in kinds}
    save_file({**tensors, "a.b": torch.ones(9)}, tmp_path / "t.safetensors", {"note": "x"})
    loaded = matching(Safetensors("t.safetensors"), tmp_path)
    for name, tensor in load_file(tmp_path / "t.safetensors").items():
        if name != "a.b":
            assert (torch.from_numpy(samples(loaded, name)) == tensor).all()
    assert "`a.b`" in loaded.notes[0]
    assert list(matching(Safetensors("t.safetensors", {"x": "a.b"}), tmp_path).fields) == ["x"]
    assert fault(lambda: Safetensors("t.safetensors", {"x": "a.c"}).types(tmp_path)).at == "names"


@pytest.mark.parametrize("seed", range(30))
def test_damaged_arrays_are_faults_and_nothing_else(seed: int, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    rng = np.random.default_rng(seed)
    np.save(tmp_path / "x.npy", np.ones((5, 3)))
    np.savez_compressed(tmp_path / "x.npz", x=np.ones((5, 3)))
    save_file({"x": np.ones((5, 3))}, tmp_path / "x.safetensors")
    for dataset, path in (
        (NPY("x.npy"), "x.npy"),
        (NPZ("x.npz"), "x.npz"),
        (Safetensors("x.safetensors"), "x.safetensors"),
    ):
        content = bytearray((tmp_path / path).read_bytes())
        for at in rng.integers(0, min(len(content), 140), 3):
            content[at] = rng.integers(256)
        (tmp_path / path).write_bytes(
            bytes(content[: int(rng.integers(len(content)))]) if seed % 3 == 0 else bytes(content)
        )
        with suppress(DataError):
            loaded = dataset.load(tmp_path)
            for field in loaded.fields:
                samples(loaded, field)


def test_a_header_of_safetensors_that_lies_is_refused(tmp_path: Path) -> None:
    def written(**entry: Any) -> str:
        head = json.dumps({"x": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]} | entry}).encode()
        (tmp_path / "t.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + bytes(24))
        return fault(lambda: Safetensors("t.safetensors").load(tmp_path)).message

    assert "has a damaged header" in written(shape=[2, 2])
    assert "has a damaged header" in written(shape=[-2, -3])
    assert "has a damaged header" in written(data_offsets=[-24, 0])
    assert "ends after" in written(shape=[9, 3], data_offsets=[0, 108])
    assert "holds no tensor of numbers" in written(dtype="F8_E4M3")


def test_arrays_of_another_file_are_asked_for_by_field(tmp_path: Path) -> None:
    np.save(tmp_path / "new.npy", np.ones((2, 3), "float32"))
    np.savez(tmp_path / "new.npz", a=np.ones((2, 3), "float32"))
    for dataset in (
        NPY({"x": "x.npy", "label": "y.npy"}).elsewhere("new.npy", {"x"}),
        NPZ("old.npz", {"x": "a", "label": "b"}).elsewhere("new.npz", {"x"}),
    ):
        assert list(matching(dataset, tmp_path).fields) == ["x"]
    assert NPY({"x": "x.npy", "y": "y.npy"}).elsewhere("new.npy", {"x", "y"}) is None


# --- made data -------------------------------------------------------------------------------------------------------


def test_random_data_is_of_the_types_that_are_given(tmp_path: Path) -> None:
    kinds = {"a": "float[N, 3, 4]", "b": "int[N]", "c": "bool[N, 2]", "d": "uint8[N, 5]", "e": "half[N]"}
    loaded = matching(Random(kinds, 5000, {"b": 7, "d": 1000}), tmp_path)
    assert np.unique(samples(loaded, "b")).tolist() == list(range(7))
    assert samples(loaded, "d").max() > 250
    assert abs(float(samples(loaded, "a").mean())) < 0.02
    assert (samples(matching(Random(kinds, 5000, {"b": 7, "d": 1000}), tmp_path), "a") == samples(loaded, "a")).all()
    assert (samples(Random(kinds, 5000, seed=1).load(tmp_path), "a") != samples(loaded, "a")).any()


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({}, "no fields are given"),
        ({"x": "float"}, '"float" is no type of a field'),
        ({"x": "float[N, T]"}, '"float[N, T]" is no type of a field'),
        ({"x": "complex64[N]"}, "`complex64` is no element type that data can have"),
        ({"x": "number[N]"}, "`number` is no element type that data can have"),
    ],
)
def test_a_text_that_is_no_type_is_refused(kinds: dict[str, str], message: str, tmp_path: Path) -> None:
    assert fault(lambda: Random(kinds).types(tmp_path)).message == message


# --- data sets in Python ---------------------------------------------------------------------------------------------

MODULE = """
import torch

class Points:
    def __init__(self, size=10, bad=None):
        self.size, self.bad = size, bad
    def __len__(self):
        return self.size
    def __getitem__(self, i):
        if i == self.bad:
            raise ValueError("this one is broken")
        return {"x": torch.full((3,), float(i)), "label": i % 2}

class Pairs(Points):
    def __getitem__(self, i):
        return [float(i)] * 3, i
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"points_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return name


KINDS = {"x": "float[N, 3]", "label": "int[N]"}


def test_a_class_of_python_is_read_sample_by_sample(module: str, tmp_path: Path) -> None:
    loaded = matching(Python(f"{module}:Points", KINDS, {"size": 4}), tmp_path)
    assert samples(loaded, "x").tolist() == [[i] * 3 for i in range(4)]
    assert samples(loaded, "label").tolist() == [0, 1, 0, 1]
    assert samples(matching(Python(f"{module}:Pairs", KINDS), tmp_path), "label").tolist() == list(range(10))
    field = loaded.fields["x"]
    assert isinstance(field, Lazy)
    assert pickle.loads(pickle.dumps(field)).read(np.array([2, 0])).tolist() == [[2] * 3, [0] * 3]


def test_faults_of_a_class_of_python(module: str, tmp_path: Path) -> None:
    def message(origin: str, kinds: dict[str, str] = KINDS, **arguments: Any) -> str:
        def load() -> None:
            loaded = Python(origin, kinds, arguments).load(tmp_path)
            samples(loaded, next(iter(kinds)))

        return fault(load).message

    assert message("no_such_module_at_all:X") == "Python finds no module `no_such_module_at_all`"
    assert message(f"{module}:Nothing") == f"the Python module `{module}` has no `Nothing`"
    assert "unexpected keyword argument" in message(f"{module}:Points", nothing=1)
    assert message(f"{module}:Points", bad=3) == (
        f"sample 3 of `{module}:Points` cannot be read: ValueError: this one is broken"
    )
    assert message(f"{module}:Points", {"x": "float[N, 4]"}).endswith("is float32[3], and the spec says float32[4]")
    assert message(f"{module}:Points", {"x": "int[N, 3]"}).endswith("is float32[3], and the spec says int64[3]")
    assert message(f"{module}:Points", {"y": "int[N, 3]"}).endswith("has x, label")
    assert "does not say where a class is" in message("points.py")


# --- Hugging Face ----------------------------------------------------------------------------------------------------


def test_a_saved_data_set_is_read_as_datasets_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="data sets in this form need `datasets`")
    rng = np.random.default_rng(0)
    rows: dict[str, Any] = {
        "x": rng.random((20, 3)).tolist(),
        "m": rng.random((20, 2, 3)).astype("float32").tolist(),
        "y": [0, 1] * 10,
        "t": ["s"] * 20,
        "n": list(range(20)),
        "v": [[1]] * 20,
    }
    features = datasets.Features(
        {
            "x": datasets.Sequence(datasets.Value("float64"), length=3),
            "m": datasets.Array2D((2, 3), "float32"),
            "y": datasets.ClassLabel(names=["a", "b"]),
            "t": datasets.Value("string"),
            "n": datasets.Value("int32"),
            "v": datasets.Sequence(datasets.Value("int64")),
        }
    )
    whole = datasets.Dataset.from_dict(rows, features=features)
    datasets.disable_progress_bars()
    whole.save_to_disk(tmp_path / "one")
    parts = datasets.DatasetDict({"train": whole.select(range(15)), "test": whole.select(range(15, 20))})
    parts.save_to_disk(tmp_path / "parts")
    loaded = matching(HuggingFace("one"), tmp_path)
    order = rng.permutation(20)[:7]
    for name in ("x", "m", "y", "n"):
        field = loaded.fields[name]
        assert isinstance(field, Lazy)
        assert field.read(order) == pytest.approx(np.array(rows[name])[order])
        assert (pickle.loads(pickle.dumps(field)).read(order) == field.read(order)).all()
    assert loaded.classes == {"y": ("a", "b")}
    assert loaded.notes == ("left out of one: columns that no field can be (`t`, `v`)",)
    divided = HuggingFace("parts", columns={"features": "x"}, validation="test").load(tmp_path)
    assert divided.validation is not None
    assert (len(divided), list(divided.fields), len(divided.validation["features"])) == (15, ["features"], 5)
    assert "`test`" in fault(lambda: HuggingFace("parts", "tests").types(tmp_path)).helps[0]
    assert "which no field can be" in fault(lambda: HuggingFace("one", columns={"t": "t"}).types(tmp_path)).message
    nobody = fault(lambda: HuggingFace("nobody/nothing").load(tmp_path))
    assert isinstance(nobody, MissingData)
    assert str(tmp_path / "nobody") in nobody.notes[0]


def test_a_gap_in_a_saved_data_set_is_a_fault_with_its_row(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="data sets in this form need `datasets`")
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"x": [1.0, 2.0, None]}).save_to_disk(tmp_path / "one")
    loaded = HuggingFace("one").load(tmp_path)
    found = fault(lambda: samples(loaded, "x"))
    assert found.message == "row 2 (from 0) of one has no value in column `x`"


def test_pictures_of_a_saved_data_set_are_those_of_pillow(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="data sets in this form need `datasets`")
    image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
    datasets.disable_progress_bars()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3)).astype("uint8")
    rows = {"image": [image.fromarray(each) for each in pixels], "label": list(range(5))}
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "one")
    given = HuggingFace("one")
    assert str(given.types(tmp_path)["image"]) == "float[batch, 3, 6, 8]"
    loaded = given.load(tmp_path)
    assert loaded.divisor == {"image": 255.0}
    assert (samples(loaded, "image") == pixels.transpose(0, 3, 1, 2)).all()
    small = HuggingFace("one", size=4, channels=1)
    assert str(small.types(tmp_path)["image"]) == "float[batch, 1, 4, 4]"
    expected = np.stack([np.asarray(r.convert("L").resize((4, 4), image.Resampling.BILINEAR)) for r in rows["image"]])
    assert (samples(small.load(tmp_path), "image")[:, 0] == expected).all()
    rows["image"][3] = image.fromarray(np.zeros((9, 9, 3), "uint8"))
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "two")
    found = fault(lambda: samples(HuggingFace("two").load(tmp_path), "image"))
    assert found.message.endswith("the first is 6 x 8, and that of row 3 is 9 x 9")


# --- whole runs ------------------------------------------------------------------------------------------------------

NET = """
model Net {
  input x: float[N, 3]
  output scores: float[N, 2] = x -> Linear(2)
}
train {
  data = DATA
  loss = cross_entropy(scores, label)
  optimizer = SGD(lr=0.1)
  epochs = 2
  batch_size = 8
  workers = 0
}
"""


def _written(base: Path) -> None:
    """The same samples in every form."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)).astype("float32")
    label = (x[:, 0] > 0).astype("int64")
    np.save(base / "x.npy", x)
    np.save(base / "y.npy", label)
    np.savez(base / "d.npz", x=x, label=label)
    save_file({"x": x, "label": label}, base / "d.safetensors")
    rows = [",".join(repr(float(n)) for n in each) + f",c{k}" for each, k in zip(x, label, strict=True)]
    (base / "t.csv").write_text("a,b,c,kind\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("large", [False, True])
def test_the_same_samples_in_every_form_train_to_the_same_loss(
    large: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if large:
        monkeypatch.setattr(array_file, "IN_MEMORY", 0)
    monkeypatch.chdir(tmp_path)
    _written(tmp_path)
    losses = []
    for number, data in enumerate(
        (
            'NPY((x="x.npy", label="y.npy"))',
            'NPZ("d.npz")',
            'Safetensors("d.safetensors")',
            'CSV("t.csv", "kind", features=["c"], columns=(x=["a", "b", "c"]))',
        )
    ):
        (tmp_path / "net.nns").write_text(NET.replace("DATA", data))
        with pytest.raises(SystemExit) as done:
            cli.main(["run", "net.nns", "--name", f"r{number}", "-q"])
        assert not done.value.code, capsys.readouterr()
        lines = (tmp_path / "runs" / f"r{number}-1" / "metrics.jsonl").read_text().splitlines()
        losses.append([value for line in lines for name, value in json.loads(line).items() if "loss" in name])
    assert losses[0]
    assert all(each == losses[0] for each in losses)


def test_python_runs_only_where_it_is_allowed(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data = f'Python("{module}:Points", (x="float[N, 3]", label="int[N]"), (size=16))'
    (tmp_path / "net.nns").write_text(NET.replace("DATA", data))

    def ended(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as done:
            cli.main(list(arguments))
        captured = capsys.readouterr()
        return int(done.value.code or 0), captured.out + captured.err

    code, said = ended("run", "net.nns")
    assert (code, "error[NNS222]" in said) == (1, True)
    assert ended("check", "net.nns")[0] == 1
    assert module not in sys.modules
    assert ended("check", "--allow-extern", "net.nns")[0] == 0
    assert module not in sys.modules
    assert ended("run", "--allow-extern", "net.nns")[0] == 0
    assert module in sys.modules


def test_python_in_an_ir_runs_only_where_it_is_allowed(tmp_path: Path) -> None:
    data = 'Python("mine.data:Points", (x="float[N, 3]", label="int[N]"), (size=16))'
    compiled = compile_text(NET.replace("DATA", data), "net.nns", train=True, base=tmp_path, allow_extern=True)
    (tmp_path / "net.json").write_text(ir_json.dumps(compiled.program))
    given = read_input(str(tmp_path / "net.json"))
    with pytest.raises(NnspecError, match="Python must be allowed"):
        compile_input(given)
    assert compile_input(given, allow_extern=True).program == compiled.program


# --- what is hardly meant --------------------------------------------------------------------------------------------


def written(folder: Path, header: str, rows: list[str]) -> Path:
    (folder / "t.csv").write_text("\n".join([header, *rows]) + "\n")
    return folder


def test_one_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    base = written(tmp_path, "age,size,y", [f"{'x' if i == 699 else i},{i},{i}" for i in range(800)])
    for data in (CSV("t.csv", target="y"), CSV("t.csv", target="y", features=("age",))):
        found = fault(partial(data.types, base))
        assert "column `age`" in found.message
        assert "line 701 has `x`" in found.notes[0]
        assert "correct the value" in found.helps[0]
        assert "one_hot" not in str(found.helps)
    named = CSV("t.csv", target="y", features=("size",))
    assert matching(named, base).fields["features"].shape == (800, 1)


def test_a_column_with_many_words_is_left_out_with_a_note(tmp_path: Path) -> None:
    base = written(tmp_path, "code,size,y", [f"{'x' if i % 5 == 0 else i},{i},{i}" for i in range(50)])
    assert "`code`" in matching(CSV("t.csv", target="y"), base).notes[0]
    asked = fault(lambda: CSV("t.csv", target="y", features=("code",)).types(base))
    assert "line 2 has `x`" in asked.notes[0]


def test_columns_of_one_name_are_refused_where_they_are_used(tmp_path: Path) -> None:
    base = written(tmp_path, "a,a,b,y", ["1,2,3,4", "5,6,7,8"])
    found = fault(lambda: CSV("t.csv", target="y").types(base))
    assert "several columns `a`: 0 and 1" in found.message
    assert matching(CSV("t.csv", target="y", features=("b",)), base).fields["features"].shape == (2, 1)
    features = matching(CSV("t.csv", target="y", features=(0, 1)), base).fields["features"]
    np.testing.assert_array_equal(np.asarray(features), [[1, 2], [5, 6]])


CLASSIFIER = """\
model Net {
  input features: float[N, 3]
  output logits: float[N, 2] = features -> Linear(2)
}
train {
  data = CSV("t.csv", target="y")
  loss = cross_entropy(logits, label)
  optimizer = SGD(lr=0.1)
  epochs = 1
}
"""


def refused(text: str, base: Path) -> Any:
    spec = base / "net.nns"
    spec.write_text(text)
    with pytest.raises(NnspecError) as caught:
        compile_input(read_input(str(spec)), train=True)
    return caught.value.diagnostics[0]


def test_a_class_that_is_a_number_has_to_be_said(tmp_path: Path) -> None:
    base = written(tmp_path, "a,b,c,y", ["1,2,3,0", "5,6,7,1"])
    found = refused(CLASSIFIER, base)
    assert (found.code, found.message) == ("NNS201", "unknown name `label`")
    assert "`classes=true`" in found.helps[0]
    compile_text(CLASSIFIER.replace('target="y"', 'target="y", classes=true'), train=True, base=base)


def test_features_of_another_width_are_listed(tmp_path: Path) -> None:
    base = written(tmp_path, "a,b,c,y", ["1,2,blue,0", "5,6,red,1"])
    found = refused(CLASSIFIER, base)
    assert found.code == "NNS608"
    assert found.notes[0] == "`features` is made of `a`, `b`"
    assert "left out of t.csv: columns that are no numbers (`c`)" in found.notes[1]
