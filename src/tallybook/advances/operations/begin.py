"""Making an advance: the intent to pay out, on record before the Processor is called."""

from __future__ import annotations

from dataclasses import field
from datetime import date, timedelta

from tallybook.advances.model import Advance, AdvanceStatus, AdvanceTerms, Payout
from tallybook.advances.rules import check_eligibility, check_terms
from tallybook.advances.store import ADVANCES, OWING_OF
from tallybook.collection.model import OnFailedDebit, Plan, PlanStatus
from tallybook.collection.operations.moving import transfer_event
from tallybook.collection.operations.sending import LEASE, new_transfer
from tallybook.collection.store import OWING_PLANS_OF, PLANS
from tallybook.customers.model import BankAccount
from tallybook.customers.store import ACCOUNT_BY_NUMBER, CUSTOMERS, STANDINGS_OF
from tallybook.kernel.calendar import add_days
from tallybook.kernel.frozen import frozen, replace
from tallybook.kernel.ids import Ids
from tallybook.kernel.refusal import Refusal
from tallybook.processor.model import TransferKind
from tallybook.processor.port import Direction
from tallybook.processor.store import TRANSFERS
from tallybook.writer.hashing import Said, said_of
from tallybook.writer.model import Decision, Event, Moment, Needs, View

BACKDATED_DAYS_MAX = 7
"""How far back an advance may be dated outside of imports. Source: T2."""


@frozen
class BeginAdvance:
    """A parsed request for an advance; the account is named by its keyed hash."""

    number_hash: str
    amount_minor: int
    currency: str
    installments: int
    interval_days: int
    fee_minor: int
    effective_on: date | None
    is_import: bool = False
    request_key: str | None = field(default=None, repr=False, metadata={"hashed": False})
    """The idempotency key of the request: its reply comes with the credit's outcome."""
    said: Said = said_of("amount_minor", "currency", "fee_minor")


class BeginAdvanceOperation:
    """Puts an advance and the intent of its credit on record. Source: A1-A3.

    Its value is the transfer to send, and the sealed number it goes to.
    """

    name = "advances.perform_advance"

    def __init__(self, terms: AdvanceTerms, sender: str, lease: timedelta = LEASE) -> None:
        self._terms = terms
        self._sender = sender
        self._lease = lease

    def needs(self, command: BeginAdvance, seen: View) -> Needs:
        """Find the account; lock its customer, whose exposure guards the limit."""
        look_up = ((ACCOUNT_BY_NUMBER, command.number_hash),)
        account = seen.one(ACCOUNT_BY_NUMBER, command.number_hash)
        if account is None:
            return Needs(look_up=look_up)
        customer = account.customer_id
        return Needs(
            look_up=look_up,
            lock=((CUSTOMERS, customer),),
            read=((STANDINGS_OF, customer), (OWING_OF, customer), (OWING_PLANS_OF, customer)),
        )

    def decide(
        self, view: View, command: BeginAdvance, moment: Moment, ids: Ids
    ) -> Decision | Refusal:
        """Check in A2's order, then make advance, plan and intent."""
        account = view.one(ACCOUNT_BY_NUMBER, command.number_hash)
        if account is None:
            return Refusal("bank_account_not_found", param="dst_bank_account")
        refusal = (
            _check_date(command, moment)
            or check_terms(
                command.amount_minor,
                command.fee_minor,
                command.currency,
                command.installments,
                self._terms,
            )
            or self._check_customer(view, account.customer_id, command, moment)
        )
        if refusal is not None:
            return refusal
        advance, plan = self._advance_and_plan(command, account, moment, ids)
        transfer = new_transfer(
            kind=TransferKind.ADVANCE,
            direction=Direction.CREDIT,
            customer_id=account.customer_id,
            bank_account_id=account.id,
            subject_id=advance.id,
            installment=None,
            amount_minor=advance.amount_minor,
            currency=advance.currency,
            sent_on=moment.today,
            sender=self._sender,
            lease=self._lease,
            request_key=command.request_key,
            moment=moment,
            ids=ids,
        )
        advance = replace(advance, credit_transfer_id=transfer.id)
        requested = Event(
            "advances.advance.requested",
            advance.id,
            {
                "amount_minor": advance.amount_minor,
                "fee_minor": advance.fee_minor,
                "currency": advance.currency,
                "effective_on": advance.effective_on,
            },
            advance.customer_id,
        )
        return Decision(
            added=((ADVANCES, advance), (PLANS, plan), (TRANSFERS, transfer)),
            events=(requested, transfer_event(transfer)),
            value=(transfer, account.number_sealed),
        )

    def _check_customer(
        self, view: View, customer_id: str, command: BeginAdvance, moment: Moment
    ) -> Refusal | None:
        customer = view.row(CUSTOMERS, customer_id)
        if customer is None:
            return Refusal("customer_not_found")
        plans = {plan.subject_id: plan for plan in view.rows(OWING_PLANS_OF, customer_id)}
        owing = [
            (advance, plans[advance.id])
            for advance in view.rows(OWING_OF, customer_id)
            if advance.id in plans and advance.currency == command.currency
        ]
        return check_eligibility(
            customer,
            [each for each in view.rows(STANDINGS_OF, customer_id) if each.holds_on(moment.today)],
            owing,
            command.amount_minor + command.fee_minor,
            command.currency,
        )

    def _advance_and_plan(
        self, command: BeginAdvance, account: BankAccount, moment: Moment, ids: Ids
    ) -> tuple[Advance, Plan]:
        effective_on = command.effective_on or moment.today
        advance = Advance(
            id=ids.fresh(),
            customer_id=account.customer_id,
            bank_account_id=account.id,
            amount_minor=command.amount_minor,
            fee_minor=command.fee_minor,
            currency=command.currency,
            installments_count=command.installments,
            interval_days=command.interval_days,
            effective_on=effective_on,
            status=AdvanceStatus.PENDING,
            payout=Payout.NONE,
            is_fee_booked=False,
            credited_minor=0,
            applied_minor=0,
            written_off_minor=0,
            written_off_at_minor=0,
            credit_transfer_id="",
            created_at=moment.now,
        )
        first_due_on = add_days(effective_on, command.interval_days)
        plan = Plan(
            subject_id=advance.id,
            kind=TransferKind.ADVANCE,
            customer_id=account.customer_id,
            bank_account_id=account.id,
            currency=command.currency,
            status=PlanStatus.PENDING,
            total_minor=advance.total_minor,
            succeeded_minor=0,
            in_flight_minor=0,
            held_minor=0,
            unsent_minor=0,
            claimed_minor=0,
            excess_minor=0,
            rows_count=0,
            last_due_on=add_days(first_due_on, command.interval_days * (command.installments - 1)),
            first_due_on=first_due_on,
            interval_days=command.interval_days,
            on_failed_debit=OnFailedDebit(self._terms.on_failed_debit),
            max_attempts=self._terms.max_attempts,
            hold_days=self._terms.hold_days,
        )
        return advance, plan


def _check_date(command: BeginAdvance, moment: Moment) -> Refusal | None:
    """Tell whether the day of the advance is one it may have. Source: T2."""
    day = command.effective_on
    if day is None or day == moment.today:
        return None
    if day > moment.today:
        return Refusal(
            "date_in_future", param="effective_on", details={"today": moment.today.isoformat()}
        )
    if not command.is_import and day < moment.today - timedelta(days=BACKDATED_DAYS_MAX):
        return Refusal("date_too_old", param="effective_on", details={"days": BACKDATED_DAYS_MAX})
    return None
