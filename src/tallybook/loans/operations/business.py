"""How collection reaches loans: debits booked as payments, credit used. Source: L9, C3."""

from __future__ import annotations

from datetime import date

from tallybook.collection.model import PlanStatus
from tallybook.collection.operations.business import CreditUse, TransferChange
from tallybook.collection.operations.moving import open_item
from tallybook.collection.rules import PlanChange, needs_rows, replan, retotal
from tallybook.collection.store import INSTALLMENTS_OF, PLANS
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids, parse_id
from tallybook.kernel.money import format_amount
from tallybook.loans.model import (
    DEBIT_METHOD,
    Loan,
    Payment,
    PaymentStatus,
)
from tallybook.loans.operations.crediting import APPLY_LOAN_CREDIT, ApplyLoanCredit
from tallybook.loans.operations.debiting import (
    amount_to_debit,
    by_root,
    rows_in_flight,
    take,
    unsent_of,
)
from tallybook.loans.operations.draft import Draft, loan_needs, open_draft
from tallybook.loans.operations.paying import choose_row, put_received
from tallybook.loans.operations.reversing import take_back
from tallybook.loans.store import PAYMENT_BY_TRANSFER
from tallybook.loans.views import LOAN_PREFIX
from tallybook.processor.model import Action, ItemKind, OperatorItem, Transfer, TransferState
from tallybook.processor.store import ITEMS
from tallybook.writer.model import Command, Decision, Moment, Needs, View

_SUCCEEDED = TransferState.SUCCEEDED


class LoanBusiness:
    """Loans as a collecting business: what a debit collects is a payment."""

    def needs(self, transfer: Transfer, seen: View, after: Transfer | None) -> Needs:
        """Lock the loan; read the payment that the debit made, if it made one."""
        del after
        needs = loan_needs(transfer.subject_id, seen)
        return replace(needs, read=(*needs.read, (PAYMENT_BY_TRANSFER, transfer.id)))

    def book(self, view: View, change: TransferChange, moment: Moment, ids: Ids) -> Decision:
        """Make or take back the payment, and put the plan right."""
        draft = open_draft(view, change.after.subject_id)
        assert draft is not None, "a debit's loan is on record"
        before, after = change.before, change.after
        kind, effective_on = f"loans.debit.{after.state.value}", moment.today
        if after.state is _SUCCEEDED and before.state is not _SUCCEEDED:
            payment = _payment_of(view, draft, after, moment, ids)
            put_received(view, draft, None, payment)
            kind, effective_on = "loans.payment.received", payment.effective_on
            _tell_excess(draft, after, moment, ids)
        elif before.state is _SUCCEEDED and after.state is not _SUCCEEDED:
            payment = view.one(PAYMENT_BY_TRANSFER, after.id)
            assert payment is not None, "what a debit collected is a payment"
            day = min(max(after.resolved_on or moment.today, payment.effective_on), moment.today)
            take_back(view, draft, payment, day, after.reason or after.state.value)
            kind, effective_on = "loans.payment.reversed", day
        _replan(view, draft, change, moment, ids)
        return draft.decision(view, moment, kind=kind, effective_on=effective_on)

    def ruling(self, item: OperatorItem, action: Action, reason: str, by: str) -> Command | None:
        """Leave everything to the rulings on the transfer itself: no loan waits in default."""
        del item, action, reason, by

    def credit_application(self, asked: CreditUse) -> Command | None:
        """Make the command that pays what a loan owes with credit."""
        loan_id = None
        if asked.subject_id is not None:
            loan_id = parse_id(LOAN_PREFIX, asked.subject_id)
            if loan_id is None:
                return None
        use = ApplyLoanCredit(
            loan_id, asked.customer_id, asked.amount_minor, asked.currency, asked.reason
        )
        return Command(APPLY_LOAN_CREDIT, use)


def _payment_of(view: View, draft: Draft, transfer: Transfer, moment: Moment, ids: Ids) -> Payment:
    """Make the payment that a debit has collected: made on the day on which it was sent."""
    loan = draft.loan
    return Payment(
        id=ids.fresh(),
        loan_id=loan.id,
        sequence=loan.payments_count + 1,
        amount_minor=transfer.amount_minor,
        method=DEBIT_METHOD,
        status=PaymentStatus.PAID,
        effective_on=_made_on(loan, transfer, moment.today),
        installment_number=_row_of(view, draft, transfer, moment),
        kept_minor=0,
        reversed_on=None,
        reason=None,
        transfer_id=transfer.id,
        reference=transfer.transaction_id,
        request_key=None,
        received_at=moment.now,
        settled_at=moment.now,
    )


def _made_on(loan: Loan, transfer: Transfer, today: date) -> date:
    return min(max(transfer.sent_on, loan.start_on), today)


def _row_of(view: View, draft: Draft, transfer: Transfer, moment: Moment) -> int | None:
    """Choose the row of what a debit collected: its own, else as `choose_row` does."""
    rows = view.rows(INSTALLMENTS_OF, draft.loan.id)
    own = next((by_root(rows)(row) for row in rows if row.id == transfer.installment_id), None)
    in_flight = rows_in_flight(view, draft.loan) - {own}
    return choose_row(draft, own, transfer.amount_minor, in_flight, moment)


def _tell_excess(draft: Draft, transfer: Transfer, moment: Moment, ids: Ids) -> None:
    """Ask a person about what was collected beyond what is owed."""
    assert draft.before is not None
    gained = draft.loan.credited_minor - draft.before.credited_minor
    if gained <= 0:
        return
    shown = format_amount(gained, draft.loan.currency)
    detail = f"{shown} {draft.loan.currency} more than is owed was collected; it is credit now."
    item = open_item(ItemKind.EXCESS, transfer, detail, moment, ids, amount_minor=gained)
    draft.added.append((ITEMS, item))


def _replan(view: View, draft: Draft, change: TransferChange, moment: Moment, ids: Ids) -> None:
    plan = view.row(PLANS, draft.loan.id)
    assert plan is not None, "a loan with debits has a plan"
    before, after = change.before, change.after
    rows = view.rows(INSTALLMENTS_OF, draft.loan.id)
    unsent, root = unsent_of(rows), by_root(rows)
    moved = after.amount_minor * ((after.state is _SUCCEEDED) - (before.state is _SUCCEEDED))
    total = amount_to_debit(draft.loan, plan.succeeded_minor + moved, draft.payments)
    made: PlanChange
    if not needs_rows(plan, before, after):
        made = replan(plan, (), None, before, after, run_on=moment.today, ids=ids)
        if total != plan.total_minor:
            made = retotal(
                made.plan, unsent, total, run_on=moment.today, ids=ids, oldest_first=root
            )
    else:
        row = next((each for each in rows if each.id == after.installment_id), None)
        is_open = plan.status is not PlanStatus.CLOSED
        aimed = replace(plan, total_minor=total) if is_open else plan
        made = replan(
            aimed, unsent, row, before, after, run_on=moment.today, ids=ids, oldest_first=root
        )
    take(draft, plan, made)


LOAN_BUSINESS = LoanBusiness()
