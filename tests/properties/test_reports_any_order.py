"""The same reports end in the same book, in whatever order and however often they come.

Also with a gap, as long as the reports around it show what it would have shown: of up to four days
where a report shows all of its own day, of up to three where it is taken in the morning.
Source: T4, P5, I23.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tallybook.advances.model import Payout
from tallybook.advances.queries import list_advances
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.settling import settle
from tallybook.processor.model import ItemKind, TransferState
from tallybook.reports.verify import verify
from tests.making import day
from tests.played import Played

ADVANCES = 12
FIRST, LAST = 23, 27
"""Results come about on these days after the advances, and reports of the next four show them."""
REPORT_DAYS = range(FIRST, LAST + 5)
_NUMBERS = count()

_RESULTS = (("success",), ("success",), ("fail",), ("success", "fail"), ("fail", "success"))


@dataclass(frozen=True)
class Happened:
    """What the Processor knows: on which day which transaction had which result."""

    on: int
    transaction_id: str
    result: str
    is_late: bool = False
    """Whether it came about on the evening of that day, after the day's report was taken."""

    def is_shown(self, on: int) -> bool:
        """Tell whether the report of a day shows it."""
        return self.on + self.is_late <= on <= self.on + 4


@dataclass(frozen=True)
class Base:
    """A book in which everything is sent and nothing is known yet of any debit."""

    path: Path
    home: Path
    debits: Sequence[str]
    credits: Sequence[str]


@pytest.fixture(scope="module")
def base(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Make a dozen advances of 2 x 100, of which #1 and #2 timed out and #3 is in flight.

    Holds last a day, so that #3 went out instead of #1, and more may be collected than is owed.
    """
    home = tmp_path_factory.mktemp("reports")
    path = home / "base.db"
    shutil.copyfile(sqlite_template, path)
    with Played(f"sqlite:///{path}", home, hold_days=1) as book:
        for number in range(ADVANCES):
            account = f"DE00{number:08d}"
            book.customer(account)
            book.advance(account, amount=200, count=2, fee=0)
            book.rail.tell(f"txn_{number + 1}", "success", on=day(1))
        book.run_until(FIRST - 1)
        transfers = [each for which in range(ADVANCES) for each in book.whole(which).transfers]
    sent = {
        direction: [str(t.transaction_id) for t in transfers if t.is_debit is direction]
        for direction in (True, False)
    }
    assert len(sent[True]) == 3 * ADVANCES
    return Base(path, home, sent[True], sent[False])


def report(happened: Sequence[Happened], on: int, *, is_dated: bool) -> bytes:
    """Write the report of a day: what happened on it till then and on the four days before."""
    shown = [each for each in happened if each.is_shown(on)]
    lines = [
        f"{each.transaction_id},{each.result}" + (f",{day(each.on)}" if is_dated else "")
        for each in shown
    ]
    header = "transaction_id,result" + (",date" if is_dated else "")
    return "".join(f"{line}\n" for line in [header, *lines, f"#end,{len(lines)}"]).encode()


def book_after(base: Base, reports: Sequence[tuple[date, bytes]]) -> dict[str, Any]:
    """Feed reports one by one into a copy of the book, and tell how it ends."""
    path = base.home / f"{next(_NUMBERS)}.db"
    shutil.copyfile(base.path, path)
    with Played(f"sqlite:///{path}", base.home, hold_days=1) as book:
        book.clock.turn_to(day(REPORT_DAYS[-1]))
        for on, raw in reports:
            book.wait(take_report(book, raw, on))
            book.wait(settle(book))
            nobody_paid_too_much(book)
        assert verify(book.database) == []
        wholes = [book.whole(which) for which in range(ADVANCES)]
        idents = {t.id: t.transaction_id for whole in wholes for t in whole.transfers}
        ended = {
            "states": {idents[t.id]: t.state for whole in wholes for t in whole.transfers},
            "disputed": {
                idents[item.transfer_id or ""] for item in book.items(ItemKind.CONTRADICTION)
            },
            "balances": book.balances(),
            "subjects": {w.advance.id: book.balances(w.advance.id) for w in wholes},
            "statuses": {w.advance.id: w.advance.status for w in wholes},
            "plans": {
                w.advance.id: (w.plan.total_minor, w.plan.succeeded_minor, w.plan.unsent_minor)
                for w in wholes
            },
            "credit": book.customer_credit(),
        }
    path.unlink()
    return ended


def nobody_paid_too_much(book: Played) -> None:
    """Hold that whatever is collected above what is owed is the customer's credit at once."""
    with book.database.reader() as connection:
        found = list_advances(connection, limit=ADVANCES)
    assert len(found) == ADVANCES
    for advance, plan in found:
        owed = 0 if advance.payout is Payout.VOID else advance.total_minor
        assert plan.succeeded_minor + advance.applied_minor - advance.credited_minor <= owed


@st.composite
def _feeds(draw: st.DrawFn) -> tuple[bool, list[int]]:
    """Draw when reports are taken, and which come, in which order and how often: a gap never."""
    is_morning = draw(st.booleans())
    length = draw(st.integers(0, 3 if is_morning else 4))
    start = draw(st.integers(FIRST, REPORT_DAYS[-1] - length))
    gap = range(start, start + length)
    kept = [on for on in REPORT_DAYS if on not in gap]
    again = draw(st.lists(st.sampled_from(kept), max_size=3))
    return is_morning, draw(st.permutations([*kept, *again]))


@given(seed=st.integers(0, 2**32), is_dated=st.booleans(), feed=_feeds())
@settings(max_examples=20, phases=[Phase.explicit, Phase.reuse, Phase.generate])
def test_any_order_repetition_or_gap_of_the_same_reports_ends_in_the_same_book(
    base: Base, seed: int, is_dated: bool, feed: tuple[bool, list[int]]
) -> None:
    is_morning, kept = feed
    draw = Random(seed)
    happened: list[Happened] = []
    for ident in base.debits:
        results = draw.choice(_RESULTS)
        days = sorted(draw.sample(range(FIRST, LAST + 1), len(results)))
        happened += (
            Happened(on, ident, result, is_morning and draw.random() < 0.5)
            for on, result in zip(days, results, strict=True)
        )
    for ident in base.credits:
        if draw.random() < 0.25:
            happened.append(Happened(draw.randint(FIRST, LAST), ident, "fail"))
    reports = {on: report(happened, on, is_dated=is_dated) for on in REPORT_DAYS}
    in_order = book_after(base, [(day(on), reports[on]) for on in REPORT_DAYS])
    as_fed = book_after(base, [(day(on), reports[on]) for on in kept])
    in_flight = {TransferState.ACCEPTED, TransferState.TIMED_OUT}
    assert not in_flight & set(in_order["states"].values())
    unclear: set[str] = set() if is_dated else _unclear(happened, kept)
    assert unclear <= as_fed["disputed"], "a person is asked"
    for ended in (in_order, as_fed):
        ended["disputed"] -= unclear
        for ident in unclear:
            # Neither counts as collected.
            assert ended["states"].pop(ident) in (TransferState.FAILED, TransferState.RETURNED)
    assert as_fed == in_order


def _unclear(happened: Sequence[Happened], feed: Sequence[int]) -> set[str]:
    """Tell of which transactions a gap hides whether success or fail came first."""
    seen: dict[str, list[int]] = {}
    for each in happened:
        first = min(on for on in feed if each.is_shown(on))
        seen.setdefault(each.transaction_id, []).append(first)
    return {ident for ident, days in seen.items() if len(days) > len(set(days))}


def test_the_base_is_worth_its_while(base: Base) -> None:
    """More can be collected than is owed, and a dispute can come up: else nothing is proved."""
    happened = [Happened(FIRST, ident, "success") for ident in base.debits[:3]]
    happened += [Happened(LAST, base.debits[0], "fail")]
    happened += [Happened(FIRST, base.debits[3], "fail"), Happened(LAST, base.debits[3], "success")]
    ended = book_after(
        base, [(day(on), report(happened, on, is_dated=False)) for on in REPORT_DAYS]
    )
    assert len(ended["disputed"]) == 1
    only = book_after(
        base, [(day(on), report(happened[:3], on, is_dated=False)) for on in REPORT_DAYS]
    )
    assert only["credit"] == 100
