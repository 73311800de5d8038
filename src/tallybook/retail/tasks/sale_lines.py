"""The lines of a file of past sales, read into whole invoices. Source: R2, T2.

What is nothing to sell (no quantity, a price of zero or less) is set aside by its kind, and told.
A line that can't be read spoils its whole invoice: half of one would be recorded under its number,
and the corrected one could never come in. So does one of another day or customer than the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import BinaryIO

from tallybook.customers.rules import clean_email, fold_email
from tallybook.kernel.calendar import parse_date
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.retail.model import CounterTerms
from tallybook.retail.rules.catalogue import (
    STOCK_MAX,
    clean_product_name,
    clean_reference,
    clean_sku,
)
from tallybook.retail.rules.totals import tax_ppm_of
from tallybook.retail.tasks.catalogue import read_yes_no
from tallybook.wire.csv_reader import CsvColumns, CsvLine, CsvReader

COLUMNS = CsvColumns(
    required=("reference", "sku", "quantity", "unit_price", "sold_on"),
    optional=("name", "tax_percent", "tax_inclusive", "customer", "customer_email", "country"),
    aliases={
        "invoiceno": "reference",
        "stockcode": "sku",
        "description": "name",
        "unitprice": "unit_price",
        "invoicedate": "sold_on",
        "customerid": "customer",
    },
)
"""`customer` is any name that tells customers apart; only `customer_email` makes one."""

_QUANTITY = re.compile(r"-?[0-9]{1,10}\Z", re.ASCII)
_TIME = re.compile(
    r"(?:[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?\Z",
    re.ASCII,
)
"""What may follow a date: nothing, or a time, which is not kept."""


@frozen
class FileLine:
    """One line of an invoice, read."""

    number: int
    reference: str
    sku: str
    name: str | None
    quantity: int
    price_minor: int
    tax_ppm: int
    tax_inclusive: bool | None
    """None where the file does not say."""
    sold_on: date
    customer: str
    email: str | None


@frozen
class FileInvoice:
    """The lines of one invoice that can be sold or taken back, and those that can't."""

    lines: tuple[FileLine, ...]
    refused: tuple[tuple[int, Refusal], ...]
    """By line number in the file."""


@frozen
class _Read:
    number: int
    reference: str | None
    """As it stands in the file; None where that can't be told."""
    line: FileLine | None
    refusal: Refusal | None
    spoils: bool


def read_invoices(stream: BinaryIO, terms: CounterTerms, today: date) -> Iterator[FileInvoice]:
    """Read a file's invoices: lines with one reference that stand together.

    A line whose reference can't be told may belong to the invoice before it or after it, and
    spoils both. Raises: Refused `file_malformed`.
    """
    together: list[_Read] = []
    reference: str | None = None
    for read in (_read(line, terms, today) for line in CsvReader(stream, COLUMNS)):
        if None not in (read.reference, reference) and read.reference != reference:
            yield _invoice(together)
            # The unreadable between two has been told; it must spoil the second as well.
            together = [_silent(together[-1])] if together[-1].reference is None else []
        reference = read.reference or reference
        together.append(read)
    if together:
        yield _invoice(together)


def _silent(read: _Read) -> _Read:
    return _Read(read.number, None, None, None, spoils=True)


def _invoice(together: Iterable[_Read]) -> FileInvoice:
    together = list(together)
    refused = [(read.number, read.refusal) for read in together if read.refusal is not None]
    lines = [read.line for read in together if read.line is not None]
    problem = _split_by(lines)
    if any(read.spoils for read in together):
        problem = "another line of its invoice can't be read"
    if problem is not None:
        refused += [(line.number, unfit(problem)) for line in lines]
        lines = []
    return FileInvoice(_filled_in(lines), tuple(sorted(refused, key=lambda told: told[0])))


def _split_by(lines: Sequence[FileLine]) -> str | None:
    """Tell in what the lines of an invoice differ, though it has only one."""
    if len({line.sold_on for line in lines}) > 1:
        return "the lines of its invoice are of several days"
    names = {line.customer for line in lines} - {""}
    emails = {fold_email(line.email) for line in lines if line.email is not None}
    if len(names) > 1 or len(emails) > 1:
        return "the lines of its invoice are of several customers"
    return None


def _filled_in(lines: Sequence[FileLine]) -> tuple[FileLine, ...]:
    """Write into each line whose the invoice is: many programs tell that in one line alone."""
    email = next((line.email for line in lines if line.email is not None), None)
    customer = next((line.customer for line in lines if line.customer), email or "")
    return tuple(
        line
        if (line.customer, line.email) == (customer, email)
        else replace(line, customer=customer, email=email)
        for line in lines
    )


def _read(line: CsvLine, terms: CounterTerms, today: date) -> _Read:
    reference = line.values.get("reference")
    try:
        known = _read_line(line, terms, today)
    except Refused as refused:
        return _Read(line.number, reference, None, refused.refusal, spoils=True)
    if isinstance(known, Refusal):
        return _Read(line.number, reference, None, known, spoils=False)
    return _Read(line.number, reference, known, None, spoils=False)


def _read_line(line: CsvLine, terms: CounterTerms, today: date) -> FileLine | Refusal:
    """Read one line; gives a refusal where it is nothing to sell. Raises: Refused."""
    if line.refusal is not None:
        raise Refused(line.refusal)
    values = line.values
    reference = clean_reference(values.get("reference", ""))
    sold_on = _read_date(values.get("sold_on", ""), today)
    quantity = values.get("quantity", "")
    if not _QUANTITY.match(quantity) or abs(int(quantity)) > STOCK_MAX:
        raise Refused(unfit("its quantity is no whole number"))
    if int(quantity) == 0:
        return unfit("its quantity is zero")
    price = parse_amount(values.get("unit_price", ""), terms.currency, param="unit_price")
    if price <= 0:
        return unfit("its price is zero" if price == 0 else "its price is negative")
    email = values.get("customer_email")
    name, tax_inclusive = values.get("name"), values.get("tax_inclusive")
    return FileLine(
        number=line.number,
        reference=reference,
        sku=clean_sku(values.get("sku", "")),
        name=None if name is None else clean_product_name(name),
        quantity=int(quantity),
        price_minor=price,
        tax_ppm=tax_ppm_of(values.get("tax_percent", "0")),
        tax_inclusive=None if tax_inclusive is None else read_yes_no(tax_inclusive),
        sold_on=sold_on,
        customer=values.get("customer", ""),
        email=None if email is None else clean_email(email),
    )


def _read_date(text: str, today: date) -> date:
    """Read when it was sold. Raises: Refused `date_invalid`, `date_in_future`. Source: T2."""
    sold_on = parse_date(text[:10])
    if sold_on is None or not _TIME.match(text[10:]):
        raise Refused(Refusal("date_invalid", "sold_on"))
    if sold_on > today:
        raise Refused(Refusal("date_in_future", "sold_on", {"today": today.isoformat()}))
    return sold_on


def unfit(reason: str) -> Refusal:
    """Refuse a line of a file for a reason that goes on `it can't be sold as it stands`."""
    return Refusal("sale_line_unfit", details={"reason": reason})
