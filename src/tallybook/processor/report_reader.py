"""Reads a Processor's report, whatever bytes it turns out to be. Pure, and never raises.

A report is lines of comma-separated cells: a header that names the columns, a row per result, and
`#end,<rows>` last. A line that can't be read is a problem and nobody's fact; the lines around it
are still used, but the report then counts as not ended, so it covers no day (P4). A row is one
line: a cell in quotes can't hold a line break.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from tallybook.kernel.calendar import parse_date
from tallybook.kernel.frozen import frozen
from tallybook.processor.model import Result
from tallybook.processor.port import Direction

TRAILER = "#end"
PROBLEMS_KEPT = 100
LINE_LIMIT = 64 * 1024
"""Units: characters. A longer line is nobody's row and is not kept in memory."""

_BLOCK = 1 << 18
_ID_LIMIT = 255
_CELL_LIMIT = 1000
_NOT_DECODED = "\ufffd"
_FAST_CELLS = {
    "transaction_id": r"([!#-+\--~]{1,255})",
    "result": r"(success|fail)",
    "amount": r"((?:[0-9]{1,20}(?:\.[0-9]{1,10})?)?)",
    "account": r"([!#-+\--~]{0,255})",
    "direction": r"((?:credit|debit)?)",
    "date": r"((?:[0-9]{4}-[0-9]{2}-[0-9]{2})?)",
    "reason": r"((?![^,\n]{1001})(?:[!#-+\--~]+(?: [!#-+\--~]+)*)?)",
}
"""How cells look in rows as machines write them: printable ASCII without quotes and commas."""

_AMOUNT = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,10})?\Z", re.ASCII)


class ReportRow(NamedTuple):
    """One line of a report: a result, and what else the Processor tells of the transfer."""

    transaction_id: str
    result: Result
    amount: str | None = None
    """A decimal string in major units, as it stood there."""
    account: str | None = None
    direction: Direction | None = None
    date: date | None = None
    """When the result came about, by the Processor's own calendar."""
    reason: str | None = None


@frozen
class ReportReading:
    """What a report said."""

    rows: tuple[ReportRow, ...]
    ended: bool
    """Whether it was read to its end: header, trailer, the right count and no bad line."""
    problems: tuple[tuple[int, str], ...]
    """Line number and code of what could not be read, at most 100 of them."""
    is_rich: bool
    """Whether its rows identify transfers by amount, account and direction (P6)."""


def read_report(raw: bytes) -> ReportReading:
    r"""Read a whole report into memory. Source: P4.

    >>> reading = read_report(b"transaction_id,result\ntxn_1,success\n#end,1\n")
    >>> reading.ended, reading.rows[0].transaction_id
    (True, 'txn_1')
    """
    stream = ReportStream(raw)
    rows = tuple(row for chunk in stream for row in chunk)
    return ReportReading(rows, stream.ended, tuple(stream.problems), stream.is_rich)


class ReportStream:
    """Reads a report chunk by chunk, so that its rows need not all be in memory.

    Iterate over it, once; `ended`, `problems` and `is_rich` hold when the last chunk has been
    taken. Source: P4.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._columns: Mapping[str, int] | None = None
        self._column_count = 2
        self._pattern: re.Pattern[str] | None = None
        self._fast_order: tuple[str, ...] = ()
        self._line = 0
        self._rows = 0
        self._trailer: int | None = None
        self._is_clean = True
        self.is_rich = False
        self.problems: list[tuple[int, str]] = []

    @property
    def ended(self) -> bool:
        """Tell whether everything was read to its end, with nothing wrong on the way."""
        return self._is_clean and self._trailer is not None

    def __iter__(self) -> Iterator[list[ReportRow]]:
        for block in _blocks(self._raw):
            if rows := self._read_block(block):
                yield rows
        if self._trailer is None:
            self._note("trailer_missing")

    def _read_block(self, block: str) -> list[ReportRow]:
        # Hundreds of thousands of rows are all alike: one pass of a regular expression reads them,
        # and only a block with a line of another kind is looked at line by line.
        if (rows := self._read_fast(block)) is not None:
            self._line += len(rows)
            self._rows += len(rows)
            return rows
        rows = []
        *lines, last = block.split("\n")
        for line in lines:
            self._line += 1
            if (row := self._read_line(line.removesuffix("\r"))) is not None:
                rows.append(row)
        if last:
            self._line += 1
            if last.startswith(TRAILER):
                self._read_line(last)
            else:
                # Without its line break nobody knows whether the line was longer: `txn_1` may
                # have been `txn_12`.
                self._note("line_cut")
        return rows

    def _read_fast(self, block: str) -> list[ReportRow] | None:
        """Read a block of usual rows; None where even one of its lines is something else."""
        if self._pattern is None or self._trailer is not None or not block.endswith("\n"):
            return None
        found: list[tuple[str, ...]] = self._pattern.findall(block)
        if len(found) != block.count("\n"):
            return None
        if self._fast_order == ("transaction_id", "result"):
            return [ReportRow(cells[0], _RESULTS[cells[1]]) for cells in found]
        places = [
            self._fast_order.index(name) if name in self._fast_order else -1
            for name in ReportRow._fields
        ]
        rows: list[ReportRow] = []
        for cells in found:
            # A column that this report does not have takes the empty cell put last.
            full = (*cells, "")
            ident, result, amount, account, direction, day, reason = [full[at] for at in places]
            on = _read_date(day) if day else None
            if day and on is None:
                return None
            rows.append(
                ReportRow(
                    ident,
                    _RESULTS[result],
                    amount or None,
                    account or None,
                    _DIRECTIONS[direction] if direction else None,
                    on,
                    reason or None,
                )
            )
        return rows

    def _read_line(self, line: str) -> ReportRow | None:
        if not line:
            return None
        if self._trailer is not None:
            return self._note("after_trailer")
        if len(line) > LINE_LIMIT:
            self._rows += 1
            return self._note("line_too_long")
        if line.startswith(TRAILER):
            return self._read_trailer(line)
        if (cells := _cells(line)) is None:
            self._rows += 1
            return self._note("quoting")
        if self._columns is None:
            named = [cell.strip().lower() for cell in cells]
            if "transaction_id" in named or "result" in named:
                return self._read_header(named)
            # The cells of two columns mean the same without their header, but whatever made this
            # left something out, so what else it left out is not known either.
            self._columns = {"transaction_id": 0, "result": 1}
            self._note("header_missing")
        self._rows += 1
        return self._read_cells(cells)

    def _read_header(self, names: Sequence[str]) -> None:
        columns: dict[str, int] = {}
        for index, name in enumerate(names):
            if name in columns:
                self._note("header_column_twice")
            columns.setdefault(name, index)
        for name in ("transaction_id", "result"):
            if name not in columns:
                self._note(f"header_without_{name}")
        self._columns = columns
        self._column_count = len(names)
        if {"transaction_id", "result"} <= columns.keys() <= _FAST_CELLS.keys() and self._is_clean:
            self._fast_order = tuple(names)
            row = ",".join(_FAST_CELLS[name] for name in names)
            self._pattern = re.compile(rf"^(?!{TRAILER}){row}\r?$", re.MULTILINE)
        self.is_rich = {"amount", "account", "direction"} <= columns.keys()

    def _read_trailer(self, line: str) -> None:
        word, _, count = line.partition(",")
        count = count.strip()
        if word.strip() != TRAILER or not (count.isascii() and count.isdigit()):
            return self._note("trailer_unreadable")
        if self._columns is None:
            self._note("header_missing")
        self._trailer = self._line
        # Compared as text: the count may have more digits than Python turns into a number.
        if (count.lstrip("0") or "0") != str(self._rows):
            self._note("trailer_count")
        return None

    def _read_cells(self, cells: Sequence[str]) -> ReportRow | None:
        columns = self._columns or {}
        if len(cells) != self._column_count:
            return self._note("columns")
        row = {name: cells[index].strip() for name, index in columns.items()}
        ident, result = row.get("transaction_id", ""), row.get("result", "")
        if ident == "transaction_id" and result == "result":
            self._rows -= 1
            return self._note("header_repeated")
        if not 0 < len(ident) <= _ID_LIMIT or not _is_text(ident):
            return self._note("transaction_id_invalid")
        if result not in _RESULTS:
            return self._note("result_unknown")
        amount, account, direction, day = (row.get(name) or None for name in _TYPED)
        if amount is not None and not _AMOUNT.match(amount):
            return self._note("amount_invalid")
        if account is not None and not _is_text(account):
            return self._note("account_invalid")
        if direction is not None and direction not in _DIRECTIONS:
            return self._note("direction_unknown")
        if day is not None and _read_date(day) is None:
            return self._note("date_invalid")
        return ReportRow(
            ident,
            _RESULTS[result],
            amount,
            account,
            _DIRECTIONS[direction] if direction else None,
            _read_date(day) if day else None,
            clean_text(row.get("reason", ""), _CELL_LIMIT) or None,
        )

    def _note(self, code: str) -> None:
        self._is_clean = False
        if len(self.problems) < PROBLEMS_KEPT:
            self.problems.append((self._line, code))


_read_date = lru_cache(maxsize=64)(parse_date)
"""A report names few dates and each many times."""

_TYPED = ("amount", "account", "direction", "date")
_RESULTS = {result.value: result for result in Result}
_DIRECTIONS = {direction.value: direction for direction in Direction}


def clean_text(text: str, limit: int) -> str:
    r"""Make text from outside fit to be kept and shown: printable, one line, bounded.

    >>> clean_text("  account\x00 closed\n", 100)
    'account closed'
    """
    if not text.isascii():
        text = _read_as_latin_1(text)
    words = "".join(char if char.isprintable() else " " for char in text).split()
    return " ".join(words)[:limit]


def _read_as_latin_1(text: str) -> str:
    """Read again what was not UTF-8 after all: an old Processor's accents."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text


def _is_text(cell: str) -> bool:
    return cell.isprintable() and _NOT_DECODED not in cell


def _cells(line: str) -> list[str] | None:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error:
        return None


def _encoding(raw: bytes) -> tuple[str, str]:
    """Tell the encoding, and what becomes of bytes that are not in it."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", "replace"
    if raw[1:2] == b"\0" != raw[:1]:
        return "utf-16-le", "replace"
    if raw[:1] == b"\0" != raw[1:2]:
        return "utf-16-be", "replace"
    return "utf-8-sig", "surrogateescape"


def _blocks(raw: bytes) -> Iterator[str]:
    """Decode piece by piece into whole lines; only the last block may lack its line break."""
    encoding, errors = _encoding(raw)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    rest = ""
    for start in range(0, len(raw), _BLOCK):
        is_last = start + _BLOCK >= len(raw)
        rest += decoder.decode(raw[start : start + _BLOCK], is_last)
        if end := rest.rfind("\n") + 1:
            yield rest[:end]
            rest = rest[end:]
        # Of a line that never ends only so much is kept as shows that it is too long.
        rest = rest[: LINE_LIMIT + 1]
    if rest:
        yield rest
