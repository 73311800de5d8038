"""Past sales from a file: whole invoices, cancellations as refunds, odd lines told. Source: R2, R8.

A line is one product of one invoice (`sale_lines` reads them). A negative quantity takes
back what the same customer bought at the same price before; it must find a sale in the file.

An invoice is known by its reference. What is in the book under it was decided when it came in, and
stays as it is, whatever else a later file holds: nothing is sold, taken back or added for it again.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Protocol

from pydantic_core import from_json

from tallybook.customers.rules import fold_email
from tallybook.db.engine import Database
from tallybook.kernel.frozen import replace
from tallybook.kernel.money import parse_amount
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.model import CounterTerms, Product
from tallybook.retail.operations.imports import (
    PastLine,
    RecordPastSale,
    RecordPastSaleOperation,
)
from tallybook.retail.operations.products import AddProduct, AddProductOperation
from tallybook.retail.queries.imported import (
    ImportedSale,
    find_imported_sales,
    list_taken_back,
)
from tallybook.retail.queries.reads import list_products
from tallybook.retail.rules.basket import check_size
from tallybook.retail.rules.catalogue import clean_product_name, fold_name
from tallybook.retail.rules.totals import line_total
from tallybook.retail.tasks.cancellations import Cancellations
from tallybook.retail.tasks.catalogue import Counter, WhenRefused
from tallybook.retail.tasks.sale_lines import FileLine, read_invoices, unfit
from tallybook.writer.model import Command, Outcome

INVOICES_TOGETHER = 200


class SalesCounter(Counter, Protocol):
    """What an import of sales needs of the engine."""

    @property
    def database(self) -> Database:
        """Where reads go."""
        ...


@dataclass(slots=True)
class SalesSummary:
    """What became of a file. Units: minor units."""

    lines: int = 0
    lines_sold: int = 0
    lines_returned: int = 0
    lines_already_there: int = 0
    """Lines whose sale or refund an earlier import has brought in; they are in no other figure."""
    lines_refused: int = 0
    products: int = 0
    sales: int = 0
    refunds: int = 0
    sold_minor: int = 0
    refunded_minor: int = 0


@dataclass(slots=True)
class _Import:
    counter: SalesCounter
    terms: CounterTerms
    when_refused: WhenRefused
    notes_stock: bool
    cancellations: Cancellations
    summary: SalesSummary = field(default_factory=SalesSummary)
    products: dict[str, Product] = field(default_factory=dict[str, Product])
    """By sku."""
    names: set[str] = field(default_factory=set[str])
    waiting: list[list[FileLine]] = field(default_factory=list[list[FileLine]])


def import_sales(
    counter: SalesCounter,
    terms: CounterTerms,
    stream: BinaryIO,
    *,
    when_refused: WhenRefused,
    notes_stock: bool = False,
    progress: Progress = NO_PROGRESS,
) -> SalesSummary:
    """Bring in the sales of a file. The same file twice is the same sales once.

    An invoice with a line that can't be read is refused whole, so that it can come in once the line
    is corrected. Products that no sku finds are added at the first price seen, with no stock. With
    `notes_stock` each sale brings in what it takes, and what is taken back goes on the shelf.

    Raises: Refused `file_malformed`; Stopped.
    """
    with counter.database.reader() as connection:
        taken_back = list_taken_back(connection)
    cancellations = Cancellations(counter, terms, taken_back, restock=notes_stock)
    work = _Import(counter, terms, when_refused, notes_stock, cancellations)
    for invoice in read_invoices(stream, terms, counter.clock.today()):
        for _ in range(len(invoice.lines) + len(invoice.refused)):
            work.summary.lines += 1
            progress.advance()
        for number, refusal in invoice.refused:
            _refuse(work, number, refusal)
        _take_invoice(work, invoice.lines)
    _send(work)
    return work.summary


def _take_invoice(work: _Import, invoice: Sequence[FileLine]) -> None:
    back = [line for line in invoice if line.quantity < 0]
    sold = [line for line in invoice if line.quantity > 0]
    if sold:
        work.waiting.append(sold)
        if len(work.waiting) >= INVOICES_TOGETHER:
            _send(work)
    if back:
        _send(work)
        _take_back(work, back)


def _merge(sold: Sequence[FileLine]) -> list[FileLine]:
    """Add up what differs in quantity and name alone: tax is rounded once for all of it."""
    merged: dict[tuple[str, int, int, bool | None], FileLine] = {}
    for line in sold:
        key = line.sku, line.price_minor, line.tax_ppm, line.tax_inclusive
        if (before := merged.get(key)) is not None:
            quantity = before.quantity + line.quantity
            merged[key] = replace(before, quantity=quantity, name=before.name or line.name)
        else:
            merged[key] = line
    return list(merged.values())


def _sale_of(work: _Import, sold: list[FileLine]) -> Command:
    """Make one invoice's command. Raises: Refused, where a product can't be added."""
    merged = _merge(sold)
    # Seen before anything is added for it: what is refused leaves nothing behind.
    with_tax = {sku for sku in {line.sku for line in merged} if _is_with_tax(work, sku)}
    net_minor = sum(sum(_price(line, with_tax)) for line in merged)
    if (refusal := check_size(len(merged), net_minor)) is not None:
        raise Refused(refusal)
    lines = tuple(
        PastLine(
            _product(work, line).id,
            line.quantity,
            line.price_minor,
            line.tax_ppm,
            line.name,
            line.tax_inclusive,
        )
        for line in merged
    )
    first = sold[0]
    asked = RecordPastSale(
        first.reference,
        first.sold_on,
        first.email,
        None if first.email is None else fold_email(first.email),
        lines,
        notes_stock=work.notes_stock,
    )
    # No key: the reference is what it is known by, and what was refused may come in corrected.
    return Command(RecordPastSaleOperation(work.terms), asked)


def _is_with_tax(work: _Import, sku: str) -> bool:
    product = _find_product(work, sku)
    return product is not None and product.tax_inclusive


def _price(line: FileLine, with_tax: Container[str]) -> tuple[int, int]:
    """Tell what a line comes to, and its tax; where it does not say, its product does."""
    inclusive = line.sku in with_tax if line.tax_inclusive is None else line.tax_inclusive
    return line_total(line.price_minor, line.quantity, line.tax_ppm, tax_inclusive=inclusive)


def _product(work: _Import, line: FileLine) -> Product:
    """Find a product by its sku, or add it as the file shows it. Raises: Refused."""
    sku = line.sku
    product = _find_product(work, sku)
    if product is None:
        name = line.name or clean_product_name(sku)
        if fold_name(name) in work.names:
            name = clean_product_name(f"{name[:180]} [{sku}]")
        added = _add_product(work, line, name)
        if added.refusal is not None and added.refusal.code == "name_taken":
            name = clean_product_name(f"{name[:180]} [{sku}]")
            added = _add_product(work, line, name)
        if added.refusal is None:
            product = added.value
            work.names.add(fold_name(name))
            work.summary.products += 1
        # Another import of the same file may have added it just now.
        elif added.refusal.code != "sku_taken" or (product := _find_product(work, sku)) is None:
            raise Refused(added.refusal)
        work.products[sku] = product
    return product


def _find_product(work: _Import, sku: str) -> Product | None:
    if sku not in work.products:
        with work.counter.database.reader() as connection:
            found = list_products(connection, sku=sku, limit=1)
        if found:
            work.products[sku] = found[0]
    return work.products.get(sku)


def _add_product(work: _Import, line: FileLine, name: str) -> Outcome:
    asked = AddProduct(
        name=name,
        sku=line.sku,
        stock=0,
        price_minor=line.price_minor,
        tax_ppm=line.tax_ppm,
        tax_inclusive=line.tax_inclusive or False,
        oversell_limit=0,
        currency=work.terms.currency,
    )
    return work.counter.door.ask_now(Command(AddProductOperation(work.terms), asked))


def _find_sales(work: _Import, invoices: Sequence[list[FileLine]]) -> Mapping[str, ImportedSale]:
    references = [lines[0].reference for lines in invoices]
    with work.counter.database.reader() as connection:
        return find_imported_sales(connection, references) if references else {}


def _send(work: _Import) -> None:
    """Record the invoices that wait and aren't in the book; remember what can be taken back."""
    waiting, work.waiting = work.waiting, []
    known = _find_sales(work, waiting)
    asked: list[tuple[list[FileLine], Command]] = []
    refused: dict[int, Refusal] = {}
    """By an invoice's first line."""
    for lines in waiting:
        if lines[0].reference in known:
            continue
        try:
            asked.append((lines, _sale_of(work, lines)))
        except Refused as error:
            refused[lines[0].number] = error.refusal
    new: set[int] = set()
    outcomes = work.counter.door.submit_many(command for _, command in asked)
    for (lines, _), outcome in zip(asked, outcomes, strict=True):
        if outcome.refusal is None:
            new.add(lines[0].number)
            reply: dict[str, Any] = from_json(outcome.body)
            work.summary.sales += 1
            work.summary.lines_sold += len(lines)
            work.summary.sold_minor += parse_amount(reply["final_amount"], reply["currency"])
        elif outcome.refusal.code != "reference_taken":
            refused[lines[0].number] = outcome.refusal
    there = _find_sales(work, waiting) if asked else known
    for lines in waiting:
        first = lines[0]
        refusal = refused.get(first.number)
        if refusal is None and not _is_this(lines, there[first.reference]):
            refusal = unfit("its invoice is in the book with other lines, or of another day")
        if refusal is not None:
            for line in lines:
                _refuse(work, line.number, refusal)
            continue
        if first.number not in new:
            work.summary.lines_already_there += len(lines)
        work.cancellations.remember(first.customer, there[first.reference])


def _is_this(lines: Sequence[FileLine], sale: ImportedSale) -> bool:
    """Tell whether a sale in the book is what the file has under its reference."""
    # Where the file does not say whether a price is with tax, either is what it has.
    untold = {_priced(line) for line in lines if line.tax_inclusive is None}
    there: Tally[tuple[object, ...]] = Tally()
    for line in sale.lines:
        key = line.sku, line.unit_price_minor, line.tax_ppm
        there[*key, None if key in untold else line.tax_inclusive] += line.quantity
    for line in lines:
        key = _priced(line)
        there[*key, None if key in untold else line.tax_inclusive] -= line.quantity
    first = lines[0]
    is_same = not any(there.values())
    return is_same and (sale.sold_on, sale.email) == (first.sold_on, first.email)


def _priced(line: FileLine) -> tuple[str, int, int]:
    return line.sku, line.price_minor, line.tax_ppm


def _take_back(work: _Import, lines: list[FileLine]) -> None:
    taken = work.cancellations.take_back(lines)
    work.summary.refunds += taken.refunds
    work.summary.refunded_minor += taken.refunded_minor
    for line in lines:
        if (refusal := taken.refused.get(line.number)) is not None:
            _refuse(work, line.number, refusal)
        elif line.number in taken.already_there:
            work.summary.lines_already_there += 1
        else:
            work.summary.lines_returned += 1


def _refuse(work: _Import, number: int, refusal: Refusal) -> None:
    work.summary.lines_refused += 1
    work.when_refused(number, refusal)
