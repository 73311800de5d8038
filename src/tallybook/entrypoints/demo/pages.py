"""The demo's tables, for a person to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tallybook.entrypoints.demo.bank import FAULTS
from tallybook.entrypoints.demo.course import Course
from tallybook.entrypoints.demo.outcome import Answered, Outcome, Sum
from tallybook.entrypoints.tables import format_table
from tallybook.kernel.money import format_amount
from tallybook.processor.faults import KNOBS
from tallybook.processor.model import Result, TransferState
from tallybook.processor.port import Direction

_DEBITS = {
    TransferState.SUCCEEDED: "collected",
    TransferState.FAILED: "failed, and asked for again",
    TransferState.RETURNED: "collected, then taken back",
    TransferState.NOT_EXECUTED: "lost on its way, and asked for again",
    TransferState.REJECTED: "refused by the Processor",
    TransferState.TIMED_OUT: "shown by no report",
    TransferState.UNKNOWN: "unknown",
    TransferState.ACCEPTED: "accepted",
    TransferState.INTENT: "not sent",
}
_SHOWN_MOST = 20


def opening(course: Course, source: str, seed: int) -> Iterator[str]:
    """Say what will be played, before it is."""
    yield (
        f"{len(course.lines)} advances of {source}, {course.first_on} to {course.last_on}, through"
        f" a simulated Processor over HTTP (seed {seed})."
    )
    yield "What goes wrong there, and how often:"
    for name, probability in FAULTS.items():
        percent = f"{float(probability):.0%}"
        yield f"  {percent:>4}  {KNOBS[name]}"
    yield (
        "The demo also plays the operator: each Friday it asks the bank's own log about what only"
        " a person may settle, and rules."
    )
    yield ""


def closing(course: Course, outcome: Outcome, currency: str) -> Iterator[str]:
    """Say what came of it."""

    def money(minor: int) -> str:
        return _money(minor, currency)

    def rows(sums: dict[str, Sum]) -> list[tuple[str, int, str]]:
        return [(name, each.count, money(each.amount_minor)) for name, each in sums.items()]

    yield f"{course.days} business dates were run. Amounts are in {currency}."
    yield ""
    yield from _table("advances", rows(dict(sorted(outcome.advances.items()))))
    if course.performed_again:
        yield (
            f"({course.performed_again} payouts were lost on their way; once the operator had"
            " ruled so, each was performed again.)"
        )
        yield ""
    yield from _table(
        "debits",
        rows(
            {
                name: outcome.debits[state]
                for state, name in _DEBITS.items()
                if state in outcome.debits
            }
        ),
    )
    money_rows = [
        ("paid out", money(outcome.paid_out)),
        ("collected", money(outcome.collected)),
        ("still owed", money(outcome.still_owed)),
        ("customer credit", money(outcome.customer_credit)),
    ]
    yield from format_table(("money", "amount"), money_rows, right=("amount",))
    yield ""
    yield from _items(outcome)
    yield from _comparison(outcome, currency)


def _table(name: str, rows: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    shown = [(what, f"{count:,}", amount) for what, count, amount in rows]
    yield from format_table((name, "count", "amount"), shown, right=("count", "amount"))
    yield ""


def _items(outcome: Outcome) -> Iterator[str]:
    answers = [
        answer for answer in Answered if any(answer in each for each in outcome.items.values())
    ]
    headers = ("for the operator", "count", *(answer.value for answer in answers))
    rows = [
        (
            kind.replace("_", " "),
            f"{sum(found.values()):,}",
            *(f"{found[answer]:,}" if answer in found else "-" for answer in answers),
        )
        for kind, found in sorted(outcome.items.items())
    ]
    yield from format_table(headers, rows, right=headers[1:])
    yield ""


def _comparison(outcome: Outcome, currency: str) -> Iterator[str]:
    rows: list[tuple[str, str, str, str, str]] = []
    for direction in Direction:
        for result in Result:
            book = outcome.by_book.get((direction, result), Sum())
            bank = outcome.by_bank.get((direction, result), Sum())
            rows.append(
                (
                    f"{direction} {result}",
                    f"{book.count:,}",
                    _money(book.amount_minor, currency),
                    f"{bank.count:,}",
                    _money(bank.amount_minor, currency),
                )
            )
    headers = ("against the bank's log", "book", "amount", "bank", "its amount")
    yield from format_table(headers, rows, right=headers[1:])
    yield (
        f"{outcome.matched:,} of {sum(each.count for each in outcome.by_bank.values()):,} executed"
        " transfers stand in the book once, with the bank's id, amount and result."
    )
    for discrepancy in outcome.discrepancies[:_SHOWN_MOST]:
        yield f"  DIFFERS: {discrepancy}"
    if not outcome.discrepancies:
        yield "Book and bank agree to the last minor unit."


def _money(minor: int, currency: str) -> str:
    """Write an amount with thousands apart.

    >>> _money(123456789, "CZK"), _money(-5, "CZK"), _money(1234, "JPY")
    ('1,234,567.89', '-0.05', '1,234')
    """
    whole, point, fraction = format_amount(abs(minor), currency).partition(".")
    return f"{'-' if minor < 0 else ''}{int(whole):,}{point}{fraction}"
