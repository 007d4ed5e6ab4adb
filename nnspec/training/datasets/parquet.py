"""Tables in Parquet files."""

from __future__ import annotations

from pathlib import Path

from nnspec.training.dataset import locate
from nnspec.training.tables.parquet import open_parquet
from nnspec.training.tables.table import Table
from nnspec.training.tables.tabular import Tabular


class Parquet(Tabular):
    """A Parquet file with a row for each sample.

    Fields are made of its columns as `CSV` makes them: `features`, `label` and `target`, and those that `columns`
    names. What a column holds is in the file: numbers (decimals too), true and false, text (dictionaries too), dates,
    which are refused; lists and bytes are left out. Missing values are nulls and nan. A class that is no text is called
    what its value looks like: "3", "True".

    Needs pyarrow (`pip install pyarrow`) to read the rows; a spec is checked without it, unless words have to be
    counted: for `one_hot` and a target that is text, where `words` does not give them. Rows are read some thousands at
    a time and held in memory in the types of their fields.
    """

    def table(self, base: Path) -> Table:
        return open_parquet(locate(base, self.path, "path"))
