"""Bad data, from the files to what is said: a code, a place in the spec, words, exit 1, and no run left half-begun.

A case writes its files, and says which data the spec takes and what is reported.
"""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from nnspec import cli

FLAT = """
model Net {
  input features: float[N, 2]
  output scores: float[N, 3] = features -> Linear(3)
}
"""
"""A model of two features and three classes."""

LOOKED_UP = """
model Net {
  input word: int[N]
  output scores: float[N, 3] = word -> Embedding(4, 5) -> Linear(3)
}
"""

CLASSES = "cross_entropy(scores, label)"
NUMBERS = "mse_loss(scores, target)"

Files = Mapping[str, "str | bytes | Callable[[Path], None]"]


class Case(NamedTuple):
    """Files by name (text, bytes, or what writes them), the data of the spec, and what is reported."""

    name: str
    files: Files
    data: str
    code: str
    words: tuple[str, ...]
    loss: str = CLASSES
    model: str = FLAT
    inputs: str = ""

    def spec(self) -> str:
        inputs = f"\n  inputs = {self.inputs}" if self.inputs else ""
        return (
            f"{self.model}\ntrain {{\n  data = {self.data}{inputs}\n  loss = {self.loss}\n"
            "  optimizer = SGD(lr=0.1)\n  epochs = 1\n}\n"
        )


GOOD = "a,b,kind\n1,2,x\n3,4,y\n5,6,z\n7,8,x\n"
CSV = 'CSV("t.csv", target="kind")'


def npy(array: Any, **options: Any) -> bytes:
    """What `numpy.save` writes."""
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npz(**arrays: Any) -> bytes:
    """What `numpy.savez` writes."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def tensors(**arrays: np.ndarray) -> bytes:
    """What safetensors writes."""
    from safetensors.numpy import save

    return save(arrays)


def parquet(**columns: Any) -> Callable[[Path], None]:
    """Writes a Parquet file of these columns."""

    def write(path: Path) -> None:
        pa = pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
        from pyarrow import parquet as files

        files.write_table(pa.table(columns), path)

    return write


def cut(write: Callable[[Path], None], end: int) -> Callable[[Path], None]:
    """Writes a file and takes its end away."""

    def both(path: Path) -> None:
        write(path)
        path.write_bytes(path.read_bytes()[:end])

    return both


class Bomb:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("unpickled",))


def inflated(path: Path) -> None:
    """An archive of a few kilobytes whose array says that it is of 400 GB."""
    head = b"\x93NUMPY\x01\x00\x76\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (50000000000, 2)}".ljust(
        118
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("features.npy", head + bytes(1 << 20))


def folder(path: Path) -> None:
    path.mkdir()


FEATURES = np.ones((4, 2), "float32")
LABELS = np.array([0, 1, 2, 0])
PAIR = 'NPY((features="x.npy", label="y.npy"))'
PARQUET = 'Parquet("t.parquet", target="kind")'

TABLES = (
    Case(
        "no such file", {"birds.csv": GOOD}, 'CSV("bird.csv", target="kind")', "NNS601", ("looked for", "`birds.csv`")
    ),
    Case("a folder", {"t.csv": folder}, CSV, "NNS601", ("is a folder",)),
    Case("empty file", {"t.csv": ""}, CSV, "NNS602", ("t.csv is empty",)),
    Case("header only", {"t.csv": "a,b,kind\n"}, CSV, "NNS602", ("no rows",)),
    Case("no header", {"t.csv": "1,2,0\n3,4,1\n"}, 'CSV("t.csv", target=2)', "NNS602", ("header=false",)),
    Case("ragged row", {"t.csv": GOOD + "9,9\n"}, CSV, "NNS602", ("line 6 of t.csv has 2 columns instead of 3",)),
    Case("not UTF-8", {"t.csv": b"a,b,kind\n1,2,\xe9\n"}, CSV, "NNS602", ("not a text in UTF-8", "iconv")),
    Case("binary", {"t.csv": bytes(range(256)) * 4}, CSV, "NNS602", ("t.csv",)),
    Case("no such column", {"t.csv": GOOD}, 'CSV("t.csv", target="kid")', "NNS602", ("no column `kid`", "`kind`")),
    Case("number of no column", {"t.csv": GOOD}, 'CSV("t.csv", target=3)', "NNS602", ("no column 3: it has 3",)),
    Case("doubled name", {"t.csv": "a,a,kind\n1,2,x\n"}, 'CSV("t.csv", target="a")', "NNS602", ("0 and 1",)),
    Case("other delimiter", {"t.csv": "a;b;kind\n1;2;x\n"}, CSV, "NNS602", ('delimiter=";"',)),
    Case("text feature", {"t.csv": GOOD}, 'CSV("t.csv", "a", ["kind"])', "NNS602", ("holds text", 'one_hot=["kind"]')),
    Case(
        "dates", {"t.csv": "a,kind\n2020-01-02,x\n"}, 'CSV("t.csv", "kind", ["a"])', "NNS602", ("dates", "days since")
    ),
    Case(
        "text among numbers",
        {"t.csv": "a,b,kind\n" + "1,2,x\n" * 1000 + "1,oops,x\n"},
        CSV,
        "NNS602",
        ("line 1002", "`oops`"),
    ),
    Case(
        "missing value",
        {"t.csv": GOOD + "NA,1,x\n"},
        CSV,
        "NNS602",
        ("line 6", "column `a`", "drop_missing=true", "fill="),
    ),
    Case(
        "missing class",
        {"t.csv": GOOD + "9,1,\n"},
        CSV.replace(")", ", fill=0)"),
        "NNS602",
        ("line 6", "column `kind`"),
    ),
    Case("all values missing", {"t.csv": "a,b,kind\n1,NA,x\n2,,y\n"}, CSV, "NNS608", ("float[batch, 1]",)),
    Case("infinite", {"t.csv": GOOD + "1e60,1,x\n"}, CSV, "NNS602", ("line 6", "out of the range of a float")),
    Case(
        "mean of words",
        {"t.csv": GOOD},
        'CSV("t.csv", one_hot=["kind"], fill=(kind="mean"))',
        "NNS602",
        ('"mean"',),
        NUMBERS,
    ),
    Case(
        "word of nobody", {"t.csv": GOOD}, CSV.replace(")", ', words=(kind=["x", "y"]))'), "NNS602", ("`z`", "`x`, `y`")
    ),
    Case("too many columns", {"t.csv": "a,b,c,kind\n1,2,3,x\n"}, CSV, "NNS608", ("float[batch, 3]", "float[N, 2]")),
    Case("more classes than scores", {"t.csv": GOOD + "1,2,w\n"}, CSV, "NNS604", ("`label`", "3 classes", "have 4")),
    Case(
        "class without scores", {"t.csv": "a,b,y\n1,2,0.5\n3,4,1\n"}, 'CSV("t.csv", target="y")', "NNS201", ("`label`",)
    ),
    Case(
        "index beyond the embedding",
        {"t.csv": "w,kind\n1,x\n4,y\n"},
        'CSV("t.csv", "kind", columns=(word="w"), integers=["word"])',
        "NNS604",
        ("`word`", "4 rows"),
        model=LOOKED_UP,
    ),
    Case(
        "number that is not whole",
        {"t.csv": "w,kind\n1,x\n1.5,y\n"},
        'CSV("t.csv", "kind", columns=(word="w"), integers=["word"])',
        "NNS602",
        ("line 3", "`1.5` is not a whole number"),
        model=LOOKED_UP,
    ),
    Case("misspelt argument", {"t.csv": GOOD}, 'CSV("t.csv", traget="kind")', "NNS301", ("write `target`",)),
    Case("no Parquet", {"t.parquet": b"PAR2" * 9}, PARQUET, "NNS602", ("no Parquet file",)),
    Case("empty Parquet", {"t.parquet": b""}, PARQUET, "NNS602", ("t.parquet is empty",)),
    Case(
        "cut Parquet",
        {"t.parquet": cut(parquet(a=[1.0, 2.0], kind=["x", "y"]), -9)},
        PARQUET,
        "NNS602",
        ("ends too early",),
    ),
    Case(
        "column of lists",
        {"t.parquet": parquet(a=[[1], [2]], kind=["x", "y"])},
        'Parquet("t.parquet", "kind", ["a"])',
        "NNS602",
        ("neither numbers nor text",),
    ),
    Case(
        "null in Parquet",
        {"t.parquet": parquet(a=[1.0, 2.0], b=[1.0, None], kind=["x", "y"])},
        PARQUET,
        "NNS602",
        ("row 1", "column `b`"),
    ),
    Case(
        "no rows in Parquet", {"t.parquet": parquet(a=np.zeros(0), kind=np.zeros(0))}, PARQUET, "NNS602", ("no rows",)
    ),
)

ARRAYS = (
    Case(
        "pickle",
        {"x.npy": npy(np.array([Bomb()] * 4), allow_pickle=True), "y.npy": npy(LABELS)},
        PAIR,
        "NNS602",
        ("unpickling",),
    ),
    Case(
        "pickle in an archive",
        {"d.npz": npz(features=np.array([Bomb()] * 4), label=LABELS)},
        'NPZ("d.npz")',
        "NNS607",
        ("`features`",),
    ),
    Case("text array", {"x.npy": npy(np.array(["a"] * 4)), "y.npy": npy(LABELS)}, PAIR, "NNS602", ("`<U1`",)),
    Case(
        "cut array", {"x.npy": npy(FEATURES)[:-5], "y.npy": npy(LABELS)}, PAIR, "NNS602", ("ends after 155 of the 160",)
    ),
    Case("array that goes on", {"x.npy": npy(FEATURES) + b"x", "y.npy": npy(LABELS)}, PAIR, "NNS602", ("goes on",)),
    Case("no array", {"x.npy": b"hello there", "y.npy": npy(LABELS)}, PAIR, "NNS602", ("x.npy is not a numpy array",)),
    Case("empty array file", {"x.npy": b"", "y.npy": npy(LABELS)}, PAIR, "NNS602", ("x.npy is empty",)),
    Case("archive as array", {"x.npy": npz(x=FEATURES), "y.npy": npy(LABELS)}, PAIR, "NNS602", ('NPZ("x.npy")',)),
    Case("other lengths", {"x.npy": npy(FEATURES), "y.npy": npy(LABELS[:3])}, PAIR, "NNS602", ("4 samples", "3")),
    Case("other width", {"x.npy": npy(FEATURES[:, :1]), "y.npy": npy(LABELS)}, PAIR, "NNS608", ("1 instead of 2",)),
    Case(
        "other rank",
        {"x.npy": npy(FEATURES[..., None]), "y.npy": npy(LABELS)},
        PAIR,
        "NNS608",
        ("3 dimensions instead of 2",),
    ),
    Case(
        "other element type",
        {"x.npy": npy(FEATURES.astype(int)), "y.npy": npy(LABELS)},
        PAIR,
        "NNS608",
        ("int instead of float",),
    ),
    Case("single number", {"x.npy": npy(np.float32(1)), "y.npy": npy(LABELS)}, PAIR, "NNS602", ("single number",)),
    Case("no samples", {"x.npy": npy(FEATURES[:0]), "y.npy": npy(LABELS[:0])}, PAIR, "NNS602", ("no samples",)),
    Case(
        "nan",
        {"x.npy": npy(FEATURES * np.nan), "y.npy": npy(LABELS)},
        PAIR,
        "NNS602",
        ("`features` (x.npy)", "not finite in sample 0"),
    ),
    Case(
        "too large for a float",
        {"x.npy": npy(np.full((4, 2), 1e300)), "y.npy": npy(LABELS)},
        PAIR,
        "NNS602",
        ("not finite",),
    ),
    Case(
        "class out of range",
        {"x.npy": npy(FEATURES), "y.npy": npy(LABELS + 2)},
        PAIR,
        "NNS604",
        ("goes up to 4", "0 to 2"),
    ),
    Case("class below 0", {"x.npy": npy(FEATURES), "y.npy": npy(LABELS - 1)}, PAIR, "NNS604", ("goes down to -1",)),
    Case("archive that inflates", {"d.npz": inflated}, 'NPZ("d.npz")', "NNS602", ("GiB is the limit",)),
    Case("cut archive", {"d.npz": npz(features=FEATURES, label=LABELS)[:-30]}, 'NPZ("d.npz")', "NNS602", ("damaged",)),
    Case(
        "no such array",
        {"d.npz": npz(feature=FEATURES, label=LABELS)},
        'NPZ("d.npz", (features="features"))',
        "NNS602",
        ("`feature`",),
    ),
    Case(
        "cut tensors",
        {"d.safetensors": tensors(features=FEATURES, label=LABELS)[:-1]},
        'Safetensors("d.safetensors")',
        "NNS602",
        ("ends after",),
    ),
    Case(
        "no tensors",
        {"d.safetensors": b"\xff" * 64},
        'Safetensors("d.safetensors")',
        "NNS602",
        ("no safetensors file",),
    ),
    Case("no record", {}, "NPY(3)", "NNS303", ("`path` of `NPY`", "a record `(name=...)`")),
    Case("a type that is none", {}, 'Random((features="float[2]"))', "NNS603", ("the batch comes first",)),
    Case("Python without leave", {}, 'Python("os:mkdir", (features="float[N, 2]"))', "NNS222", ("--allow-extern",)),
    Case("no such folder", {}, 'HuggingFace("./none/of/this")', "NNS601", ("looked for",)),
    *(
        Case(f"a class number that is worked out: {loss}", {"t.csv": GOOD}, CSV, "NNS604", ("is worked out",), loss)
        for loss in ("cross_entropy(scores, label + 1)", "nll_loss(log_softmax(scores, dim=1), label - 1)")
    ),
)

CASES = (*TABLES, *ARRAYS)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_data_is_reported(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in case.files.items():
        if callable(content):
            content(tmp_path / name)
        else:
            (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    before = _contents(tmp_path)
    (tmp_path / "net.nns").write_text(case.spec())
    code, said = _run("run", "net.nns", capsys=capsys)
    assert code == 1, said
    assert f"error[{case.code}]" in said
    assert "--> net.nns:" in said
    assert [word for word in case.words if word not in said] == [], said
    assert "Traceback" not in said
    assert said.count("error[") == 1, said
    after = {name: content for name, content in _contents(tmp_path).items() if name != "net.nns"}
    assert {name: content for name, content in after.items() if not name.startswith("runs/")} == before
    assert all((run / "result.json").exists() for run in (tmp_path / "runs").glob("*"))


def _validated(tmp_path: Path, other: str, data: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """A run that validates on a table of its own."""
    (tmp_path / "t.csv").write_text(GOOD)
    (tmp_path / "u.csv").write_text(other)
    spec = Case("", {}, data, "", ()).spec()
    other_data = data.replace("t.csv", "u.csv")
    (tmp_path / "net.nns").write_text(spec.replace("  loss", f"  validation = {other_data}\n  loss"))
    return _run("run", "net.nns", capsys=capsys)


def test_what_is_validated_on_has_the_classes_of_what_is_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from nnspec.training.datasets.csv import CSV as Table

    monkeypatch.chdir(tmp_path)
    code, said = _validated(tmp_path, "b,kind,a\n1,y,2\n3,z,4\n", CSV, capsys)
    assert code == 0, said
    first: Any = Table
    other = first("u.csv", target="kind").following(first("t.csv", target="kind"), tmp_path).load(tmp_path)
    assert other.fields["label"].tolist() == [1, 2]
    assert other.fields["features"].tolist() == [[2, 1], [4, 3]]
    code, said = _validated(tmp_path, "a,b,kind\n1,2,y\n3,4,q\n", CSV, capsys)
    assert code == 1
    assert "`q` in column `kind` of u.csv is none of the words that are given" in said


def test_data_that_may_not_be_read_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    opened = Path.open

    def refused(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.suffix in (".csv", ".npy", ".npz", ".parquet", ".safetensors"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *arguments, **options)

    for path, name in (("t.csv", "CSV"), ("t.npy", "NPY"), ("t.parquet", "Parquet"), ("t.safetensors", "Safetensors")):
        monkeypatch.setattr(Path, "open", opened)
        (tmp_path / path).write_text(GOOD)
        (tmp_path / "net.nns").write_text(Case("", {}, f'{name}("{path}")', "", ()).spec())
        monkeypatch.setattr(Path, "open", refused)
        code, said = _run("run", "net.nns", capsys=capsys)
        assert (code, "error[NNS601]" in said) == (1, True), said
        assert f"{path} cannot be read: Permission denied" in said


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def _run(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    sys.stdout.flush()
    with pytest.raises(SystemExit) as done:
        cli.main(list(arguments))
    captured = capsys.readouterr()
    return int(done.value.code or 0), captured.out + captured.err
