"""The shapes of the counter's answers, so that OpenAPI can tell them; answers.py fills them."""

from __future__ import annotations

from datetime import date, datetime

from tallybook.wire.fields import AmountText, Answer


class ProductView(Answer):
    """A product."""

    id: int
    name: str
    sku: str | None
    stock: int
    price: AmountText
    tax_percent: str
    tax_inclusive: bool
    oversell_limit: int
    currency: str
    active: bool


class DenominationView(Answer):
    """How many pieces of one value are known to be in the drawer."""

    value: AmountText
    available_count: int


class PiecesView(Answer):
    """Some pieces of one value."""

    value: AmountText
    count: int


class PurchaseItemView(Answer):
    """One line of a purchase, as it was sold."""

    product_id: int
    name: str
    sku: str | None
    quantity: int
    unit_price: AmountText
    tax_percent: str
    tax_inclusive: bool
    amount: AmountText
    tax_amount: AmountText
    total: AmountText


class RulesView(Answer):
    """Which rules decided a purchase."""

    version: int
    cash_rounding: str


class PurchaseView(Answer):
    """A purchase; `id` is the receipt number."""

    id: int
    customer_id: str | None
    customer_email: str | None
    currency: str
    total_amount: AmountText
    tax_amount: AmountText
    rounding: AmountText
    final_amount: AmountText
    paid_amount: AmountText
    balance_amount: AmountText
    sold_on: date
    recorded_at: datetime
    reference: str | None
    items: list[PurchaseItemView]
    tendered: list[PiecesView] | None
    change: list[PiecesView]
    rules: RulesView


class RefundItemView(Answer):
    """How much of a line was given back."""

    product_id: int
    line: int
    quantity: int
    amount: AmountText
    tax_amount: AmountText
    total: AmountText


class RefundView(Answer):
    """A refund."""

    id: int
    purchase_id: int
    currency: str
    total_amount: AmountText
    tax_amount: AmountText
    rounding: AmountText
    refund_amount: AmountText
    pieces: list[PiecesView]
    from_uncounted_cash: AmountText
    restock: bool
    reason: str
    refunded_on: date
    recorded_at: datetime
    items: list[RefundItemView]


class DrawerSessionView(Answer):
    """A drawer session; what was expected is told once it is closed."""

    id: int
    status: str
    currency: str
    opened_at: datetime
    opening: AmountText
    closed_at: datetime | None
    expected: AmountText | None
    counted: AmountText | None
    over: AmountText | None
    short: AmountText | None


class DrawerMovementView(Answer):
    """Cash that came in, went out, or was counted; pieces that left have negative counts."""

    id: int
    kind: str
    session_id: int | None
    direction: str
    amount: AmountText
    pieces: list[PiecesView]
    uncounted: AmountText
    reason: str
    recorded_at: datetime


class DrawerView(Answer):
    """What should be in the drawer."""

    currency: str
    open_session_id: int | None
    counted: AmountText
    uncounted: AmountText
    total: AmountText
    denominations: list[DenominationView]
    last_receipt: int
