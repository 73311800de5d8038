"""The nouns of the counter. Source: R."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import StrEnum
from functools import lru_cache

from tallybook.kernel.frozen import frozen

DRAWER = 1
"""The number of the one cash drawer. Source: R1."""

Pieces = tuple[tuple[int, int], ...]
"""Notes and coins: (value in minor units, count), largest value first, no value twice."""


@frozen
class CounterTerms:
    """How an installation sells: its settings."""

    currency: str
    cash_rounding: str = "none"
    """`none`, `floor_to_unit` or `nearest_<minor units>`. Source: R4."""


class RoundingMethod(StrEnum):
    """How a net amount becomes one that cash can pay."""

    NONE = "none"
    FLOOR = "floor"
    NEAREST = "nearest"


@frozen
class CashRounding:
    """A cash rounding policy, read. Units: minor units. Source: R4."""

    method: RoundingMethod
    unit_minor: int = 1


@frozen
class Product:
    """Something that is sold, and how much of it there is."""

    id: int
    name: str
    name_folded: str
    """As names are compared: unique among active products."""
    sku: str | None
    stock: int
    price_minor: int
    tax_ppm: int
    """The tax percent in millionths of the price: 12.5 % is 125,000."""
    tax_inclusive: bool
    oversell_limit: int
    currency: str
    active: bool
    created_at: datetime


@frozen
class StockMovement:
    """A change of stock that was not a sale or a refund: delivered, counted, imported."""

    id: str
    product_id: int
    change: int
    reason: str
    recorded_at: datetime


@frozen
class Drawer:
    """The cash drawer and the numbers it has given out; whoever sells locks it.

    Its pieces are rows of their own, guarded by the same lock.
    """

    number: int
    currency: str
    uncounted_minor: int
    """Cash taken without being told in which pieces, until a count tells. Source: R6."""
    products_count: int
    purchases_count: int
    """The last receipt number: there are no gaps below it."""
    refunds_count: int
    movements_count: int
    sessions_count: int
    open_session: int | None
    purchase_hash: str
    """The hash of the last purchase: each covers the one before it."""
    refund_hash: str


@frozen
class Denomination:
    """One kind of note or coin, and how many are known to be in the drawer."""

    drawer_number: int
    value_minor: int
    count: int


@frozen
class Purchase:
    """A sale as it was made; it never changes. Its number is the receipt number. Source: R8."""

    number: int
    subject_id: str
    """What its ledger entry and its events are about."""
    customer_id: str | None
    customer_email: str | None
    currency: str
    total_minor: int
    """Before tax."""
    tax_minor: int
    rounding_minor: int
    final_minor: int
    paid_minor: int
    tendered: str | None
    """The pieces that were paid with, as `pieces_text` writes them; None where nobody told."""
    change: str
    cash_rounding: str
    rules_version: int
    """Which version of tax, rounding and change decided it."""
    sold_on: date
    recorded_at: datetime
    session_number: int | None
    is_imported: bool
    """Sold elsewhere and brought here: its cash never was in this drawer."""
    reference: str | None
    """The number it had where it was sold."""
    hash: str


@frozen
class PurchaseItem:
    """One line of a purchase, with everything as it was at that moment."""

    purchase_number: int
    line: int
    product_id: int
    name: str
    sku: str | None
    quantity: int
    unit_price_minor: int
    tax_ppm: int
    tax_inclusive: bool
    amount_minor: int
    """Before tax."""
    tax_minor: int


@frozen
class Refund:
    """Money given back for a purchase: a document of its own. Source: R8."""

    number: int
    subject_id: str
    purchase_number: int
    customer_id: str | None
    currency: str
    total_minor: int
    """Before tax."""
    tax_minor: int
    rounding_minor: int
    cash_minor: int
    pieces: str
    uncounted_minor: int
    """The part that came out of uncounted cash, for want of exact pieces."""
    restock: bool
    reason: str
    refunded_on: date
    recorded_at: datetime
    session_number: int | None
    is_imported: bool
    reference: str | None
    hash: str


@frozen
class RefundItem:
    """How much of one line of a purchase was given back."""

    refund_number: int
    purchase_number: int
    purchase_line: int
    product_id: int
    quantity: int
    amount_minor: int
    tax_minor: int


class MovementKind(StrEnum):
    """Why cash entered or left the drawer other than by a sale or a refund."""

    DENOMINATION = "denomination"
    PAY_IN = "pay_in"
    PAY_OUT = "pay_out"
    OPENING = "opening"
    CLOSING = "closing"


@frozen
class DrawerMovement:
    """Cash that entered or left the drawer, or was found to have. Source: R11.

    Units: minor units, signed; `amount_minor` is the value of `pieces` plus `uncounted_minor`.
    """

    number: int
    subject_id: str
    kind: MovementKind
    session_number: int | None
    currency: str
    amount_minor: int
    pieces: str
    uncounted_minor: int
    reason: str
    effective_on: date
    recorded_at: datetime


@frozen
class DrawerSession:
    """From one count of the drawer to the next. Units: minor units. Source: R11."""

    number: int
    currency: str
    opened_at: datetime
    opening_minor: int
    closed_at: datetime | None
    expected_minor: int | None
    counted_minor: int | None


@frozen
class MailCursor:
    """How far the event log has been read for invoices to send."""

    name: str
    event_seq: int


@frozen
class InvoiceRetry:
    """An invoice that could not be sent yet."""

    purchase_number: int
    attempts: int
    next_at: datetime
    problem: str
    open: bool
    """False once it was sent or given up."""


def pieces_text(pieces: Pieces) -> str:
    """Write pieces as a purchase keeps them.

    >>> pieces_text(((50000, 1), (2000, 2)))
    '50000x1 2000x2'
    """
    return " ".join(f"{value}x{count}" for value, count in pieces)


@lru_cache(maxsize=4096)
def read_pieces(text: str) -> Pieces:
    """Read pieces that `pieces_text` wrote."""
    pairs = (piece.split("x") for piece in text.split())
    return tuple((int(value), int(count)) for value, count in pairs)


def value_of(pieces: Iterable[tuple[int, int]]) -> int:
    """Add up what pieces are worth. Units: minor units."""
    return sum([value * count for value, count in pieces])
