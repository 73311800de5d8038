"""`kill -9` in the middle of paying out, then the same again: each advance goes out once.

The Processor is a process of its own and keeps its own log, so that what it has executed can be
compared with the book, whatever was lost on the way.
"""

import random
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from tallybook.advances.queries import list_advances
from tallybook.collection.queries import list_items, list_transfers_of
from tallybook.db.engine import open_database
from tallybook.processor.model import ItemKind, Transfer, TransferState
from tallybook.processor.simulator_log import LoggedCall, SimulatorLog
from tests.cli.forked import Forked
from tests.cli.programs import Server, environment, run, serve, start
from tests.importing import account

EXAMPLE = Path(__file__).parents[2] / "examples" / "advances.csv"
KILLS = 2
PATIENCE_SECONDS = 120
ALL = 100_000

pytestmark = [pytest.mark.slow, pytest.mark.played]


class Bank:
    """The simulated Processor's own log, read beside it."""

    def __init__(self, home: Path) -> None:
        self.log = SimulatorLog(home / "billing-data" / "processor.db")

    def calls(self) -> list[LoggedCall]:
        with closing(self.log.read_calls()) as calls:
            return list(calls)

    def wait_for(self, count: int, process: Forked) -> None:
        """Wait until so many calls came in, or the caller has come to its end."""
        until = time.monotonic() + PATIENCE_SECONDS
        while len(self.calls()) < count and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.005)


def transfers_of(url: str) -> list[Transfer]:
    """List the transfers of all advances in the book."""
    database = open_database(url)
    with database.reader() as connection:
        ids = [advance.id for advance, _ in list_advances(connection, limit=ALL)]
        found = [
            transfer
            for at in range(0, len(ids), 500)
            for transfer in list_transfers_of(connection, ids[at : at + 500])
        ]
    database.close()
    return found


def unknown_items(url: str) -> set[str | None]:
    database = open_database(url)
    with database.reader() as connection:
        items = list_items(connection, is_open=True, limit=ALL)
    database.close()
    assert {item.kind for item in items} <= {ItemKind.UNKNOWN}
    return {item.transfer_id for item in items}


def check_book(url: str, bank: Bank, lines: int, env: Mapping[str, str], cwd: Path) -> None:
    """Hold that each line was asked for once, and that the book knows what it can't know."""
    transfers = transfers_of(url)
    calls = bank.calls()
    assert len(transfers) == lines, "each line is one advance with one transfer"
    assert max(Counter(call.reference for call in calls).values()) == 1, "none was sent twice"
    accounts = Counter(call.dst_bank_account for call in calls)
    assert max(accounts.values()) == 1, "no account was paid twice"
    sent = {call.reference: call for call in calls}
    waiting = unknown_items(url)
    for transfer in transfers:
        call = sent.pop(transfer.id, None)
        if transfer.state is TransferState.ACCEPTED:
            assert call is not None
            assert call.transaction_id == transfer.transaction_id
        else:
            assert transfer.state is TransferState.UNKNOWN, transfer
            assert transfer.id in waiting, "a person is told of it"
    assert not sent, "the Processor was never asked for anything that is not in the book"
    verified = run("verify", cwd=cwd, env=env)
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.mark.parametrize("seed", [1])
def test_an_import_that_is_killed_goes_on_where_it_was(
    book_url: str, tmp_path: Path, seed: int
) -> None:
    draw = random.Random(seed)
    (home := tmp_path / "bank").mkdir()
    lines = sum(1 for line in EXAMPLE.read_text().splitlines() if line) - 1
    env = environment(
        DATABASE_URL=book_url, TALLYBOOK_HOME=str(tmp_path / "home"), TALLYBOOK_CURRENCY="CZK"
    )
    with serve("--seed", "7", cwd=home, env=env | {"TALLYBOOK_HOME": str(home / "billing-data")},
               command="processor") as processor:  # fmt: skip
        bank = Bank(home)
        command = ["import", "advances", str(EXAMPLE)]
        env |= {"TALLYBOOK_PROCESSOR_URL": f"http://127.0.0.1:{processor.port}"}
        for count in sorted(draw.sample(range(lines - 100), KILLS)):
            killed = start(*command, cwd=tmp_path, env=env)
            bank.wait_for(count, killed)
            time.sleep(draw.random() / 20)
            killed.close()
        ended = run(*command, cwd=tmp_path, env=env)
        assert ended.returncode == 0, ended.stderr
        check_book(book_url, bank, lines, env, tmp_path)
        before = len(bank.calls())
        again = run(*command, cwd=tmp_path, env=env)
        assert again.returncode == 0
        assert "paid out" not in again.stdout
        assert len(bank.calls()) == before


def test_a_server_that_is_killed_pays_each_advance_once(book_url: str, tmp_path: Path) -> None:
    draw = random.Random(3)
    numbers = range(100)
    (home := tmp_path / "bank").mkdir()
    env = environment(
        DATABASE_URL=book_url,
        TALLYBOOK_HOME=str(tmp_path / "home"),
        TALLYBOOK_RUN_ENABLED="false",
    )
    with serve("--seed", "7", cwd=home, command="processor") as processor:
        bank = Bank(home)
        env |= {"TALLYBOOK_PROCESSOR_URL": f"http://127.0.0.1:{processor.port}"}
        with serve(cwd=tmp_path, env=env) as server:
            for number in numbers:
                body = {
                    "name": f"C {number}",
                    "email": f"c{number}@example.org",
                    "bank_accounts": [account(number)],
                }
                assert server.ask("POST", "/api/v1/customers", body)[0] == 201
        for count in sorted(draw.sample(range(len(numbers) - 20), 2)):
            with serve(cwd=tmp_path, env=env) as server:
                asking = ThreadPoolExecutor(16)
                answers = [asking.submit(ask_for_advance, server, number) for number in numbers]
                bank.wait_for(count, server.process)
                server.process.kill()
                for answer in answers:
                    answer.exception()
                asking.shutdown()
        with serve(cwd=tmp_path, env=env) as server, ThreadPoolExecutor(16) as asking:
            statuses = list(asking.map(lambda number: ask_for_advance(server, number), numbers))
            assert set(statuses) <= {201, 202}
        check_book(book_url, bank, len(numbers), env, tmp_path)


def ask_for_advance(server: Server, number: int) -> int:
    """Ask for an advance under a key of its own; 0 where the server is gone."""
    connection = server.connect()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"advance-{number}"}
    body = f'{{"dst_bank_account": "{account(number)}", "amount": "120.00"}}'
    try:
        connection.request("POST", "/api/v1/advances", body, headers)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()
