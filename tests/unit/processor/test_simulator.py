import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import sqlite3
import stat
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.kernel.refusal import Refused
from tallybook.processor.faults import CallFault, Faults
from tallybook.processor.model import Result
from tallybook.processor.port import (
    Direction,
    Processor,
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
    TransferOrder,
)
from tallybook.processor.report_reader import ReportReading, read_report
from tallybook.processor.simulator import SimulatedProcessor, Total

FIRST_DAY = date(2026, 3, 1)
MakeSimulator = Callable[..., SimulatedProcessor]


def order(
    number: int = 1, *, amount: str = "12.50", direction: Direction = Direction.DEBIT
) -> TransferOrder:
    return TransferOrder("HOUSE", f"DE{number:06d}", amount, direction, f"ref-{number}")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 3, 1, 9, tzinfo=UTC))


@pytest.fixture
def make(tmp_path: Path, clock: ManualClock) -> Iterator[MakeSimulator]:
    made: list[SimulatedProcessor] = []

    def make_one(faults: str = "", *, file: str = "log", seed: int = 7, **more: Any) -> Any:
        simulator = SimulatedProcessor(
            tmp_path / file, seed=seed, clock=clock, faults=Faults.parse(faults), **more
        )
        made.append(simulator)
        return simulator

    yield make_one
    for simulator in made:
        asyncio.run(simulator.aclose())


def send(simulator: SimulatedProcessor, what: TransferOrder) -> str:
    return asyncio.run(simulator.perform_transaction(what, may_send=lambda: True))


def attempt(simulator: SimulatedProcessor, what: TransferOrder) -> str:
    try:
        return send(simulator, what)
    except (ProcessorRejected, ProcessorUnknown) as outcome:
        return f"{type(outcome).__name__} {outcome.reason}"


def take(simulator: SimulatedProcessor, day: date) -> ReportReading:
    simulator.set_date(day)
    return read_report(asyncio.run(simulator.download_report()))


def later(days: int) -> date:
    return FIRST_DAY + timedelta(days=days)


def test_it_is_a_processor(make: MakeSimulator) -> None:
    processor: Processor = make()
    assert processor is not None


def test_without_faults_everything_succeeds_and_is_reported_for_five_days(
    make: MakeSimulator,
) -> None:
    simulator = make()
    ident = send(simulator, order())
    reports = {days: asyncio.run(_raw_on(simulator, later(days))) for days in range(8)}
    shown = f"transaction_id,result\n{ident},success\n#end,1\n".encode()
    empty = b"transaction_id,result\n#end,0\n"
    assert reports == {0: empty, **dict.fromkeys(range(1, 6), shown), 6: empty, 7: empty}


async def _raw_on(simulator: SimulatedProcessor, day: date) -> bytes:
    simulator.set_date(day)
    return await simulator.download_report()


def test_a_rich_report_tells_what_it_knows(make: MakeSimulator) -> None:
    simulator = make("fail=1", report_columns="rich")
    ident = send(simulator, order(5))
    reading = take(simulator, later(1))
    assert reading.ended
    assert reading.is_rich
    (row,) = reading.rows
    assert row[:6] == (ident, "fail", "12.50", "DE000005", "debit", later(1))
    assert row.reason


def test_a_rich_report_can_hold_any_account(make: MakeSimulator) -> None:
    simulator = make(report_columns="rich")
    account = 'Ünlü, "A" & Söhne'
    send(simulator, TransferOrder("HOUSE", account, "1", Direction.CREDIT, ""))
    reading = take(simulator, later(1))
    assert (reading.ended, reading.rows[0].account) == (True, account)


def test_the_log_knows_everything_about_a_call(make: MakeSimulator) -> None:
    simulator = make("fail_credit=1")
    ident = send(simulator, order(3, amount="7", direction=Direction.CREDIT))
    (call,) = simulator.arrivals()
    assert (call.position, call.src_bank_account, call.dst_bank_account) == (1, "HOUSE", "DE000003")
    assert (call.amount_minor, call.direction, call.reference) == (700, Direction.CREDIT, "ref-3")
    assert (call.arrived_on, call.booked_on) == (FIRST_DAY, FIRST_DAY)
    assert (call.told, call.answered_id, call.transaction_id) == ("accepted", ident, ident)
    assert (call.final_result, call.final_on) == (Result.FAIL, later(1))
    assert simulator.truth().totals == {(Direction.CREDIT, Result.FAIL): Total(1, 700)}


def test_nothing_arrives_where_nothing_may_be_sent(make: MakeSimulator) -> None:
    simulator = make()
    with pytest.raises(ProcessorRejected, match="lease_lost") as caught:
        asyncio.run(simulator.perform_transaction(order(), may_send=lambda: False))
    assert caught.value.refused_before_sending
    assert list(simulator.arrivals()) == []


EXPECTED = {
    CallFault.REFUSED: (ProcessorRejected, "connection_refused", 0, 0),
    CallFault.REJECTED: (ProcessorRejected, "", 1, 0),
    CallFault.LOST_BEFORE: (ProcessorUnknown, "reset", 1, 0),
    CallFault.LOST_AFTER: (ProcessorUnknown, "reset", 1, 1),
    CallFault.HANG_BEFORE: (ProcessorUnknown, "timeout", 1, 0),
    CallFault.HANG_AFTER: (ProcessorUnknown, "timeout", 1, 1),
    CallFault.ERROR_BEFORE: (ProcessorUnknown, "status_50", 1, 0),
    CallFault.ERROR_AFTER: (ProcessorUnknown, "status_50", 1, 1),
    CallFault.BUSY_BEFORE: (ProcessorUnknown, "status_4", 1, 0),
    CallFault.BUSY_AFTER: (ProcessorUnknown, "status_4", 1, 1),
    CallFault.BROKEN_REPLY: (ProcessorUnknown, "reply_unreadable", 1, 1),
    CallFault.DRIP: (ProcessorUnknown, "timeout", 1, 1),
    CallFault.CROSSED: (None, "", 1, 1),
    CallFault.SAME_ID: (None, "", 1, 1),
    CallFault.DOUBLED: (None, "", 1, 2),
}


@pytest.mark.parametrize("fault", [fault for fault in CallFault if fault is not CallFault.NONE])
def test_what_each_fault_of_a_call_tells_and_does(make: MakeSimulator, fault: CallFault) -> None:
    kind, reason, arrived, executed = EXPECTED[fault]
    simulator = make(f"{fault}=1")
    if kind is None:
        send(simulator, order())
    else:
        with pytest.raises(kind) as caught:
            send(simulator, order())
        assert caught.value.reason.startswith(reason)
        if isinstance(caught.value, ProcessorRejected):
            assert caught.value.refused_before_sending == (fault is CallFault.REFUSED)
            assert caught.value.reason
    assert len(list(simulator.arrivals())) == arrived
    assert len(simulator.truth().transfers) == executed
    assert len(take(simulator, later(1)).rows) == executed


def test_a_crossed_reply_names_another_transfer(make: MakeSimulator) -> None:
    first = send(make(), order(1))
    crossed = make("crossed=1")
    assert send(crossed, order(2)) == first
    second = crossed.truth().transfers[1]
    assert second.answered_id == first
    assert second.transaction_id != first
    reading = take(crossed, later(1))
    assert {row.transaction_id for row in reading.rows} == {first, second.transaction_id}


def test_two_transfers_can_have_one_id(make: MakeSimulator) -> None:
    first = send(make(), order(1))
    assert send(make("same_id=1"), order(2)) == first
    reading = take(make(), later(1))
    assert [row.transaction_id for row in reading.rows] == [first, first]
    assert reading.ended


def test_a_doubled_call_leaves_a_transfer_that_nobody_was_told_of(make: MakeSimulator) -> None:
    simulator = make("doubled=1")
    told = send(simulator, order())
    one, two = simulator.truth().transfers
    assert (one.transaction_id, one.is_arrival, two.is_arrival) == (told, True, False)
    assert (two.amount_minor, two.dst_bank_account) == (1250, "DE000001")
    assert two.transaction_id != told
    assert two.answered_id is None


@pytest.mark.parametrize(
    ("knobs", "second"), [("returned=1", "fail"), ("fail=1,contradicted=1", "success")]
)
def test_a_second_result_comes_days_after_the_first(
    make: MakeSimulator, knobs: str, second: str
) -> None:
    simulator = make(knobs)
    for number in range(30):
        send(simulator, order(number))
    transfers = simulator.truth().transfers
    assert {transfer.second_result for transfer in transfers} == {second}
    gaps = {(transfer.final_on or FIRST_DAY) - later(1) for transfer in transfers}
    assert gaps == {timedelta(days=days) for days in range(1, 6)}
    transfer = next(each for each in transfers if each.second_on == later(3))
    first = "fail" if second == "success" else "success"

    def shown(days: int) -> list[str]:
        rows = take(simulator, later(days)).rows
        return [row.result for row in rows if row.transaction_id == transfer.transaction_id]

    assert shown(2) == [first]
    assert [shown(days) for days in (3, 4, 5)] == [[first, second]] * 3
    assert [shown(days) for days in (6, 7, 8)] == [[second], [second], []]


def test_results_may_be_late_or_never_come(make: MakeSimulator) -> None:
    for knob in ("late", "very_late", "never_reported"):
        simulator = make(f"{knob}=1", file=knob)
        for number in range(20):
            send(simulator, order(number))
    seen = {
        knob: Counter(days for days in range(20) for _ in take(make(file=knob), later(days)).rows)
        for knob in ("late", "very_late", "never_reported")
    }
    assert min(seen["late"]) == 2
    assert max(seen["late"]) == 8
    assert min(seen["very_late"]) == 8
    assert max(seen["very_late"]) == 16
    assert seen["never_reported"] == {}
    assert len(make(file="never_reported").truth().transfers) == 20


def test_a_transfer_near_midnight_is_booked_the_next_day(make: MakeSimulator) -> None:
    simulator = make("next_day=1")
    send(simulator, order())
    (transfer,) = simulator.truth().transfers
    assert (transfer.arrived_on, transfer.booked_on) == (FIRST_DAY, later(1))
    assert transfer.result_on == later(2)


def test_equal_calls_are_told_apart_by_counting(make: MakeSimulator, clock: ManualClock) -> None:
    simulator = make("fail=0.5")
    idents = [send(simulator, order(1)) for _ in range(50)]
    assert len(set(idents)) == 50
    assert {transfer.final_result for transfer in simulator.truth().transfers} == set(Result)
    again = make("fail=0.5", file="other")
    assert [send(again, order(1)) for _ in range(50)] == idents
    clock.advance(days=1)
    assert send(simulator, order(1)) not in idents


MANY = (
    "refused=0.05,lost_before=0.05,lost_after=0.05,hang_after=0.05,busy_after=0.05,rejected=0.05,"
    "doubled=0.05,crossed=0.05,same_id=0.05,fail=0.2,fail_credit=0.1,returned=0.2,late=0.2"
)


def test_the_same_seed_gives_the_same_whatever_the_order_and_the_references(
    make: MakeSimulator, clock: ManualClock
) -> None:
    def play(file: str, shuffled: int) -> tuple[object, ...]:
        simulator = make(MANY, file=file)
        simulator.set_date(None)
        clock.turn_to(FIRST_DAY)
        told: dict[tuple[int, int], str] = {}
        reports: list[bytes] = []
        for day in range(4):
            # On the first date a crossed reply names whichever transfer came before.
            numbers = list(range(150)) if day else [0]
            random.Random(shuffled * day).shuffle(numbers)
            for number in numbers:
                what = order(number)
                what = TransferOrder(
                    what.src_bank_account, what.dst_bank_account, "5", what.direction, file
                )
                told[day, number] = attempt(simulator, what)
            clock.advance(days=1)
            reports.append(asyncio.run(simulator.download_report()))
        totals = simulator.truth().totals
        return told, reports, sorted(totals.items())

    one, two = play("one", 1), play("two", 2)
    assert one == two
    assert len(set(one[0].values())) > 200  # pyright: ignore[reportAttributeAccessIssue] - told


def test_another_seed_gives_something_else(make: MakeSimulator) -> None:
    told = [
        [attempt(make(MANY, file=f"{seed}", seed=seed), order(n)) for n in range(20)]
        for seed in (1, 2)
    ]
    assert told[0] != told[1]


@pytest.mark.parametrize(
    "wrong",
    [
        order(amount="0"),
        order(amount="-5"),
        order(amount="12.505"),
        order(amount="NaN"),
        order(amount=""),
        TransferOrder("", "DE1", "5", Direction.DEBIT, ""),
        TransferOrder("HOUSE", "", "5", Direction.DEBIT, ""),
        TransferOrder("HOUSE", "DE\n1", "5", Direction.DEBIT, ""),
        TransferOrder("HOUSE", "D" * 256, "5", Direction.DEBIT, ""),
        TransferOrder("HOUSE", "DE1", "5", Direction.DEBIT, "r" * 256),
    ],
)
def test_what_no_processor_would_take_is_rejected(
    make: MakeSimulator, wrong: TransferOrder
) -> None:
    simulator = make()
    with pytest.raises(ProcessorRejected) as caught:
        send(simulator, wrong)
    assert not caught.value.refused_before_sending
    assert simulator.truth().transfers == ()


def test_one_processor_has_one_currency(make: MakeSimulator) -> None:
    yen = make(currency="JPY", report_columns="rich")
    send(yen, order(amount="1250"))
    assert take(yen, later(1)).rows[0].amount == "1250"
    with pytest.raises(ProcessorRejected):
        send(yen, order(amount="12.50"))
    with pytest.raises(Refused):
        make(currency="XYZ")


def test_balances_are_told_where_they_are_known(make: MakeSimulator) -> None:
    def ask(simulator: SimulatedProcessor, account: str) -> str | None:
        return asyncio.run(simulator.available_balance(account))

    simulator = make(balances={"DE000001": "3.50"})
    assert ask(simulator, "DE000001") == "3.50"
    assert ask(simulator, "DE000002") is None
    assert ask(make("no_funds=1"), "DE000002") == "0"
    answers = [ask(make("no_funds=0.5"), f"DE{n}") for n in range(100)]
    assert 20 < answers.count("0") < 80


# The date.


def test_a_date_that_was_set_holds_for_everyone_who_shares_the_log(
    make: MakeSimulator, clock: ManualClock
) -> None:
    one, two = make(), make()
    one.set_date(later(40))
    assert two.today() == later(40)
    send(two, order())
    assert next(one.arrivals()).arrived_on == later(40)
    two.set_date(None)
    assert one.today() == FIRST_DAY
    clock.advance(days=2)
    assert one.today() == later(2)


# Faults of reports.


def reports_of(make: MakeSimulator, knobs: str, **more: Any) -> ReportReading:
    calm = make()
    for number in range(25):
        send(calm, order(number))
    return take(make(knobs, **more), later(1))


@pytest.mark.parametrize(
    ("knob", "reason"), [("missing_report", "status_503"), ("cut_report", "reset")]
)
def test_a_report_may_not_come(make: MakeSimulator, knob: str, reason: str) -> None:
    with pytest.raises(ReportUnavailable, match=reason):
        asyncio.run(make(f"{knob}=1").download_report())


def test_yesterdays_report_may_come_again(make: MakeSimulator) -> None:
    simulator = make()
    send(simulator, order(1))
    simulator.set_date(later(1))
    send(simulator, order(2))
    yesterdays = asyncio.run(simulator.download_report())
    simulator.set_date(later(2))
    assert asyncio.run(simulator.download_report()) != yesterdays
    assert asyncio.run(make("duplicate_report=1").download_report()) == yesterdays


@pytest.mark.parametrize(
    ("knob", "rows", "ended"),
    [
        ("truncated_report", (1, 24), False),
        ("empty_report", (0, 0), False),
        ("html_report", (0, 0), False),
        ("duplicate_rows", (26, 50), True),
        ("shuffled_rows", (25, 25), True),
        ("unknown_rows", (26, 26), True),
    ],
)
def test_a_report_may_be_wrong(
    make: MakeSimulator, knob: str, rows: tuple[int, int], *, ended: bool
) -> None:
    reading = reports_of(make, f"{knob}=1")
    assert rows[0] <= len(reading.rows) <= rows[1]
    assert reading.ended == ended
    known = {transfer.transaction_id for transfer in make().truth().transfers}
    strangers = {row.transaction_id for row in reading.rows} - known
    assert len(strangers) == (knob == "unknown_rows")


def test_shuffled_rows_are_the_same_rows(make: MakeSimulator) -> None:
    for number in range(25, 50):
        send(make(), order(number))
    straight, shuffled = take(make(), later(1)), take(make("shuffled_rows=1"), later(1))
    assert straight.rows != shuffled.rows
    assert sorted(straight.rows) == sorted(shuffled.rows)
    for number in range(25):
        send(make("returned=1"), order(number))
    straight, shuffled = take(make(), later(4)), take(make("shuffled_rows=1"), later(4))
    assert straight.rows != shuffled.rows
    assert sorted(straight.rows) == sorted(shuffled.rows)
    results = [row.result for row in straight.rows]
    assert results == sorted(results, reverse=True)
    assert shuffled.rows[0].result == "fail"


def test_amounts_may_be_wrong_or_oddly_written(make: MakeSimulator) -> None:
    amounts = [r.amount for r in reports_of(make, "wrong_amounts=1", report_columns="rich").rows]
    assert Counter(amounts) == {"12.50": 22, "12.51": 3}
    odd = take(make("odd_numbers=1", report_columns="rich"), later(1))
    assert odd.rows == ()
    assert odd.problems[0] == (2, "amount_invalid")


def test_encodings_may_be_odd(make: MakeSimulator) -> None:
    send(make(), order())
    simulator = make("odd_encoding=1")
    raws = [asyncio.run(_raw_on(simulator, later(days))) for days in range(1, 6)]
    wide = [raw for raw in raws if raw.startswith(b"\xff\xfe")]
    narrow = [raw for raw in raws if b"txn_caf\xe9" in raw]
    assert len(wide) + len(narrow) == 5
    assert wide
    assert narrow
    assert all(len(read_report(raw).rows) == 1 for raw in raws)


# The log as a file.


def test_only_its_owner_can_read_the_log(make: MakeSimulator, tmp_path: Path) -> None:
    send(make(), order())
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def _send_until_killed(path: Path, worker: int, told: Any) -> None:
    clock = ManualClock(datetime(2026, 3, 1, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(path, seed=1, clock=clock)
    for number in range(1_000_000):
        # Every other call has the content of the other workers' calls too.
        account = number if number % 2 else number + worker * 1_000_000
        told.send_bytes(send(simulator, order(account)).encode())


def _rest_of(pipe: Any) -> Iterator[str]:
    with contextlib.suppress(EOFError, OSError):
        while True:
            yield pipe.recv_bytes().decode()


def test_processes_share_the_log_and_a_killed_one_loses_nothing(
    make: MakeSimulator, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe(duplex=False) for _ in range(3)]
    workers = [
        context.Process(target=_send_until_killed, args=(tmp_path / "log", number, told))
        for number, (_, told) in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    for _, told in pipes:
        told.close()
    idents = [pipe.recv_bytes().decode() for pipe, _ in pipes for _ in range(300)]
    for worker in workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
    for worker, (pipe, _) in zip(workers, pipes, strict=True):
        worker.join()
        idents.extend(_rest_of(pipe))
        pipe.close()
    logged = [transfer.transaction_id for transfer in make().truth().transfers]
    assert len(set(idents)) == len(idents) >= 900
    assert len(set(logged)) == len(logged)
    assert set(idents) <= set(logged)
    # Each was killed with at most one call logged and not yet told.
    assert len(logged) - len(idents) <= len(workers)
    send(make(), order(5))


def test_a_new_log_can_be_opened_while_another_process_is_at_it(
    make: MakeSimulator, tmp_path: Path
) -> None:
    """SQLite answers "database is locked" at once here, whatever time-out it was given."""
    other = sqlite3.connect(tmp_path / "log", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Timer(0.1, other.execute, ["COMMIT"])
    done.start()
    send(make(), order(1))
    done.join()
    other.close()


def test_a_report_is_of_one_moment_though_calls_go_on(make: MakeSimulator) -> None:
    simulator = make("lag=0")
    for number in range(6_000):
        simulator.receive(order(number))
    _, chunks = simulator.open_report()
    raw = next(chunks) + next(chunks)
    for number in range(6_000, 6_100):
        simulator.receive(order(number))
    reading = read_report(raw + b"".join(chunks))
    assert (reading.ended, len(reading.rows)) == (True, 6_000)
    assert len(take(simulator, FIRST_DAY).rows) == 6_100


def test_it_is_cheap_enough_for_a_large_book(make: MakeSimulator) -> None:
    """A loose bound: measured, a call takes 35 microseconds and a row of a report 3."""
    simulator = make("fail=0.1")
    started = time.process_time()

    async def send_all() -> None:
        for number in range(20_000):
            await simulator.perform_transaction(order(number), may_send=lambda: True)

    asyncio.run(send_all())
    assert (time.process_time() - started) / 20_000 < 250e-6
    simulator.set_date(later(1))
    started = time.process_time()
    tracemalloc.start()
    size = sum(map(len, simulator.open_report()[1]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (time.process_time() - started) / 20_000 < 60e-6
    assert size > 500_000
    assert peak < 5_000_000
