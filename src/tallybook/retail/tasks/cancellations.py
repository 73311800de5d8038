"""Cancellations of past sales as refunds: each comes in once, and all of it or nothing. Source: R8.

A cancellation is known by its reference. What was refunded under that before is part of it,
whichever sales it was of: a sale that comes in later changes nothing about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from tallybook.kernel.money import parse_amount
from tallybook.kernel.refusal import Refusal
from tallybook.retail.model import CounterTerms
from tallybook.retail.operations.refunds import GiveRefund, GiveRefundOperation
from tallybook.retail.queries.imported import ImportedSale, TakenBack
from tallybook.retail.tasks.catalogue import Counter
from tallybook.retail.tasks.sale_lines import FileLine, unfit
from tallybook.writer.model import Command

_NOT_SOLD = "it takes back what this file has not sold"


@dataclass(slots=True)
class Taken:
    """What became of a cancellation's lines; those in neither collection were taken back now."""

    refused: dict[int, Refusal] = field(default_factory=dict[int, Refusal])
    """By line number in the file."""
    already_there: set[int] = field(default_factory=set[int])
    refunds: int = 0
    refunded_minor: int = 0
    """Units: minor units."""


@dataclass(slots=True)
class _Bought:
    """What is left of a sale's line, to be taken back."""

    purchase: int
    line: int
    sku: str
    price_minor: int
    left: int


_Parts = list[tuple[_Bought, int]]
"""Lines of sales, and how much is taken of each."""


class Cancellations:
    """Takes back what the sales of one file have sold."""

    def __init__(
        self,
        counter: Counter,
        terms: CounterTerms,
        taken_back: dict[str, TakenBack],
        *,
        restock: bool,
    ) -> None:
        self._counter = counter
        self._operation = GiveRefundOperation(terms)
        self._taken_back = taken_back
        """What is in the book of each cancellation, by its reference."""
        self._restock = restock
        self._purchases: set[int] = set()
        self._bought: dict[tuple[str, str, int], list[_Bought]] = {}
        """By customer, sku and price, in the file's order."""

    def remember(self, customer: str, sale: ImportedSale) -> None:
        """Let a sale be taken back, as far as it is not yet."""
        if sale.number in self._purchases:
            return
        self._purchases.add(sale.number)
        for line in sale.lines:
            kept = _Bought(sale.number, line.line, line.sku, line.unit_price_minor, line.left)
            key = customer, line.sku, line.unit_price_minor
            self._bought.setdefault(key, []).append(kept)

    def take_back(self, lines: Sequence[FileLine]) -> Taken:
        """Refund what the lines of one cancellation take back and is not in the book yet."""
        before = self._taken_back.setdefault(lines[0].reference, TakenBack())
        missing = _missing(lines, before)
        if missing is None:
            told = unfit("its invoice is in the book with other lines")
            return Taken({line.number: told for line in lines})
        chosen: _Parts = []
        misfits = {line.number for line in lines if not self._choose(line, missing, chosen)}
        if misfits:
            return Taken({line.number: _misfit(line, misfits) for line in lines})
        taken = Taken(already_there={number for number, left in missing.items() if left == 0})
        if chosen and (refusal := self._refund(lines[0], chosen, before, taken)) is not None:
            new = (line.number for line in lines if line.number not in taken.already_there)
            taken.refused = dict.fromkeys(new, refusal)
        return taken

    def _choose(self, line: FileLine, missing: dict[int, int], chosen: _Parts) -> bool:
        """Choose what a line takes back, from the newest sale that it can be about.

        Returns: whether so much was sold, and is not taken yet.
        """
        wanted = missing[line.number]
        for kept in reversed(self._bought.get((line.customer, line.sku, line.price_minor), [])):
            if wanted == 0:
                break
            there = kept.left - sum(quantity for each, quantity in chosen if each is kept)
            if quantity := min(wanted, there):
                chosen.append((kept, quantity))
                wanted -= quantity
        return wanted == 0

    def _refund(
        self, first: FileLine, chosen: _Parts, before: TakenBack, taken: Taken
    ) -> Refusal | None:
        """Give back what was chosen, in one transaction: one refund for each purchase."""
        by_purchase: dict[int, _Parts] = {}
        for kept, quantity in chosen:
            by_purchase.setdefault(kept.purchase, []).append((kept, quantity))
        commands = [
            self._refund_of(first, parts, place)
            for place, parts in enumerate(by_purchase.values(), before.refunds + 1)
        ]
        refusal: Refusal | None = None
        outcomes = self._counter.door.submit_chunk(commands).result()
        for parts, outcome in zip(by_purchase.values(), outcomes, strict=True):
            if outcome.refusal is not None:
                refusal = outcome.refusal
                continue
            before.refunds += 1
            for kept, quantity in parts:
                kept.left -= quantity
                before.add(kept.sku, kept.price_minor, quantity)
            if not outcome.replayed:
                reply: dict[str, Any] = from_json(outcome.body)
                taken.refunds += 1
                taken.refunded_minor += parse_amount(reply["refund_amount"], reply["currency"])
        if refusal is not None and refusal.code == "key_reused_with_other_input":
            return unfit("its invoice is in the book with other lines")
        return refusal

    def _refund_of(self, first: FileLine, parts: _Parts, place: int) -> Command:
        quantities: dict[int, int] = {}
        for kept, quantity in parts:
            quantities[kept.line] = quantities.get(kept.line, 0) + quantity
        asked = GiveRefund(
            parts[0][0].purchase,
            None,
            restock=self._restock,
            reason=f"cancelled by {first.reference}",
            refunded_on=first.sold_on,
            is_imported=True,
            reference=first.reference,
            lines=tuple(sorted(quantities.items())),
        )
        # Known by its place among the refunds under its reference: two imports of one file at
        # once both ask for the first, and one of them gets it.
        key = f"import.refund.{first.reference.encode().hex()}.number.{place}"
        return Command(self._operation, asked, key, keeps_refusals=False)


def _missing(lines: Sequence[FileLine], before: TakenBack) -> dict[int, int] | None:
    """Tell how much of each line is not in the book yet; None where more or other things are."""
    there = dict(before.quantities)
    missing: dict[int, int] = {}
    for line in lines:
        key = line.sku, line.price_minor
        known = min(there.get(key, 0), -line.quantity)
        there[key] = there.get(key, 0) - known
        missing[line.number] = -line.quantity - known
    return None if any(there.values()) else missing


def _misfit(line: FileLine, misfits: set[int]) -> Refusal:
    if line.number in misfits:
        return unfit(_NOT_SOLD)
    return unfit(f"another line of its invoice does not fit: {_NOT_SOLD}")
