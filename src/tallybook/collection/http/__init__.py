"""The daily run, reports, operator items, customer credit, and the switch of sending, over HTTP."""

from __future__ import annotations

from tallybook.collection.http import credit, routes, sending
from tallybook.wire.routes import Router


def make_routers() -> list[Router]:
    """List the routers."""
    return [routes.ROUTER, credit.ROUTER, sending.ROUTER]
