"""How a customer's postings become what they owe, what is on its way, and their credit."""

from tallybook.customers.model import BalanceLine
from tallybook.customers.queries import fold_balance
from tallybook.ledger.model import CustomerSum


def test_each_product_and_currency_has_a_line() -> None:
    sums = [
        CustomerSum("receivable:loans", "USD", "loans.loan.created", 500),
        CustomerSum("receivable:advances", "USD", "advances.credit.accepted", 1_000),
        CustomerSum("receivable:advances", "USD", "advances.debit.succeeded", -300),
        CustomerSum("receivable:advances", "JPY", "advances.credit.accepted", 7),
        CustomerSum("in-transit", "USD", "advances.credit.accepted", -1_000),
        CustomerSum("in-transit", "USD", "advances.credit.succeeded", 1_000),
        CustomerSum("in-transit", "JPY", "advances.credit.accepted", -7),
        CustomerSum("cash:bank", "USD", "advances.debit.succeeded", 300),
        CustomerSum("income:fees", "USD", "advances.debit.succeeded", -10),
    ]
    assert fold_balance(sums, {("advances", "USD"): 90}) == [
        BalanceLine("advances", "JPY", owed_minor=7, in_flight_minor=7),
        BalanceLine("advances", "USD", owed_minor=700, in_flight_minor=90),
        BalanceLine("loans", "USD", owed_minor=500),
    ]


def test_credit_is_one_pot_whatever_filled_it() -> None:
    sums = [
        CustomerSum("customer-credit", "USD", "advances.debit.succeeded", -500),
        CustomerSum("customer-credit", "USD", "loans.payment.received", -20),
        CustomerSum("customer-credit", "USD", "customers.credit.applied", 120),
    ]
    assert fold_balance(sums, {}) == [BalanceLine("credit", "USD", credit_minor=400)]


def test_nobody_owes_nothing_in_no_currency() -> None:
    assert fold_balance([], {}) == []
