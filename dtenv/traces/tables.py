"""Tables out of files: text or .xlsx, compressed or not, recognised by their content; every cell is a string."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

GEOLIFE = ["latitude", "longitude", "zero", "altitude_ft", "days", "date", "time"]
GEOLIFE_PREAMBLE = 6  # lines
CABSPOTTING = ["latitude", "longitude", "occupancy", "unixtime"]
OPENCELLID = ["radio", "mcc", "net", "area", "cell", "unit", "lon", "lat"]
RADIOS = ("GSM", "CDMA", "UMTS", "LTE", "NR", "NBIOT")
ARCHIVES: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}
BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile)


@dataclass
class Table:
    """The cells of a file, column by column.

    Args:
        source: name of the file, for messages.
        header: names of the columns, as written.
        columns: one Arrow string array a column, null where a row has no such cell.
        lines: the line in the file of each row; counted when first asked for.
    """

    source: str
    header: list[str]
    columns: list[Any]
    count_lines: Callable[[], Iterator[int]] = field(repr=False)

    def line(self, row: int) -> int:
        """The line in the file, from 1, of a row."""
        return next(line for r, line in enumerate(self.count_lines()) if r == row)

    def fault(self, row: int, column: int, must: str) -> ValueError:
        """An error that names file, line, field and value."""
        value = self.columns[column][row].as_py()
        got = f"got {value!r}" if value is not None else ""
        line = self.line(row)
        if value is None:
            cells = sum(one[row].is_valid for one in self.columns)
            return ValueError(f"{self.source}:{line}: {self.header[column]} is missing, the row has {cells} columns")
        return ValueError(f"{self.source}:{line}: {self.header[column]} {must}, {got}")

    def numbers(self, column: int, limit: float = np.inf) -> np.ndarray:
        """A column as floats.

        Raises:
            ValueError: a cell is no finite number, or outside [-limit, limit].
        """
        compute, texts = _arrow().compute, self.columns[column]
        try:
            values = compute.cast(compute.utf8_trim_whitespace(texts), "float64").to_numpy(zero_copy_only=False)
        except ValueError:
            values = np.array([_float(text) for text in texts.to_pylist()], dtype=np.float64)
        missing = texts.is_null().to_numpy(zero_copy_only=False)
        wrong = missing | ~np.isfinite(values) | (np.abs(values) > limit)
        if wrong.any():
            row = int(wrong.argmax())
            text = texts[row].as_py()
            if missing[row] or _float(text) is None:
                must = "must be a number"
            elif not np.isfinite(values[row]):
                must = "must be finite"
            else:
                must = f"must lie in [-{limit:g}, {limit:g}]"
            raise self.fault(row, column, must)
        return values

    def codes(self, column: int) -> tuple[np.ndarray, list[str]]:
        """A column as numbers of its distinct cells in order of appearance, and these.

        Raises:
            ValueError: a row has no such cell.
        """
        coded = self.columns[column].dictionary_encode()
        if coded.null_count:
            row = int(coded.is_null().to_numpy(zero_copy_only=False).argmax())
            raise self.fault(row, column, "")
        return coded.indices.to_numpy(), coded.dictionary.to_pylist()

    def joined(self, date: int, time: int) -> Table:
        """The table with a column of dates put before one of times."""
        columns = list(self.columns)
        columns[time] = _arrow().compute.binary_join_element_wise(columns[date], columns[time], " ")
        return Table(self.source, self.header, columns, self.count_lines)

    def keep(self, rows: np.ndarray) -> Table:
        """The table of some rows, (rows,) booleans."""
        mask = _arrow().array(rows)
        chosen = np.flatnonzero(rows)

        def lines() -> Iterator[int]:
            left = iter(chosen.tolist())
            wanted = next(left, None)
            for row, line in enumerate(self.count_lines()):
                if row == wanted:
                    yield line
                    wanted = next(left, None)

        return Table(self.source, self.header, [column.filter(mask) for column in self.columns], lines)


def read_table(source: str, data: bytes) -> Table:
    """The table in a file, its rows without cells left out.

    Args:
        source: name of the file, for messages.
        data: its content: CSV (comma, semicolon, tab or bar), cabspotting's or GeoLife's text, or an .xlsx workbook;
            as it is, or in a gzip, bz2, xz or zip archive.

    Raises:
        ValueError: the file is truncated, or holds no table; the message names file and line.
        ImportError: an .xlsx file where openpyxl is absent.
    """
    data = unpacked(source, data)
    if data[:4] == b"PK\x03\x04":
        cells = _sheet(source, data)
        return _of_rows(source, [(line, row) for line, row in enumerate(cells, start=1) if any(row)])
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    skip, header, delimiter = _layout(data)
    try:
        return _of_text(source, data, skip, header, delimiter)
    except ValueError:  # rows of different lengths: read one by one
        return _of_rows(source, list(_rows(data, skip, delimiter)), header)


def unpacked(source: str, data: bytes) -> bytes:
    """A file's content without its archive; an .xlsx workbook stays as it is.

    Raises:
        ValueError: the archive is truncated or corrupt, or holds several files.
    """
    for magic, opener in ARCHIVES.items():
        if data.startswith(magic):
            read = bytearray()
            try:
                with opener(io.BytesIO(data)) as file:
                    while chunk := file.read(1 << 16):
                        read += chunk
            except BROKEN as error:
                line = read.count(b"\n") + 1
                raise ValueError(f"{source}:{line}: the archive is truncated or corrupt here ({error})") from None
            return unpacked(source, bytes(read))
    if data[:4] == b"PK\x03\x04":
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if "xl/workbook.xml" in names:
                    return data
                if len(names) != 1:
                    raise ValueError(f"{source}:1: must hold one file or a workbook, holds {', '.join(names)[:200]}")
                return unpacked(f"{source}/{names[0]}", archive.read(names[0]))
        except BROKEN as error:
            raise ValueError(f"{source}:1: the archive is truncated or corrupt ({error})") from None
    return data


def _layout(data: bytes) -> tuple[int, list[str] | None, str]:
    """Lines to skip, the header where the file has none of its own, and the delimiter."""
    head = data[: 1 << 16].decode("utf-8", "replace").splitlines()
    if head and head[0].startswith("Geolife trajectory"):
        return GEOLIFE_PREAMBLE, GEOLIFE, ","
    first = next((line for line in head if line.strip()), "")
    words = first.split()
    if len(words) == 4 and "," not in first and all(_float(word) is not None for word in words[::3]):
        return 0, CABSPOTTING, " "
    delimiter = max(",;\t|", key=first.count)
    if first.split(delimiter)[0].strip().upper() in RADIOS:
        return 0, [*OPENCELLID, *map(str, range(first.count(delimiter) + 1 - len(OPENCELLID)))], delimiter
    return 0, None, delimiter


def _of_text(source: str, data: bytes, skip: int, header: list[str] | None, delimiter: str) -> Table:
    arrow = _arrow()
    if not data.strip():
        raise ValueError(f"{source}: holds no rows of places")
    from pyarrow import csv as arrow_csv

    names = header or next(csv.reader(io.StringIO(_first_line(data)), delimiter=delimiter))
    options = arrow_csv.ReadOptions(
        column_names=[str(i) for i in range(len(names))], skip_rows=skip, block_size=1 << 24
    )
    table = arrow_csv.read_csv(
        io.BytesIO(data),
        read_options=options,
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types={str(i): arrow.string() for i in range(len(names))}, strings_can_be_null=False
        ),
    )
    table = table.slice(0 if header else 1)
    columns = [column.combine_chunks() for column in table.columns]

    def lines() -> Iterator[int]:
        rows = (line for line, _ in _rows(data, skip, delimiter))
        if not header:
            next(rows)
        return rows

    return _without_empty(Table(source, list(names), columns, lines))


def _first_line(data: bytes) -> str:
    """The first line with anything in it."""
    return next((line for line in data[: 1 << 16].decode("utf-8", "replace").splitlines() if line.strip()), "")


def _without_empty(table: Table) -> Table:
    """The table without rows whose cells are all empty.

    Raises:
        ValueError: no row is left.
    """
    compute = _arrow().compute
    filled = np.zeros(len(table.columns[0]), np.bool_) if table.columns else np.zeros(0, np.bool_)
    for column in table.columns:
        if filled.all():
            break
        filled |= compute.fill_null(compute.not_equal(column, ""), False).to_numpy(zero_copy_only=False)
    if not filled.any():
        raise ValueError(f"{table.source}: holds no rows of places")
    return table if filled.all() else table.keep(filled)


def _rows(data: bytes, skip: int, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Line and cells of every row that has any."""
    reader = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""), delimiter=delimiter)
    return ((reader.line_num, row) for row in reader if reader.line_num > skip and any(row))


def _of_rows(source: str, rows: list[tuple[int, list[str]]], header: list[str] | None = None) -> Table:
    """The table of rows that may be of different lengths; the first is the header, unless one is given."""
    if header is None and rows and rows[0][1][0].upper() in RADIOS:
        header = [*OPENCELLID, *map(str, range(len(rows[0][1]) - len(OPENCELLID)))]
    if header is None and rows:
        header = rows.pop(0)[1]
    if not rows or header is None:
        raise ValueError(f"{source}: holds no rows of places")
    lines = [line for line, _ in rows]
    cells = [[row[i] if i < len(row) else None for _, row in rows] for i in range(len(header))]
    return Table(source, header, [_arrow().array(column, "string") for column in cells], lambda: iter(lines))


def _sheet(source: str, data: bytes) -> list[list[str]]:
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise ImportError("reading .xlsx needs openpyxl: pip install openpyxl (or save the sheet as .csv)") from None
    try:
        sheet = load_workbook(io.BytesIO(data), read_only=True, data_only=True).active
        return [["" if cell is None else str(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    except (KeyError, *BROKEN) as error:
        raise ValueError(f"{source}:1: is no .xlsx workbook that can be read ({error})") from None


def _float(text: str | None) -> float | None:
    try:
        return float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None


def _arrow() -> Any:
    """pyarrow, which reads large files fast.

    Raises:
        ImportError: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
    except ImportError:
        raise ImportError("reading recordings needs pyarrow: pip install 'dtenv[traces]'") from None
    return pyarrow
