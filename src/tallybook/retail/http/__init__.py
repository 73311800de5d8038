"""The counter over HTTP; fields.py reads what its calls take."""

from __future__ import annotations

from tallybook.retail.http import drawer, products, purchases
from tallybook.wire.routes import Router


def make_routers() -> list[Router]:
    """List the counter's routes."""
    return [products.ROUTER, drawer.ROUTER, purchases.ROUTER]
