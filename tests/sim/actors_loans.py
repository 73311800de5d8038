"""Who borrows, who pays, whose payment bounces, and what a gateway says of one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tallybook.loans.model import Interval, PaymentPolicy, PaymentStatus
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.operations.paying import MAKE_PAYMENT, MakePayment
from tallybook.loans.operations.pending import (
    BEGIN_PAYMENT,
    SETTLE_PAYMENT,
    BeginPayment,
    SettlePayment,
)
from tallybook.loans.operations.reversing import REVERSE_PAYMENT, ReversePayment
from tallybook.writer.model import Command, Outcome
from tests.sim.witness import Witness, plain

if TYPE_CHECKING:
    from tests.sim.story import Story

_LAST_WORDS = (PaymentStatus.PAID, PaymentStatus.PAID, PaymentStatus.FAILED)
"""What a gateway says that knows."""


class LoanActors:
    """Everybody who has to do with loans."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.chance = story.world.chance
        self.audit = story.witness.loans

    def act(self) -> None:
        """Borrow, pay, let a payment bounce, or hear from the gateway."""
        kind = self.chance.randrange(10)
        if not self.audit.loans or (kind == 0 and len(self.audit.loans) < 4):
            self._borrow()
        elif kind == 1:
            self._bounce()
        elif kind in (2, 3):
            self._settle()
        else:
            self._pay()

    def come_to_rest(self) -> None:
        """Let the gateway say at last what became of every payment."""
        for ident in sorted(self.audit.loans):
            for payment in sorted(self.audit.loans[ident]["pending"]):
                self._say(ident, payment, self.chance.choice(_LAST_WORDS))

    def _borrow(self) -> None:
        chance, today = self.chance, self.story.world.clock.today()
        count = chance.randint(1, 8)
        asked = CreateLoan(
            customer_id=chance.choice(self.story.collection.customers),
            principal_minor=chance.randint(count, 500_000),
            interest_rate=str(chance.choice([0, 7, 10, 33])),
            installments=count,
            currency="USD",
            interval=chance.choice(list(Interval)),
            start_on=today - timedelta(days=chance.choice([0, 0, 5])),
            payment_policy=chance.choice(list(PaymentPolicy)),
            delinquent_after=chance.choice([2, 3]),
        )
        self.story.ask(Command(CREATE_LOAN, asked, self.story.fresh_key()))

    def _pay(self) -> None:
        chance = self.chance
        ident = chance.choice(sorted(self.audit.loans))
        loan = self.audit.loans[ident]
        unpaid = [row for row in loan["rows"] if row["paid"] < row["amount"]]
        due = unpaid[0]["amount"] if unpaid else 100
        amount = chance.choice([due, due, due, due + 1, max(1, due // 2), 3 * due])
        number = chance.choice([None, None, unpaid[0]["number"] if unpaid else 1, 1])
        asked = MakePayment(ident, f"{amount // 100}.{amount % 100:02d}", installment_number=number)
        if chance.random() < 0.3:
            key = self.story.fresh_key()
            self.story.ask(Command(BEGIN_PAYMENT, BeginPayment(asked, key), key))
        else:
            self.story.ask(Command(MAKE_PAYMENT, asked, self.story.fresh_key()))

    def _settle(self) -> None:
        ident = self.chance.choice(sorted(self.audit.loans))
        pending = sorted(self.audit.loans[ident]["pending"])
        if pending:
            said = self.chance.choice([*_LAST_WORDS, PaymentStatus.PENDING])
            self._say(ident, self.chance.choice(pending), said)

    def _say(self, ident: str, payment: str, said: PaymentStatus) -> None:
        asked = SettlePayment(ident, payment, said)
        self.story.ask(Command(SETTLE_PAYMENT, asked, self.story.fresh_key()))

    def _bounce(self) -> None:
        chance = self.chance
        ident = chance.choice(sorted(self.audit.loans))
        payments = sorted(self.audit.loans[ident]["payments"])
        if payments:
            asked = ReversePayment(ident, chance.choice(payments), "bounced")
            self.story.ask(Command(REVERSE_PAYMENT, asked, self.story.fresh_key()))


class LoanEar:
    """Takes what was committed about loans to the auditor, and asks it what must have been."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.audit = witness.loans

    def heard(self, name: str, asked: Any, outcome: Outcome) -> None:
        """Hear one committed command."""
        code = outcome.refusal and outcome.refusal.code
        if name == "create_loan" and code is None:
            loan = outcome.value
            self.audit.create(
                loan.id, principal=asked.principal_minor, rate_percent=int(asked.interest_rate),
                count=asked.installments, interval=asked.interval.value,
                start=asked.start_on.toordinal(), policy=asked.payment_policy.value,
                after=asked.delinquent_after,
            )  # fmt: skip
        elif name == "reverse_payment" and code is None:
            self.audit.reverse(asked.loan_id, asked.payment_id)
            self.witness.reached["loan payment bounced"] += 1
        elif name == "settle_payment" and code is None:
            if asked.status is not PaymentStatus.PENDING:
                is_paid = asked.status is PaymentStatus.PAID
                self.audit.settle(asked.loan_id, asked.payment_id, paid=is_paid)
            self.witness.reached[f"loan payment begun, then {asked.status.value}"] += 1
        elif name == "settle_payment":
            self.witness.wrong.append(f"the gateway's word was refused with {code}: {asked}")
        elif name == "make_payment":
            self._paid(asked, code, outcome)
        elif name == "begin_payment":
            self._paid(asked.asked, code, outcome)

    def _paid(self, asked: Any, code: str | None, outcome: Outcome) -> None:
        whole, _, part = asked.amount.partition(".")
        amount = int(whole) * 100 + int(part)
        reasons = self.audit.why_not_paid(asked.loan_id, amount, asked.installment_number)
        if code is not None:
            self.witness.reached[f"loan payment refused: {code}"] += 1
            if code not in reasons:
                self.witness.wrong.append(f"payment refused with {code}, auditor: {reasons}")
        elif reasons:
            self.witness.wrong.append(f"payment taken against {reasons}: {asked}")
        elif isinstance(outcome.value, tuple):  # begun: the payment and its loan
            self.audit.begin(asked.loan_id, outcome.value[0].id, amount)
        else:
            self.audit.pay(asked.loan_id, outcome.value.id, amount)
            self.witness.reached["loan payment"] += 1


def compare_loans(witness: Witness) -> None:
    """Compare loans with what the rules make of their payments."""
    assert witness.world is not None
    query, today = witness.world.book.query, witness.world.clock.today()
    held: dict[str, dict[str, int]] = {}
    for subject, name, amount in query(
        "SELECT p.subject_id, a.name, sum(p.amount_minor) FROM postings p JOIN accounts a"
        " ON a.id = p.account_id JOIN loans l ON l.id = p.subject_id GROUP BY p.subject_id, a.name"
    ):
        if amount:
            held.setdefault(plain(subject), {})[name] = int(amount)
    rows = query("SELECT id, status, received_minor, kept_minor, delinquent_on FROM loans")
    if {plain(row[0]) for row in rows} != witness.loans.loans.keys():
        witness.wrong.append("the book has other loans than were made")
        return
    for ident, status, received, kept, delinquent_on in rows:
        loan = plain(ident)
        if kept:
            witness.reached["credit spent before its payment bounced"] += 1
            continue  # owed once more, over and above the schedule (G)
        wanted = witness.loans.standing(loan, today.toordinal())
        is_delinquent = delinquent_on is not None and str(delinquent_on) <= today.isoformat()
        found = {
            "status": status,
            "received": received,
            "is_delinquent": is_delinquent,
            "ledger": held.get(loan, {}),
        }
        if found != wanted:
            witness.wrong.append(f"loan {loan} is {found}, the auditor says {wanted}")
        witness.reached["loan delinquent"] += is_delinquent
        before = witness.loans.loans[loan]["shown"]
        if status != before:
            witness.loans.loans[loan]["shown"] = status
            witness.reached[f"loan {before} to {status}"] += 1
