"""Loans by the rules L of docs/rules.md: schedules, payments, what is owed, who is delinquent.

Shares no code with the service. Units: minor units; days are ordinals.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import date
from typing import Any


class LoanAudit:
    """Every loan that was made, and every payment that stands."""

    def __init__(self) -> None:
        self.loans: dict[str, dict[str, Any]] = {}

    def create(self, ident: str, *, principal: int, rate_percent: int, count: int, interval: str,
               start: int, policy: str, after: int) -> None:  # fmt: skip
        """Make a loan: flat interest for the term, rows that differ by at most one. Source: L1."""
        interest = (2 * principal * rate_percent + 100) // 200
        amounts = _split(principal + interest, count)
        interests = _split(interest, count)
        rows = [
            {"number": k, "due": _due(start, interval, k), "amount": amounts[k - 1],
             "interest": interests[k - 1], "paid": 0}
            for k in range(1, count + 1)
        ]  # fmt: skip
        self.loans[ident] = {
            "principal": principal, "interest": interest, "total": principal + interest,
            "rows": rows, "policy": policy, "after": after, "payments": {}, "shown": "active",
            "pending": {},
        }  # fmt: skip

    def why_not_paid(self, ident: str, amount: int, number: int | None) -> set[str]:
        """List what stands against a payment; empty: it must be taken. Source: L5."""
        loan = self._filled(ident)
        reserved = {row for _, row in loan["pending"].values()}
        unpaid = [row for row in loan["rows"] if row["paid"] < row["amount"]]
        free = [row for row in unpaid if row["number"] not in reserved]
        reasons: set[str] = set()
        if number is not None and not (free and free[0]["number"] == number):
            named = loan["rows"][number - 1]
            if named["paid"] >= named["amount"]:
                reasons.add("installment_already_paid")
            else:
                is_reserved = number in reserved
                reasons.add("installment_reserved" if is_reserved else "installment_not_next")
        if loan["policy"] == "flexible":
            return reasons  # received money is never turned away
        if not free:
            return reasons | {"installment_reserved" if unpaid else "loan_closed"}
        if amount != free[0]["amount"]:
            reasons.add("payment_amount_mismatch")
        return reasons

    def pay(self, ident: str, payment: str, amount: int) -> None:
        """Take a payment; an exact one stays with the row it was made for. Source: L5, L7."""
        loan = self._filled(ident)
        row = self._next_free(loan) if loan["policy"] == "exact" else None
        loan["payments"][payment] = (amount, row)

    def begin(self, ident: str, payment: str, amount: int) -> None:
        """Know of a payment that a gateway decides: it reserves its row. Source: L8."""
        loan = self._filled(ident)
        loan["pending"][payment] = (amount, self._next_free(loan))

    def settle(self, ident: str, payment: str, *, paid: bool) -> None:
        """Take the gateway's word on a pending payment. Source: L8."""
        loan = self.loans[ident]
        amount, row = loan["pending"].pop(payment)
        if paid:
            loan["payments"][payment] = (amount, row if loan["policy"] == "exact" else None)

    @staticmethod
    def _next_free(loan: dict[str, Any]) -> int | None:
        reserved = {row for _, row in loan["pending"].values()}
        for row in loan["rows"]:
            if row["paid"] < row["amount"] and row["number"] not in reserved:
                number: int = row["number"]
                return number
        return None

    def reverse(self, ident: str, payment: str) -> None:
        """Take a payment back: its row is open again. Source: L7."""
        del self.loans[ident]["payments"][payment]

    def _filled(self, ident: str) -> dict[str, Any]:
        """Fill the rows from the payments that stand, in order."""
        loan = self.loans[ident]
        left = 0
        for row in loan["rows"]:
            row["paid"] = 0
        for amount, number in loan["payments"].values():
            if number is None:
                left += amount
            else:
                loan["rows"][number - 1]["paid"] = amount
        for row in loan["rows"]:
            part = min(left, row["amount"] - row["paid"])
            row["paid"] += part
            left -= part
        loan["excess"] = left
        return loan

    def standing(self, ident: str, today: int) -> dict[str, Any]:
        """Tell how a loan stands on a day, and what the ledger holds for it. Source: L4, L6, G."""
        loan = self._filled(ident)
        received = sum(amount for amount, _ in loan["payments"].values())
        owed = sum(row["amount"] - row["paid"] for row in loan["rows"])
        earned = sum(min(row["interest"], row["paid"]) for row in loan["rows"])
        longest = running = 0
        for row in loan["rows"]:
            is_missed = row["due"] < today and row["paid"] < row["amount"]
            running = running + 1 if is_missed else 0
            longest = max(longest, running)
        ledger = {
            "receivable:loans": owed,
            "cash:bank": received - loan["principal"],
            "customer-credit": -loan["excess"],
            "income:interest": -earned,
            "unearned-interest": earned - loan["interest"],
        }
        return {
            "status": "active" if owed else "closed",
            "received": received,
            "is_delinquent": longest >= loan["after"],
            "ledger": {name: amount for name, amount in ledger.items() if amount},
        }


def _split(total: int, count: int) -> list[int]:
    each, larger = divmod(total, count)
    return [each + (k < larger) for k in range(count)]


def _due(start: int, interval: str, k: int) -> int:
    if interval in ("weekly", "biweekly"):
        return start + k * (7 if interval == "weekly" else 14)
    day = date.fromordinal(start)
    months = day.month - 1 + k
    year, month = day.year + months // 12, months % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1])).toordinal()
