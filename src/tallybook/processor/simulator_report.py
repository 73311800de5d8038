"""Writes a simulated Processor's report, with all that can be wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from datetime import date
from random import Random
from typing import Literal, NamedTuple

from tallybook.kernel.frozen import frozen
from tallybook.kernel.money import format_amount
from tallybook.processor.faults import ReportFate, ReportFault
from tallybook.processor.model import Result
from tallybook.processor.report_reader import TRAILER
from tallybook.processor.simulator_log import SimulatorLog

ReportColumns = Literal["plain", "rich"]
REPORT_DAYS = 5
"""A report taken on a date shows it, till then, and the four before. Source: P5."""

_FAIL_REASONS = ("insufficient_funds", "account_closed", "payment_stopped", "no_account")
_PLAIN_HEADER = "transaction_id,result"
_RICH_HEADER = "transaction_id,result,amount,account,direction,date,reason"
_HTML = "<!DOCTYPE html>\n<html><body><h1>502 Bad Gateway</h1></body></html>\n"
_EVERY = 10
"""A fault of rows strikes the first row and every tenth after it."""


class _Row(NamedTuple):
    """One line before it is text. Units: minor units."""

    result: str
    happened_on: int
    ident: str
    amount_minor: int = 0
    account: str = ""
    direction: str = ""

    def as_plain(self) -> str:
        return f"{self.ident},{self.result}\n"


@frozen
class ReportOrder:
    """Which report is asked for, and how it is to come out."""

    day: date
    columns: ReportColumns
    currency: str
    fate: ReportFate
    seed: int


def write_report(log: SimulatorLog, order: ReportOrder) -> Generator[bytes]:
    """Write the report of a date in chunks, so that a large one needs little memory.

    What is wrong with the connection rather than with the bytes (missing, cut) is left to whoever
    hands them over. Source: P4, docs/processor-wire.md.
    """
    fate = order.fate
    encoding = "utf-8"
    if fate.odd_encoding:
        encoding = "utf-16-le" if fate.variant % 2 else "latin-1"
    if fate.fault is ReportFault.EMPTY:
        return
    if fate.fault is ReportFault.HTML:
        yield _HTML.encode()
        return
    is_rich = order.columns == "rich"
    head = (_RICH_HEADER if is_rich else _PLAIN_HEADER) + "\n"
    yield (("\ufeff" if encoding == "utf-16-le" else "") + head).encode(encoding)
    render = _rich_renderer(order) if is_rich else _Row.as_plain
    count = 0
    for rows in _chunks(log, order):
        struck = _strike(rows, order)
        count += len(struck)
        text = "".join(map(render, struck))
        if fate.fault is ReportFault.TRUNCATED:
            yield text[: len(text) // 2].encode(encoding, "replace")
            return
        yield text.encode(encoding, "replace")
    if fate.fault is ReportFault.TRUNCATED:
        return
    if encoding == "latin-1":
        # A row with an accent, so that the bytes really are not UTF-8.
        yield "txn_caf\xe9,success\n".encode(encoding)
        count += 1
    yield f"{TRAILER},{count}\n".encode(encoding)


def _chunks(log: SimulatorLog, order: ReportOrder) -> Iterator[list[_Row]]:
    last = order.day.toordinal() - (order.fate.fault is ReportFault.DUPLICATE)
    columns = ("transaction_id",)
    if order.columns == "rich":
        columns = ("transaction_id", "amount_minor", "dst", "direction")
    events = log.read_events(
        last - REPORT_DAYS + 1, last, columns, latest_first=order.fate.shuffled_rows
    )
    for chunk in events:
        yield [_Row(*row) for row in chunk]


def _strike(rows: list[_Row], order: ReportOrder) -> list[_Row]:
    fate = order.fate
    if fate.wrong_amounts:
        rows = [
            row._replace(amount_minor=row.amount_minor + 1) if at % _EVERY == 0 else row
            for at, row in enumerate(rows)
        ]
    if fate.duplicate_rows:
        rows = [row for at, row in enumerate(rows) for _ in range(1 + (at % _EVERY == 0))]
    draw = Random(f"{order.seed}|{order.day}|{len(rows)}")  # noqa: S311 - a simulation repeats itself
    if fate.unknown_rows and rows:
        stranger = f"txn_{draw.getrandbits(64):016x}"
        rows = [*rows, rows[0]._replace(ident=stranger)]
    if fate.shuffled_rows:
        rows = list(rows)
        draw.shuffle(rows)
    return rows


def _rich_renderer(order: ReportOrder) -> Callable[[_Row], str]:
    currency, odd_numbers = order.currency, order.fate.odd_numbers

    def as_rich(row: _Row) -> str:
        amount = format_amount(row.amount_minor, currency)
        if odd_numbers:
            amount = '"' + amount.replace(".", ",") + '"'
        reason = ""
        if row.result == Result.FAIL:
            reason = _FAIL_REASONS[int(row.ident[-1], 16) % len(_FAIL_REASONS)]
        account = row.account
        if "," in account or '"' in account:
            account = '"' + account.replace('"', '""') + '"'
        day = date.fromordinal(row.happened_on).isoformat()
        return f"{row.ident},{row.result},{amount},{account},{row.direction},{day},{reason}\n"

    return as_rich
