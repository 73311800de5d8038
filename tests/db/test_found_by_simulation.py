"""What the simulation found: each test is one seed's story, told again without its noise."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallybook.processor.model import TransferState as S
from tallybook.processor.port import TransferOrder
from tests.played import Played, accepted, lost


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[Played]:
    with Played(book_url, tmp_path) as played:
        yield played


def test_an_id_that_reports_named_before_the_call_was_made_is_another_transfers(
    book: Played,
) -> None:
    """A lost debit shows up under an id that we don't know; then a reply crosses and names it.

    What was reported before the second debit was sent is no news of it, and must not settle it.
    """
    book.pay_out()
    book.rail.says = lost
    book.run_until(7)
    executed_as = book.rail.calls[-1].executed_as
    assert executed_as is not None
    book.rail.tell(executed_as, "success")
    book.run_until(13)

    def crossed(order: TransferOrder) -> str:
        del order
        return executed_as

    book.rail.says = crossed
    book.run_until(14)
    book.rail.says = accepted
    second = book.debit_of(2)
    assert (second.state, second.transaction_id) == (S.UNKNOWN, None)
    assert "collision" in [item.kind for item in book.items()]
    book.run(1)
    assert book.debit_of(2).state is S.UNKNOWN
    assert book.plan().succeeded_minor == 0
