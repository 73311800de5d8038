"""Receipts for people: HTML and text, out of the purchase's own rows and nothing else.

So a receipt is the same bytes for ever, whatever becomes of prices, taxes and names. Whoever
changes this file changes every receipt that was ever given: golden tests hold it. Source: R8, R9.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tallybook.kernel.money import format_amount
from tallybook.retail.model import Purchase, PurchaseItem, read_pieces
from tallybook.retail.rules.totals import show_tax_percent

_WIDTH = 48
_FINAL = '<tr class="final">'

_HTML = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Receipt {number}</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ padding: .3rem .5rem; border-bottom: 1px solid #ddd; text-align: right; }}
th:nth-child(-n+2), td:nth-child(-n+2) {{ text-align: left; overflow-wrap: anywhere; }}
.totals td {{ border: 0; }} .final td {{ font-weight: 600; }}
</style>
</head>
<body>
<h1>Receipt {number}</h1>
<p>{sold_on}{customer}{reference}</p>
<table>
<thead><tr><th>No.</th><th>Product</th><th>Unit price</th><th>Quantity</th><th>Amount</th>\
<th>Tax %</th><th>Tax</th><th>Total</th></tr></thead>
<tbody>
{lines}
</tbody>
</table>
<table class="totals">
{totals}
</table>
</body>
</html>
"""


def receipt_text(purchase: Purchase, items: Sequence[PurchaseItem]) -> str:
    """Write a receipt as plain text, at most 48 characters wide but for long names."""
    currency = purchase.currency
    lines = [f"Receipt {purchase.number}", purchase.sold_on.isoformat()]
    if purchase.customer_email is not None:
        lines.append(purchase.customer_email)
    if purchase.reference is not None:
        lines.append(f"Reference {purchase.reference}")
    lines.append("-" * _WIDTH)
    for item in items:
        each = f"{item.quantity} x {format_amount(item.unit_price_minor, currency)}"
        tax = f"tax {show_tax_percent(item.tax_ppm)} %{' incl.' if item.tax_inclusive else ''}"
        lines += [
            f"{item.product_id} {item.name}",
            _columns(
                f"  {each}, {tax} {format_amount(item.tax_minor, currency)}",
                format_amount(item.amount_minor + item.tax_minor, currency),
            ),
        ]
    lines.append("-" * _WIDTH)
    lines += [_columns(label, amount) for label, amount in _totals(purchase)]
    lines += [f"  {count} x {value}" for value, count in _change(purchase)]
    return "\n".join(lines) + "\n"


def receipt_html(purchase: Purchase, items: Sequence[PurchaseItem]) -> str:
    """Write a receipt as a page of its own that loads nothing."""
    currency = purchase.currency
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td>{escape(cell)}</td>"
            for cell in (
                str(item.product_id),
                item.name,
                format_amount(item.unit_price_minor, currency),
                str(item.quantity),
                format_amount(item.amount_minor, currency),
                show_tax_percent(item.tax_ppm),
                format_amount(item.tax_minor, currency),
                format_amount(item.amount_minor + item.tax_minor, currency),
            )
        )
        + "</tr>"
        for item in items
    )
    cells = _totals(purchase)
    cells += [(f"{count} x", value) for value, count in _change(purchase)]
    totals = "\n".join(
        f"{_FINAL if label == 'To pay' else '<tr>'}<td>{escape(label)}</td>"
        f"<td>{escape(amount)}</td></tr>"
        for label, amount in cells
    )
    email, reference = purchase.customer_email, purchase.reference
    return _HTML.format(
        number=purchase.number,
        sold_on=purchase.sold_on.isoformat(),
        customer="" if email is None else f" &middot; {escape(email)}",
        reference="" if reference is None else f" &middot; {escape(reference)}",
        lines=rows,
        totals=totals,
    )


def _totals(purchase: Purchase) -> list[tuple[str, str]]:
    currency = purchase.currency
    amounts = [
        ("Total without tax", purchase.total_minor),
        ("Tax", purchase.tax_minor),
        ("Net", purchase.total_minor + purchase.tax_minor),
    ]
    if purchase.rounding_minor:
        amounts.append(("Rounding", purchase.rounding_minor))
    amounts += [
        ("To pay", purchase.final_minor),
        ("Paid", purchase.paid_minor),
        ("Change", purchase.paid_minor - purchase.final_minor),
    ]
    return [(label, f"{currency} {format_amount(amount, currency)}") for label, amount in amounts]


def _change(purchase: Purchase) -> list[tuple[str, int]]:
    return [
        (format_amount(value, purchase.currency), count)
        for value, count in read_pieces(purchase.change)
    ]


def _columns(left: str, right: str) -> str:
    return f"{left} {right.rjust(_WIDTH - len(left) - 1)}"
