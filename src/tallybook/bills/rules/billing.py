"""One account folded in two passes. Source: B4-B7.

Pass 1 (statements.py) decides which bill a statement is; pass 2 (paying.py) pays. Which bill it is
may hang on what was paid by then, so pass 1 presumes what each payment was for, and forgets it:
only pass 2 writes `paid`, with every bill known, so that a payment whose bill comes late finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from tallybook.bills.model import STATEMENTS, AccountType, Fact, Kind
from tallybook.bills.rules.drafts import BillDraft, Bound, Payment
from tallybook.bills.rules.paying import bind_all, roll_over
from tallybook.bills.rules.statements import Statements


@dataclass(slots=True)
class FoldedAccount:
    """What one account's facts come to."""

    bills: list[BillDraft]
    bound: dict[str, Bound]
    touched: dict[str, tuple[BillDraft, str]]
    """Message id to its bill and to what it did there."""
    unclear: dict[str, str]
    """Message id to the reason why a person must look at it."""


def fold_account(
    account_type: AccountType, facts: Iterable[Fact], payments: Sequence[Payment]
) -> FoldedAccount:
    """Fold one account: statements in the order of (sent at, hash), then its payments.

    Each fact comes with its currency, said or found. Amounts of two currencies never meet.
    Payments are bound when all bills are known, so that one whose bill comes late finds it.
    """
    fold = Statements()
    steps: list[tuple[datetime, str, Fact | Payment]] = [
        *((fact.at, fact.hash, fact) for fact in facts),
        *((payment.at, payment.hash, payment) for payment in payments),
    ]
    for _, _, step in sorted(steps, key=lambda step: step[:2]):
        if isinstance(step, Payment):
            fold.expect_payment(step)
        elif step.kind in STATEMENTS:
            fold.take_statement(step)
        elif step.kind is Kind.INFORMATION:
            fold.take_information(step)
    bills = sorted(fold.bills, key=lambda bill: bill.order)
    bound = bind_all(account_type, bills, payments)
    if account_type is AccountType.CREDITCARD:
        roll_over(bills)
    return FoldedAccount(bills, bound, fold.touched, fold.unclear)
