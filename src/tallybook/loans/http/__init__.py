"""Loans over HTTP.

lending.py makes and shows them, payments.py takes and shows payments, fields.py reads what they
share.
"""

from __future__ import annotations

from tallybook.loans.http import lending, payments
from tallybook.wire.routes import Router


def make_routers() -> list[Router]:
    """List the routes of loans."""
    return [lending.ROUTER, payments.ROUTER]
