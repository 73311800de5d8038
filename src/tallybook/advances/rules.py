"""Who may have an advance, what it means for the books, and where it stands. Pure.

The ledger is a function of the advance: `position` says what every account must hold for it, and
each entry is the difference between two positions. So a fact that comes late or twice books what
is missing, and nothing else. Source: T4, G.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from tallybook.advances.model import Advance, AdvanceStatus, AdvanceTerms, Payout
from tallybook.collection.model import Plan
from tallybook.customers.model import Customer, CustomerStatus, Standing
from tallybook.kernel.frozen import replace
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.ledger.model import Chart, Entry, Posting
from tallybook.processor.rules import check_currency

INSTALLMENTS_DEFAULT = 12
INTERVAL_DAYS_DEFAULT = 7
INSTALLMENTS_MAX = 520
INTERVAL_DAYS_MAX = 366


def check_terms(
    amount_minor: int, fee_minor: int, currency: str, installments: int, terms: AdvanceTerms
) -> Refusal | None:
    """Tell whether the amounts can make an advance at all. Source: A3, P1."""
    if (refusal := check_currency(currency, terms.currency)) is not None:
        return refusal
    if not terms.min_minor <= amount_minor <= terms.max_minor:
        return not_eligible("amount_out_of_bounds")
    if amount_minor + fee_minor < installments:
        return Refusal("advance_too_small", param="amount")
    return None


def check_eligibility(
    customer: Customer,
    standings: Sequence[Standing],
    owed: Sequence[tuple[Advance, Plan]],
    wanted_minor: int,
    currency: str,
) -> Refusal | None:
    """Tell why a customer can't have a further advance; None where they can.

    `owed` are the advances that may still be owed; `wanted_minor` is amount and fee of the new
    one. Source: A3.
    """
    if customer.status is not CustomerStatus.ACTIVE:
        return not_eligible("customer_suspended")
    if standings:
        return not_eligible(standings[0].reason)
    if customer.credit_limit_minor is None:
        return None
    if currency != customer.currency:
        # A limit in one currency says nothing of another, and guessing a rate would.
        return not_eligible("no_limit_in_this_currency")
    exposed = sum(exposure(advance, plan) for advance, plan in owed)
    if exposed + wanted_minor > customer.credit_limit_minor:
        room = max(0, customer.credit_limit_minor - exposed)
        return not_eligible("credit_limit_exceeded", available=format_amount(room, currency))
    return None


def exposure(advance: Advance, plan: Plan) -> int:
    """Tell how much of a customer's limit an advance uses: owed, fees, money on its way out.

    Units: minor units. Source: A3.
    """
    if advance.payout is Payout.VOID or advance.status is AdvanceStatus.FAILED:
        return 0
    if advance.written_off_minor:
        return 0
    paid = plan.succeeded_minor + advance.applied_minor
    return max(0, advance.total_minor - paid + advance.credited_minor)


def not_eligible(reason: str, **details: object) -> Refusal:
    """Make the refusal of an advance, with its reason."""
    return Refusal("customer_not_eligible", details={"reason": reason, **details})


# -- the books -------------------------------------------------------------------------------


def position(advance: Advance, succeeded_minor: int) -> Mapping[Chart, int]:
    """Tell what each account of the house must hold for one advance.

    `succeeded_minor` is what its debits have collected and kept.

    Units: minor units, debits positive. Always sums to zero. Source: G.
    """
    void = advance.payout is Payout.VOID
    paid = advance.payout is Payout.PAID
    in_transit = advance.payout is Payout.IN_TRANSIT
    has_fee = advance.is_fee_booked and not void
    # At a write-off fees stop being earned.
    counted = advance.written_off_at_minor if advance.written_off_minor else succeeded_minor
    earned = earned_fee(advance, counted + advance.applied_minor)
    held = {
        Chart.CASH_BANK: succeeded_minor - (advance.amount_minor if paid else 0),
        Chart.IN_TRANSIT: -advance.amount_minor if in_transit else 0,
        Chart.INCOME_FEES: -earned if has_fee else 0,
        Chart.DEFERRED_FEES: earned - advance.fee_minor if has_fee else 0,
        Chart.CUSTOMER_CREDIT: advance.applied_minor - advance.credited_minor,
    }
    if not (advance.written_off_minor and not void):
        held[Chart.RECEIVABLE_ADVANCES] = -sum(held.values())
        return held
    # Given up: nothing is receivable. Money that comes all the same is a recovery; money that
    # was counted and is taken back makes the loss larger.
    unearned = -held.pop(Chart.DEFERRED_FEES)
    lost_later = max(0, advance.written_off_at_minor - succeeded_minor)
    held[Chart.WRITE_OFF] = advance.written_off_minor - unearned + lost_later
    held[Chart.INCOME_RECOVERIES] = -sum(held.values())
    return held


def earned_fee(advance: Advance, paid_minor: int) -> int:
    """Tell how much of the fee is earned: in proportion, the rest with the last debit.

    Units: minor units. Source: G.
    """
    if paid_minor >= advance.total_minor:
        return advance.fee_minor
    return advance.fee_minor * max(0, paid_minor) // advance.total_minor


def outstanding(advance: Advance, succeeded_minor: int) -> int:
    """Tell what the customer owes on an advance. Units: minor units."""
    return position(advance, succeeded_minor).get(Chart.RECEIVABLE_ADVANCES, 0)


def book_difference(
    before: Advance,
    before_succeeded: int,
    after: Advance,
    after_succeeded: int,
    *,
    kind: str,
    effective_on: date,
) -> Entry | None:
    """Make the entry that takes the books from one state of an advance to the next."""
    old, new = position(before, before_succeeded), position(after, after_succeeded)
    moved = {
        account: new.get(account, 0) - old.get(account, 0)
        for account in Chart
        if new.get(account, 0) != old.get(account, 0)
    }
    if not moved:
        return None
    postings = tuple(
        Posting(account.value, amount, after.currency, after.customer_id, after.id)
        for account, amount in sorted(moved.items(), key=lambda item: (item[1] < 0, item[0]))
    )
    return Entry(kind, effective_on, postings)


def credit_due(advance: Advance, succeeded_minor: int) -> int:
    """Tell how much of what was collected is more than was ever owed.

    Units: minor units. Source: A5, A9.
    """
    owed = 0 if advance.payout is Payout.VOID else advance.total_minor
    return max(0, succeeded_minor + advance.applied_minor - owed)


def with_credit(advance: Advance, succeeded_minor: int, customer_credit_minor: int) -> Advance:
    """Give back what is too much as customer credit, or take it back while it is unspent.

    What a customer has spent meanwhile stays theirs, and they owe it: `amount_to_collect` then
    asks for it once more.

    Source: G (debit returned).
    """
    due = credit_due(advance, succeeded_minor)
    if due >= advance.credited_minor:
        return replace(advance, credited_minor=due)
    taken = min(advance.credited_minor - due, max(0, customer_credit_minor))
    return replace(advance, credited_minor=advance.credited_minor - taken)


def amount_to_collect(advance: Advance, succeeded_minor: int) -> int:
    """Tell what the plan's debits collect in all.

    That is the advance with its fee, less what credit has paid. If credit was given that turns out
    to have been too much, and the customer has spent it already, then the credit that they keep is
    collected as well.

    An example: 100 is owed and 130 was collected, so 30 was given as credit, and 10 of it spent.
    Then a debit of 25 is returned. 105 is collected now, 5 too much. Of the 25 that were given too
    much the unspent 20 is taken back, so the customer keeps 10. The plan collects 110: it has 105,
    and 5 is still to come.

    Units: minor units.
    """
    given = advance.credited_minor
    again = given if given > credit_due(advance, succeeded_minor) else 0
    return advance.total_minor - advance.applied_minor + again


# -- where it stands --------------------------------------------------------------------------


def status_of(advance: Advance, plan: Plan) -> AdvanceStatus:
    """Tell an advance's status from what is collected; a person's word on it stays. Source: A13."""
    if closed_by_a_person(advance) is advance.status:
        return advance.status
    if advance.payout is Payout.VOID:
        return AdvanceStatus.FAILED
    if advance.status not in (
        AdvanceStatus.ACTIVE,
        AdvanceStatus.COMPLETED,
        AdvanceStatus.IN_DEFAULT,
    ):
        return advance.status
    if plan.succeeded_minor >= plan.total_minor:
        return AdvanceStatus.COMPLETED
    if advance.status is AdvanceStatus.IN_DEFAULT:
        return AdvanceStatus.IN_DEFAULT
    return AdvanceStatus.ACTIVE


def closed_by_a_person(advance: Advance) -> AdvanceStatus | None:
    """Tell how a person has closed an advance, whatever becomes of its payout; None if nobody has.

    Older versions turned such an advance into a failed one when its payout came back. Of those, one
    that was written off is still known by the amount; one that was cancelled is not known any more.

    Source: A13.
    """
    if advance.status in (AdvanceStatus.CANCELLED, AdvanceStatus.WRITTEN_OFF):
        return advance.status
    return AdvanceStatus.WRITTEN_OFF if advance.written_off_minor else None
