"""What the ledger must hold for a bill and for a payment, and the entry that makes it so.

A row says what it wants to be booked; the entry is the difference to what it said before. So a
late fact that re-folds an account corrects the ledger by itself. Source: G, T4.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from tallybook.bills.model import UTILITIES, AccountType, Bill, Transaction
from tallybook.ledger.model import Entry, Posting

_Wanted = Mapping[tuple[str, str, str], int]
"""Account, currency and subject to minor units."""


def book_of(customer_id: str) -> str:
    """Name the book of what is a customer's alone."""
    return f"customer:{customer_id}"


def bill_wants(bill: Bill | None) -> _Wanted:
    """Tell what a bill wants booked: a utility's is an expense and a debt, others are a memo."""
    if bill is None or bill.merged_into is not None or bill.type not in UTILITIES:
        return {}
    amount = bill.amount_minor or 0
    return {
        (f"expense:{bill.type.lower()}", bill.currency, bill.id): amount,
        (f"payable:{bill.account_id}", bill.currency, bill.id): -amount,
    }


def transaction_wants(transaction: Transaction | None, account_type: AccountType | None) -> _Wanted:
    """Tell what a payment wants booked: off what is owed, and the rest prepaid."""
    if transaction is None or account_type is None:
        return {}
    account_id, currency, subject = transaction.account_id, transaction.currency, transaction.id
    bound, prepaid = transaction.bound_minor, transaction.prepaid_minor
    if account_id is None or transaction.duplicate_of is not None or bound + prepaid == 0:
        return {}
    paid_from = f"paid-from:{_last_four(transaction.number)}"
    if account_type in UTILITIES:
        return {
            (f"payable:{account_id}", currency, subject): bound,
            (f"prepaid:{account_id}", currency, subject): prepaid,
            (paid_from, currency, subject): -(bound + prepaid),
        }
    return {
        (f"liability:{account_id}", currency, subject): bound + prepaid,
        (paid_from, currency, subject): -(bound + prepaid),
    }


def entry_between(
    before: _Wanted, after: _Wanted, *, kind: str, customer_id: str, effective_on: date
) -> Entry | None:
    """Make the entry that turns what was booked into what is wanted; None where nothing differs."""
    postings = tuple(
        Posting(
            account,
            difference,
            currency,
            customer_id=customer_id,
            subject_id=subject,
            book=book_of(customer_id),
        )
        for account, currency, subject in sorted({*before, *after})
        if (
            difference := after.get((account, currency, subject), 0)
            - before.get((account, currency, subject), 0)
        )
    )
    return Entry(kind, effective_on, postings) if postings else None


def _last_four(number: str | None) -> str:
    """Name the paying account by what people know it by; the ledger never holds a number."""
    digits = "".join(character for character in number or "" if character.isalnum())
    return digits[-4:].lower() if digits else "unknown"
