"""What is decided about a loan as a whole: given up, or told to be delinquent. Source: L6, L10."""

from __future__ import annotations

from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.loans.model import LoanStatus
from tallybook.loans.operations.debiting import end_debits
from tallybook.loans.operations.draft import loan_needs, open_draft
from tallybook.loans.rules.books import write_off
from tallybook.loans.store import PAYMENTS_OF
from tallybook.loans.views import loan_view
from tallybook.writer.model import Decision, Moment, Needs, Reply, View


@frozen
class WriteOffLoan:
    """That what is owed on a loan is given up."""

    loan_id: str
    reason: str
    by: str = "operator"


class WriteOffLoanOperation:
    """Gives up what is owed; what still comes in is a recovery. Source: G."""

    name = "loans.write_off"

    def needs(self, command: WriteOffLoan, seen: View) -> Needs:
        """Lock the loan; read all of its payments, which are shown."""
        needs = loan_needs(command.loan_id, seen)
        return replace(needs, read=(*needs.read, (PAYMENTS_OF, command.loan_id)))

    def decide(
        self, view: View, command: WriteOffLoan, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Write off a loan on which something is owed."""
        del ids
        draft = open_draft(view, command.loan_id)
        if draft is None:
            return Refusal("loan_not_found")
        if draft.loan.status is not LoanStatus.ACTIVE:
            return Refusal("loan_state_wrong", details={"status": draft.loan.status.value})
        draft.loan = write_off(draft.loan, moment.today)
        end_debits(view, draft)
        draft.add_event(
            "loan.written_off",
            amount_minor=draft.loan.written_off_minor,
            currency=draft.loan.currency,
            reason=command.reason,
            by=command.by,
        )
        shown = loan_view(draft.loan, view.rows(PAYMENTS_OF, draft.loan.id), moment.today)
        return draft.decision(
            view,
            moment,
            kind="loans.loan.written_off",
            effective_on=moment.today,
            reply=Reply(200, shown),
            value=draft.loan,
        )


@frozen
class TellDelinquency:
    """That a loan may have become delinquent because time has passed."""

    loan_id: str


class TellDelinquencyOperation:
    """Publishes that a customer is delinquent, once a loan's date has come. Source: L8."""

    name = "loans.tell_delinquency"

    def needs(self, command: TellDelinquency, seen: View) -> Needs:
        """Lock the loan."""
        return loan_needs(command.loan_id, seen)

    def decide(
        self, view: View, command: TellDelinquency, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Tell it, unless it was paid meanwhile or told before. Its value: whether it was told."""
        del ids
        draft = open_draft(view, command.loan_id)
        if draft is None:
            return Refusal("loan_not_found")
        decision = draft.decision(
            view, moment, kind="loans.loan.delinquent", effective_on=moment.today
        )
        return replace(decision, value=draft.loan.is_delinquent and bool(decision.changed))


WRITE_OFF_LOAN = WriteOffLoanOperation()
TELL_DELINQUENCY = TellDelinquencyOperation()
