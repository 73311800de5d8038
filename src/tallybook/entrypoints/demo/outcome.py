"""What the demo came to: the book, the bank's own log, and whether they agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from tallybook.advances.queries import list_advances
from tallybook.collection import queries
from tallybook.db.engine import Database
from tallybook.entrypoints.demo.bank import Bank
from tallybook.ledger.model import Chart
from tallybook.ledger.queries import list_balances
from tallybook.processor.model import OperatorItem, Result, Transfer, TransferState
from tallybook.processor.port import Direction
from tallybook.processor.simulator_log import LoggedCall

EVERYTHING = 1_000_000
_S = TransferState
_NEVER_EXECUTED = (_S.REJECTED, _S.NOT_EXECUTED)
Moved = tuple[Direction, Result]
K = TypeVar("K")


@dataclass(slots=True)
class Sum:
    """How many, and how much. Units: minor units."""

    count: int = 0
    amount_minor: int = 0

    def add(self, amount_minor: int) -> None:
        """Count one more."""
        self.count += 1
        self.amount_minor += amount_minor


class Answered(StrEnum):
    """How an operator item came to its end."""

    EXECUTED = "confirmed executed"
    NOT_EXECUTED = "confirmed not executed"
    NEWS = "answered by a later report"
    TIME = "let go of after its hold"
    OTHER = "ruled otherwise"
    OPEN = "open"


_ANSWERS: Mapping[str | None, Answered] = {
    "confirm_executed": Answered.EXECUTED,
    "confirm_not_executed": Answered.NOT_EXECUTED,
    "answered_by_news": Answered.NEWS,
    "hold_ended": Answered.TIME,
}


@dataclass(slots=True)
class Outcome:
    """Everything that the demo shows at its end. Units: minor units."""

    advances: dict[str, Sum] = field(default_factory=dict)
    debits: dict[TransferState, Sum] = field(default_factory=dict)
    items: dict[str, dict[Answered, int]] = field(default_factory=dict)
    balances: dict[str, int] = field(default_factory=dict)
    by_book: dict[Moved, Sum] = field(default_factory=dict)
    by_bank: dict[Moved, Sum] = field(default_factory=dict)
    matched: int = 0
    """Executed transfers that stand in the book once, with the same amount and result."""
    discrepancies: list[str] = field(default_factory=list)

    @property
    def paid_out(self) -> int:
        """Tell what the customers got, by the book."""
        return self.moved(self.by_book, Direction.CREDIT).amount_minor

    @property
    def collected(self) -> int:
        """Tell what the customers paid, by the book."""
        return self.moved(self.by_book, Direction.DEBIT).amount_minor

    @property
    def still_owed(self) -> int:
        """Tell what the customers owe, by the ledger."""
        return self.balances.get(Chart.RECEIVABLE_ADVANCES, 0)

    @property
    def customer_credit(self) -> int:
        """Tell what the house holds for customers, by the ledger."""
        return -self.balances.get(Chart.CUSTOMER_CREDIT, 0)

    @staticmethod
    def moved(side: Mapping[Moved, Sum], direction: Direction) -> Sum:
        """Give what succeeded in one direction."""
        return side.get((direction, Result.SUCCESS), Sum())


def read_outcome(database: Database, bank: Bank) -> Outcome:
    """Read the book and the bank's log, and compare them transfer by transfer."""
    outcome = Outcome()
    by_reference = {call.reference: call for call in bank.executed()}
    for call in by_reference.values():
        assert call.final_result is not None
        _of(outcome.by_bank, (call.direction, call.final_result)).add(call.amount_minor)
    with database.snapshot() as connection:
        for advance, _ in list_advances(connection, limit=EVERYTHING):
            _of(outcome.advances, advance.status.value).add(advance.amount_minor)
        for transfers in queries.stream_reported(connection, date.min, date.max):
            for transfer, _ in transfers:
                _take_transfer(outcome, transfer, by_reference.pop(transfer.id, None))
        for item in queries.list_items(connection, is_open=None, limit=EVERYTHING):
            answers = outcome.items.setdefault(item.kind.value, {})
            answer = _answer_to(item)
            answers[answer] = answers.get(answer, 0) + 1
        for balance in list_balances(connection):
            outcome.balances[balance.account.name] = balance.balance_minor
    outcome.discrepancies += (
        f"{call.transaction_id}: the bank executed it, and the book does not know it"
        for call in by_reference.values()
    )
    outcome.discrepancies += _compare_sums(outcome)
    return outcome


def _take_transfer(outcome: Outcome, transfer: Transfer, call: LoggedCall | None) -> None:
    if transfer.is_debit:
        _of(outcome.debits, transfer.state).add(transfer.amount_minor)
    if problem := _compare(transfer, call):
        outcome.discrepancies.append(f"{transfer.id} ({transfer.state.value}): {problem}")
    elif call is not None:
        outcome.matched += 1
    if transfer.state is _S.SUCCEEDED:
        _of(outcome.by_book, (transfer.direction, Result.SUCCESS)).add(transfer.amount_minor)
    elif transfer.state in (_S.FAILED, _S.RETURNED):
        _of(outcome.by_book, (transfer.direction, Result.FAIL)).add(transfer.amount_minor)


def _compare(transfer: Transfer, call: LoggedCall | None) -> str | None:
    """Say what differs between a transfer of the book and the bank's own; None if nothing does."""
    if call is None:
        return None if transfer.state in _NEVER_EXECUTED else "the bank has not executed it"
    if call.transaction_id != transfer.transaction_id:
        return f"the bank's id for it is {call.transaction_id}, not {transfer.transaction_id}"
    if (call.amount_minor, call.direction) != (transfer.amount_minor, transfer.direction):
        return "the bank moved another amount, or moved it the other way"
    states = (_S.SUCCEEDED,) if call.final_result is Result.SUCCESS else (_S.FAILED, _S.RETURNED)
    return None if transfer.state in states else f"the bank says {call.final_result}"


def _compare_sums(outcome: Outcome) -> Iterator[str]:
    for direction in Direction:
        for result in Result:
            book = outcome.by_book.get((direction, result), Sum())
            bank = outcome.by_bank.get((direction, result), Sum())
            if book != bank:
                yield f"{direction} {result}: the book says {book}, the bank {bank}"
    paid = outcome.moved(outcome.by_bank, Direction.CREDIT).amount_minor
    collected = outcome.moved(outcome.by_bank, Direction.DEBIT).amount_minor
    cash = outcome.balances.get(Chart.CASH_BANK, 0)
    if cash != collected - paid:
        yield f"cash:bank is {cash}, and the bank moved {collected - paid}"
    if outcome.still_owed - outcome.customer_credit != paid - collected:
        yield "what is owed less what is held is not what was paid out less what was collected"


def _answer_to(item: OperatorItem) -> Answered:
    if item.is_open:
        return Answered.OPEN
    return _ANSWERS.get(item.action, Answered.OTHER)


def _of(sums: dict[K, Sum], key: K) -> Sum:
    return sums.setdefault(key, Sum())
