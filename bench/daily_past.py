"""Active plans with five days behind them, laid out in an empty PostgreSQL for bench/daily_run.py.

    python -m bench.daily_past URL HOME PLANS

As if the advances had been paid out over the week before the first day: in order, under ids made of
time as the program makes them. On each of the five days a seventh of them had its first debit sent
to the simulator, whose log then holds them, and each day's report was taken and settled. In a
process of its own, so that what it needs is not counted as the run's.
"""

import hashlib
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from pydantic import SecretStr

from tallybook.ambient.clock import ManualClock
from tallybook.ambient.secrets import Secrets
from tallybook.ambient.settings import Settings
from tallybook.customers.model import account_context
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.port import Direction, TransferOrder
from tallybook.processor.report_reader import ReportStream
from tallybook.processor.simulator import SimulatedProcessor

FIRST_DAY = date(2026, 1, 5)
PAST_DAYS = 5
FAULTS = "fail=0.1,late=0.03,returned=0.01"
AMOUNT_MINOR = 120_000
ROW_AMOUNT = "100.00"

_ID_MILLISECONDS = 1_767_000_000_000


def _made(kind: str, place: str) -> str:
    """Make an id in SQL as `FreshIds` does: later rows have higher ones."""
    return (
        f"(lpad(to_hex({_ID_MILLISECONDS} + i), 12, '0') || '7' || lpad(to_hex({place}), 3, '0')"
        f" || '8' || substr(md5('{kind}' || i), 1, 15))::uuid"
    )


_CUSTOMER, _ACCOUNT = _made("cus", "0"), _made("acc", "1")
_ADVANCE, _CREDIT, _ROW = _made("adv", "2"), _made("trf", "3"), _made("ins", "4 + n")
_FIRST_ROW, _DEBIT = _made("ins", "5"), _made("deb", "40")

_TEMPORARY = """
CREATE TEMPORARY TABLE sealed (i bigint, number_hash text, number_sealed bytea, last4 text);
CREATE TEMPORARY TABLE sent (i bigint PRIMARY KEY, transaction_id text, sent_on date);
CREATE TEMPORARY TABLE told (transaction_id text, result text, first_on date, not_before date);
"""

_LAY_OUT = f"""
INSERT INTO customers SELECT {_CUSTOMER}, 'C' || i, 'c' || i || '@x.org', 'c' || i || '@x.org',
  'active', NULL, 'USD', now() FROM generate_series(1, {{plans}}) i;
INSERT INTO bank_accounts (id, customer_id, number_hash, number_sealed, last4, created_at)
SELECT {_ACCOUNT}, {_CUSTOMER}, number_hash, number_sealed, last4, now() FROM sealed ORDER BY i;
INSERT INTO advances SELECT {_ADVANCE}, {_CUSTOMER}, {_ACCOUNT},
  {AMOUNT_MINOR}, 0, 'USD', 12, 7, d, 'active', 'paid', true, 0, 0, 0, 0, {_CREDIT}, now()
FROM generate_series(1, {{plans}}) i, LATERAL ({{day}}) days;
INSERT INTO report_facts SELECT transaction_id, result, min(first_on), min(first_on),
  min(not_before), true, NULL, NULL, NULL, NULL FROM told GROUP BY transaction_id, result;
CREATE TEMPORARY TABLE debits AS SELECT i, sent.transaction_id, sent_on, CASE
  WHEN good.result IS NULL AND bad.result IS NULL THEN 'accepted'
  WHEN bad.result IS NULL THEN 'succeeded'
  WHEN good.result IS NULL THEN 'failed' ELSE 'returned' END AS state,
  greatest(good.first_on, bad.first_on) AS resolved_on
FROM sent
LEFT JOIN report_facts good ON good.transaction_id = sent.transaction_id AND good.result = 'success'
LEFT JOIN report_facts bad ON bad.transaction_id = sent.transaction_id AND bad.result = 'fail';
INSERT INTO plans SELECT {_ADVANCE}, 'advance', {_CUSTOMER}, {_ACCOUNT}, 'USD', 'active',
  {AMOUNT_MINOR}, kept, flying, 0, {AMOUNT_MINOR} - kept - flying, kept + flying, 0, 12,
  d + 84, d + 7, 7, 'end_of_plan', 0, 30
FROM generate_series(1, {{plans}}) AS every(i) LEFT JOIN debits USING (i), LATERAL ({{day}}) days,
LATERAL (SELECT CASE state WHEN 'succeeded' THEN {AMOUNT_MINOR} / 12 ELSE 0 END AS kept,
  CASE state WHEN 'accepted' THEN {AMOUNT_MINOR} / 12 ELSE 0 END AS flying) sums
ORDER BY i;
INSERT INTO installments SELECT {_ROW}, {_ADVANCE}, n, d + 7 * n, {AMOUNT_MINOR} / 12,
  CASE WHEN n = 1 AND sent_on IS NOT NULL THEN 'sent' ELSE 'planned' END, NULL, 1
FROM generate_series(1, {{plans}}) AS every(i) LEFT JOIN debits USING (i),
  generate_series(1, 12) n, LATERAL ({{day}}) days ORDER BY i, n;
INSERT INTO transfers SELECT {_DEBIT}, 'advance', 'debit', {_CUSTOMER}, {_ACCOUNT}, {_ADVANCE},
  {_FIRST_ROW}, 1, {AMOUNT_MINOR} / 12, 'USD', state, false, transaction_id, sent_on, now(), now(),
  'past', CASE WHEN resolved_on IS NULL THEN NULL ELSE now() END, resolved_on, NULL, false, NULL
FROM debits ORDER BY i;
INSERT INTO processor_reports SELECT md5('report' || day)::uuid, day, now(), repeat('0', 64), '',
  'complete', 0, 0, 0, false, '[]' FROM generate_series(date '{FIRST_DAY}', date '{FIRST_DAY}' +
  {PAST_DAYS - 1}, interval '1 day') day;
INSERT INTO jobs SELECT 'daily', date '{FIRST_DAY}' + {PAST_DAYS - 1}, NULL, 'past', now();
"""
_DAY = f"SELECT date '{FIRST_DAY}' - 7 + ((i - 1)::bigint * 7 / {{plans}})::int AS d"


def number_of(place: int) -> str:
    """Tell the account number of a plan's customer."""
    return f"BENCH{place:012d}"


def account_id(place: int) -> str:
    """Make the id that the SQL above makes too."""
    mark = hashlib.md5(f"acc{place}".encode(), usedforsecurity=False).hexdigest()[:15]
    return f"{_ID_MILLISECONDS + place:012x}70018{mark}"


def lay_out(url: str, home: Path, plans: int) -> None:
    """Fill an empty database and the simulator's log."""
    clock = ManualClock(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(
        home / "simulator.db", seed=1, clock=clock, faults=Faults.parse(FAULTS)
    )
    settings = Settings(database_url=SecretStr(url), home=home)
    engine = Engine.open(settings, clock=clock, processor=simulator)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_TEMPORARY)
        _fill(cursor, "sealed", _accounts(engine.secrets, plans))
        for back in range(PAST_DAYS):
            day = FIRST_DAY + timedelta(days=back)
            clock.turn_to(day)
            _fill(cursor, "told", _told(simulator, day))
            _fill(cursor, "sent", _sent(simulator, day, back, plans))
        cursor.execute(
            "SET session_replication_role = replica"
        )  # foreign keys, twelve million times
        for statement in _LAY_OUT.format(plans=plans, day=_DAY.format(plans=plans)).split(";")[:-1]:
            cursor.execute(statement.encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")
    engine.close()


def _fill(
    cursor: psycopg.Cursor[tuple[object, ...]], table: str, rows: Iterator[tuple[object, ...]]
) -> None:
    with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
        for row in rows:
            copy.write_row(row)


def _accounts(secrets: Secrets, plans: int) -> Iterator[tuple[object, ...]]:
    for place in range(1, plans + 1):
        text = number_of(place)
        sealed = secrets.seal(text, context=account_context(account_id(place)))
        yield place, hashlib.sha256(text.encode()).hexdigest(), sealed, text[-4:]


def _told(simulator: SimulatedProcessor, day: date) -> Iterator[tuple[object, ...]]:
    """Take the report of a day, as its run would before it sends."""
    _, chunks = simulator.open_report()
    for rows in ReportStream(b"".join(chunks)):
        for row in rows:
            yield row.transaction_id, row.result.value, day, day - timedelta(days=1)


def _sent(
    simulator: SimulatedProcessor, day: date, back: int, plans: int
) -> Iterator[tuple[object, ...]]:
    """Send the debits of a day: those of the plans whose advance was a week before."""
    for place in range(1, plans + 1):
        if (place - 1) * 7 // plans == back:
            order = TransferOrder("house", number_of(place), ROW_AMOUNT, Direction.DEBIT, "")
            yield place, simulator.receive(order).transaction_id, day


if __name__ == "__main__":
    lay_out(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
