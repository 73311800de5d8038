"""The kill switch, the caps, and one date's run only once: nothing is sent that may not be.

Source: I29, P3, T3.
"""

import time
from pathlib import Path

import pytest
from sqlalchemy import Connection

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.operations.rulings import CANCEL_ADVANCE, RuleAdvance
from tallybook.advances.tasks.perform import perform_advance
from tallybook.ambient.clock import SystemClock
from tallybook.collection.operations.switching import SetSending
from tallybook.collection.rules import Caps
from tallybook.collection.tasks import switch as switch_tasks
from tallybook.collection.tasks.resolving import Ruling, resolve_item
from tallybook.collection.tasks.run import RunDone, run_day
from tallybook.collection.tasks.switch import SendingGuard, set_sending
from tallybook.db.engine import open_database
from tallybook.kernel.refusal import Refused
from tallybook.processor.model import Action, ItemKind, Sending, SendingState
from tallybook.processor.port import TransferOrder
from tallybook.processor.queries import find_sending
from tallybook.reports.verify import verify
from tallybook.writer.model import Command
from tests.played import Played, accepted

pytestmark = pytest.mark.played

STOP = SetSending(SendingState.STOPPED, "something is wrong", "ann")
START = SetSending(SendingState.OPEN, "it was nothing", "ann")
NUMBERS = [f"DE8937040044053201{number:04d}" for number in range(6)]


def set_to(played: Played, asked: SetSending) -> None:
    outcome = played.wait(set_sending(played.door, asked))
    assert outcome.status == 200


def stopped(done: RunDone) -> str | None:
    return done.view["summary"]["sending_stopped"]


def test_a_reason_and_a_name_are_texts_that_can_be_shown(book_url: str, tmp_path: Path) -> None:
    """Whichever way they come in: the rule is the operation's, not HTTP's."""
    unfit = (
        ("", "ann"), (" \n", "ann"), ("x" * 501, "ann"), ("why", ""), ("why", "x" * 101),
        ("why\x1b[2J", "ann"), ("why", "\x9bann"), ("why\udcff", "ann"),
    )  # fmt: skip
    with Played(book_url, tmp_path) as played:
        for reason, by in unfit:
            asked = SetSending(SendingState.STOPPED, reason, by)
            outcome = played.wait(set_sending(played.door, asked))
            assert outcome.refusal is not None, (reason, by)
            assert outcome.refusal.code == "field_invalid"
        with played.database.reader() as connection:
            assert find_sending(connection) is None


def prepared(played: Played, count: int = 6) -> None:
    """Pay out advances whose first debits are due after a week."""
    for number in NUMBERS[:count]:
        played.customer(number)
        played.advance(number)
    for call in list(played.rail.calls):
        played.rail.tell(call.executed_as, "success")
    played.run_until(6)


def test_nothing_begins_while_sending_is_stopped_and_what_was_due_goes_out_later(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path) as played:
        prepared(played, 2)
        before = len(played.rail.calls)
        set_to(played, STOP)
        with pytest.raises(Refused) as refused:
            played.advance(NUMBERS[0], key="later")
        assert refused.value.refusal.code == "sending_stopped"
        assert stopped(played.run(1)) == "stopped"
        assert len(played.rail.calls) == before
        set_to(played, START)
        # The refusal was no answer to what was asked under the key: it may be asked again.
        assert played.advance(NUMBERS[0], key="later").status == 201
        assert stopped(played.run(1)) is None
        assert len(played.rail.calls) == before + 1 + 2
        assert verify(played.database) == []


def test_a_reply_that_is_known_is_given_though_sending_is_stopped(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    with Played(sqlite_book_url, tmp_path) as played:
        played.customer()
        first = played.advance(key="k")
        set_to(played, STOP)
        again = played.advance(key="k")
        assert (again.replayed, again.body) == (True, first.body)


def test_a_run_in_progress_sees_the_stop_before_its_next_call(
    book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is another process that stops: only the book tells of it."""
    monkeypatch.setattr(switch_tasks, "FRESH_SECONDS", 0.0)
    with Played(book_url, tmp_path) as played:
        prepared(played)
        before, said = len(played.rail.calls), []

        def stop_at_the_third(order: TransferOrder) -> None:
            said.append(order)
            if len(said) == 3:
                other = Played(book_url, tmp_path)
                try:
                    other.door.ask_now(_command(STOP))
                finally:
                    other.door.close()
                    other.database.close()

        played.rail.says = stop_at_the_third
        assert stopped(played.run(1)) == "stopped"
        assert len(played.rail.calls) == before + 3
        # What was not sent is not an attempt: it is due as it was, and nothing is owed twice.
        played.rail.says = accepted
        set_to(played, START)
        played.run(1)
        assert len(played.rail.calls) == before + 6
        assert len({call.order.dst_bank_account for call in played.rail.calls[before:]}) == 6
        assert verify(played.database) == []


def test_what_a_stop_kept_from_being_sent_is_no_failed_attempt(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Processor tells balances, and a person stops sending while it is asked for the first."""
    with Played(sqlite_book_url, tmp_path, max_attempts=1) as played:
        prepared(played, 3)
        asked: list[str] = []

        async def stop_and_tell(account: str) -> str:
            asked.append(account)
            await set_sending(played.door, STOP)
            return "0.10"

        sender = played.sender
        monkeypatch.setattr(Played, "sender", sender)
        monkeypatch.setattr(
            type(played.rail), "available_balance", lambda _, each: stop_and_tell(each)
        )
        assert stopped(played.run(1)) == "stopped"
        assert len(asked) == 1
        assert [debit.reason for which in range(3) for debit in played.debits(which)] == [
            "not_connected"
        ] * 3
        assert {advance.status.value for advance in played.advances()} == {"active"}


def _command(asked: SetSending) -> switch_tasks.Command:
    return switch_tasks.Command(switch_tasks.SET_SENDING, asked)


def test_a_setting_stops_one_process_whatever_the_book_says(
    sqlite_book_url: str, tmp_path: Path
) -> None:
    with Played(sqlite_book_url, tmp_path) as played:
        prepared(played, 1)
        played.sending = SendingGuard(played.database, played.clock, caps=Caps(), is_stopped=True)
        assert stopped(played.run(1)) == "stopped"
        assert "SENDING_STOPPED" in str(played.sending.why_not())


def test_a_switch_that_cant_be_read_is_closed(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'empty.db'}")
    try:
        assert not SendingGuard(database, SystemClock(), caps=Caps()).is_open()
    finally:
        database.close()


class SlowLook:
    """Lets looks at the switch take long after its row was read; the first meets a stop then."""

    def __init__(self, played: Played, monkeypatch: pytest.MonkeyPatch, *, slow: int) -> None:
        self.played, self.ahead, self.slow, self.looks = played, 0.0, slow, 0
        self.find = switch_tasks.find_sending
        monkeypatch.setattr(played.clock, "monotonic", lambda: time.monotonic() + self.ahead)
        monkeypatch.setattr(switch_tasks, "find_sending", self)

    def __call__(self, connection: Connection) -> Sending | None:
        seen = self.find(connection)
        self.looks += 1
        if self.looks <= self.slow:
            self.ahead += switch_tasks.SETTLED_SECONDS
        if self.slow == self.looks == 1:
            self.played.door.ask_now(_command(STOP))
        return seen


def test_a_look_that_took_longer_than_a_stop_is_not_believed(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Played(sqlite_book_url, tmp_path) as played:
        look = SlowLook(played, monkeypatch, slow=1)
        assert not played.sending.is_open()
        assert look.looks == 2


def test_a_book_that_answers_too_slowly_is_closed(
    sqlite_book_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Played(sqlite_book_url, tmp_path) as played:
        look = SlowLook(played, monkeypatch, slow=switch_tasks.LOOKS_MAX)
        assert "too slowly" in str(played.sending.why_not())
        played.sending.look_again()
        assert played.sending.is_open()
        assert look.looks == switch_tasks.LOOKS_MAX + 1


def test_a_debit_over_its_cap_waits_for_a_person(book_url: str, tmp_path: Path) -> None:
    with Played(book_url, tmp_path, caps=Caps(debit_minor=99)) as played:
        prepared(played, 1)  # 12 rows of 1.00
        before = len(played.rail.calls)
        played.run(1)
        played.run(1)
        assert len(played.rail.calls) == before
        (item,) = played.items(ItemKind.DEBIT_CAPPED)
        assert "1.00 USD" in item.detail
        assert "0.99 USD" in item.detail
        played.rule(ItemKind.DEBIT_CAPPED, Action.OVERRIDE)
        played.run(1)
        assert [call.order.amount for call in played.rail.calls[before:]] == ["1.00"]
        assert verify(played.database) == []


def test_a_capped_debit_can_not_be_dismissed_while_it_is_due(book_url: str, tmp_path: Path) -> None:
    """It was asked about again after each run."""
    with Played(book_url, tmp_path, caps=Caps(debit_minor=99)) as played:
        prepared(played, 1)
        played.run(1)
        with pytest.raises(Refused) as refused:
            played.rule(ItemKind.DEBIT_CAPPED, Action.DISMISS)
        assert refused.value.refusal.code == "action_not_allowed"
        assert len(played.items(ItemKind.DEBIT_CAPPED)) == 1


@pytest.mark.parametrize("is_raised", [True, False])
def test_a_capped_debit_that_is_sent_or_withdrawn_asks_nobody_any_more(
    book_url: str, tmp_path: Path, is_raised: bool
) -> None:
    with Played(book_url, tmp_path, caps=Caps(debit_minor=99)) as played:
        prepared(played, 1)
        played.run(1)
        assert len(played.items(ItemKind.DEBIT_CAPPED)) == 1
        if is_raised:
            played.sending = SendingGuard(played.database, played.clock, caps=Caps(debit_minor=100))
        else:
            asked = RuleAdvance(played.advances()[0].id, "gone", forgive=True, by="ann")
            assert played.door.ask_now(Command(CANCEL_ADVANCE, asked)).status == 200
        played.run(1)
        assert len(played.debits()) == is_raised
        assert played.items() == []
        assert verify(played.database) == []


def test_one_account_is_debited_up_to_its_cap_on_a_date(book_url: str, tmp_path: Path) -> None:
    caps = Caps(account_day_minor=150)
    with Played(book_url, tmp_path, caps=caps, on_failed_debit="next_due_date") as played:
        played.customer()
        played.advance()
        played.advance()
        for call in list(played.rail.calls):
            played.rail.tell(call.executed_as, "success")
        played.run_until(6)
        before = len(played.rail.calls)
        played.run(1)  # two advances have a row of 1.00 due; two debits a date are allowed
        assert len(played.rail.calls) == before + 1
        assert len(played.items(ItemKind.DEBIT_CAPPED)) == 1
        played.run(1)
        assert len(played.rail.calls) == before + 2, "the next date has room again"
        assert verify(played.database) == []


def test_a_run_stops_at_its_cap_and_the_rest_goes_out_in_the_next_ones(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path, caps=Caps(run_minor=250)) as played:
        prepared(played)
        before = len(played.rail.calls)
        days = [stopped(played.run(1)) for _ in range(3)]
        assert days == ["run_capped", "run_capped", None]
        assert len(played.rail.calls) == before + 6
        assert len(played.items(ItemKind.RUN_CAPPED)) == 2
        assert verify(played.database) == []


def test_a_row_over_the_cap_of_a_run_waits_for_a_person_and_holds_up_nobody(
    book_url: str, tmp_path: Path
) -> None:
    with Played(book_url, tmp_path, caps=Caps(run_minor=1000)) as played:
        for number, amount in zip(NUMBERS[:2], (14_400, 1_200), strict=True):
            played.customer(number)
            played.advance(number, amount=amount)  # rows of 12.00, and of 1.00
        for call in list(played.rail.calls):
            played.rail.tell(call.executed_as, "success")
        played.run_until(21)
        assert (len(played.debits(0)), len(played.debits(1))) == (0, 3)
        items = played.items(ItemKind.DEBIT_CAPPED)
        assert items
        assert not played.items(ItemKind.RUN_CAPPED)
        assert all("12.00 USD is over the cap of a run, 10.00 USD" in item.detail for item in items)
        for item in items:
            ruling = Ruling(item.id, Action.OVERRIDE, "because", "ann")
            assert played.wait(resolve_item(played, ruling)).status == 200
        played.run(1)
        assert [debit.amount_minor for debit in played.debits(0)] == [1200]
        played.run_until(28)
        assert len(played.debits(1)) == 4
        assert verify(played.database) == []


def test_where_the_cap_of_a_run_binds_the_oldest_go_out_first(
    book_url: str, tmp_path: Path
) -> None:
    """Three accounts have a row of 1.00 a day, and 2.00 a run is all that goes out. Source: A11."""
    with Played(book_url, tmp_path, caps=Caps(run_minor=200)) as played:
        for number in NUMBERS[:3]:
            played.customer(number)
            asked = BeginAdvance(played.secrets.keyed_hash(number), 2000, "USD", 20, 1, 0, None)
            played.wait(perform_advance(played, asked))
        for call in list(played.rail.calls):
            played.rail.tell(call.executed_as, "success")
        played.run_until(12)
        assert [len(played.debits(which)) for which in range(3)] == [8, 8, 8]
        assert verify(played.database) == []


def test_one_dates_run_is_never_sent_twice(book_url: str, tmp_path: Path) -> None:
    with Played(book_url, tmp_path) as played, Played(book_url, tmp_path) as other:
        other.clock, other.rail.clock = played.clock, played.clock
        prepared(played, 3)
        played.run(1)
        sent = len(played.rail.calls)
        for attempt in range(60):
            if attempt % 10 == 9:
                played.reopen()
            for book in (played, other):
                assert book.wait(run_day(book)).was_finished
        assert len(played.rail.calls) == sent
        assert other.rail.calls == []
