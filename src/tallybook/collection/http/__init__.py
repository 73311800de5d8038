"""The daily run, reports, operator items, customer credit, and the switch of sending, over HTTP."""

from __future__ import annotations

from fastapi import APIRouter

from tallybook.collection.http import credit, routes, sending


def make_routers() -> list[APIRouter]:
    """List the routers."""
    return [routes.ROUTER, credit.ROUTER, sending.ROUTER]
