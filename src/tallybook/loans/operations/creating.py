"""Making a loan. Source: L1, L2."""

from __future__ import annotations

from dataclasses import field
from datetime import date

from tallybook.collection.store import INSTALLMENTS, PLANS
from tallybook.customers.model import CustomerStatus
from tallybook.customers.store import ACCOUNTS_OF, CUSTOMERS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.refusal import Refusal
from tallybook.loans.model import (
    Collection,
    Interval,
    Loan,
    LoanStatus,
    PaymentPolicy,
)
from tallybook.loans.operations.debiting import lay_out_debits
from tallybook.loans.operations.draft import Draft
from tallybook.loans.rules.schedule import interest_of
from tallybook.loans.rules.terms import check_terms
from tallybook.loans.store import DELINQUENT_LOANS_OF, LOAN_BY_REFERENCE
from tallybook.loans.views import LOAN_PREFIX, loan_view
from tallybook.processor.rules import check_currency
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Decision, Moment, Needs, Reply, View


@frozen
class CreateLoan:
    """A parsed request for a loan; the rate went through `read_rate`. Units: minor units."""

    customer_id: str
    principal_minor: int
    interest_rate: str
    installments: int
    currency: str
    interval: Interval = Interval.WEEKLY
    start_on: date | None = None
    """Today if left out."""
    rounding_unit: int = 1
    payment_policy: PaymentPolicy = PaymentPolicy.EXACT
    delinquent_after: int = 2
    collection: Collection = Collection.CUSTOMER_PAYS
    bank_account_id: str | None = None
    """Where `auto_debit` collects from; the customer's oldest account if left out."""
    reference: str | None = None
    """The lender's own number; no two loans have the same."""
    is_import: bool = False
    hold_days: int = field(default=30, repr=False, metadata={"hashed": False})
    """The installation's, for its debits. Source: A9."""
    served: str | None = field(default=None, repr=False, metadata={"hashed": False})
    """The currency of the Processor: debits are made in no other. Source: P1."""
    said: Said = said_of("principal_minor", "currency", "payment_policy", "delinquent_after")


class CreateLoanOperation:
    """Makes a loan; its principal is paid out and booked as of its start."""

    name = "loans.create_loan"

    def needs(self, command: CreateLoan, seen: View) -> Needs:
        """Lock the customer; read what they were told, and where they can be debited."""
        del seen
        customer, reference = command.customer_id, command.reference
        is_debited = command.collection is Collection.AUTO_DEBIT
        return Needs(
            look_up=() if reference is None else ((LOAN_BY_REFERENCE, reference),),
            lock=((CUSTOMERS, customer),),
            read=(
                (DELINQUENT_LOANS_OF, customer),
                *(((ACCOUNTS_OF, customer),) if is_debited else ()),
            ),
        )

    def decide(
        self, view: View, command: CreateLoan, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Make the loan, unless its terms make no schedule or its customer may take on nothing."""
        if (refusal := check_currency(command.currency, command.served)) is not None:
            return refusal
        customer = view.row(CUSTOMERS, command.customer_id)
        if customer is None:
            return Refusal("customer_not_found", param="customer_id")
        if customer.status is not CustomerStatus.ACTIVE and not command.is_import:
            return Refusal("customer_not_eligible", details={"reason": "customer_suspended"})
        taken = None
        if command.reference is not None:
            taken = view.one(LOAN_BY_REFERENCE, command.reference)
        if taken is not None:
            details = {"loan_id": show_id(LOAN_PREFIX, taken.id)}
            return Refusal("loan_reference_taken", param="reference", details=details)
        start_on = command.start_on or moment.today
        if start_on > moment.today:
            details = {"today": moment.today.isoformat()}
            return Refusal("date_in_future", param="start_on", details=details)
        loan = _loan(command, start_on, moment, ids)
        refusal = check_terms(loan.terms)
        if refusal is not None:
            return refusal
        draft = Draft(None, loan)
        if loan.collection is Collection.AUTO_DEBIT:
            account_id = _account_of(view, command)
            if account_id is None:
                return Refusal("bank_account_not_found", param="bank_account_id")
            draft.loan = loan = replace(loan, bank_account_id=account_id)
            plan, rows = lay_out_debits(loan, account_id, command.hold_days, ids)
            draft.added += ((PLANS, plan), *((INSTALLMENTS, row) for row in rows))
        draft.refold(view)
        draft.add_event(
            "loan.created",
            principal_minor=loan.principal_minor,
            interest_minor=loan.interest_minor,
            currency=loan.currency,
            installments=loan.installments,
            interval=loan.interval.value,
            start_on=loan.start_on,
        )
        reply = Reply(201, loan_view(draft.loan, (), moment.today))
        return draft.decision(
            view,
            moment,
            kind="loans.loan.created",
            effective_on=loan.start_on,
            reply=reply,
            value=draft.loan,
        )


def _account_of(view: View, command: CreateLoan) -> str | None:
    """Choose the account to debit: the one that is named, if it is theirs, or their oldest."""
    theirs = [account.id for account in view.rows(ACCOUNTS_OF, command.customer_id)]
    if command.bank_account_id is None:
        return theirs[0] if theirs else None
    return command.bank_account_id if command.bank_account_id in theirs else None


def _loan(command: CreateLoan, start_on: date, moment: Moment, ids: Ids) -> Loan:
    return Loan(
        id=ids.fresh(),
        customer_id=command.customer_id,
        reference=command.reference,
        bank_account_id=None,
        principal_minor=command.principal_minor,
        interest_rate=command.interest_rate,
        interest_minor=interest_of(command.principal_minor, command.interest_rate),
        currency=command.currency,
        installments=command.installments,
        interval=command.interval,
        start_on=start_on,
        rounding_unit=command.rounding_unit,
        payment_policy=command.payment_policy,
        delinquent_after=command.delinquent_after,
        collection=command.collection,
        status=LoanStatus.ACTIVE,
        payments_count=0,
        received_minor=0,
        applied_minor=0,
        credited_minor=0,
        kept_minor=0,
        earned_minor=0,
        written_off_minor=0,
        written_off_at_minor=0,
        written_off_on=None,
        delinquent_on=None,
        is_delinquent=False,
        created_at=moment.now,
    )


CREATE_LOAN = CreateLoanOperation()
