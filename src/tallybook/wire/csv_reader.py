"""CSV files, line by line: what is wrong with one line leaves the others be."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from typing import BinaryIO, NoReturn

from tallybook.kernel.frozen import frozen
from tallybook.kernel.refusal import Refusal, Refused

LINE_BYTES_MAX = 64 * 1024
_SHOWN_NAME = 40
_BOMS_OF_OTHERS = (b"\xff\xfe", b"\xfe\xff")
_NOTHING = b' \t\r\n,"'
_OTHER_SEPARATORS = ";\t|"


@frozen
class CsvColumns:
    """Which columns a file has."""

    required: Sequence[str]
    optional: Sequence[str] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names that a column may go by."""


@frozen
class CsvLine:
    """One line of a file: its values by column, or what is wrong with it."""

    number: int
    """Its place in the file as an editor counts: the column names are in line 1."""
    values: Mapping[str, str]
    """Trimmed; a column that is empty is not in it."""
    refusal: Refusal | None = None


class CsvReader:
    """Reads a CSV file in UTF-8, with or without a BOM, whatever its lines end with.

    A record is one line: a quote that is never closed spoils its own line, not the rest of the
    file. No more than one line is ever in memory.
    """

    def __init__(self, stream: BinaryIO, columns: CsvColumns) -> None:
        """Read the column names. Raises: Refused `file_malformed`."""
        self._stream = stream
        self._names = _read_names(stream.readline(LINE_BYTES_MAX + 1), columns)

    def __iter__(self) -> Iterator[CsvLine]:
        """Read the lines; those with nothing in any column are passed over."""
        number = 1
        while raw := self._stream.readline(LINE_BYTES_MAX + 1):
            number += 1
            if len(raw) > LINE_BYTES_MAX:
                while raw and not raw.endswith(b"\n"):
                    raw = self._stream.readline(LINE_BYTES_MAX)
                yield _bad(number, f"it is longer than {LINE_BYTES_MAX} bytes")
            elif raw.strip(_NOTHING):
                yield self._line(number, raw)

    def _line(self, number: int, raw: bytes) -> CsvLine:
        try:
            cells = _cells(raw)
        except UnicodeDecodeError:
            return _bad(number, "it is not UTF-8")
        except csv.Error:
            return _bad(number, "its quotes do not match")
        if len(cells) != len(self._names):
            return _bad(number, f"it has {len(cells)} fields, not {len(self._names)}")
        trimmed = ((name, cell.strip()) for name, cell in zip(self._names, cells, strict=True))
        return CsvLine(number, {name: cell for name, cell in trimmed if cell})


def _cells(raw: bytes) -> list[str]:
    """Split one line. Raises: UnicodeDecodeError, csv.Error."""
    text = raw.decode().rstrip("\r\n")
    if '"' not in text and "\r" not in text:
        return text.split(",")
    records = list(csv.reader([text], strict=True))
    if len(records) != 1:
        raise csv.Error
    return records[0]


def _read_names(raw: bytes, columns: CsvColumns) -> list[str]:
    if raw.startswith(_BOMS_OF_OTHERS):
        _refuse("it is UTF-16; save it as UTF-8")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if not raw.strip():
        _refuse("its first line is empty, where the column names belong")
    if len(raw) > LINE_BYTES_MAX:
        _refuse(f"its first line is longer than {LINE_BYTES_MAX} bytes")
    try:
        cells = _cells(raw)
    except UnicodeDecodeError:
        _refuse("it is not UTF-8")
    except csv.Error:
        _refuse("the quotes of its first line do not match, or its lines end with CR alone")
    names = [_named(cell.strip().lower(), columns) for cell in cells]
    missing = [name for name in columns.required if name not in names]
    if missing:
        # What stands there instead is not repeated: a file without names begins with an account.
        separated = ""
        if len(names) == 1 and any(mark in names[0] for mark in _OTHER_SEPARATORS):
            separated = "; its columns must be separated by commas"
        _refuse(f"it has no column {', '.join(missing)}{separated}")
    known = {*columns.required, *columns.optional}
    if strange := [name[:_SHOWN_NAME] for name in names if name not in known]:
        listed = ", ".join((*columns.required, *columns.optional))
        _refuse(f"it has columns that mean nothing here ({', '.join(strange)}); known: {listed}")
    if len(set(names)) < len(names):
        _refuse("it has a column twice")
    return names


def _named(name: str, columns: CsvColumns) -> str:
    return columns.aliases.get(name, name)


def _bad(number: int, problem: str) -> CsvLine:
    return CsvLine(number, {}, Refusal("line_malformed", details={"problem": problem}))


def _refuse(problem: str) -> NoReturn:
    raise Refused(Refusal("file_malformed", details={"problem": problem})) from None
