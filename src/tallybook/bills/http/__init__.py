"""Household bills over HTTP: bodies.py reads what is sent, routes.py calls and renders."""

from tallybook.bills.http.routes import make_router

__all__ = ["make_router"]
