"""Planted bugs are found: each day some of them here, all of them in the long proof."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from tests.proof.bugs import BUGS, Bug
from tests.proof.planted import CHECKS, find, rotating
from tests.sim.book import Book, open_book


@pytest.fixture(scope="module")
def book() -> Iterator[Book]:
    with open_book("sqlite") as opened:
        yield opened


@pytest.mark.parametrize(
    "bug", rotating(CHECKS[0].in_check, datetime.now(UTC).date()), ids=lambda bug: bug.name
)
def test_a_planted_bug_is_found(bug: Bug, book: Book) -> None:
    assert find(bug, book) is not None, bug.name


def test_every_bug_has_its_turn() -> None:
    days = range(1, len(BUGS) + 1)
    planted = {bug.name for day in days for bug in rotating(5, date.fromordinal(day))}
    assert planted == {bug.name for bug in BUGS}
    assert len(BUGS) >= 20


def test_a_bug_is_planted_for_a_while_only() -> None:
    from tallybook.retail.rules import totals  # noqa: PLC0415 - looked at before and after

    right = totals.round_half_up
    (bug,) = [bug for bug in BUGS if bug.name == "tax is cut off"]
    with bug.planted():
        assert totals.round_half_up(1, 2) == 0
    assert totals.round_half_up is right
    assert totals.round_half_up(1, 2) == 1


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_every_bug_has_its_place(bug: Bug) -> None:
    """What it replaces may have been renamed since the day on which it was last planted."""
    with bug.planted():
        pass
