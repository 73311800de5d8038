"""Receipts: the very bytes, held here because they must never change."""

from datetime import UTC, date, datetime

from tallybook.retail.model import Purchase, PurchaseItem
from tallybook.retail.views.receipts import receipt_html, receipt_text

PURCHASE = Purchase(
    number=17,
    subject_id="0" * 32,
    customer_id="1" * 32,
    customer_email="a<b>@example.org",
    currency="INR",
    total_minor=2000_00,
    tax_minor=357_60,
    rounding_minor=-60,
    final_minor=2357_00,
    paid_minor=3000_00,
    tendered=None,
    change="50000x1 10000x1 2000x2 200x1 100x1",
    cash_rounding="floor_to_unit",
    rules_version=1,
    sold_on=date(2026, 3, 2),
    recorded_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    session_number=None,
    is_imported=False,
    reference=None,
    hash="",
)
ITEMS = [
    PurchaseItem(17, 1, 3, "चाय <Darjeeling> & more", "T-1", 2, 1000_00, 178_800, False,
                 2000_00, 357_60),
]  # fmt: skip

TEXT = """\
Receipt 17
2026-03-02
a<b>@example.org
------------------------------------------------
3 चाय <Darjeeling> & more
  2 x 1000.00, tax 17.88 % 357.60        2357.60
------------------------------------------------
Total without tax                    INR 2000.00
Tax                                   INR 357.60
Net                                  INR 2357.60
Rounding                               INR -0.60
To pay                               INR 2357.00
Paid                                 INR 3000.00
Change                                INR 643.00
  1 x 500.00
  1 x 100.00
  2 x 20.00
  1 x 2.00
  1 x 1.00
"""


def test_the_text_is_these_bytes() -> None:
    assert receipt_text(PURCHASE, ITEMS) == TEXT


def test_the_page_shows_the_same_and_runs_nothing() -> None:
    page = receipt_html(PURCHASE, ITEMS)
    assert "<td>चाय &lt;Darjeeling&gt; &amp; more</td>" in page
    assert "a&lt;b&gt;@example.org" in page
    assert '<tr class="final"><td>To pay</td><td>INR 2357.00</td></tr>' in page
    assert "<td>2 x</td><td>20.00</td>" in page
    assert "<script" not in page
    assert "http" not in page
