"""Keeping a run's debits within the caps: what exceeds them stays due, and a person is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import Connection

from tallybook.collection import queries
from tallybook.collection.operations.reports import CLOSE_ITEM, OPEN_ITEM, CloseItem, OpenItem
from tallybook.collection.rules import CapKeeper, Caps
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.due import DueRow
from tallybook.collection.tasks.insisting import ask_all
from tallybook.collection.tasks.reading import read
from tallybook.kernel.money import format_amount
from tallybook.processor.model import ItemKind
from tallybook.processor.queries import list_overridden, sum_debits_of
from tallybook.writer.model import Command


class Capping:
    """The caps of one run. What was sent on its date before, by a run that died, counts as well."""

    def __init__(self, connection: Connection, caps: Caps, run_on: date, currency: str) -> None:
        """Read what was sent on the date; nothing is read where there are no caps."""
        self._caps, self._run_on, self._currency = caps, run_on, currency
        sent = sum_debits_of(connection, run_on) if caps.is_set else {}
        self._overridden = list_overridden(connection) if caps.is_set else frozenset()
        self._keeper = CapKeeper(caps, sent)
        self.is_run_over = False
        """Whether the run's own cap was reached: then nothing more goes out."""

    def admit(self, rows: Sequence[DueRow]) -> tuple[list[DueRow], list[Command]]:
        """Give the rows that may go out, and the operator items about those that may not."""
        if not self._caps.is_set:
            return list(rows), []
        admitted: list[DueRow] = []
        items: list[Command] = []
        for row in rows:
            if self.is_run_over:
                break
            hit = self._keeper.take(
                row.bank_account_id,
                row.amount_minor,
                is_overridden=row.installment_id in self._overridden,
            )
            if hit is None:
                admitted.append(row)
            elif hit == "run":
                self.is_run_over = True
                items.append(self._run_item())
            else:
                items.append(self._debit_item(row, hit))
        return admitted, items

    def _run_item(self) -> Command:
        detail = (
            f"The debits of {self._run_on} have reached the cap of a run,"
            f" {self._shown(self._caps.run_minor)}. What is left stays due and goes out in the runs"
            " to come."
        )
        return Command(OPEN_ITEM, OpenItem(ItemKind.RUN_CAPPED, f"run {self._run_on}", detail))

    def _debit_item(self, row: DueRow, hit: str) -> Command:
        what, cap = {
            "debit": ("one debit", self._caps.debit_minor),
            "account_day": ("one account and date", self._caps.account_day_minor),
            "run_alone": ("a run", self._caps.run_minor),
        }[hit]
        detail = (
            f"A debit of {self._shown(row.amount_minor)} is over the cap of {what},"
            f" {self._shown(cap)}. It stays due and is not sent. Override to let it go out all the"
            " same, or raise the cap."
        )
        item = OpenItem(
            ItemKind.DEBIT_CAPPED,
            row.installment_id,
            detail,
            subject_id=row.subject_id,
            customer_id=row.customer_id,
        )
        return Command(OPEN_ITEM, item)

    def _shown(self, minor: int | None) -> str:
        return f"{format_amount(minor or 0, self._currency)} {self._currency}"


async def close_answered(context: CollectionContext) -> None:
    """Close the items about rows that were sent after all, or withdrawn: nothing holds them."""
    answered = await read(context, queries.list_answered_caps)
    await ask_all(context.door, [Command(CLOSE_ITEM, CloseItem(ident)) for ident in answered])
