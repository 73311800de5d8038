"""Transfers by the rules P of docs/rules.md: each follows from answers, reports and people.

The auditor reads the reports' bytes itself. Dates are ordinals, so that days are plain numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date
from typing import Any

WINDOW = 5
"""A report taken on a day shows that day till then, and the four before, which it covers. P5."""


class TransferAudit:
    """Every transfer that was put on record, every report that was taken, every ruling."""

    def __init__(self) -> None:
        self.transfers: dict[str, dict[str, Any]] = {}
        self.by_id: dict[str, str] = {}
        """Transaction id to the transfer that had it first."""
        self.contested: set[str] = set()
        """Transaction ids that two transfers were given: people sort them out. Source: P7."""
        self.rows: dict[str, list[tuple[int, str]]] = {}
        """Transaction id to (day, result), each result once."""
        self.named: dict[tuple[str, str], tuple[int, int]] = {}
        """Row to the day it was first shown, and the day it can have happened at the earliest."""
        self.identities: dict[str, tuple[str, str, int]] = {}
        """Transaction id to direction, account and amount, where rows tell them."""
        self.contents: dict[tuple[str, str], set[tuple[str, str, int]]] = {}
        """The same of each row, and all of them where rows tell two."""
        self.dismissed: set[tuple[str, str]] = set()
        """Rows of transactions that are none of ours, as a person said."""
        self.is_matched = False
        """Whether the run that is on has given orphans to the unknowns they name."""
        self.judged: dict[tuple[int, bytes], str] = {}
        """What each report of a day proves: "nothing", "silence", or "absence" as well."""

    @property
    def complete_days(self) -> list[int]:
        """List the days of complete reports."""
        return sorted(day for (day, _), proves in self.judged.items() if proves != "nothing")

    @property
    def covered(self) -> set[int]:
        """Tell the days that complete reports cover. Source: P5."""
        return _covered(self.complete_days)

    @property
    def identified(self) -> set[int]:
        """Tell those that reports cover in which every row tells whose it is. Source: P6."""
        return _covered(day for (day, _), proves in self.judged.items() if proves == "absence")

    # -- what happened

    def begin(self, ident: str, *, direction: str, amount: int, day: int, subject: str,
              account: str, row: int | None) -> None:  # fmt: skip
        """Put a transfer on record before it is sent."""
        self.transfers[ident] = {
            "direction": direction, "amount": amount, "day": day, "subject": subject,
            "account": account, "row": row, "state": "intent", "txn": None, "held": False,
            "ruled": False, "touched": False, "doubtful": False, "contradicted": False,
            "counted": False, "absent": False, "collided": False, "confirmed": False,
            "is_new": False, "reached": set(),
        }  # fmt: skip

    def answer(self, ident: str, what: str, txn: str | None = None) -> None:
        """Take what the Processor answered, or that nobody knows. Source: P2, P7."""
        transfer = self.transfers[ident]
        if transfer["state"] not in ("intent", "unknown"):
            if what == "accepted" and self.by_id.get(str(txn)) != ident:
                self._answer_late(ident, str(txn))
            return
        if transfer["state"] == "unknown" and what != "accepted":
            return  # its lease ran out before, and it is still not known
        if what != "accepted":
            transfer["state"] = what
        elif txn in self.by_id or self._was_named_before(str(txn), transfer["day"]):
            transfer["state"] = "unknown"
            transfer["collided"] = True
            self._contest(str(txn))
        else:
            self.accept(ident, str(txn))
            transfer["is_new"] = transfer["direction"] == "debit"

    def _answer_late(self, ident: str, txn: str) -> None:
        """Keep an id that came after a person had ruled; what they said stands. Source: P2."""
        transfer = self.transfers[ident]
        if txn in self.by_id or self._was_named_before(txn, transfer["day"]):
            self._contest(txn)
        elif transfer["txn"] is None:
            self.by_id[txn] = ident
            transfer |= {"txn": txn, "ruled": True}

    def _contest(self, txn: str) -> None:
        if txn in self.by_id:
            self._settle(self.by_id[txn])  # with what was known before
            self.contested.add(txn)

    def _was_named_before(self, txn: str, day: int) -> bool:
        """Tell whether reports named an id up to a day: then it is taken for another's."""
        return any(first <= day for (named, _), (first, _) in self.named.items() if named == txn)

    def accept(self, ident: str, txn: str) -> None:
        """Know under which id a transfer was executed."""
        self.by_id[txn] = ident
        self.transfers[ident] |= {"txn": txn, "state": "accepted"}

    def start_run(self) -> None:
        """Begin a run, or go on with one: whatever was answered before is settled by it."""
        self.is_matched = False
        for transfer in self.transfers.values():
            transfer["is_new"] = False

    def take_report(self, day: int, raw: bytes) -> None:
        """Know that a report has come; what it proves is seen when it has been read."""
        self.judged.setdefault((day, raw), "nothing")

    def report(self, day: int, raw: bytes) -> bool:
        """Take a report in: its rows are facts, and complete it covers its days. Source: P4.

        Returns: whether it is complete.
        """
        rows, whole = read_report(raw)
        shown = {(row["transaction_id"], row["result"]) for row in rows}
        # What an earlier report named, and the window certainly still covers, is named again. A
        # row can't have happened before the complete report that did not show it was taken.
        owed = {
            (txn, result)
            for (txn, result), (first, possible_from) in self.named.items()
            if first < day and possible_from > day - WINDOW
        }
        since = max([day - WINDOW + 1, *(d for d in self.complete_days if d < day)])
        told: dict[tuple[str, str], set[tuple[str, str, int]]] = {}
        for row in rows:
            txn, result = row["transaction_id"], row["result"]
            happened = date.fromisoformat(row["date"]).toordinal() if row.get("date") else day
            # A row's date is by the Processor's calendar, which may be a day ahead of ours.
            named = happened - 1 if row.get("date") else since
            self.named.setdefault((txn, result), (day, named))
            known = self.rows.setdefault(txn, [])
            before = [at for at, seen in known if seen == result]
            if not before or happened < before[0]:
                known[:] = [each for each in known if each[1] != result]
                known.append((happened, result))
            if row.get("account"):
                content = row["direction"], row["account"], cents(row["amount"])
                self.identities.setdefault(txn, content)
                self.contents.setdefault((txn, result), set()).add(content)
                told.setdefault((txn, result), set()).add(content)
        complete = whole and owed <= shown
        # A row that is shown with two contents is two transfers, of which one is not known.
        tells = len(told) == len(shown) and all(len(each) == 1 for each in told.values())
        tells = tells and not self._is_stuck(day, raw, shown)
        self.judged[day, raw] = ("absence" if tells else "silence") if complete else "nothing"
        return complete

    def _is_stuck(self, day: int, raw: bytes, shown: set[tuple[str, str]]) -> bool:
        """Tell whether a file that came unchanged for days shows what has left the window. P6."""
        others = [at for (at, file), proves in self.judged.items()
                  if file != raw and proves != "nothing"]  # fmt: skip
        same = {at for at, file in self.judged if file == raw}
        while any(min(same) <= at < day for at in others):
            same.remove(min(same))
        last = max(at for at in same if not any(day < other <= at for other in others))
        if day == min(same):
            return False
        for txn, result in shown:
            happened = next(at for at, seen in self.rows[txn] if seen == result)
            by = min(self.named[txn, result][0], happened + 1)
            # A report of the fifth day after may still show it; an old id may be used anew.
            if (by if by >= min(same) - WINDOW else min(same)) < last - WINDOW:
                return True
        return False

    def settle(self) -> None:
        """Fold every transfer's rows; orphans go to the unknowns they name. Source: P4, P6."""
        self.match()
        for ident, transfer in self.transfers.items():
            if not transfer["is_new"]:  # sent after this run had settled
                self._settle(ident)

    def match(self) -> None:
        """Give orphans to the unknowns they name, once a run, before it sends. Source: P6."""
        if self.is_matched:
            return
        self.is_matched = True
        seen: set[str] = set()
        for happened, txn, result in self.unexplained():
            is_dismissed = any(ident == txn for ident, _ in self.dismissed)
            if txn in seen or txn not in self.identities or is_dismissed:
                continue
            seen.add(txn)
            last = happened
            if result == "success":
                # The Processor's calendar may be a day behind; no report shows what comes after it.
                last = min(happened + 1, self.named[txn, result][0])
            fitting = [
                ident  # the oldest stands first
                for ident, transfer in self.transfers.items()
                if transfer["txn"] is None
                and transfer["day"] <= last
                and (transfer["direction"], transfer["account"], transfer["amount"])
                == self.identities[txn]
            ]
            unknown = [i for i in fitting if self.transfers[i]["state"] == "unknown"]
            undone = [i for i in fitting if self.transfers[i]["state"] == "not_executed"]
            confirmed = [
                i
                for i in fitting
                if self.transfers[i]["state"] == "succeeded" and self.transfers[i]["ruled"]
            ]
            if confirmed and not unknown and not undone:
                # It stays as a person ruled it, and has its id now.
                self.by_id[txn], self.transfers[confirmed[0]]["txn"] = confirmed[0], txn
            elif unknown and not confirmed:
                self.accept(unknown[0], txn)
                self.transfers[unknown[0]]["reached"].add("unknown matched by a report")

    def dismiss(self, txn: str) -> None:
        """Take a person's word that the rows of a transaction are none of ours. Source: P9."""
        self.dismissed |= {(txn, result) for _, result in self.rows.get(txn, [])}

    def unexplained(self) -> list[tuple[int, str, str]]:
        """List day, id and result of rows that belong to no transfer, and that nobody dismissed."""
        return sorted(
            (at, txn, result)
            for txn, rows in self.rows.items()
            for at, result in rows
            if txn not in self.by_id and (txn, result) not in self.dismissed
        )

    def disputed(self) -> list[int]:
        """List the days of rows that are not of the transfer which has their id. Source: P4, P7."""
        return [
            at
            for txn, ident in self.by_id.items()
            for at, result in self.rows.get(txn, [])
            if not self._is_its_own(self.transfers[ident], at, result)
        ]

    def _is_its_own(self, transfer: dict[str, Any], at: int, result: str) -> bool:
        content = transfer["direction"], transfer["account"], transfer["amount"]
        says = self.contents.get((transfer["txn"], result), set())
        first, _ = self.named[transfer["txn"], result]
        return says <= {content} and first >= transfer["day"] <= at + 1

    def rule(self, ident: str, action: str, txn: str | None = None) -> None:
        """Take a person's word. Source: P2, P9."""
        transfer = self.transfers[ident]
        transfer["touched"] = True
        if action == "release":
            transfer["held"] = False
            return
        is_over = transfer["state"] in ("failed", "returned", "rejected", "not_executed")
        if action == "confirm_executed":
            if txn is not None and transfer["txn"] in (None, txn):
                transfer["held"] = False
                self.accept(ident, txn)
                transfer["confirmed"] = True  # reports may say otherwise, time may not
                self._settle(ident)
                return
            transfer["state"] = "succeeded"
        elif not is_over:
            is_back = transfer["state"] == "succeeded"
            transfer["state"] = "returned" if is_back else "not_executed"
        transfer["held"] = False
        transfer["ruled"] = True

    def _settle(self, ident: str) -> None:
        transfer = self.transfers[ident]
        if transfer["txn"] is None or transfer["ruled"]:
            return
        # A row that says another account or amount, or is older, is about something else.
        rows = sorted(
            (at, result)
            for at, result in self.rows.get(transfer["txn"], [])
            if self._is_its_own(transfer, at, result)
        )
        if not rows or transfer["txn"] in self.contested:
            return
        results = [result for _, result in rows]
        before = transfer["state"]
        if before in ("failed", "returned") and "fail" not in results:
            return  # the row of its failure has become doubtful: only a person undoes it (P2)
        if len({at for at, _ in rows}) < len(rows):
            transfer["doubtful"] = True  # both first seen at once: a person is asked
        elif results[0] == "success":
            transfer["state"] = "returned" if "fail" in results else "succeeded"
        else:
            transfer["state"] = "failed"
            transfer["contradicted"] = "success" in results
        if before == "timed_out" and transfer["state"] != before:
            transfer["reached"].add("late news")
            if transfer["state"] == "succeeded" and not transfer["held"]:
                transfer["reached"].add("late success after release")
        if transfer["state"] != "timed_out":
            transfer["held"] = False

    def pass_time(self, day: int, hold_days: int, *, rich: bool) -> None:
        """Time out what reports should have shown, and let go of what was held. Source: P5, A9."""
        for ident, transfer in self.transfers.items():
            self.time_out(ident, day)
            if rich:
                self.rule_absent(ident, day)
            if (
                transfer["held"]
                and transfer["state"] == "timed_out"
                and not (transfer["txn"] in self.contested and transfer["txn"] in self.rows)
                and day - 1 in self.covered
                and len([d for d in self.covered if d >= transfer["held_from"]]) >= hold_days
            ):
                transfer["held"] = False
                transfer["reached"].add("hold released")

    def time_out(self, ident: str, day: int) -> None:
        """Time out one that no report has shown, and of which nobody has said otherwise."""
        transfer = self.transfers[ident]
        is_clear = not transfer["confirmed"] and transfer["txn"] not in self.contested
        is_over = self._is_over(transfer, day, self.covered) and is_clear
        if transfer["state"] == "accepted" and is_over and transfer["txn"] not in self.rows:
            transfer["state"] = "timed_out"
            transfer["held"] = transfer["direction"] == "debit"
            transfer["held_from"] = day

    def rule_absent(self, ident: str, day: int) -> None:
        """Give up an unknown that rows which identify transfers never showed. Source: P6.

        What was answered with another's id may have been shown as the other's: a person says (P7).
        A row that nobody has explained may be it, or one that does not fit who has its id; its date
        may be a day off.
        """
        transfer = self.transfers[ident]
        is_open = transfer["state"] == "unknown" and not transfer["collided"]
        shown = [*(at for at, _, _ in self.unexplained()), *self.disputed()]
        if is_open and any(at >= transfer["day"] - 1 for at in shown):
            return
        if is_open and self._is_over(transfer, day, self.identified):
            transfer["state"] = "not_executed"
            transfer["absent"] = True
            transfer["reached"].add("unknown absent from identifying reports")

    def _is_over(self, transfer: dict[str, Any], day: int, covered: set[int]) -> bool:
        """Tell whether reports cover every day on which it can have come about, and yesterday.

        What covers yesterday is a report of today: before it is read time proves nothing.
        """
        sent = transfer["day"]
        return day >= sent + 6 and all(d in covered for d in (*range(sent, sent + 6), day - 1))

    # -- what it comes to

    def sums(self, subject: str) -> dict[str, int]:
        """Add a plan's debits up: succeeded, in flight, held. Source: A7."""
        sums = {"succeeded": 0, "in_flight": 0, "held": 0}
        for transfer in self.transfers.values():
            if transfer["subject"] != subject or transfer["direction"] != "debit":
                continue
            if transfer["state"] == "succeeded":
                sums["succeeded"] += transfer["amount"]
            elif transfer["state"] in ("intent", "accepted", "unknown"):
                sums["in_flight"] += transfer["amount"]
            elif transfer["state"] == "timed_out" and transfer["held"]:
                sums["held"] += transfer["amount"]
        return sums


def _covered(days: Iterable[int]) -> set[int]:
    return {day - back for day in days for back in range(1, WINDOW)}


MOVES = {
    "intent": {"accepted", "rejected", "unknown"},
    "accepted": {"succeeded", "failed", "timed_out"},
    "timed_out": {"succeeded", "failed"},
    "succeeded": {"returned"},
    "unknown": {"accepted", "not_executed"},
}
"""What may follow what, without a person. Source: P2."""
BY_A_PERSON = {
    **{state: {"succeeded", "accepted"} for state in ("not_executed", "failed", "returned")},
    **{state: {"not_executed", "succeeded"} for state in ("timed_out", "accepted", "unknown")},
    "succeeded": {"returned"},
}
"""What a person may do besides. A held amount is released without leaving its state."""


def may_follow(before: str, after: str, *, by_a_person: bool = False) -> bool:
    """Tell whether a transfer may have gone from one state to another, in several moves."""
    reached, todo = {before}, [before]
    while todo:
        state = todo.pop()
        more = set(MOVES.get(state, set()))
        more |= BY_A_PERSON.get(state, set()) if by_a_person else set()
        todo += more - reached
        reached |= more
    return after in reached


def cents(text: str) -> int:
    """Read an amount with two decimals."""
    whole, _, part = text.partition(".")
    return int(whole) * 100 + int(part or 0)


def read_report(raw: bytes) -> tuple[list[dict[str, str]], bool]:
    """Read a report's rows, and tell whether it came to its end. Source: P4."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return [], False
    lines = text.splitlines()
    if not lines or not lines[0].startswith("transaction_id,result"):
        return [], False
    is_cut = bool(text) and not text.endswith("\n")
    names = next(csv.reader([lines[0]]))
    rows: list[dict[str, str]] = []
    whole = False
    for number, cells in enumerate(csv.reader(io.StringIO("\n".join(lines[1:])))):
        if cells and cells[0] == "#end":
            whole = len(cells) > 1 and cells[1] == str(number) and number == len(lines) - 2
            break
        if len(cells) == len(names) and cells[1] in ("success", "fail"):
            rows.append(dict(zip(names, cells, strict=True)))
    return rows, whole and not is_cut
