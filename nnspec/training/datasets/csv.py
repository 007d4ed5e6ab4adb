"""Tables in text files: CSV, TSV and their like."""

from __future__ import annotations

from pathlib import Path

from nnspec.arguments import arg
from nnspec.training.dataset import locate
from nnspec.training.fault import DataError
from nnspec.training.tables.table import Table
from nnspec.training.tables.tabular import Tabular
from nnspec.training.tables.text import open_table


class CSV(Tabular):
    """A text file with a row for each sample, its columns split by commas (or another character).

    Fields: `features`, the numeric columns [batch, n], then a column of 0 and 1 for each word of those in `one_hot`;
    for a target that is a class `label`, its classes in sorted order (and, where there are two, `target`: the label as
    a float column); for a target of numbers `target`, float columns [batch, n]. `columns` makes further fields: of
    numbers float, of `integers` int, of text the number of each word in sorted order, as an Embedding takes it; a
    single column is [batch], a list of them [batch, n].

    What a column holds is decided by the first 1,000 rows: numbers, true and false (1 and 0), text, or dates, which are
    refused. Columns that are no numbers are left out of `features`, and a note says which. An empty cell, NA, N/A, NaN,
    null, none, ? and - are missing values: refused with their line, unless `drop_missing` or `fill` say otherwise. The
    target's are never filled; a mean, median or most frequent value is that of all rows.

    Words of `one_hot` columns are looked for in the whole file when the spec is checked, unless `words` gives them; a
    word that is none of those given is a fault. UTF-8, quoting as in RFC 4180, packed if the name ends in .gz. It is
    read some rows at a time and held in memory in the types of its fields, at most 16 GiB; for more, write arrays:
    `NPY`, `Safetensors`.
    """

    delimiter: str | None = arg(None, doc='what splits columns; none: a tab for .tsv, else ","', keyword=True)
    header: bool = arg(True, doc="whether the first line holds the names of the columns", keyword=True)

    def table(self, base: Path) -> Table:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise DataError("a delimiter is a single character", at="delimiter")
        return open_table(locate(base, self.path, "path"), self.delimiter, self.header)
