"""What scope each call needs: reading `read`, and of the writes those listed here `operate`.

Every other write needs `money`: a new call is for the strictest keys alone until somebody has
thought about it and added a line.
"""

from __future__ import annotations

from collections.abc import Iterable

from tallybook.access.model import Scope

OPERATE = frozenset(
    {
        ("POST", "/customers"),
        ("POST", "/customers/{customer_id}/bank-accounts"),
        ("POST", "/messages"),
        ("POST", "/transactions"),
        ("POST", "/transactions/{transaction_id}/link"),
        ("DELETE", "/transactions/{transaction_id}/link"),
        ("POST", "/review-items/{item_id}/resolution"),
        ("POST", "/products"),
        ("PUT", "/products/{product_id}"),
        ("DELETE", "/products/{product_id}"),
        ("POST", "/drawer-sessions"),
        ("POST", "/drawer-sessions/{session_id}/close"),
        ("POST", "/purchases"),
        ("POST", "/loans/{loan_id}/payments"),
    }
)
"""Writes by which no money leaves the house, by method and path below the prefix.

One field needs `money` by itself: the credit limit of a new customer (customers/http.py), as a
change of it does.
"""


def scope_of(methods: Iterable[str], path: str) -> Scope:
    """Tell what a call needs; `path` stands below the prefix.

    >>> scope_of({"GET"}, "/loans"), scope_of({"POST"}, "/anything-new")
    (<Scope.READ: 'read'>, <Scope.MONEY: 'money'>)
    """
    asked = set(methods)
    if asked <= {"GET", "HEAD"}:
        return Scope.READ
    return Scope.OPERATE if all((method, path) in OPERATE for method in asked) else Scope.MONEY
