"""Tells the auditor what happened, in its own plain words, and compares its books with ours."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import date
from typing import TYPE_CHECKING, Any

from tallybook.writer.model import Command, Outcome
from tests.sim.auditor.advances import AdvanceAudit
from tests.sim.auditor.counter import CounterAudit
from tests.sim.auditor.household import HouseholdAudit, states_of
from tests.sim.auditor.loans import LoanAudit
from tests.sim.auditor.transfers import TransferAudit, may_follow

if TYPE_CHECKING:
    from tests.sim.world import World


class Witness:
    """Stands beside the door: hears every committed command, and keeps the auditor's books."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.transfers = TransferAudit()
        self.advances = AdvanceAudit(self.transfers)
        self.counter = CounterAudit("none")
        self.loans = LoanAudit()
        self.households: dict[str, HouseholdAudit] = {}
        self.reached: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.runs_on = 0
        """The day of the run that is on, or that died last."""
        self.settled_on: int | None = None
        """The last day whose run came to its end; only then are states compared."""
        self.accounts: dict[str, str] = {}
        """Bank account id to number."""
        self.paid: set[str] = set()
        """Customers to whom credit was paid out."""
        self._seen_states: dict[str, str] = {}

    def hear(self, command: Command, outcome: Outcome) -> None:
        """Take one committed command to the auditor's books."""
        if outcome.refusal is not None and outcome.refusal.code == "internal_error":
            self.wrong.append(f"{command.operation.name} broke")
        if outcome.replayed:
            return
        heard = getattr(self, "_on_" + command.operation.name.replace(".", "_"), None)
        if heard is not None:
            heard(command.input, outcome)

    # -- transfers and advances

    def _on_advances_perform_advance(self, asked: Any, outcome: Outcome) -> None:
        if outcome.value is None:
            return
        transfer, _ = outcome.value
        self._begin(transfer)
        self.advances.begin(
            transfer.subject_id,
            amount=asked.amount_minor,
            fee=asked.fee_minor,
            count=asked.installments,
            interval=asked.interval_days,
            day=transfer.sent_on.toordinal(),
            credit=transfer.id,
        )

    def _on_collection_send_installment(self, asked: Any, outcome: Outcome) -> None:
        del asked
        if outcome.value is not None:
            self.transfers.match()
            self._begin(outcome.value)

    def _begin(self, transfer: Any) -> None:
        self.transfers.begin(
            transfer.id,
            direction=transfer.direction.value,
            amount=transfer.amount_minor,
            day=transfer.sent_on.toordinal(),
            subject=transfer.subject_id,
            account=self.accounts[transfer.bank_account_id],
            row=transfer.installment_number,
        )

    def _on_collection_record_answer(self, asked: Any, outcome: Outcome) -> None:
        del outcome
        assert self.world is not None
        ident = asked.transfer.id
        answered = self.world.rail.answers.pop(ident, None)
        if answered is None:
            if asked.reason != "insufficient_funds":
                self.wrong.append(f"transfer {ident}: an answer that nobody gave: {asked}")
            self.transfers.answer(ident, "rejected")
            self.reached["debit not sent for lack of funds"] += 1
            return
        self.transfers.answer(ident, answered.what, answered.transaction_id)
        if self.transfers.transfers[ident]["collided"]:
            self.reached["id collision"] += 1
        if not answered.was_sent:
            self.reached["connection refused"] += 1
        elif answered.what != "accepted":
            self.reached[f"call {answered.what}"] += 1

    def _on_collection_expire_intent(self, asked: Any, outcome: Outcome) -> None:
        if outcome.value:
            self.transfers.answer(asked.transfer.id, "unknown")
            self.reached["intent of a dead process"] += 1

    def _on_collection_take_report(self, asked: Any, outcome: Outcome) -> None:
        if outcome.value is not None:
            self.transfers.take_report(asked.report_on.toordinal(), self._raw(asked.sha256))

    def _raw(self, sha256: str) -> bytes:
        assert self.world is not None
        return next(
            raw for raw in self.world.raw_reports if hashlib.sha256(raw).hexdigest() == sha256
        )

    def _on_collection_judge_report(self, asked: Any, outcome: Outcome) -> None:
        report = outcome.value
        if report is None:
            return
        del asked
        complete = self.transfers.report(report.report_on.toordinal(), self._raw(report.sha256))
        if complete is not (report.state == "complete"):
            self.wrong.append(
                f"report of {report.report_on} is {report.state}, auditor: complete={complete}"
            )
        self.reached["report complete" if complete else "report incomplete"] += 1

    def _on_collection_start_run(self, asked: Any, outcome: Outcome) -> None:
        if outcome.refusal is None:
            self.runs_on = asked.business_date.toordinal()
            self.transfers.start_run()

    def _on_collection_rule_absent(self, asked: Any, outcome: Outcome) -> None:
        """Rule at the same moment: the run may die before its end, and the next sees later rows."""
        assert self.world is not None
        if outcome.value and self.world.is_rich:
            self.transfers.match()
            self.transfers.rule_absent(asked.transfer.id, self.runs_on)

    def _on_collection_time_out(self, asked: Any, outcome: Outcome) -> None:
        """Time out at the same moment: what the run sends later may be given the same id."""
        if outcome.value:
            self.transfers.match()
            self.transfers.time_out(asked.transfer.id, self.runs_on)

    def _on_collection_keep_run(self, asked: Any, outcome: Outcome) -> None:
        if asked.summary is None or not outcome.value:
            return
        assert self.world is not None
        day = asked.business_date.toordinal()
        self.transfers.settle()
        today = self.world.clock.today().toordinal()
        if day == today:  # before today's report has been taken, time proves nothing (T4, A11)
            self.transfers.pass_time(day, self.world.hold_days, rich=self.world.is_rich)
        self.transfers.start_run()
        self.settled_on = day
        self.reached["run finished"] += 1

    def _on_collection_rule_item(self, asked: Any, outcome: Outcome) -> None:
        if outcome.refusal is not None:
            return
        if asked.action in ("confirm_executed", "confirm_not_executed", "release"):
            self.transfers.rule(asked.transfer_id, asked.action, asked.transaction_id)
        elif asked.transaction_id is not None:
            self.transfers.dismiss(asked.transaction_id)

    def _on_collection_credit_payout(self, asked: Any, outcome: Outcome) -> None:
        del asked
        if outcome.value is not None:
            self._begin(outcome.value[0])
            self.paid.add(outcome.value[0].customer_id)
            self.reached["excess paid out"] += 1

    # -- comparing

    def compare_collection(self) -> None:
        """Compare transfers, plans and the ledger with what the rules make of the facts."""
        assert self.world is not None
        self._compare_transfers()
        self._compare_plans()
        self._compare_ledger()
        for transfer in self.transfers.transfers.values():
            for rare in transfer["reached"]:
                self.reached[rare] += 1
            transfer["reached"].clear()

    def _compare_transfers(self) -> None:
        assert self.world is not None
        rows = self.world.book.query(
            "SELECT id, state, held, transaction_id, is_ruled FROM transfers"
        )
        ours = {plain(ident): (state, bool(held)) for ident, state, held, _, _ in rows}
        if ours.keys() != self.transfers.transfers.keys():
            self.wrong.append("the book has other transfers than were begun")
            return
        for ident, (state, held) in ours.items():
            theirs = self.transfers.transfers[ident]
            before = self._seen_states.get(ident, "intent")
            self._seen_states[ident] = state
            if not may_follow(before, state, by_a_person=theirs["touched"]):
                self.wrong.append(f"transfer {ident} went from {before} to {state}")
            if theirs["doubtful"] and state in ("failed", "returned"):
                theirs["state"] = state
                self.reached["success and fail seen at once"] += 1
            if (state, held) != (theirs["state"], theirs["held"]):
                self.wrong.append(
                    f"transfer {ident} is {state}, held={held}; the auditor says"
                    f" {theirs['state']}, held={theirs['held']}: {theirs}"
                )
            if state != before:
                self.reached[f"{theirs['direction']} {state}"] += 1
                if before == "timed_out":
                    self.reached[f"late news: {state}"] += 1
            if theirs["contradicted"] and not theirs["counted"]:
                theirs["counted"] = True
                self.reached["contradiction"] += 1

    def _compare_plans(self) -> None:
        assert self.world is not None
        query, day = self.world.book.query, self.world.clock.today().toordinal()
        rows: dict[str, list[dict[str, Any]]] = {}
        for subject, number, due, amount, state, replaces in query(
            "SELECT subject_id, number, due_on, amount_minor, state, replaces FROM installments"
        ):
            rows.setdefault(plain(subject), []).append(
                {"number": number, "due": ordinal(due), "amount": amount, "state": state,
                 "replaces": replaces}
            )  # fmt: skip
        shown = query(
            "SELECT id, status, applied_minor, written_off_minor, credited_minor, customer_id"
            " FROM advances"
        )
        for ident, status, applied, written_off, credited, customer in shown:
            subject = plain(ident)
            advance = self.advances.advances[subject]
            if (
                credited > self.advances.credit_to_customer(subject)
                and plain(customer) in self.paid
            ):
                # Paid out before the debit that it came from was taken back: owed once more (G).
                self.reached["credit spent before its debit was returned"] += 1
                advance["closed"] = "credit spent"
                advance["rows"] = {row["number"]: row for row in rows.get(subject, [])}
                continue
            if applied or written_off or status in ("in_default", "cancelled", "written_off"):
                # What a person forgives or gives up, the auditor leaves to `verify`.
                self.reached[f"advance {status}"] += advance["closed"] != status
                advance["closed"] = status
                advance["rows"] = {row["number"]: row for row in rows.get(subject, [])}
                continue
            advance["closed"] = None  # resumed, if it was in default
            allowed = self.advances.status(subject)
            if status not in allowed:
                self.wrong.append(f"advance {subject} is {status}, the auditor says {allowed}")
            if status != advance["shown"]:
                self.reached[f"advance {advance['shown']} to {status}"] += 1
                advance["shown"] = status
            if status in ("active", "completed") and not advance["laid_out"]:
                advance["laid_out"] = True
                first = [
                    (row["number"], row["due"], row["amount"])
                    for row in rows[subject]
                    if row["number"] <= advance["count"]
                ]
                wanted = self.advances.first_rows(subject)
                if sorted(first) != wanted:
                    self.wrong.append(f"advance {subject} is laid out as {first}, not {wanted}")
            for wrong in self.advances.judge_rows(
                subject,
                rows.get(subject, []),
                day,
                moves_to_end=self.world.advance_terms.on_failed_debit == "end_of_plan",
            ):
                self.wrong.append(f"advance {subject}: {wrong}")

    def _compare_ledger(self) -> None:
        assert self.world is not None
        held: dict[str, dict[str, int]] = {}
        for subject, name, amount in self.world.book.query(
            "SELECT p.subject_id, a.name, sum(p.amount_minor) FROM postings p"
            " JOIN accounts a ON a.id = p.account_id WHERE p.subject_id IS NOT NULL"
            " AND a.book = 'house' GROUP BY p.subject_id, a.name"
        ):
            held.setdefault(plain(subject), {})[name] = int(amount)
        for subject, advance in self.advances.advances.items():
            if advance["closed"]:
                continue
            bounds = self.advances.ledger(subject)
            has = {name: amount for name, amount in held.get(subject, {}).items() if amount}
            for name in {*bounds, *has}:
                least, most = bounds.get(name, (0, 0))
                if not least <= has.get(name, 0) <= most:
                    self.wrong.append(
                        f"advance {subject}: {name} holds {has.get(name, 0)}, and should"
                        f" {least}..{most}; {advance}"
                    )
            if has.get("customer-credit"):
                self.reached["more collected than owed"] += not advance["excess"]
                advance["excess"] = True

    def compare_counter(self) -> None:
        """Compare stock, pieces and the counter's accounts."""
        assert self.world is not None
        query = self.world.book.query
        stock = dict(query("SELECT id, stock FROM products"))
        wanted = {ident: kept["stock"] for ident, kept in self.counter.products.items()}
        if stock != wanted:
            self.wrong.append(f"stock is {stock}, the auditor says {wanted}")
        pieces = dict(query("SELECT value_minor, count FROM denominations"))
        if pieces != self.counter.pieces:
            self.wrong.append(f"the drawer has {pieces}, the auditor says {self.counter.pieces}")
        drawers = query("SELECT uncounted_minor, purchases_count, refunds_count FROM drawers")
        counts = (self.counter.uncounted, len(self.counter.receipts), self.counter.refunds)
        if drawers and tuple(drawers[0]) != counts:
            self.wrong.append(f"uncounted, receipts, refunds: {drawers[0]}, not {counts}")
        held = {
            name: int(amount)
            for name, amount in query(
                "SELECT a.name, sum(b.debit_minor - b.credit_minor) FROM balances b"
                " JOIN accounts a ON a.id = b.account_id WHERE a.book = 'house' GROUP BY a.name"
            )
        }
        for name, amount in self.counter.ledger.items():
            if held.get(name, 0) != amount:
                self.wrong.append(f"{name} holds {held.get(name, 0)}, the auditor says {amount}")

    def compare_household(self, customer: str) -> None:
        """Compare a customer's bills, their states and what is owed for them."""
        assert self.world is not None
        query = self.world.book.query
        today = self.world.clock.today().isoformat()
        accounts = self.households[customer].fold()
        found: dict[tuple[str, str], list[tuple[str, str, int, int, str]]] = {}
        for kind, number, bill_on, due_on, amount, paid in query(
            "SELECT a.type, a.number, b.bill_on, b.due_on, b.amount_minor, b.paid_minor"
            " FROM bills b JOIN bill_accounts a ON a.id = b.account_id"
            f" WHERE b.merged_into IS NULL AND {owned('b', customer)} ORDER BY b.bill_on"
        ):
            found.setdefault((kind, number), []).append(
                (str(bill_on), str(due_on), amount, paid, "")
            )
        for key, account in accounts.items():
            if account["silent"]:
                self.reached["a payment that the rules leave open"] += 1
                continue
            wanted = [(b["bill_on"], b["due_on"], b["amount"], b["paid"], "")
                      for b in account["bills"]]  # fmt: skip
            if found.get(key, []) != wanted:
                self.wrong.append(f"bills of {key} are {found.get(key)}, auditor: {wanted}")
            self.reached["payment bound to a bill that came after it"] += account["late"]
            self.reached["payment waits for its bill"] += account["waiting"]
            for bill in account["bills"]:
                for state in states_of(bill, today):
                    self.reached[f"bill {state}"] += 1


def plain(ident: object) -> str:
    """Write an id as 32 hex digits, whichever database it comes from."""
    return str(ident).replace("-", "")


def owned(alias: str, customer: str) -> str:
    """Write the condition that rows are a customer's, for both databases."""
    return f"{alias}.customer_id = '{customer}'"


def ordinal(day: object) -> int:
    """Count a date's days, whichever database it comes from."""
    return date.fromisoformat(str(day)).toordinal()
