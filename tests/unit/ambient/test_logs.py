"""What must not be in a log is not, however it got into a record."""

import io
import json
import logging
import sqlite3
import sys
import threading
from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import Any

import pytest
import sqlalchemy
import sqlalchemy.exc

from tallybook.ambient.logs import FIELDS, REQUEST_ID, JsonLines, PlainLines, describe_error, log_to
from tallybook.kernel.refusal import Refusal, Refused

# As people write account numbers, from the longest to what is hardest to tell from a word.
NUMBERS = [
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "0123-4567-8901",
    "12345678",
    "AB12CD34E5",
    "4000001",
]
IDENT = "adv_" + "0" * 31 + "1"
log = logging.getLogger("tallybook.test")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root, hooks = logging.getLogger(), (threading.excepthook, sys.unraisablehook)
    kept = root.handlers[:], root.level
    written = io.StringIO()
    log_to(written, level="DEBUG")
    yield written
    root.handlers[:], root.level = kept
    threading.excepthook, sys.unraisablehook = hooks


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def digits(text: str) -> str:
    return text.replace(" ", "").replace("-", "")


def assert_absent(number: str, text: str) -> None:
    assert number not in text
    assert digits(number) not in digits(text)


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    try:
        raise error from cause  # noqa: TRY301 - so that it has a place
    except BaseException as caught:  # noqa: BLE001 - whatever it is
        return caught


# --- what a line tells ----------------------------------------------------------------------------


def test_a_line_tells_what_happened(stream: io.StringIO) -> None:
    token = REQUEST_ID.set("req_" + "a" * 32)
    log.warning(
        "refused",
        extra={
            "command": "advances.create",
            "subject_ids": [IDENT],
            "refusal": "customer_not_eligible",
            "business_date": date(2026, 3, 1),
            "status": 409,
            "milliseconds": 1.5,
            "route": "/api/v1/advances/{id}",
        },
    )
    REQUEST_ID.reset(token)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "tallybook.test",
        "message": "refused",
        "request_id": "req_" + "a" * 32,
        "command": "advances.create",
        "subject_ids": [IDENT],
        "refusal": "customer_not_eligible",
        "business_date": "2026-03-01",
        "status": 409,
        "milliseconds": 1.5,
        "route": "/api/v1/advances/{id}",
    }


def test_harmless_arguments_are_written_into_the_message(stream: io.StringIO) -> None:
    class Trouble(Enum):
        LOST = "lost"

    log.info("%s after %d of %s on %s", Trouble.LOST, 3, IDENT, date(2026, 3, 1))
    assert lines(stream)[0]["message"] == f"lost after 3 of {IDENT} on 2026-03-01"


def test_an_error_is_told_by_type_and_place(stream: io.StringIO) -> None:
    broken = raised(Refused(Refusal("busy")), cause=raised(KeyError("12345678")))
    log.error("it broke", exc_info=broken)
    error = lines(stream)[0]["error"]
    assert error.startswith("tallybook.kernel.refusal.Refused[busy] at ")
    assert "; caused by KeyError at " in error


def test_a_system_error_is_told_by_its_code() -> None:
    assert describe_error(FileNotFoundError(2, "No such file", "/secret")) == (
        "FileNotFoundError[ENOENT]"
    )


def test_a_constraint_is_told_by_its_name() -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (n TEXT UNIQUE CONSTRAINT t_n_short CHECK (length(n) < 4))")
    database.execute("INSERT INTO t VALUES ('1')")
    for value, name in (("1", "t.n"), ("12345678", "t_n_short")):
        with pytest.raises(sqlite3.IntegrityError) as caught:
            database.execute("INSERT INTO t VALUES (?)", (value,))
        assert f"sqlite3.IntegrityError[{name}]" in describe_error(caught.value)
    database.close()


def test_libraries_speak_up_only_when_something_is_wrong(stream: io.StringIO) -> None:
    logging.getLogger("sqlalchemy.engine").info("INSERT INTO bank_accounts ...")
    logging.getLogger("sqlalchemy.engine").warning("slow")
    assert [line["message"] for line in lines(stream)] == ["slow"]


def test_a_person_reads_the_same_facts_on_a_terminal(stream: io.StringIO) -> None:
    record = logging.makeLogRecord(
        {"msg": "run %s", "args": ("done",), "levelname": "INFO", "run_id": "a" * 32, "who": "x"}
    )
    assert PlainLines().format(record).endswith(f"info    run done run_id={'a' * 32}")


# --- what a line never tells ----------------------------------------------------------------------


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("style", ["json", "text"])
def test_an_account_number_is_never_written(number: str, style: Any) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines() if style == "json" else PlainLines())
    logger = logging.Logger("tallybook.planted")  # noqa: LOG001 - gone after the test
    logger.addHandler(handler)

    logger.info(f"paid to {number}")  # noqa: G004 - the mistake that is tested
    logger.info("paid to " + number)  # noqa: G003 - the mistake that is tested
    logger.info("paid to %s", number)
    logger.info("paid to %(account)s", {"account": number})
    logger.info("paid to %r", [number])
    logger.info("paid to %s", ValueError(number))
    logger.info("first line\nsecond line: %s", number)
    logger.info("paid %d", number)
    for name in FIELDS:
        logger.info("paid", extra={name: number})
        logger.info("paid", extra={name: [number]})
        logger.info("paid", extra={name: {"number": number}})
    logger.info("paid", extra={"account_number": number, "body": number})
    for error in (ValueError(number), OSError(2, number, number), KeyError(number)):
        logger.error("it broke", exc_info=raised(RuntimeError(number), cause=error))
    assert_absent(number, written.getvalue())
    assert written.getvalue().count("\n") == 8 + 3 * len(FIELDS) + 4


@pytest.mark.parametrize("number", NUMBERS)
def test_errors_of_the_database_lose_their_values(number: str) -> None:
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection, pytest.raises(sqlalchemy.exc.DBAPIError) as caught:
        connection.execute(sqlalchemy.text("SELECT :n FROM nowhere"), {"n": number})
    assert number in str(caught.value), "SQLAlchemy quotes its parameters"
    assert_absent(number, describe_error(caught.value))
    group = ExceptionGroup(number, [caught.value, ValueError(number)])
    assert_absent(number, describe_error(group))
    engine.dispose()


def test_what_threads_leave_uncaught_is_logged_without_its_words(stream: io.StringIO) -> None:
    def broken() -> None:
        raise ValueError("12345678")

    thread = threading.Thread(target=broken)
    thread.start()
    thread.join()
    assert lines(stream)[0]["error"].startswith("ValueError at ")
    assert_absent("12345678", stream.getvalue())


def test_a_line_that_can_not_be_written_stays_silent(capsys: pytest.CaptureFixture[str]) -> None:
    closed = io.StringIO()
    kept = logging.getLogger().handlers[:]
    hooks = threading.excepthook, sys.unraisablehook
    log_to(closed)
    closed.close()
    log.error("account %s", "12345678")
    logging.getLogger().handlers[:] = kept
    threading.excepthook, sys.unraisablehook = hooks
    assert capsys.readouterr().err == ""
