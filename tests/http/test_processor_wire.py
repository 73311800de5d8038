"""The client against the simulator's server, on real sockets."""

import asyncio
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tallybook.ambient.clock import ManualClock
from tallybook.processor.client import HttpProcessor
from tallybook.processor.faults import CallFault, Faults
from tallybook.processor.port import (
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
)
from tallybook.processor.report_reader import read_report
from tallybook.processor.server import create_server
from tallybook.processor.simulator import SimulatedProcessor
from tests.http.processor_peers import ACCOUNT, ORDER, download, order, perform

# The simulator's own server.


@contextmanager
def serving(
    tmp_path: Path, faults: str = "", *, drip_seconds: float = 0.05, **more: Any
) -> Generator[tuple[str, SimulatedProcessor]]:
    """Serve a simulator from a thread, on a free port."""
    simulator = SimulatedProcessor(
        tmp_path / "log",
        seed=11,
        clock=ManualClock(datetime(2026, 3, 1, 9, tzinfo=UTC)),
        faults=Faults.parse(faults),
        **more,
    )
    server = create_server("127.0.0.1", 0, simulator, drip_seconds=drip_seconds)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", simulator
    finally:
        server.should_exit = True
        thread.join()
        asyncio.run(simulator.aclose())


def ask(url: str, body: object = None) -> tuple[int, Any]:
    request = Request(url, method="GET" if body is None else "POST")
    if body is not None:
        request.data = json.dumps(body).encode()
    with urlopen(request) as answer:
        return answer.status, json.loads(answer.read())


def test_a_transfer_goes_there_and_its_result_comes_back(tmp_path: Path) -> None:
    with serving(tmp_path, report_columns="rich", balances={"DE/0 2": "7"}) as (url, simulator):

        async def play() -> str:
            client = HttpProcessor(url)
            ident = await client.perform_transaction(ORDER, may_send=lambda: True)
            assert read_report(await client.download_report()).rows == ()
            simulator.set_date(date(2026, 3, 2))
            reading = read_report(await client.download_report())
            assert reading.ended
            assert reading.rows[0][:4] == (ident, "success", "12.50", ACCOUNT)
            assert await client.available_balance("DE/0 2") == "7"
            assert await client.available_balance("DE02") is None
            await client.aclose()
            return ident

        ident = asyncio.run(play())
        (transfer,) = simulator.truth().transfers
        assert (transfer.transaction_id, transfer.reference) == (ident, "ref-1")


def test_the_date_is_set_and_the_truth_told_over_the_wire(tmp_path: Path) -> None:
    with serving(tmp_path, "fail=1") as (url, simulator):
        assert ask(f"{url}/simulator/date", {"date": "2026-04-01"}) == (200, {"date": "2026-04-01"})
        assert simulator.today() == date(2026, 4, 1)
        ident = asyncio.run(perform(url))
        status, truth = ask(f"{url}/simulator/truth")
        assert (status, truth["date"]) == (200, "2026-04-01")
        assert truth["totals"] == [
            {"direction": "debit", "result": "fail", "count": 1, "amount": "12.50"}
        ]
        (transfer,) = truth["transfers"]
        assert transfer["transaction_id"] == transfer["answered_id"] == ident
        assert (transfer["dst_bank_account"], transfer["final_on"]) == (ACCOUNT, "2026-04-02")
        assert ask(f"{url}/simulator/date", {"date": None}) == (200, {"date": "2026-03-01"})


ACCOUNTS = b'"src_bank_account": "a", "dst_bank_account": "b"'
PADDED = b" " * 70_000 + b'{%s, "amount": "5", "direction": "debit"}' % ACCOUNTS


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/transactions", b"", 422),
        ("/transactions", b"{", 422),
        ("/transactions", b"[" * 50_000, 422),
        ("/transactions", b"[]", 422),
        ("/transactions", b"{}", 422),
        ("/transactions", b'{%s, "amount": 5, "direction": "debit"}' % ACCOUNTS, 422),
        ("/transactions", b'{%s, "amount": "5", "direction": "up"}' % ACCOUNTS, 422),
        ("/transactions", b'{%s, "amount": "0", "direction": "debit"}' % ACCOUNTS, 400),
        ("/transactions", PADDED[-65_537:], 422),
        ("/transactions", PADDED[-65_536:], 201),
        ("/simulator/date", b'{"date": "2026-02-31"}', 422),
        ("/simulator/date", b'{"date": 5}', 422),
        ("/simulator/date", b"", 422),
        ("/report", b"", 404),
        ("/", b"", 404),
    ],
)  # fmt: skip
def test_a_request_of_any_shape_gets_a_plain_answer(
    tmp_path: Path, path: str, body: bytes, status: int
) -> None:
    async def post(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        answer = await reader.read()
        writer.close()
        return answer

    with serving(tmp_path) as (url, simulator):
        answer = asyncio.run(post(int(url.rpartition(":")[2])))
        assert len(simulator.truth().transfers) == (status == 201)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_lost_call_is_a_reset_and_not_an_orderly_end(tmp_path: Path) -> None:
    async def post(port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        body = b'{%s, "amount": "5", "direction": "debit"}' % ACCOUNTS
        head = f"POST /transactions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()

    with serving(tmp_path, "lost_after=1") as (url, _):
        asyncio.run(post(int(url.rpartition(":")[2])))


REASONS = {
    CallFault.REFUSED: {"reset"},
    CallFault.LOST_BEFORE: {"reset"},
    CallFault.LOST_AFTER: {"reset"},
    CallFault.HANG_BEFORE: {"timeout"},
    CallFault.HANG_AFTER: {"timeout"},
    CallFault.DRIP: {"timeout"},
    CallFault.ERROR_BEFORE: {f"status_{status}" for status in (500, 502, 503, 504)},
    CallFault.ERROR_AFTER: {f"status_{status}" for status in (500, 502, 503, 504)},
    CallFault.BUSY_BEFORE: {f"status_{status}" for status in (408, 409, 425, 429)},
    CallFault.BUSY_AFTER: {f"status_{status}" for status in (408, 409, 425, 429)},
    CallFault.BROKEN_REPLY: {"reply_unreadable", "reset"},
}


@pytest.mark.parametrize("fault", REASONS)
def test_faults_happen_on_a_real_wire(
    tmp_path: Path, fault: CallFault, caplog: pytest.LogCaptureFixture
) -> None:
    count = 24

    async def play(url: str) -> Counter[str]:
        client = HttpProcessor(url, timeout_seconds=0.6)

        async def one(number: int) -> str:
            with pytest.raises(ProcessorUnknown) as caught:
                await client.perform_transaction(order(number), may_send=lambda: True)
            return caught.value.reason

        reasons = Counter(await asyncio.gather(*map(one, range(count))))
        await client.aclose()
        return reasons

    with serving(tmp_path, f"{fault}=1") as (url, simulator):
        reasons = asyncio.run(play(url))
        executed = len(simulator.truth().transfers)
        # Nobody is left out of sorts: the next calls are answered as well.
        assert ask(f"{url}/simulator/truth")[0] == 200
    assert set(reasons) == REASONS[fault]
    assert executed == (count if fault.executes else 0)
    assert caplog.text == ""


def test_refusals_and_mixed_up_ids_happen_on_a_real_wire(tmp_path: Path) -> None:
    with serving(tmp_path, "rejected=1") as (url, simulator):
        with pytest.raises(ProcessorRejected) as caught:
            asyncio.run(perform(url))
        assert not caught.value.refused_before_sending
        assert caught.value.reason
        assert simulator.truth().transfers == ()
    with serving(tmp_path) as (url, _):
        first = asyncio.run(perform(url, what=order(1)))
    with serving(tmp_path, "crossed=1") as (url, _):
        assert asyncio.run(perform(url, what=order(2))) == first


def test_a_reply_that_drips_in_time_is_a_reply(tmp_path: Path) -> None:
    with serving(tmp_path, "drip=1", drip_seconds=0.002) as (url, simulator):
        ident = asyncio.run(perform(url))
        assert simulator.truth().transfers[0].transaction_id == ident


@pytest.mark.parametrize(
    ("knob", "reason"), [("missing_report", "status_503"), ("cut_report", "reset")]
)
def test_a_report_may_not_come_over_the_wire(tmp_path: Path, knob: str, reason: str) -> None:
    with serving(tmp_path, f"{knob}=1") as (url, _), pytest.raises(ReportUnavailable, match=reason):
        asyncio.run(download(url))


@pytest.mark.parametrize("knob", ["truncated_report", "empty_report", "html_report", ""])
def test_bad_reports_come_as_they_are(tmp_path: Path, knob: str) -> None:
    with serving(tmp_path, f"{knob}=1" if knob else "") as (url, simulator):
        for number in range(6_000):
            simulator.receive(order(number))
        simulator.set_date(date(2026, 3, 2))
        raw = asyncio.run(download(url))
        assert raw == asyncio.run(simulator.download_report())
        assert read_report(raw).ended == (knob == "")


PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tallybook.ambient.clock import ManualClock
from tallybook.processor.server import run
from tallybook.processor.simulator import SimulatedProcessor

clock = ManualClock(datetime(2026, 3, 1, 9, tzinfo=UTC))
run("127.0.0.1", 0, SimulatedProcessor(Path(sys.argv[1]), seed=1, clock=clock))
"""


def test_it_runs_as_a_program_says_where_and_survives_being_killed(tmp_path: Path) -> None:
    idents: list[str] = []
    for number in range(2):
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path / "log")],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert program.stdout is not None
        with program:
            line = program.stdout.readline()
            assert line.startswith("processor listening on http://127.0.0.1:")
            idents.append(asyncio.run(perform(line.split()[-1], what=order(number))))
            program.kill()
    clock = ManualClock(datetime(2026, 3, 1, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(tmp_path / "log", seed=1, clock=clock)
    assert [transfer.transaction_id for transfer in simulator.truth().transfers] == idents
    asyncio.run(simulator.aclose())
