"""Advances by the rules A and G of docs/rules.md: owed, planned, held by the ledger.

Works from the states of transfers and from what the book shows of a plan's rows, and says what
must be true of them. Shares no code with the service. Units: minor units; days are ordinals.
"""

from __future__ import annotations

from typing import Any

from tests.sim.auditor.transfers import TransferAudit


class AdvanceAudit:
    """Every advance that was begun."""

    def __init__(self, transfers: TransferAudit) -> None:
        self.transfers = transfers
        self.advances: dict[str, dict[str, Any]] = {}

    def begin(self, ident: str, *, amount: int, fee: int, count: int, interval: int, day: int,
              credit: str) -> None:  # fmt: skip
        """Know of an advance from its beginning."""
        self.advances[ident] = {
            "amount": amount, "fee": fee, "total": amount + fee, "count": count,
            "interval": interval, "day": day, "credit": credit, "rows": {}, "closed": None,
            "shown": "", "laid_out": False, "excess": False,
        }  # fmt: skip

    def first_rows(self, ident: str) -> list[tuple[int, int, int]]:
        """Lay out the plan: number, due day, amount; larger rows first. Source: A4."""
        advance = self.advances[ident]
        each, larger = divmod(advance["total"], advance["count"])
        return [
            (k, advance["day"] + k * advance["interval"], each + (k <= larger))
            for k in range(1, advance["count"] + 1)
        ]

    def status(self, ident: str) -> set[str]:
        """Tell which states an advance may be in. Source: A5, A13."""
        advance = self.advances[ident]
        if advance["closed"]:
            return {advance["closed"]}
        credit = self.transfers.transfers[advance["credit"]]["state"]
        if credit in ("rejected", "failed", "returned", "not_executed"):
            return {"failed"}
        if credit != "succeeded":
            return {"pending"}
        paid = self.transfers.sums(ident)["succeeded"]
        return {"completed"} if paid >= advance["total"] else {"active"}

    def outstanding(self, ident: str) -> int:
        """Tell what is owed of an advance that was paid out."""
        advance = self.advances[ident]
        if self.status(ident) == {"failed"}:
            return 0
        return max(0, advance["total"] - self.transfers.sums(ident)["succeeded"])

    def unsent(self, ident: str) -> int:
        """Tell what the unsent rows must add up to: the plan equation. Source: A7."""
        advance = self.advances[ident]
        if self.status(ident) not in ({"active"}, {"completed"}):
            return 0
        sums = self.transfers.sums(ident)
        return max(0, advance["total"] - sums["succeeded"] - sums["in_flight"] - sums["held"])

    def credit_to_customer(self, ident: str) -> int:
        """Tell what was collected above what is owed. Source: A5, A9."""
        advance = self.advances[ident]
        paid = self.transfers.sums(ident)["succeeded"]
        if self.status(ident) == {"failed"}:
            return paid
        return max(0, paid - advance["total"])

    def ledger(self, ident: str) -> dict[str, tuple[int, int]]:
        """Tell between which bounds each account must be for an advance. Source: G."""
        advance = self.advances[ident]
        credit = self.transfers.transfers[advance["credit"]]["state"]
        paid = self.transfers.sums(ident)["succeeded"]
        amount, fee, total = advance["amount"], advance["fee"], advance["total"]
        exact: dict[str, int] = {}
        earned = (0, 0)
        if credit in ("accepted", "timed_out"):
            exact = {"receivable:advances": amount, "in-transit": -amount}
        elif credit == "succeeded":
            used = min(paid, total)
            exact = {
                "receivable:advances": total - used,
                "cash:bank": paid - amount,
                "customer-credit": -(paid - used),
            }
            least = fee * used // total
            earned = (least, least + (1 if fee * used % total else 0))
        elif paid:
            exact = {"cash:bank": paid, "customer-credit": -paid}
        bounds = {name: (value, value) for name, value in exact.items()}
        if credit == "succeeded" and fee:
            bounds["income:fees"] = (-earned[1], -earned[0])
            bounds["deferred-fees"] = (earned[0] - fee, earned[1] - fee)
        return bounds

    # -- the plan's rows, as the book shows them

    def judge_rows(
        self, ident: str, rows: list[dict[str, Any]], day: int, *, moves_to_end: bool
    ) -> list[str]:
        """Say what is wrong with a plan's rows. Source: A4, A7, A8, A10."""
        advance = self.advances[ident]
        wrong: list[str] = []
        # A waiting row stands in for a held amount, which the equation counts already (A9).
        unsent = sum(row["amount"] for row in rows if row["state"] == "planned")
        if unsent != self.unsent(ident):
            wrong.append(f"unsent rows are {unsent}, the equation says {self.unsent(ident)}")
        sums = self.transfers.sums(ident)
        claimed = sums["succeeded"] + sums["in_flight"] + sums["held"]
        if unsent and claimed + unsent > advance["total"]:
            wrong.append(f"{claimed} claimed and {unsent} ready to go, of {advance['total']}")
        missed = {
            transfer["row"]
            for transfer in self.transfers.transfers.values()
            if transfer["subject"] == ident and transfer["state"] in ("failed", "returned")
        }
        wrong += [
            f"row {row['number']} goes out again, though its debit failed (A8)"
            for row in rows
            if row["state"] == "planned" and row["number"] in missed
        ]
        last = 0
        dues = {row["number"]: row["due"] for row in rows}
        for row in sorted(rows, key=lambda each: each["number"]):
            if row["due"] == dues.get(row["replaces"]) and self._was_not_executed(
                ident, row["replaces"]
            ):
                continue  # what was ruled not executed stays due on its date (A8)
            wrong += self._judge_new_row(advance, row, last if moves_to_end else 0, day)
            last = max(last, row["due"])
        advance["rows"] = {row["number"]: row for row in rows}
        return wrong

    def _was_not_executed(self, ident: str, number: int) -> bool:
        return any(
            (transfer["subject"], transfer["row"], transfer["touched"] or transfer["absent"])
            == (ident, number, True)
            for transfer in self.transfers.transfers.values()
        )

    def _judge_new_row(
        self, advance: dict[str, Any], row: dict[str, Any], last: int, day: int
    ) -> list[str]:
        number = row["number"]
        if number in advance["rows"]:
            before = advance["rows"][number]
            if row["amount"] > before["amount"] or row["due"] != before["due"]:
                return [f"row {number} changed from {before} to {row}"]
            return []
        if number <= advance["count"]:
            return []
        if row["due"] <= day and row["state"] == "planned":
            return [f"new row {number} is due on {row['due']}, on or before the run's {day}"]
        if last and row["due"] < last + advance["interval"]:
            return [f"new row {number} is due {row['due']}, less than an interval after {last}"]
        return []
