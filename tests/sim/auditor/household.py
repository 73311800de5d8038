"""Household bills by the rules B of docs/rules.md, in plain dicts: messages folded by their time.

Covers what utilities do: bills that come, come again, are revised, and are paid exactly, together,
in part, or before they came. Shares no code with the service. Units: minor units.
"""

from __future__ import annotations

from typing import Any


class HouseholdAudit:
    """One customer's messages, and the bills they come to."""

    def __init__(self) -> None:
        self.messages: dict[str, dict[str, Any]] = {}

    def take(self, message: dict[str, Any]) -> bool:
        """Take a message in; False where it is known already. Source: B9."""
        known = message["source_id"] in self.messages
        self.messages.setdefault(message["source_id"], message)
        return not known

    def fold(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Fold everything known: per account its bills, and what the rules leave open.

        A payment may pay any bill dated on or before it, also one whose message came later (B7).
        An account whose payments do more than the rules speak of is marked `silent`.
        """
        accounts: dict[tuple[str, str], dict[str, Any]] = {}
        in_order = sorted(self.messages.values(), key=lambda each: each["sent_at"])
        for kind in ("bill", "payment"):
            for message in in_order:
                if message["kind"] == kind:
                    account = accounts.setdefault(
                        (message["type"], message["number"]),
                        {"bills": [], "waiting": 0, "silent": False, "late": 0},
                    )
                    (self._bill if kind == "bill" else self._pay)(account, message)
        return accounts

    def _bill(self, account: dict[str, Any], message: dict[str, Any]) -> None:
        bills = account["bills"]
        same = [b for b in bills if b["bill_on"] == message["bill_on"]]
        same = same or [b for b in bills if b["due_on"] == message["due_on"]]
        if same:
            same[0]["amount"] = message["amount"]
            same[0]["due_on"] = message["due_on"]
            return
        bills.append({"bill_on": message["bill_on"], "due_on": message["due_on"],
                      "amount": message["amount"], "paid": 0,
                      "sent_at": message["sent_at"]})  # fmt: skip
        bills.sort(key=lambda each: each["bill_on"])

    def _pay(self, account: dict[str, Any], message: dict[str, Any]) -> None:
        amount = message["amount"]
        unpaid = [
            bill
            for bill in account["bills"]
            if bill["bill_on"] <= message["paid_on"] and bill["paid"] < bill["amount"]
        ]
        paid: list[dict[str, Any]] = []
        total = 0
        for count, bill in enumerate(unpaid, start=1):
            total += bill["amount"] - bill["paid"]
            if total == amount:
                paid = unpaid[:count]
        paid = next(([b] for b in unpaid if b["amount"] - b["paid"] == amount), paid)
        if paid:
            for bill in paid:
                bill["paid"] = bill["amount"]
        elif not unpaid:
            account["waiting"] += 1
        elif amount > unpaid[-1]["amount"] - unpaid[-1]["paid"]:
            account["silent"] = True
        else:
            paid = [unpaid[-1]]
            unpaid[-1]["paid"] += amount
        account["late"] += any(bill["sent_at"] > message["sent_at"] for bill in paid)


def states_of(bill: dict[str, Any], today: str) -> set[str]:
    """Tell which states a bill may be shown in; in part paid and overdue, either is said."""
    if bill["paid"] >= bill["amount"]:
        return {"paid"}
    states = {"partly_paid"} if bill["paid"] else set[str]()
    if bill["due_on"] < today:
        return states | {"overdue"}
    if bill["due_on"] == today:
        return states | {"due_today"}
    return states or {"unpaid"}
