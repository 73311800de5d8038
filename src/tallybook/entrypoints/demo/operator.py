"""The demo's operator: rules on what no program may settle, after asking the bank."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from tallybook.collection import queries
from tallybook.collection.operations.items import RULE_ITEM, RuleItem
from tallybook.entrypoints.demo.bank import Bank
from tallybook.entrypoints.engine import Engine
from tallybook.kernel.frozen import replace
from tallybook.processor.model import Action, ItemKind, OperatorItem, Result, Transfer
from tallybook.processor.simulator_log import LoggedCall
from tallybook.writer.model import Command

COMES_ON = 4
"""Fridays. Units: as `date.weekday()` counts."""
PATIENCE_DAYS = 14
"""How long a transfer that no report shows may take to turn up by itself, before anyone asks."""
ITEMS_MOST = 10_000

NAME = "the demo's operator"
_LATE = (ItemKind.DEBIT_TIMED_OUT, ItemKind.CREDIT_TIMED_OUT, ItemKind.GAP)
_RESULTS: Mapping[Result, Action] = {
    Result.SUCCESS: Action.CONFIRM_EXECUTED,
    Result.FAIL: Action.CONFIRM_NOT_EXECUTED,
}


class Operator:
    """Comes in once a week and goes through what is open."""

    def __init__(self, engine: Engine, bank: Bank) -> None:
        self._engine = engine
        self._bank = bank

    async def come_in(self, today: date) -> list[str]:
        """Rule on everything that has waited long enough.

        Returns: the ids of the advances whose payout turned out never to have been executed.
        """
        items = self.list_open()
        if not items:
            return []
        self._bank.look_it_all_up()
        rulings = [ruling for item in items if (ruling := self._rule(item, today)) is not None]
        outcomes = await self._engine.door.ask_chunk(
            [Command(RULE_ITEM, ruling) for ruling in rulings]
        )
        for ruling, outcome in zip(rulings, outcomes, strict=True):
            assert outcome.refusal is None, (ruling.action, outcome.refusal)
        return list(_never_paid(rulings))

    def list_open(self) -> list[OperatorItem]:
        """List what waits, the oldest first."""
        with self._engine.database.reader() as connection:
            items = queries.list_items(connection, is_open=True, limit=ITEMS_MOST)
        return items[::-1]

    def _rule(self, item: OperatorItem, today: date) -> RuleItem | None:
        """Decide about one item; None leaves it for another day."""
        transfer = self._transfer(item)
        call = self._bank.find(transfer.id) if transfer is not None else None
        match item.kind:
            case ItemKind.UNKNOWN | ItemKind.COLLISION:
                return _of_unknown(item, transfer, call)
            case ItemKind.ORPHAN | ItemKind.REPORTS_MISSING:
                # An orphan is answered with the unknown transfer it belongs to; missing reports
                # by the next one that comes.
                return None
            case ItemKind.EXCESS:
                return _ruling(item, transfer, Action.DISMISS, "the customer keeps it as credit")
            case ItemKind.DEFAULT:
                return _ruling(item, transfer, Action.RESUME, "the customer will go on paying")
            case ItemKind.CONTRADICTION:
                return _of_result(item, transfer, call)
            case _:
                assert item.kind in _LATE
                if (today - item.opened_on).days < PATIENCE_DAYS:
                    return None
                return _of_result(item, transfer, call)

    def _transfer(self, item: OperatorItem) -> Transfer | None:
        if item.transfer_id is None:
            return None
        with self._engine.database.reader() as connection:
            return queries.find_transfer(connection, item.transfer_id)


def _of_unknown(item: OperatorItem, transfer: Transfer | None, call: LoggedCall | None) -> RuleItem:
    if call is None:
        reason = "the bank has no transfer with our reference"
        return _ruling(item, transfer, Action.CONFIRM_NOT_EXECUTED, reason)
    reason = "the bank has it under this transaction id"
    ruling = _ruling(item, transfer, Action.CONFIRM_EXECUTED, reason)
    return replace(ruling, transaction_id=call.transaction_id)


def _of_result(item: OperatorItem, transfer: Transfer | None, call: LoggedCall | None) -> RuleItem:
    result = call.final_result if call is not None else None
    reason = f"the bank says: {result or 'never executed'}"
    return _ruling(item, transfer, _RESULTS[result or Result.FAIL], reason)


def _ruling(item: OperatorItem, transfer: Transfer | None, action: Action, reason: str) -> RuleItem:
    return RuleItem(
        item_id=item.id,
        action=action,
        reason=reason,
        by=NAME,
        transfer_id=item.transfer_id,
        transaction_id=None,
        transfer=transfer,
    )


def _never_paid(rulings: Iterable[RuleItem]) -> Iterable[str]:
    for ruling in rulings:
        transfer = ruling.transfer
        is_lost = ruling.action is Action.CONFIRM_NOT_EXECUTED
        if is_lost and transfer is not None and not transfer.is_debit:
            yield transfer.subject_id
