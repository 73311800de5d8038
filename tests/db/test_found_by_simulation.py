"""What the simulation found: each test is one seed's story, told again without its noise."""

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from sqlalchemy import Connection
from sqlalchemy.pool import QueuePool

from tallybook.collection import queries
from tallybook.collection.tasks.reports import take_report
from tallybook.collection.tasks.settling import settle
from tallybook.processor.model import Transfer
from tallybook.processor.model import TransferState as S
from tallybook.processor.port import TransferOrder
from tests.played import Played, accepted, lost


@pytest.fixture
def book(book_url: str, tmp_path: Path) -> Iterator[Played]:
    with Played(book_url, tmp_path) as played:
        yield played


@pytest.mark.parametrize("named_on", [13, 14])
def test_an_id_that_reports_named_before_the_call_was_made_is_another_transfers(
    book: Played, named_on: int
) -> None:
    """A lost debit shows up under an id that we don't know; then a reply crosses and names it.

    What was reported before the second debit was sent, on a day before or by the report of the very
    run that sends it, is no news of it, and must not settle it.
    """
    book.pay_out()
    book.rail.says = lost
    book.run_until(7)
    executed_as = book.rail.calls[-1].executed_as
    assert executed_as is not None
    book.run_until(named_on - 1)
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


class Gone(Exception):  # noqa: N818 - what ends the work is not wrong with it
    """Whoever waited for the work is gone."""


def test_settling_that_ends_early_keeps_no_cursor_open(book: Played) -> None:
    """A run that another process has taken over stops between two chunks of its reading."""
    numbers = [f"DE00{number:08d}" for number in range(3)]
    for number in numbers:
        book.customer(number)
        book.advance(number)
    idents = [book.credit_transfer(which).transaction_id for which in range(len(numbers))]
    rows = "".join(f"{ident},success\n" for ident in idents)
    raw = f"transaction_id,result\n{rows}#end,{len(idents)}\n".encode()
    book.clock.advance(days=1)
    book.wait(take_report(book, raw, book.clock.today()))
    whole = queries.stream_unsettled

    def one_by_one(connection: Connection) -> Iterator[list[Transfer]]:
        return ([transfer] for chunk in whole(connection) for transfer in chunk)

    async def leave() -> None:
        raise Gone

    with (
        patch.object(queries, "stream_unsettled", one_by_one),
        pytest.raises(Gone) as gone,
    ):
        book.wait(settle(book, between=leave))
    assert gone.value.__traceback__ is not None, "nothing of it is collected yet"
    pool = book.database.engine.pool
    assert isinstance(pool, QueuePool)
    assert pool.checkedout() == 0
