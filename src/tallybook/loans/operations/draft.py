"""What every write on a loan shares: what it locks, and how its outcome is put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tallybook.collection.store import INSTALLMENTS_OF, PLANS
from tallybook.customers.model import CustomerCredit, Standing
from tallybook.customers.store import CREDITS, CUSTOMERS, STANDINGS
from tallybook.kernel.frozen import replace
from tallybook.ledger.model import Chart
from tallybook.loans.model import Collection, Loan, LoanStatus, Payment, PaymentStatus
from tallybook.loans.rules.books import book_difference, fold, position, take_back_credit
from tallybook.loans.store import (
    DELINQUENT_LOANS_OF,
    LIVE_PAYMENTS_OF,
    LOAN_BY_ID,
    LOANS,
    PAYMENTS,
    STANDING_ABOUT_LOAN,
)
from tallybook.processor.store import TRANSFERS_OF
from tallybook.writer.model import Decision, Event, Moment, Needs, Reply, View

DELINQUENT_REASON = "loan_delinquent"
WRITTEN_OFF_REASON = "loan_written_off"


def loan_needs(loan_id: str, seen: View) -> Needs:
    """Lock a loan with its customer and their credit; read its payments, and what is told of it."""
    look_up = ((LOAN_BY_ID, loan_id),)
    known = seen.one(LOAN_BY_ID, loan_id)
    if known is None:
        return Needs(look_up=look_up)
    is_debited = known.collection is Collection.AUTO_DEBIT
    return Needs(
        look_up=look_up,
        lock=(
            (CUSTOMERS, known.customer_id),
            (CREDITS, (known.customer_id, known.currency)),
            (LOANS, loan_id),
            *(((PLANS, loan_id),) if is_debited else ()),
        ),
        read=(
            (LIVE_PAYMENTS_OF, loan_id),
            (STANDING_ABOUT_LOAN, loan_id),
            (DELINQUENT_LOANS_OF, known.customer_id),
            *(((INSTALLMENTS_OF, loan_id), (TRANSFERS_OF, loan_id)) if is_debited else ()),
        ),
    )


@dataclass(slots=True)
class Draft:
    """A decision about one loan while it is put together."""

    before: Loan | None
    loan: Loan
    payments: list[Payment] = field(default_factory=list)
    """Those that count or may yet, after the change."""
    changed: list[tuple[Any, Any]] = field(default_factory=list)
    added: list[tuple[Any, Any]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def refold(self, view: View) -> None:
        """Bring the loan in line with its payments, and its customer's credit in line with it."""
        before = self.before
        self.loan = fold(self.loan, self.payments)
        if before is None:
            return
        key = (self.loan.customer_id, self.loan.currency)
        credit = view.row(CREDITS, key)
        held = credit.credit_minor if credit else 0
        kept = take_back_credit(before, self.loan, held)
        if kept != self.loan.kept_minor:
            self.loan = fold(replace(self.loan, kept_minor=kept), self.payments)
        used = position(self.loan)[Chart.CUSTOMER_CREDIT] - position(before)[Chart.CUSTOMER_CREDIT]
        if used:
            row = CustomerCredit(*key, held - used)
            (self.changed if credit else self.added).append((CREDITS, row))

    def decision(
        self,
        view: View,
        moment: Moment,
        *,
        kind: str,
        effective_on: date,
        reply: Reply | None = None,
        value: object = None,
    ) -> Decision:
        """Sum up, with the entry that takes the books from before to after."""
        self._tell_status()
        self._tell_delinquency(view, moment)
        if self.before is None:
            self.added.insert(0, (LOANS, self.loan))
        elif self.loan != self.before:
            self.changed.append((LOANS, self.loan))
        entry = book_difference(self.before, self.loan, kind=kind, effective_on=effective_on)
        return Decision(
            changed=self.changed,
            added=self.added,
            entries=(entry,) if entry else (),
            events=self.events,
            reply=reply,
            value=value,
        )

    def add_event(self, name: str, **body: object) -> None:
        """Publish a fact about the loan."""
        self.events.append(Event(f"loans.{name}", self.loan.id, body, self.loan.customer_id))

    def _tell_status(self) -> None:
        before = self.before
        if before is None or before.status is self.loan.status:
            return
        if self.loan.status is LoanStatus.CLOSED:
            self.add_event("loan.closed")
        elif self.loan.status is LoanStatus.ACTIVE:
            self.add_event("loan.reopened")

    def _tell_delinquency(self, view: View, moment: Moment) -> None:
        """Keep the customer's standing in step with the loan, and publish what has changed.

        `loans.customer.delinquent` goes out with the first of their loans that becomes delinquent,
        `loans.customer.current` with the last one that is made good.

        Source: A3, L6, L8.
        """
        loan = self.loan
        is_now = loan.delinquent_on is not None and loan.delinquent_on <= moment.today
        if is_now is not loan.is_delinquent:
            self.loan = replace(loan, is_delinquent=is_now)
            self.add_event("loan.delinquent" if is_now else "loan.current")
            others = view.rows(DELINQUENT_LOANS_OF, loan.customer_id)
            if all(other.id == loan.id for other in others):
                verb = "delinquent" if is_now else "current"
                self.events.append(
                    Event(
                        f"loans.customer.{verb}",
                        loan.customer_id,
                        {"loan_id": loan.id},
                        loan.customer_id,
                    )
                )
        self._tell_standing(view)

    def _tell_standing(self, view: View) -> None:
        loan = self.loan
        given_up = loan.status is LoanStatus.WRITTEN_OFF
        wanted = Standing(
            loan.id,
            loan.customer_id,
            WRITTEN_OFF_REASON if given_up else DELINQUENT_REASON,
            active=given_up or loan.delinquent_on is not None,
            since_on=loan.written_off_on if given_up else loan.delinquent_on,
        )
        known = view.one(STANDING_ABOUT_LOAN, loan.id) if self.before is not None else None
        if known is None:
            if wanted.active:
                self.added.append((STANDINGS, wanted))
        elif known != wanted:
            self.changed.append((STANDINGS, wanted))


def open_draft(view: View, loan_id: str) -> Draft | None:
    """Begin a decision about a loan; None where there is no such loan."""
    if view.one(LOAN_BY_ID, loan_id) is None:
        return None
    loan = view.row(LOANS, loan_id)
    if loan is None:
        return None
    return Draft(loan, loan, view.rows(LIVE_PAYMENTS_OF, loan_id))


def put_payment(draft: Draft, before: Payment | None, after: Payment) -> None:
    """Add a payment to a decision, or change one."""
    if before is None:
        draft.added.append((PAYMENTS, after))
    else:
        draft.changed.append((PAYMENTS, after))
    draft.payments = [each for each in draft.payments if each.id != after.id]
    if after.status in (PaymentStatus.PAID, PaymentStatus.PENDING):
        draft.payments.append(after)
