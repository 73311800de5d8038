"""Customer credit used for a loan. Source: C3."""

from __future__ import annotations

from tallybook.customers.store import CREDITS
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids, show_id
from tallybook.kernel.money import format_amount
from tallybook.kernel.refusal import Refusal
from tallybook.loans.model import CREDIT_METHOD, Loan, LoanStatus, PaymentStatus
from tallybook.loans.operations.draft import loan_needs, open_draft
from tallybook.loans.operations.paying import MakePayment, accept, receive
from tallybook.loans.rules.books import owed
from tallybook.loans.store import LOANS_OF
from tallybook.loans.views import LOAN_PREFIX
from tallybook.writer.model import Decision, Moment, Needs, Reply, View


@frozen
class ApplyLoanCredit:
    """Customer credit to be used for a loan. Units: minor units."""

    loan_id: str | None
    """None takes the oldest one on which something is owed."""
    customer_id: str
    amount_minor: int
    currency: str
    reason: str


class ApplyLoanCreditOperation:
    """Pays what is owed on a loan with credit that the customer holds."""

    name = "loans.apply_credit"

    def needs(self, command: ApplyLoanCredit, seen: View) -> Needs:
        """Lock the credit and the loan."""
        if command.loan_id is not None:
            return loan_needs(command.loan_id, seen)
        look_up = ((LOANS_OF, command.customer_id),)
        loan = _oldest_owed(seen, command)
        if loan is None:
            return Needs(look_up=look_up)
        needs = loan_needs(loan.id, seen)
        return replace(needs, look_up=(*look_up, *needs.look_up))

    def decide(
        self, view: View, command: ApplyLoanCredit, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Use the credit: no more than there is, and no more than is owed."""
        loan_id = command.loan_id
        if loan_id is None:
            oldest = _oldest_owed(view, command)
            loan_id = oldest.id if oldest is not None else ""
        draft = open_draft(view, loan_id) if loan_id else None
        if draft is None or not _is_theirs(draft.loan, command):
            return Refusal("subject_not_found", param="subject_id")
        credit = view.row(CREDITS, (command.customer_id, command.currency))
        held = credit.credit_minor if credit else 0
        if held < command.amount_minor:
            shown = format_amount(held, command.currency)
            return Refusal("credit_insufficient", details={"credit": shown})
        if draft.loan.status is LoanStatus.WRITTEN_OFF or owed(draft.loan) < command.amount_minor:
            shown = format_amount(owed(draft.loan), command.currency)
            return Refusal("subject_owes_less", details={"owed": shown})
        asked = MakePayment(loan_id, format_amount(command.amount_minor, command.currency))
        accepted = accept(view, draft, asked, PaymentStatus.PAID, moment, ids)
        if isinstance(accepted, Refusal):
            return accepted
        # Only here is a payment one with credit: it is held, and no more than is owed.
        payment = replace(accepted, method=CREDIT_METHOD)
        body = {
            "amount": format_amount(command.amount_minor, command.currency),
            "currency": command.currency,
            "subject_id": show_id(LOAN_PREFIX, loan_id),
            "credit_left": format_amount(held - command.amount_minor, command.currency),
        }
        draft.add_event("credit.applied", **body, reason=command.reason)
        decision = receive(view, draft, None, payment, moment, ids, kind="loans.credit.applied")
        return replace(decision, reply=Reply(201, body))


def _oldest_owed(view: View, command: ApplyLoanCredit) -> Loan | None:
    """Find the customer's oldest loan of which something is owed."""
    return next(
        (
            loan
            for loan in view.rows(LOANS_OF, command.customer_id)
            if _is_theirs(loan, command) and owed(loan) > 0
        ),
        None,
    )


def _is_theirs(loan: Loan, command: ApplyLoanCredit) -> bool:
    return loan.customer_id == command.customer_id and loan.currency == command.currency


APPLY_LOAN_CREDIT = ApplyLoanCreditOperation()
