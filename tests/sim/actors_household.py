"""What comes into a household's inbox: bills and payments, late, twice, and in any order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from tallybook.bills.model import AccountType, Kind, MessageType
from tallybook.bills.operations.recording import RECORD_MESSAGES, RecordMessages
from tallybook.bills.operations.taking import Intake, ParsedMessage, take_parsed
from tallybook.bills.reading.reader import Reader
from tallybook.writer.model import Command, Outcome
from tests.sim.witness import Witness

if TYPE_CHECKING:
    from tests.sim.story import Story

TYPES = (AccountType.MOBILE_BILL, AccountType.ELECTRIC_BILL, AccountType.GAS_BILL)
FIRST_BILL = date(2025, 10, 1)


class Inbox:
    """One customer's messages: those that have come, and those that are still on their way."""

    def __init__(self, story: Story, customer: str) -> None:
        self.story = story
        self.customer = customer
        self.coming: list[ParsedMessage] = []
        self.came: list[ParsedMessage] = []
        self.count = 0
        chance = story.world.chance
        for place in range(chance.randint(1, 2)):
            self._plan_account(chance.choice(TYPES), f"{customer[-4:]}{place}00{place}")
        chance.shuffle(self.coming)

    def _plan_account(self, kind: AccountType, number: str) -> None:
        """Lay out the bills of an account, and how each is paid."""
        chance = self.story.world.chance
        open_before: list[int] = []
        for period in range(chance.randint(1, 4)):
            bill_on = FIRST_BILL + timedelta(days=30 * period)
            self.count += 1
            amount = chance.randint(10, 90) * 1_000 + self.count
            heard_after = chance.choice([0, 0, 1, 12])
            bill = {"bill_on": bill_on, "due_on": bill_on + timedelta(days=15)}
            self._plan(kind, number, Kind.GENERATION, bill_on + timedelta(days=heard_after),
                       amount_minor=amount, **bill)  # fmt: skip
            is_revised = chance.random() < 0.15
            if is_revised:
                amount += 7
                self._plan(kind, number, Kind.GENERATION, bill_on + timedelta(days=13),
                           amount_minor=amount, **bill)  # fmt: skip
            how = chance.choice(["exact", "exact", "part", "early", "not", "all"])
            is_early = how == "early" and not is_revised  # nobody knows the new amount before
            paid_on = bill_on + timedelta(days=chance.randint(1, 3) if is_early else 14)
            if how == "part":
                parts = [amount // 3, amount - amount // 3]
                for paid, day in zip(parts[: chance.randint(1, 2)], (0, 4), strict=False):
                    self._pay(kind, number, paid_on + timedelta(days=day), paid)
            elif how in ("exact", "early"):
                self._pay(kind, number, paid_on, amount)
            elif how == "all":
                self._pay(kind, number, paid_on, amount + sum(open_before))
                open_before = []
            if how == "not":
                open_before.append(amount)

    def _pay(self, kind: AccountType, number: str, paid_on: date, amount: int) -> None:
        self._plan(kind, number, Kind.CONFIRMATION, paid_on, amount_minor=amount, paid_on=paid_on)

    def _plan(self, kind: AccountType, number: str, what: Kind, day: date, **more: Any) -> None:
        self.count += 1
        at = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
        self.coming.append(
            ParsedMessage(
                customer_id=self.customer,
                account_type=kind,
                transaction_type=what,
                message_type=MessageType.PAYMENT if what is Kind.CONFIRMATION
                else MessageType.STATEMENT,
                issuer=f"Issuer {number}",
                number=number,
                sent_at=at + timedelta(minutes=self.count * 13),
                source_id=f"{self.customer[-6:]}-{self.count}",
                **more,
            )
        )  # fmt: skip

    def deliver(self) -> None:
        """Let some messages come, among them perhaps one that came before."""
        chance = self.story.world.chance
        batch = [self.coming.pop() for _ in range(min(len(self.coming), chance.randint(1, 4)))]
        if self.came and chance.random() < 0.3:
            batch.append(chance.choice(self.came))
        if not batch:
            return
        self.came += batch
        world = self.story.world
        intake = Intake(
            reader=cast("Reader", None),  # what comes ready-parsed is read by nobody
            secrets=world.secrets, ids=world.ids, now=world.clock.now(), zone="UTC",
        )  # fmt: skip
        taken = tuple(take_parsed(message, intake) for message in batch)
        asked = RecordMessages(taken, "USD", is_list=True)
        self.story.ask(Command(RECORD_MESSAGES, asked, self.story.fresh_key()))


def hear_messages(witness: Witness, asked: Any, outcome: Outcome) -> None:
    """Take committed messages to the auditor."""
    if outcome.refusal is not None:
        witness.wrong.append(f"messages refused: {outcome.refusal.code}")
        return
    for taken in asked.messages:
        message, fact = taken.message, taken.fact
        is_new = witness.households[message.customer_id].take({
            "source_id": message.source_id,
            "sent_at": message.sent_at.isoformat(),
            "type": str(fact.bill_type),
            "number": fact.number,
            "kind": "bill" if fact.kind is Kind.GENERATION else "payment",
            "amount": fact.amount_minor,
            "bill_on": str(fact.bill_on),
            "due_on": str(fact.due_on),
            "paid_on": str(fact.paid_on),
        })  # fmt: skip
        witness.reached["message" if is_new else "message again"] += 1
