"""Folded accounts and bills as rows, each under the id it had before. Source: B3, B4."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from tallybook.bills.model import Bill, BillAccount
from tallybook.bills.rules.billing import FoldedAccount
from tallybook.bills.rules.drafts import BillDraft
from tallybook.bills.rules.placing import Place
from tallybook.kernel.frozen import replace
from tallybook.kernel.ids import Ids


def account_row(
    place: Place,
    folded: FoldedAccount,
    known: Sequence[BillAccount],
    ids: Ids,
    now: datetime,
) -> tuple[BillAccount, list[BillAccount]]:
    """Make an account's row, and the rows of those that turned out to be the same account."""
    messages = {fact.message_id for fact in place.facts}
    same = sorted((row for row in known if row.anchor in messages), key=lambda row: row.id)
    bills = folded.bills
    latest = bills[-1] if bills else None
    due_on = latest.due_on if latest else None
    ident = same[0].id if same else ids.fresh()
    row = BillAccount(
        id=ident,
        customer_id=place.facts[0].customer_id,
        type=place.type,
        issuer=place.shown_issuer,
        number=place.shown_number,
        anchor=same[0].anchor if same else place.facts[0].message_id,
        cycle_days=_cycle(bills),
        generation_day=latest.dated_on.day if latest else None,
        due_day=due_on.day if due_on else None,
        merged_into=None,
        created_at=same[0].created_at if same else now,
    )
    return row, [replace(other, merged_into=ident) for other in same[1:]]


def withdrawn_account(account: BillAccount) -> BillAccount:
    """Set aside an account that no message stands behind any more; its row stays."""
    if account.merged_into is not None:
        return account
    return replace(account, merged_into=account.id)


def withdrawn_bill(bill: Bill) -> Bill:
    """Set aside a bill that no message stands behind any more; its row stays."""
    if bill.merged_into is not None:
        return bill
    return replace(bill, merged_into=bill.id, paid_minor=0, paid_on=None, evidence="[]")


def bill_rows(
    account: BillAccount, folded: FoldedAccount, known: Sequence[Bill], ids: Ids
) -> tuple[list[Bill], dict[str, str]]:
    """Make the rows of an account's bills, and tell which id each draft's anchor got."""
    rows: list[Bill] = []
    ids_of: dict[str, str] = {}
    of_message: dict[str, list[Bill]] = {}
    for row in known:
        of_message.setdefault(row.anchor, []).append(row)
    for draft in folded.bills:
        same = sorted(
            (row for message in draft.messages for row in of_message.get(message, ())),
            key=lambda row: row.id,
        )
        ident = same[0].id if same else ids.fresh()
        ids_of[draft.anchor] = ident
        rows.append(_bill_row(ident, same[0].anchor if same else draft.anchor, account, draft))
        rows += [
            replace(other, merged_into=ident, paid_minor=0, paid_on=None, evidence="[]")
            for other in same[1:]
        ]
    return rows, ids_of


def _bill_row(ident: str, anchor: str, account: BillAccount, draft: BillDraft) -> Bill:
    return Bill(
        id=ident,
        customer_id=account.customer_id,
        account_id=account.id,
        type=account.type,
        anchor=anchor,
        bill_on=draft.bill_on,
        due_on=draft.due_on,
        dated_on=draft.dated_on,
        amount_minor=draft.amount,
        minimum_minor=draft.minimum,
        currency=draft.currency,
        paid_minor=draft.paid,
        paid_on=draft.paid_on,
        is_rolled_over=draft.is_rolled_over,
        merged_into=None,
        history=_as_json(draft.history),
        evidence=_as_json(draft.evidence),
    )


def _as_json(value: Sequence[dict[str, Any]]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _cycle(bills: Sequence[BillDraft]) -> int | None:
    if len(bills) < 2:
        return None
    return abs((bills[-1].order[0] - bills[-2].order[0]).days) or None
