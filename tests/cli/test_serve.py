"""`tallybook serve`, as a real process: it comes up, it answers, and it goes down cleanly."""

import itertools
import json
import signal
import socket
import sqlite3
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import create_engine, text

from tallybook.db.engine import open_database
from tests.cli.programs import Server, environment, run, serve, start

NEW_CUSTOMER = json.dumps({"name": "Ada", "email": "ada@example.com"}).encode()


class SlowProcessor:
    """A Processor on this machine that answers only when it is told to."""

    def __init__(self) -> None:
        self.was_asked, self.may_answer = threading.Event(), threading.Event()
        self.ids: list[str] = []
        self.numbers = itertools.count(1)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                ident = f"txn_{next(outer.numbers)}"
                outer.ids.append(ident)
                outer.was_asked.set()
                body = json.dumps({"transaction_id": ident}).encode()
                outer.may_answer.wait(30)
                self.answer(201, "application/json", body)

            def do_GET(self) -> None:
                lines = ["transaction_id,result", *(f"{each},success" for each in outer.ids)]
                lines.append(f"#end,{len(outer.ids)}")
                self.answer(200, "text/csv", "".join(f"{line}\n" for line in lines).encode())

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.may_answer.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def begin_slow_call(server: Server) -> socket.socket:
    """Send a call whose body has not all come yet: the server is in the middle of it."""
    client = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    head = (
        "POST /api/v1/customers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(NEW_CUSTOMER)}\r\n\r\n"
    )
    client.sendall(head.encode() + NEW_CUSTOMER[:10])
    time.sleep(0.3)  # until the server has begun with it
    return client


# --- up -------------------------------------------------------------------------------------------


def test_it_serves_a_fresh_book_with_nothing_set(tmp_path: Path) -> None:
    with serve(cwd=tmp_path) as server:
        assert server.ask("GET", "/healthz")[0] == 200
        assert server.ask("GET", "/readyz")[0] == 200
        assert server.ask("GET", "/docs")[0] in (200, 307)
        status, customer = server.ask("POST", "/api/v1/customers", json.loads(NEW_CUSTOMER))
        assert (status, customer["email"]) == (201, "ada@example.com")
        assert server.stop() == 0
    said = "".join(server.said)
    assert f"http://127.0.0.1:{server.port}/docs" in said
    assert "sqlite:///./billing.db" in said
    assert str(tmp_path / "billing-data") in said
    assert "no money moves" in said
    assert (tmp_path / "billing.db").stat().st_mode & 0o777 == 0o600


def test_its_log_is_json_lines(tmp_path: Path) -> None:
    with serve(cwd=tmp_path) as server:
        server.ask("GET", "/api/v1/customers/nonsense")
        server.stop()
    lines = [json.loads(line) for line in server.errors]
    (refused,) = [line for line in lines if line["message"] == "request"]
    assert refused["refusal"] == "id_invalid"
    assert refused["status"] == 404


def test_settings_reach_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PROJECT_NAME=Corner shop\nAPI_V1_PREFIX=/billing\n")
    with serve("--database", "shop.db", cwd=tmp_path) as server:
        assert server.ask("GET", "/billing/customers")[0] == 200
        assert b"Corner shop" in server.ask("GET", "/docs")[1]
        server.stop()
    assert (tmp_path / "shop.db").exists()


def test_two_that_start_at_once_on_an_empty_postgresql_both_come_up(
    postgres_url: str, tmp_path: Path
) -> None:
    env = environment(DATABASE_URL=postgres_url, TALLYBOOK_HOME=str(tmp_path / "home"))

    def start(number: int) -> int:
        with serve(cwd=tmp_path, env=env) as server:
            assert server.ask("GET", "/readyz")[0] == 200
            body = {"name": "Ada", "email": f"ada{number}@example.com", "bank_accounts": ["1234"]}
            status, _ = server.ask("POST", "/api/v1/customers", body)
            both.wait()
            assert server.stop() == 0
            return status

    both = threading.Barrier(2, timeout=60)
    with ThreadPoolExecutor(2) as threads:
        statuses = list(threads.map(start, range(2)))
    assert sorted(statuses) == [201, 409], "one account number, one key: only one may have it"


def test_weeks_can_be_played_where_no_money_moves(tmp_path: Path) -> None:
    account = "DE89 3704 0044 0532 0130 00"
    with serve(cwd=tmp_path) as server:

        def post(path: str, **body: object) -> tuple[int, Any]:
            return server.ask("POST", f"/api/v1{path}", body)

        post("/customers", name="Ada", email="ada@example.com", bank_accounts=[account])
        status, advance = post("/perform_advance", dst_bank_account=account, amount="1200.00")
        assert status == 201
        assert advance["transaction_id"]
        first_due = date.fromisoformat(advance["plan"][0]["due_on"])
        today = first_due - timedelta(7)
        for day in (today + timedelta(1), first_due, first_due + timedelta(1)):
            assert post("/runs", business_date=day.isoformat())[0] == 201
        _, told = server.ask("GET", f"/api/v1/advances/{advance['id']}")
        assert told["outstanding"] == "1100.00"
        server.stop()
    with serve(cwd=tmp_path) as server:  # the dates that were played stay played
        assert post("/runs", business_date=today.isoformat())[0] == 200, "it was run on the way"
        status, refused = post("/runs", business_date=(today - timedelta(1)).isoformat())
        assert (status, refused["code"]) == (409, "run_out_of_order")
        _, again = post("/perform_advance", dst_bank_account=account, amount="100.00")
        assert date.fromisoformat(again["plan"][0]["due_on"]) == first_due + timedelta(8)
        server.stop()


def test_a_write_that_outlasts_the_stop_is_told_as_unknown(tmp_path: Path) -> None:
    """Another process holds the book while the server stops: the write may be stored yet."""
    env = environment(TALLYBOOK_PROCESSOR_TIMEOUT_SECONDS="1", TALLYBOOK_RUN_ENABLED="false")
    with serve(cwd=tmp_path, env=env) as server, ThreadPoolExecutor(1) as client:
        with closing(sqlite3.connect(tmp_path / "billing.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            body = json.loads(NEW_CUSTOMER)
            answer = client.submit(server.ask, "POST", "/api/v1/customers", body)
            time.sleep(0.5)
            server.process.send_signal(signal.SIGTERM)
            status, refused = answer.result(30)
            other.execute("ROLLBACK")
        assert (status, refused["code"]) == (503, "outcome_unknown")
        assert server.process.wait(30) == 0
    with closing(sqlite3.connect(tmp_path / "billing.db")) as book:
        assert book.execute("SELECT count(*) FROM customers").fetchone() == (1,)


def answered_while_stopping(server: Server, bank: SlowProcessor, answer: Future[Any]) -> Any:
    """Stop the server while the Processor is being asked; gives what its client then hears."""
    assert bank.was_asked.wait(30)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert not answer.done()
    bank.may_answer.set()
    return answer.result(30)


def test_a_slow_processors_answer_is_waited_for(tmp_path: Path) -> None:
    """Whoever stops the server while money is being asked for still hears what became of it."""
    with SlowProcessor() as bank, serve("--processor", bank.url, cwd=tmp_path) as server:
        body = {"name": "Ada", "email": "ada@example.com", "bank_accounts": ["12345678"]}
        server.ask("POST", "/api/v1/customers", body)
        asked = {"dst_bank_account": "12345678", "amount": "1200.00"}
        with ThreadPoolExecutor(1) as client:
            answer = client.submit(server.ask, "POST", "/api/v1/advances", asked)
            status, advance = answered_while_stopping(server, bank, answer)
        assert server.process.wait(30) == 0
    assert (status, advance["transaction_id"]) == (201, "txn_1")


def prepare_debits(server: Server, bank: SlowProcessor) -> str:
    """Pay two advances out, and run the day before their debits are due; gives the day of these."""
    bank.may_answer.set()
    for number in ("12345678", "12345679"):
        body = {"name": "Ada", "email": f"{number}@example.com", "bank_accounts": [number]}
        assert server.ask("POST", "/api/v1/customers", body)[0] == 201
        asked = {"dst_bank_account": number, "amount": "1200.00"}
        status, advance = server.ask("POST", "/api/v1/advances", asked)
        assert status == 201
    due = date.fromisoformat(advance["plan"][0]["due_on"])
    before = (due - timedelta(1)).isoformat()
    assert server.ask("POST", "/api/v1/runs", {"business_date": before})[0] == 201
    bank.was_asked.clear()
    bank.may_answer.clear()
    return due.isoformat()


def debit_states(book: Path) -> list[str]:
    with closing(sqlite3.connect(book)) as connection:
        found = connection.execute("SELECT state FROM transfers WHERE direction = 'debit'")
        return [state for (state,) in found]


def test_a_requested_run_ends_once_the_calls_in_the_air_are_answered(tmp_path: Path) -> None:
    env = environment(TALLYBOOK_RUN_ENABLED="false")
    with SlowProcessor() as bank:
        with (
            serve("--processor", bank.url, cwd=tmp_path, env=env) as server,
            ThreadPoolExecutor(1) as client,
        ):
            body = {"business_date": prepare_debits(server, bank)}
            answer = client.submit(server.ask, "POST", "/api/v1/runs", body)
            status, refused = answered_while_stopping(server, bank, answer)
            assert (status, refused["code"]) == (503, "shutting_down")
            assert server.process.wait(30) == 0
        assert debit_states(tmp_path / "billing.db") == ["accepted"] * 2
        with serve("--processor", bank.url, cwd=tmp_path, env=env) as server:
            assert server.ask("POST", "/api/v1/runs", body)[0] == 201
            assert server.ask("GET", "/api/v1/operator-items?status=open")[1]["data"] == []
            assert server.stop() == 0


def test_run_day_ends_once_the_calls_in_the_air_are_answered(tmp_path: Path) -> None:
    with SlowProcessor() as bank:
        env = environment(TALLYBOOK_RUN_ENABLED="false", TALLYBOOK_PROCESSOR_URL=bank.url)
        with serve(cwd=tmp_path, env=env) as server:
            due = prepare_debits(server, bank)
            assert server.stop() == 0
        program = start("run-day", "--date", due, cwd=tmp_path, env=env)
        try:
            assert bank.was_asked.wait(30)
            program.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            bank.may_answer.set()
            assert program.wait(30) == 130
        finally:
            program.close()
        assert debit_states(tmp_path / "billing.db") == ["accepted"] * 2
        assert run("run-day", "--date", due, cwd=tmp_path, env=env).returncode == 0


# --- down -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_call_in_flight_gets_its_answer(tmp_path: Path, number: signal.Signals) -> None:
    with serve(cwd=tmp_path) as server:
        client = begin_slow_call(server)
        server.process.send_signal(number)
        time.sleep(0.5)
        assert server.process.poll() is None, "it waits for the call"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        client.sendall(NEW_CUSTOMER[10:])
        answer = client.recv(65_536)
        client.close()
        assert server.process.wait(30) == 0
    assert answer.startswith(b"HTTP/1.1 201 ")
    with closing(sqlite3.connect(tmp_path / "billing.db")) as database:
        assert database.execute("SELECT email FROM customers").fetchall() == [("ada@example.com",)]


def test_a_second_ctrl_c_ends_it_at_once(tmp_path: Path) -> None:
    with serve(cwd=tmp_path) as server, begin_slow_call(server):
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        began = time.monotonic()
        assert server.stop(signal.SIGINT) == 130
        assert time.monotonic() - began < 5


def test_a_connection_that_only_stays_open_holds_nobody_up(tmp_path: Path) -> None:
    with serve(cwd=tmp_path) as server:
        connection = server.connect()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 5
        connection.close()


# --- refused --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_only_this_machine_is_served_without_an_api_key(tmp_path: Path, host: str) -> None:
    ended = run("serve", "--host", host, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stderr == (
        f"tallybook: Without an API key only this machine is served: at {host} anyone on the"
        " network could move money. Make a key with `tallybook keys create NAME --scope money`"
        " (and before it a book, with `tallybook db upgrade`), or use --host 127.0.0.1.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_bad_database_url_is_one_sentence(tmp_path: Path) -> None:
    env = environment(DATABASE_URL="mysql://bob:s3cret@db/book")
    ended = run("serve", cwd=tmp_path, env=env)
    assert ended.returncode == 2
    assert ended.stderr == (
        "tallybook: DATABASE_URL must be sqlite:///path/to/file.db or"
        " postgresql://user:password@host/name.\n"
    )


def test_a_database_that_does_not_answer_is_one_sentence(tmp_path: Path) -> None:
    env = environment(DATABASE_URL="postgresql://bob:s3cret@127.0.0.1:9/book")
    ended = run("serve", "--port", "0", cwd=tmp_path, env=env)
    assert ended.returncode == 4
    assert ended.stderr.startswith("tallybook: The database can't be used: ")
    assert ended.stderr.count("\n") == 1
    assert "s3cret" not in ended.stderr


def test_a_file_that_is_no_database_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "billing.db").write_text("not a database" * 100)
    ended = run("serve", "--port", "0", cwd=tmp_path)
    assert ended.returncode == 4
    assert ended.stderr == "tallybook: The database can't be used: file is not a database.\n"


def test_a_newer_database_is_refused(book_url: str, tmp_path: Path) -> None:
    engine = create_engine(open_database(book_url).url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    env = environment(DATABASE_URL=book_url, TALLYBOOK_HOME=str(tmp_path / "home"))
    ended = run("serve", "--port", "0", cwd=tmp_path, env=env)
    assert ended.returncode == 4
    assert ended.stderr.startswith("tallybook: This database is at version 9999, which this")
    assert ended.stderr.count("\n") == 1


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", str(port), cwd=tmp_path)
    assert ended.returncode == 4
    assert ended.stderr.startswith(f"tallybook: Port {port} on 127.0.0.1 can't be had")
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


def test_a_live_processor_needs_more_than_its_address(tmp_path: Path) -> None:
    ended = run("serve", "--processor", "https://bank.example", cwd=tmp_path)
    assert ended.returncode == 2
    assert "TALLYBOOK_PROCESSOR_LIVE=true" in ended.stderr
