"""The daily run over many active plans, with the simulator in this process.

    python -m bench.daily_run --plans 1000000 [--days 6]

Lays the plans out in the database by SQL, as if their advances had been paid out a week ago, spread
over seven due days. The days before the last build up five days of reports; the last is measured.
"""

import argparse
import asyncio
import hashlib
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
from pydantic import SecretStr

from bench.surroundings import Place, places, report
from tallybook.ambient.clock import ManualClock
from tallybook.ambient.settings import Settings
from tallybook.collection.tasks.run import run_day
from tallybook.customers.model import account_context
from tallybook.entrypoints.engine import Engine
from tallybook.processor.faults import Faults
from tallybook.processor.simulator import SimulatedProcessor

FIRST_DAY = date(2026, 1, 5)
FAULTS = "fail=0.1,late=0.03,returned=0.01"
AMOUNT_MINOR = 120_000

_LAY_OUT = """
INSERT INTO advances SELECT md5('adv' || i)::uuid, md5('cus' || i)::uuid, md5('acc' || i)::uuid,
  {amount}, 0, 'USD', 12, 7, d, 'active', 'paid', true, 0, 0, 0, 0, md5('trf' || i)::uuid, now()
FROM generate_series(1, {plans}) i, LATERAL (SELECT date '{first}' - 7 + (i % 7) AS d) days;
INSERT INTO plans SELECT md5('adv' || i)::uuid, 'advance', md5('cus' || i)::uuid,
  md5('acc' || i)::uuid, 'USD', 'active', {amount}, 0, 0, 0, {amount}, 0, 0, 12,
  d + 84, d + 7, 7, 'end_of_plan', 0, 30
FROM generate_series(1, {plans}) i, LATERAL (SELECT date '{first}' - 7 + (i % 7) AS d) days;
INSERT INTO installments SELECT md5('ins' || i || '.' || n)::uuid, md5('adv' || i)::uuid, n,
  d + 7 * n, {amount} / 12, 'planned', NULL, 1
FROM generate_series(1, {plans}) i, generate_series(1, 12) n,
  LATERAL (SELECT date '{first}' - 7 + (i % 7) AS d) days;
"""


def hex_of(kind: str, number: int) -> str:
    """Make the id that the SQL above makes too."""
    return hashlib.md5(f"{kind}{number}".encode(), usedforsecurity=False).hexdigest()


def lay_out(engine: Engine, url: str, plans: int) -> None:
    """Fill an empty database with customers, accounts, advances and plans."""
    now = datetime.now(UTC)

    def accounts() -> Iterator[tuple[object, ...]]:
        for number in range(1, plans + 1):
            ident = hex_of("acc", number)
            text = f"BENCH{number:012d}"
            sealed = engine.secrets.seal(text, context=account_context(ident))
            hashed = hashlib.sha256(text.encode()).hexdigest()
            yield ident, hex_of("cus", number), hashed, sealed, text[-4:], now

    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO customers SELECT md5('cus' || i)::uuid, 'C' || i, 'c' || i || '@x.org',"
            " 'c' || i || '@x.org', 'active', NULL, 'USD', now() FROM generate_series(1, %s) i",
            (plans,),
        )
        columns = "id, customer_id, number_hash, number_sealed, last4, created_at"
        with cursor.copy(f"COPY bank_accounts ({columns}) FROM STDIN") as copy:
            for row in accounts():
                copy.write_row(row)
        text = _LAY_OUT.format(amount=AMOUNT_MINOR, plans=plans, first=FIRST_DAY)
        for statement in text.split(";")[:-1]:
            cursor.execute(statement.encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


async def measure(place: Place, plans: int, days: int) -> list[tuple[str, ...]]:
    """Run the days; gives a row for each."""
    clock = ManualClock(datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, 9, tzinfo=UTC))
    simulator = SimulatedProcessor(
        place.home / "simulator.db", seed=1, clock=clock, faults=Faults.parse(FAULTS)
    )
    settings = Settings(database_url=SecretStr(place.url), home=place.home)
    engine = Engine.open(settings, clock=clock, processor=simulator)
    started = time.perf_counter()
    lay_out(engine, place.url, plans)
    print(f"laid out {plans:,} plans in {time.perf_counter() - started:.0f} s", file=sys.stderr)
    rows: list[tuple[str, ...]] = [("day", "seconds", "report rows", "settled", "sent", "peak MB")]
    for place_in in range(days):
        day = FIRST_DAY + timedelta(days=place_in)
        clock.turn_to(day)
        started = time.perf_counter()
        done = await run_day(engine, day)
        seconds = time.perf_counter() - started
        summary = done.view["summary"]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        rows.append(
            (
                day.isoformat(),
                f"{seconds:.1f}",
                f"{summary['report'].get('rows', 0):,}",
                f"{sum(each['count'] for each in summary['settled'].values()):,}",
                f"{sum(each['count'] for each in summary['sent'].values()):,}",
                f"{peak}",
            )
        )
        print("  ".join(rows[-1]), file=sys.stderr, flush=True)
    await engine.aclose()
    return rows


def main() -> None:
    """Run on PostgreSQL and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plans", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=6)
    parser.add_argument("--database")
    arguments = parser.parse_args()
    for place in places(arguments.database, kinds=("postgresql",)):
        rows = asyncio.run(measure(place, arguments.plans, arguments.days))
        report(f"daily run, {arguments.plans:,} plans, {place.name}", rows)


if __name__ == "__main__":
    main()
