"""Loans over HTTP: lending.py makes and shows them, payments.py takes and shows payments."""

from __future__ import annotations

from fastapi import APIRouter

from tallybook.loans.http import lending, payments


def make_routers() -> list[APIRouter]:
    """List the routes of loans."""
    return [lending.ROUTER, payments.ROUTER]
