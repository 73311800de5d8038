"""The counter over HTTP.

products.py has the catalogue, purchases.py sales, receipts and refunds, drawer.py the drawer and
its sessions; fields.py reads what their calls take.
"""

from __future__ import annotations

from tallybook.retail.http import drawer, products, purchases
from tallybook.wire.routes import Router


def make_routers() -> list[Router]:
    """List the counter's routes."""
    return [products.ROUTER, drawer.ROUTER, purchases.ROUTER]
