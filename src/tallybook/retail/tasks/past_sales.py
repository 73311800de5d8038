"""Past sales from a file: whole invoices, cancellations as refunds, odd lines told. Source: R2, R8.

A line is one product of one invoice (`sale_lines` reads them). A negative quantity takes
back what the same customer bought at the same price before; it must find a sale in the file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pydantic_core import from_json

from tallybook.customers.rules import fold_email
from tallybook.kernel.money import parse_amount
from tallybook.kernel.progress import NO_PROGRESS, Progress
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.imports import (
    PastLine,
    RecordPastSale,
    RecordPastSaleOperation,
)
from tallybook.retail.operations.products import AddProduct, AddProductOperation
from tallybook.retail.operations.refunds import GiveRefund, GiveRefundOperation
from tallybook.retail.rules.catalogue import clean_product_name, fold_name
from tallybook.retail.tasks.catalogue import Counter, WhenRefused
from tallybook.retail.tasks.sale_lines import FileLine, read_invoices
from tallybook.writer.model import Command, Outcome

INVOICES_TOGETHER = 200

FindProduct = Callable[[str], int | None]
"""Finds an active product's number by its sku."""


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
class _Bought:
    """What is left of a sale's line, to be taken back."""

    purchase: int
    line: int
    left: int


@dataclass(slots=True)
class _Import:
    counter: Counter
    terms: CounterTerms
    find_product: FindProduct
    when_refused: WhenRefused
    stock: dict[str, int]
    """Opening stock by sku, so that the file's own sales can take it; empty: none is taken."""
    summary: SalesSummary = field(default_factory=SalesSummary)
    products: dict[str, int] = field(default_factory=dict[str, int])
    bought: dict[tuple[str, str, int], list[_Bought]] = field(
        default_factory=dict[tuple[str, str, int], list[_Bought]]
    )
    names: set[str] = field(default_factory=set[str])
    waiting: list[tuple[list[FileLine], Command]] = field(
        default_factory=list[tuple[list[FileLine], Command]]
    )


def import_sales(
    counter: Counter,
    terms: CounterTerms,
    stream: BinaryIO,
    *,
    find_product: FindProduct,
    when_refused: WhenRefused,
    takes_stock: bool = False,
    progress: Progress = NO_PROGRESS,
) -> SalesSummary:
    """Bring in the sales of a file. The same file twice is the same sales once.

    An invoice with a line that can't be read is refused whole, so that it can come in once the line
    is corrected. Products that no sku finds are added at the first price seen. With `takes_stock`
    (the file must then be one that can go back to its start) they open with as much stock as the
    file sells.

    Raises: Refused `file_malformed`; Stopped.
    """
    today = counter.clock.today()
    stock: dict[str, int] = {}
    if takes_stock:
        for invoice in read_invoices(stream, terms, today):
            for line in invoice.lines:
                stock[line.sku] = stock.get(line.sku, 0) + max(0, line.quantity)
        stream.seek(0)
    work = _Import(counter, terms, find_product, when_refused, stock)
    for invoice in read_invoices(stream, terms, today):
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
        try:
            work.waiting.append((sold, _sale_of(work, sold)))
        except Refused as refused:
            for line in sold:
                _refuse(work, line.number, refused.refusal)
        if len(work.waiting) >= INVOICES_TOGETHER:
            _send(work)
    if back:
        _send(work)
        _take_back(work, back)


def _sale_of(work: _Import, sold: list[FileLine]) -> Command:
    """Make one invoice's command. Raises: Refused, where a product can't be added."""
    # The same product at the same price is one line; tax is rounded per line.
    merged: dict[tuple[str, int, int], int] = {}
    for line in sold:
        key = line.sku, line.price_minor, line.tax_ppm
        merged[key] = merged.get(key, 0) + line.quantity
    lines = tuple(
        PastLine(_product(work, sku, sold), quantity, price, tax_ppm)
        for (sku, price, tax_ppm), quantity in merged.items()
    )
    first = sold[0]
    asked = RecordPastSale(
        first.reference,
        first.sold_on,
        first.email,
        None if first.email is None else fold_email(first.email),
        lines,
        takes_stock=bool(work.stock),
    )
    return Command(RecordPastSaleOperation(work.terms), asked, _key("sale", first.reference))


def _product(work: _Import, sku: str, lines: list[FileLine]) -> int:
    """Find a product by its sku, or add it as the file shows it. Raises: Refused."""
    number = work.products.get(sku) or work.find_product(sku)
    if number is None:
        line = next(line for line in lines if line.sku == sku)
        name = line.name
        if fold_name(name) in work.names:
            name = clean_product_name(f"{name[:180]} [{sku}]")
        added = _add_product(work, line, name)
        if added.refusal is not None and added.refusal.code == "name_taken":
            name = clean_product_name(f"{name[:180]} [{sku}]")
            added = _add_product(work, line, name)
        if added.refusal is not None:
            raise Refused(added.refusal)
        number = int(from_json(added.body)["id"])
        work.names.add(fold_name(name))
        work.summary.products += 1
    work.products[sku] = number
    return number


def _add_product(work: _Import, line: FileLine, name: str) -> Outcome:
    asked = AddProduct(
        name=name,
        sku=line.sku,
        stock=work.stock.get(line.sku, 0),
        price_minor=line.price_minor,
        tax_ppm=line.tax_ppm,
        tax_inclusive=False,
        oversell_limit=0,
        currency=work.terms.currency,
    )
    return work.counter.door.ask_now(Command(AddProductOperation(work.terms), asked))


def _send(work: _Import) -> None:
    """Record the invoices that wait, and remember what can be taken back."""
    waiting, work.waiting = work.waiting, []
    outcomes = work.counter.door.submit_many(command for _, command in waiting)
    for (lines, command), outcome in zip(waiting, outcomes, strict=True):
        if outcome.refusal is not None:
            for line in lines:
                _refuse(work, line.number, outcome.refusal)
            continue
        reply: dict[str, Any] = from_json(outcome.body)
        if outcome.replayed:
            work.summary.lines_already_there += len(lines)
        else:
            work.summary.sales += 1
            work.summary.lines_sold += len(lines)
            work.summary.sold_minor += parse_amount(reply["final_amount"], reply["currency"])
        skus = {number: sku for sku, number in work.products.items()}
        for place, part in enumerate(command.input.lines, start=1):
            key = lines[0].customer, skus[part.product_id], part.unit_price_minor
            kept = _Bought(int(reply["id"]), place, part.quantity)
            work.bought.setdefault(key, []).append(kept)


def _take_back(work: _Import, lines: list[FileLine]) -> None:
    """Refund what a cancellation takes back, from the newest sale that it can be about."""
    returned = 0
    is_news = False
    refunds: dict[int, dict[int, int]] = {}
    for line in lines:
        wanted = -line.quantity
        bought = work.bought.get((line.customer, line.sku, line.price_minor), [])
        if sum(kept.left for kept in bought) < wanted:
            _refuse(work, line.number, _not_sold())
            continue
        returned += 1
        for kept in reversed(bought):
            taken = min(wanted, kept.left)
            if taken:
                kept.left -= taken
                wanted -= taken
                parts = refunds.setdefault(kept.purchase, {})
                parts[kept.line] = parts.get(kept.line, 0) + taken
    for purchase, parts in refunds.items():
        first = lines[0]
        asked = GiveRefund(
            purchase,
            None,
            restock=bool(work.stock),
            reason=f"cancelled by {first.reference}",
            refunded_on=first.sold_on,
            is_imported=True,
            reference=first.reference,
            lines=tuple(sorted(parts.items())),
        )
        key = _key("refund", f"{first.reference}.{purchase}")
        outcome = work.counter.door.ask_now(Command(GiveRefundOperation(work.terms), asked, key))
        if outcome.refusal is not None:
            _refuse(work, first.number, outcome.refusal)
            is_news = True
            continue
        if outcome.replayed:
            continue
        is_news = True
        reply: dict[str, Any] = from_json(outcome.body)
        work.summary.refunds += 1
        work.summary.refunded_minor += parse_amount(reply["refund_amount"], reply["currency"])
    if is_news:
        work.summary.lines_returned += returned
    else:
        work.summary.lines_already_there += returned


def _key(kind: str, reference: str) -> str:
    """Make the key under which an invoice is brought in once, however often it is tried."""
    return f"import.{kind}.{reference.encode().hex()}"


def _not_sold() -> Refusal:
    reason = "it takes back what this file has not sold"
    return Refusal("sale_line_unfit", details={"reason": reason})


def _refuse(work: _Import, number: int, refusal: Refusal) -> None:
    work.summary.lines_refused += 1
    work.when_refused(number, refusal)
