"""The counter over HTTP; fields.py reads what its calls take."""

from __future__ import annotations

from fastapi import APIRouter

from tallybook.retail.http import drawer, products, purchases


def make_routers() -> list[APIRouter]:
    """List the counter's routes."""
    return [products.ROUTER, drawer.ROUTER, purchases.ROUTER]
