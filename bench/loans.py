"""Reads of loans: one long loan over HTTP, and a portfolio as of a date.

python -m bench.loans [--seconds 5] [--loans 100000] [--kinds sqlite,postgresql]

The long loan has 520 weekly rows, 260 of them paid. The portfolio is laid out by SQL on
PostgreSQL: loans of 50 weekly rows, half of them exact and half flexible, with 0 to 40 payments
each; it is asked for over HTTP, and read as it comes. Processor times are the server's own: other
load on the machine disturbs them less.
"""

import argparse
import asyncio
import io
import os
import time
import urllib.request
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
from pydantic import SecretStr

from bench.http_load import request, storm
from bench.serving import serving
from bench.surroundings import Place, places, report
from tallybook.ambient.settings import Settings
from tallybook.db.migrate import upgrade
from tallybook.entrypoints.engine import Engine
from tallybook.kernel.ids import show_id
from tallybook.loans.queries import find_by_references
from tallybook.loans.tasks.importing import import_loans, import_payments
from tallybook.loans.views import LOAN_PREFIX

API = "/api/v1"
ROWS, PAID = 520, 260
WARM_SECONDS = 2
PAYMENTS_MOST = 40

_LAY_OUT = """
INSERT INTO customers (id, name, email, email_folded, status, currency, created_at)
  SELECT md5('cus' || i)::uuid, 'C' || i, 'c' || i || '@x.org', 'c' || i || '@x.org', 'active',
    'USD', now()
  FROM generate_series(1, {loans}) i;
INSERT INTO loans (id, customer_id, reference, principal_minor, interest_rate, interest_minor,
    currency, installments, interval, start_on, rounding_unit, payment_policy, delinquent_after,
    collection, status, payments_count, received_minor, applied_minor, credited_minor, kept_minor,
    earned_minor, written_off_minor, written_off_at_minor, is_delinquent, created_at)
  SELECT md5('loan' || i)::uuid, md5('cus' || i)::uuid, 'L-' || i, 500000, '10', 50000,
    'USD', 50, 'weekly', date '{start}' - i % 200, 1,
    CASE WHEN i % 2 = 0 THEN 'exact' ELSE 'flexible' END, 2,
    'customer_pays', 'active', n, n * 11000, 0, 0, 0, n * 1000, 0, 0, false, now()
  FROM generate_series(1, {loans}) i, LATERAL (SELECT i % {most} AS n) paid;
INSERT INTO loan_payments (id, loan_id, sequence, amount_minor, method, status, effective_on,
    installment_number, kept_minor, received_at, settled_at)
  SELECT md5('pay' || i || '.' || k)::uuid, md5('loan' || i)::uuid, k, 11000, 'cash', 'paid',
    date '{start}' - i % 200 + 7 * k, CASE WHEN i % 2 = 0 THEN k END, 0, now(), now()
  FROM generate_series(1, {loans}) i, LATERAL generate_series(1, i % {most}) k;
"""


def today() -> date:
    """Tell the date; the server has its own clock, and the same."""
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Serving:
    """What the served process has used so far."""

    processor_seconds: float
    peak_mb: int

    @classmethod
    def find(cls) -> "Serving":
        """Find it among our own processes."""
        for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            place = Path("/proc") / pid
            if b"serve" in (place / "cmdline").read_bytes().split(b"\0"):
                user, system = (place / "stat").read_text().rpartition(")")[2].split()[11:13]
                peak = (place / "status").read_text().split("VmHWM:")[1].split()[0]
                ticks = os.sysconf("SC_CLK_TCK")
                return cls((int(user) + int(system)) / ticks, int(peak) // 1024)
        raise LookupError("no served process")


# -- one loan ------------------------------------------------------------------------------------


def make_long_loan(place: Place) -> str:
    """Take a loan of 520 rows and 260 payments over; gives its id as the wire has it."""
    start = today() - timedelta(weeks=PAID + 3)
    loan = (
        "reference,customer_name,customer_email,principal,interest_rate,installments,start_on\n"
        f"long,Bench,bench@example.org,520000,10,{ROWS},{start}\n"
    )
    paid = "\n".join(
        ["loan,amount,effective_on"]
        + [f"long,1100.00,{start + timedelta(weeks=week)}" for week in range(1, PAID + 1)]
    )

    async def bring() -> str:
        settings = Settings(database_url=SecretStr(place.url), home=place.home)
        async with Engine.open(settings) as engine:
            assert (await import_loans(engine, io.BytesIO(loan.encode()))).added == 1
            assert (await import_payments(engine, io.BytesIO(paid.encode()))).added == PAID
            with engine.database.reader() as connection:
                return find_by_references(connection, ["long"])["long"]

    return show_id(LOAN_PREFIX, asyncio.run(bring()))


def measure_loan(place: Place, seconds: float) -> list[tuple[str, ...]]:
    """Ask for outstanding, delinquency and schedule of the long loan, one call after another."""
    upgrade(place.url)
    loan_id = make_long_loan(place)
    rows: list[tuple[str, ...]] = [("call", "p50 ms", "p99 ms", "processor ms", "a second")]
    with serving(place) as url:
        for call in ("outstanding", "delinquency", "schedule"):
            message = request("GET", f"{API}/loans/{loan_id}/{call}", b"")

            def ask(_: int, message: bytes = message) -> bytes:
                return message

            storm(url, ask, clients=1, seconds=WARM_SECONDS, expected=200)
            before = Serving.find().processor_seconds
            load = storm(url, ask, clients=1, seconds=seconds, expected=200)
            used = (Serving.find().processor_seconds - before) / load.statuses[200] * 1000
            assert set(load.statuses) == {200}, load.strange
            quantiles = (f"{load.quantile(share):.2f}" for share in (0.5, 0.99))
            rows.append((call, *quantiles, f"{used:.2f}", f"{load.rate:,.0f}"))
    return rows


# -- a portfolio ---------------------------------------------------------------------------------


def lay_out(place: Place, loans: int) -> int:
    """Fill a database with loans and payments; gives how many payments there are."""
    upgrade(place.url)
    text = _LAY_OUT.format(loans=loans, most=PAYMENTS_MOST + 1, start=today() - timedelta(days=150))
    with psycopg.connect(place.url) as connection:
        counts = [connection.execute(part.encode()).rowcount for part in text.split(";")[:-1]]
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
    return counts[-1]


def measure_portfolio(place: Place, loans: int) -> list[tuple[str, ...]]:
    """Ask for the portfolio as of today and of a day that is past, in both formats."""
    count = lay_out(place, loans)
    rows: list[tuple[str, ...]] = [
        ("as of", "format", "seconds", "processor s", "first byte s", "MB", "peak MB")
    ]
    with serving(place) as url:
        at_rest = Serving.find().peak_mb
        for as_of in (today(), today() - timedelta(days=90)):
            for style in ("csv", "json"):
                before = Serving.find().processor_seconds
                started = time.perf_counter()
                path = f"{API}/loan-portfolio?as_of={as_of}&format={style}"
                with urllib.request.urlopen(url + path) as answer:
                    size = len(answer.read(1))
                    first = time.perf_counter() - started
                    while part := answer.read(1 << 20):
                        size += len(part)
                seconds = time.perf_counter() - started
                used = Serving.find()
                figures = (seconds, used.processor_seconds - before, first, size / 1e6)
                told = (f"{figure:.1f}" for figure in figures)
                rows.append((as_of.isoformat(), style, *told, f"{used.peak_mb}"))
    rows.append((f"{loans:,} loans", f"{count:,} payments", f"{at_rest} MB before"))
    return rows


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--loans", type=int, default=100_000)
    parser.add_argument("--kinds", default="sqlite,postgresql")
    options = parser.parse_args()
    for place in places(kinds=options.kinds.split(",")):
        report(f"one loan of {ROWS} rows, {place.name}", measure_loan(place, options.seconds))
    if options.loans:
        for place in places(kinds=("postgresql",)):
            rows = measure_portfolio(place, options.loans)
            report(f"portfolio, {place.name}", rows)


if __name__ == "__main__":
    main()
