"""The drawer as a command sees it: locked, with its pieces, and the entries that move its cash."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from tallybook.kernel.frozen import frozen
from tallybook.kernel.money import MINOR_MAX
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Chart, Entry, Posting
from tallybook.retail.model import DRAWER, CounterTerms, Denomination, Drawer, Pieces, value_of
from tallybook.retail.rules.documents import FIRST_HASH
from tallybook.retail.rules.drawer import sort_pieces
from tallybook.retail.store import DENOMINATIONS, DENOMINATIONS_OF, DRAWERS
from tallybook.writer.model import Shelf, View

DRAWER_LOCK = (DRAWERS, DRAWER)
PIECES_READ = (DENOMINATIONS_OF, DRAWER)
"""Read under the drawer's lock, which guards them."""

Rows = list[tuple[Shelf[Any], Any]]


@frozen
class Till:
    """The drawer row, whether it is on disk yet, and the known pieces."""

    drawer: Drawer
    is_new: bool
    counts: Mapping[int, int]
    """By value: how many pieces are known to be there."""

    @property
    def pieces(self) -> Pieces:
        """Give the known pieces, largest value first."""
        return sort_pieces(self.counts.items())


def open_till(view: View, terms: CounterTerms) -> Till:
    """Look into the drawer; before its first use it is empty. Locks: DRAWER_LOCK."""
    drawer = view.row(DRAWERS, DRAWER)
    counts = {item.value_minor: item.count for item in view.rows(*PIECES_READ)}
    if drawer is not None:
        return Till(drawer, is_new=False, counts=counts)
    return Till(_empty_drawer(terms.currency), is_new=True, counts=counts)


def open_own_till(view: View, terms: CounterTerms) -> Till | Refusal:
    """Look into the drawer, whose currency the command's amounts were read in.

    For whoever brings amounts: those of another currency are other amounts. Source: R1.
    """
    till = open_till(view, terms)
    if till.drawer.currency != terms.currency:
        return currency_differs(till.drawer.currency)
    return till


def currency_differs(currency: str, param: str | None = None) -> Refusal:
    """Refuse what is not in the drawer's currency. Source: R1."""
    return Refusal("drawer_currency_differs", param, {"currency": currency})


def check_worth(
    till: Till, counts: Mapping[int, int], param: str, uncounted_minor: int = 0
) -> Refusal | None:
    """See that a drawer will be worth no more than any amount may be, or less than it was.

    Units: `uncounted_minor` is what comes in without its pieces being told.
    """
    after = value_of(counts.items()) + uncounted_minor
    if after + till.drawer.uncounted_minor <= MINOR_MAX or after <= value_of(till.counts.items()):
        return None
    return Refusal("amount_invalid", param=param)


def drawer_rows(till: Till, after: Drawer, counts: Mapping[int, int]) -> Decided:
    """Write what changed in the drawer: its row, and the pieces whose number changed."""
    changed: Rows = []
    added: Rows = [(DRAWERS, after)] if till.is_new else []
    if not till.is_new:
        changed.append((DRAWERS, after))
    if counts is not till.counts:
        for value, count in counts.items():
            if till.counts.get(value) != count:
                place = changed if value in till.counts else added
                place.append((DENOMINATIONS, Denomination(DRAWER, value, count)))
    return Decided(changed, added)


@frozen
class Decided:
    """Rows of a decision in the making."""

    changed: Rows
    added: Rows


def entry_of(
    kind: str,
    effective_on: date,
    lines: tuple[tuple[Chart, int], ...],
    currency: str,
    subject_id: str,
    customer_id: str | None = None,
) -> tuple[Entry, ...]:
    """Make the entry of one event; none where no line moves anything. Source: G."""
    postings = tuple(
        Posting(account.value, amount, currency, customer_id, subject_id)
        for account, amount in lines
        if amount
    )
    return (Entry(kind, effective_on, postings),) if postings else ()


def _empty_drawer(currency: str) -> Drawer:
    return Drawer(
        number=DRAWER,
        currency=currency,
        uncounted_minor=0,
        products_count=0,
        purchases_count=0,
        refunds_count=0,
        movements_count=0,
        sessions_count=0,
        open_session=None,
        purchase_hash=FIRST_HASH,
        refund_hash=FIRST_HASH,
    )
