"""What a person rules about an operator item, handed to whoever does it. Source: P9."""

from __future__ import annotations

from datetime import date

from sqlalchemy import Connection

from tallybook.ambient.liveness import this_process
from tallybook.collection import queries
from tallybook.collection.model import Installment
from tallybook.collection.operations.adopting import ADOPT_ORPHAN, AdoptOrphan
from tallybook.collection.operations.business import BUSINESSES
from tallybook.collection.operations.credits import BeginPayout
from tallybook.collection.operations.items import RULE_ITEM, RuleItem
from tallybook.collection.tasks.context import CollectionContext
from tallybook.collection.tasks.paying import pay_out_credit
from tallybook.collection.tasks.reading import read
from tallybook.kernel.frozen import frozen
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.processor.model import Action, ItemKind, OperatorItem, Transfer
from tallybook.processor.queries import earliest_fact_on
from tallybook.processor.rules import ALLOWED_ACTIONS
from tallybook.writer.model import Command, Outcome


@frozen
class Ruling:
    """What a person rules, as it was asked."""

    item_id: str
    action: Action
    reason: str
    by: str
    transfer_id: str | None = None
    """For an orphan: the unknown transfer that it turns out to be."""
    transaction_id: str | None = None
    """For an unknown transfer: the id that the Processor knows it by."""
    subject_id: str | None = None
    """For an orphan to be adopted: whose row it collected."""
    number: int | None = None
    """For an orphan to be adopted: the number of that row."""


async def resolve_item(
    context: CollectionContext, ruling: Ruling, *, key: str | None = None
) -> Outcome:
    """Do what a person rules about an item, and close it in the same write.

    Whether the item is still open is decided by the writer alone, so that a request which comes
    again gets the reply it got.

    Raises: Refused `operator_item_not_found`, `action_not_allowed`, `transfer_needed`, and what
        paying out raises.
    """

    def load(connection: Connection) -> tuple[OperatorItem | None, Transfer | None]:
        item = queries.find_item(connection, ruling.item_id)
        if item is None:
            return None, None
        named = ruling.transfer_id if item.kind is ItemKind.ORPHAN else item.transfer_id
        return item, queries.find_transfer(connection, named) if named else None

    item, transfer = await read(context, load)
    if item is None:
        raise Refused(Refusal("operator_item_not_found"))
    allowed = ALLOWED_ACTIONS[item.kind]
    if ruling.action not in allowed:
        shown = ", ".join(action.value for action in allowed)
        raise Refused(Refusal("action_not_allowed", param="action", details={"allowed": shown}))
    if ruling.action is Action.REFUND:
        return await _refund(context, item, ruling, key)
    if ruling.action is Action.ADOPT:
        return await _adopt(context, item, ruling, key)
    if transfer is not None:
        business = BUSINESSES.of(transfer.kind)
        command = business.ruling(item, ruling.action, ruling.reason, ruling.by)
        if command is not None:
            return await context.door.ask(Command(command.operation, command.input, key))
    is_orphan = item.kind is ItemKind.ORPHAN
    asked = RuleItem(
        item_id=item.id,
        action=ruling.action,
        reason=ruling.reason,
        by=ruling.by,
        transfer_id=transfer.id if transfer else None,
        transaction_id=item.about if is_orphan else ruling.transaction_id,
        transfer=transfer,
    )
    return await context.door.ask(Command(RULE_ITEM, asked, key))


async def _adopt(
    context: CollectionContext, item: OperatorItem, ruling: Ruling, key: str | None
) -> Outcome:
    """Put an orphan on record as the debit of a plan's row, of which this copy knew nothing.

    Raises: Refused `row_not_open`.
    """

    def load(connection: Connection) -> tuple[Installment | None, date | None]:
        earliest = earliest_fact_on(connection, item.about)
        if ruling.subject_id is None or ruling.number is None:
            return None, earliest
        return queries.find_row(connection, ruling.subject_id, ruling.number), earliest

    row, earliest = await read(context, load)
    if row is None:
        details = {"number": ruling.number or 0}
        raise Refused(Refusal("row_not_open", param="number", details=details))
    asked = AdoptOrphan(
        transaction_id=item.about,
        installment_id=row.id,
        number=row.number,
        subject_id=row.subject_id,
        # A late report may date it back, and must not be older than the transfer (P4).
        sent_on=earliest or item.opened_on,
        reason=ruling.reason,
        by=ruling.by,
        sender=this_process(),
    )
    return await context.door.ask(Command(ADOPT_ORPHAN, asked, key))


async def _refund(
    context: CollectionContext, item: OperatorItem, ruling: Ruling, key: str | None
) -> Outcome:
    """Pay an excess out to the customer; the item is closed as the payout begins."""
    amount, currency, customer_id = item.amount_minor, item.currency, item.customer_id
    assert amount is not None, "an excess has an amount"
    assert currency is not None
    assert customer_id is not None
    account = await read(
        context, lambda connection: queries.find_account_of(connection, customer_id, None)
    )
    assert account is not None, "money was collected from one"
    asked = BeginPayout(
        customer_id=customer_id,
        account_id=account.id,
        amount_minor=amount,
        currency=currency,
        reason=ruling.reason,
        item_id=item.id,
        by=ruling.by,
        number_sealed=account.number_sealed,
    )
    return await pay_out_credit(context, asked, key=key)
