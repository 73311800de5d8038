"""A catalogue from a file, for a shop that moves in. Source: R1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from tallybook.ambient.clock import Clock
from tallybook.kernel.money import parse_positive_amount
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.products import AddProduct, AddProductOperation
from tallybook.retail.rules.catalogue import STOCK_MAX, clean_product_name, clean_sku
from tallybook.retail.rules.totals import tax_ppm_of
from tallybook.wire.csv_reader import CsvColumns, CsvLine, CsvReader
from tallybook.writer.door import Door
from tallybook.writer.model import Command

COLUMNS = CsvColumns(
    required=("name", "price"),
    optional=("sku", "stock", "tax_percent", "tax_inclusive", "oversell_limit", "currency"),
)

_COUNT = re.compile(r"[0-9]{1,10}\Z", re.ASCII)
_YES_NO = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}

WhenRefused = Callable[[int, Refusal], None]


class Counter(Protocol):
    """What an import needs of the engine."""

    @property
    def door(self) -> Door:
        """Where writes go."""
        ...

    @property
    def clock(self) -> Clock:
        """What day it is."""
        ...


@dataclass(slots=True)
class CatalogueSummary:
    """What became of a file's lines."""

    added: int = 0
    refused: int = 0


def import_products(
    counter: Counter,
    terms: CounterTerms,
    stream: BinaryIO,
    *,
    when_refused: WhenRefused,
    progress: Progress = NO_PROGRESS,
) -> CatalogueSummary:
    """Add the products that a CSV file lists; a name or sku that is taken is refused by line.

    Raises: Refused `file_malformed`; Stopped.
    """
    summary = CatalogueSummary()
    operation = AddProductOperation(terms)
    numbers: list[int] = []

    def refuse(number: int, refusal: Refusal) -> None:
        summary.refused += 1
        when_refused(number, refusal)

    def commands() -> Iterator[Command]:
        for line in CsvReader(stream, COLUMNS):
            try:
                asked = read_product(line, terms.currency)
            except Refused as refused:
                refuse(line.number, refused.refusal)
                continue
            numbers.append(line.number)
            yield Command(operation, asked)

    for place, outcome in enumerate(counter.door.submit_many(commands())):
        if outcome.refusal is None:
            summary.added += 1
        else:
            refuse(numbers[place], outcome.refusal)
        progress.advance()
    return summary


def read_product(line: CsvLine, currency: str) -> AddProduct:
    """Read one line of a catalogue. Raises: Refused."""
    if line.refusal is not None:
        raise Refused(line.refusal)
    values = line.values
    currency = values.get("currency", currency)
    sku = values.get("sku")
    return AddProduct(
        name=clean_product_name(values.get("name", "")),
        sku=None if sku is None else clean_sku(sku),
        stock=_count(values.get("stock", "0"), "stock"),
        price_minor=parse_positive_amount(values.get("price", ""), currency, param="price"),
        tax_ppm=tax_ppm_of(values.get("tax_percent", "0")),
        tax_inclusive=read_yes_no(values.get("tax_inclusive", "no")),
        oversell_limit=_count(values.get("oversell_limit", "0"), "oversell_limit"),
        currency=currency,
    )


def _count(text: str, param: str) -> int:
    if not _COUNT.match(text) or int(text) > STOCK_MAX:
        raise _field(param, "it is not a whole number from 0 to a thousand million")
    return int(text)


def read_yes_no(text: str) -> bool:
    """Read whether prices are with tax. Raises: Refused `field_invalid`."""
    answer = _YES_NO.get(text.lower())
    if answer is None:
        raise _field("tax_inclusive", "it is neither yes nor no")
    return answer


def _field(param: str, problem: str) -> Refused:
    return Refused(Refusal("field_invalid", param, {"field": param, "problem": problem}))
