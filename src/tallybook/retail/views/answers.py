"""The counter as the wire shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallybook.kernel.ids import show_id
from tallybook.kernel.money import format_amount
from tallybook.retail.model import (
    Denomination,
    Drawer,
    DrawerMovement,
    DrawerSession,
    Pieces,
    Product,
    Purchase,
    PurchaseItem,
    Refund,
    RefundItem,
    read_pieces,
    value_of,
)
from tallybook.retail.rules.totals import show_tax_percent


def show_product(product: Product) -> dict[str, Any]:
    """Show a product."""
    return {
        "id": product.id,
        "name": product.name,
        "sku": product.sku,
        "stock": product.stock,
        "price": format_amount(product.price_minor, product.currency),
        "tax_percent": show_tax_percent(product.tax_ppm),
        "tax_inclusive": product.tax_inclusive,
        "oversell_limit": product.oversell_limit,
        "currency": product.currency,
        "active": product.active,
    }


def show_denomination(denomination: Denomination, currency: str) -> dict[str, Any]:
    """Show how many pieces of one value are known to be in the drawer."""
    return {
        "value": format_amount(denomination.value_minor, currency),
        "available_count": denomination.count,
    }


def show_pieces(pieces: Pieces, currency: str) -> list[dict[str, Any]]:
    """Show pieces, largest value first."""
    return [{"value": format_amount(value, currency), "count": count} for value, count in pieces]


def show_purchase(purchase: Purchase, items: Sequence[PurchaseItem]) -> dict[str, Any]:
    """Show a purchase with its lines, as it was when it was made. Source: R2, R8."""
    currency = purchase.currency
    return {
        **show_purchase_summary(purchase),
        "items": [_show_item(item, currency) for item in items],
        "tendered": None
        if purchase.tendered is None
        else show_pieces(read_pieces(purchase.tendered), currency),
        "change": show_pieces(read_pieces(purchase.change), currency),
        "rules": {"version": purchase.rules_version, "cash_rounding": purchase.cash_rounding},
    }


def show_purchase_summary(purchase: Purchase) -> dict[str, Any]:
    """Show a purchase without its lines, as lists do."""
    currency = purchase.currency
    return {
        "id": purchase.number,
        "customer_id": None
        if purchase.customer_id is None
        else show_id("cus", purchase.customer_id),
        "customer_email": purchase.customer_email,
        "currency": currency,
        "total_amount": format_amount(purchase.total_minor, currency),
        "tax_amount": format_amount(purchase.tax_minor, currency),
        "rounding": format_amount(purchase.rounding_minor, currency),
        "final_amount": format_amount(purchase.final_minor, currency),
        "paid_amount": format_amount(purchase.paid_minor, currency),
        "balance_amount": format_amount(purchase.paid_minor - purchase.final_minor, currency),
        "sold_on": purchase.sold_on,
        "recorded_at": purchase.recorded_at,
        "reference": purchase.reference,
    }


def _show_item(item: PurchaseItem, currency: str) -> dict[str, Any]:
    return {
        "product_id": item.product_id,
        "name": item.name,
        "sku": item.sku,
        "quantity": item.quantity,
        "unit_price": format_amount(item.unit_price_minor, currency),
        "tax_percent": show_tax_percent(item.tax_ppm),
        "tax_inclusive": item.tax_inclusive,
        "amount": format_amount(item.amount_minor, currency),
        "tax_amount": format_amount(item.tax_minor, currency),
        "total": format_amount(item.amount_minor + item.tax_minor, currency),
    }


def show_refund(refund: Refund, items: Sequence[RefundItem]) -> dict[str, Any]:
    """Show a refund with its lines. Source: R8."""
    currency = refund.currency
    return {
        "id": refund.number,
        "purchase_id": refund.purchase_number,
        "currency": currency,
        "total_amount": format_amount(refund.total_minor, currency),
        "tax_amount": format_amount(refund.tax_minor, currency),
        "rounding": format_amount(refund.rounding_minor, currency),
        "refund_amount": format_amount(refund.cash_minor, currency),
        "pieces": show_pieces(read_pieces(refund.pieces), currency),
        "from_uncounted_cash": format_amount(refund.uncounted_minor, currency),
        "restock": refund.restock,
        "reason": refund.reason,
        "refunded_on": refund.refunded_on,
        "recorded_at": refund.recorded_at,
        "items": [
            {
                "product_id": item.product_id,
                "line": item.purchase_line,
                "quantity": item.quantity,
                "amount": format_amount(item.amount_minor, currency),
                "tax_amount": format_amount(item.tax_minor, currency),
                "total": format_amount(item.amount_minor + item.tax_minor, currency),
            }
            for item in items
        ],
    }


def show_session(session: DrawerSession) -> dict[str, Any]:
    """Show a drawer session; what was expected only once it is closed. Source: R11."""
    currency = session.currency
    shown: dict[str, Any] = {
        "id": session.number,
        "status": "open" if session.closed_at is None else "closed",
        "currency": currency,
        "opened_at": session.opened_at,
        "opening": format_amount(session.opening_minor, currency),
        "closed_at": None,
        "expected": None,
        "counted": None,
        "over": None,
        "short": None,
    }
    if session.closed_at is not None:
        assert session.expected_minor is not None
        assert session.counted_minor is not None
        over = session.counted_minor - session.expected_minor
        shown |= {
            "closed_at": session.closed_at,
            "expected": format_amount(session.expected_minor, currency),
            "counted": format_amount(session.counted_minor, currency),
            "over": format_amount(max(0, over), currency),
            "short": format_amount(max(0, -over), currency),
        }
    return shown


def show_movement(movement: DrawerMovement) -> dict[str, Any]:
    """Show cash that was paid in or out, or counted. Source: R11."""
    currency = movement.currency
    pieces = read_pieces(movement.pieces)
    return {
        "id": movement.number,
        "kind": movement.kind.value,
        "session_id": movement.session_number,
        "direction": "in" if movement.amount_minor >= 0 else "out",
        "amount": format_amount(abs(movement.amount_minor), currency),
        "pieces": show_pieces(pieces, currency),
        "uncounted": format_amount(movement.uncounted_minor, currency),
        "reason": movement.reason,
        "recorded_at": movement.recorded_at,
    }


def show_drawer(drawer: Drawer, denominations: Sequence[Denomination]) -> dict[str, Any]:
    """Show what should be in the drawer: known pieces, and cash that nobody has counted."""
    currency = drawer.currency
    pieces = tuple((item.value_minor, item.count) for item in reversed(denominations))
    counted = value_of(pieces)
    return {
        "currency": currency,
        "open_session_id": drawer.open_session,
        "counted": format_amount(counted, currency),
        "uncounted": format_amount(drawer.uncounted_minor, currency),
        "total": format_amount(counted + drawer.uncounted_minor, currency),
        "denominations": [show_denomination(item, currency) for item in reversed(denominations)],
        "last_receipt": drawer.purchases_count,
    }
