"""Two-line cash sales over HTTP, all through one drawer, each durable before it is answered.

python -m bench.counter [--seconds 10] [--clients 64] [--database URL] [--past 1000000] [--mail]

On PostgreSQL it ends with pgbench writing the same rows, one sale per transaction, and the ratio.
Beside the rates it tells the processor time of a sale, by whose it is, and what a step of a plain
loop cost meanwhile: on a machine that others share these say more than the rates do.
`--past` first puts so many past sales into the book, to see that reads and sales stay as fast.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from tests.postgres import find_binaries

from bench.counter_past import fill_past
from bench.http_load import Load, request, storm
from bench.surroundings import (
    DatabaseTime,
    Place,
    places,
    process_seconds,
    report,
    yardstick,
)
from tallybook.db.migrate import upgrade

PRODUCTS = 100
CUSTOMERS = 1_000
API = "/api/v1"


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--database", default=None)
    parser.add_argument("--past", type=int, default=0)
    parser.add_argument("--kinds", default="sqlite,postgresql")
    parser.add_argument("--mail", action="store_true", help="mail invoices meanwhile")
    options = parser.parse_args()
    for place in places(options.database, kinds=options.kinds.split(",")):
        rows = measure(place, options)
        report(f"counter, {place.name}, {options.past:,} past sales", rows)


def measure(place: Place, options: argparse.Namespace) -> list[tuple[str, ...]]:
    """Run the storms against one database."""
    upgrade(place.url)
    rows: list[tuple[str, ...]] = [("", "per second", "p50 ms", "p99 ms", "answers")]
    with serving(place, mail=options.mail) as (url, _):
        set_up(url)
        sales = Sales("warm")
        storm(url, sales, clients=options.clients, seconds=3)
    if options.past:
        fill_past(place.url, options.past)
    with serving(place, mail=options.mail) as (url, server):
        # The writer's statements, the caches and the interpreter have to warm up again.
        storm(url, Sales("again"), clients=options.clients, seconds=3)
        spent = Spent(place, server)
        many = storm(url, Sales("many"), clients=options.clients, seconds=options.seconds)
        rows.append(row(f"{options.clients} clients", many))
        rows.append(spent.row(sum(many.statuses.values())))
        one = storm(url, Sales("one"), clients=1, seconds=min(5, options.seconds))
        rows.append(row("1 client", one))
        last = sum(many.statuses.values())
        dice = random.Random(11)
        paths = {
            "receipt number": lambda: f"purchases/{dice.randrange(last) + 1}",
            "by customer": lambda: (
                f"purchases?customer_email=buyer{dice.randrange(CUSTOMERS)}@example.org"
            ),
        }
        for name, path in paths.items():
            reads = storm(url, Reads(path), clients=4, seconds=4, expected=200)
            rows.append(row(name, reads))
    if place.name == "postgresql":
        rate = pgbench(place, options)
        rows.append(("pgbench", f"{rate:,.0f}", f"ratio {many.rate / rate:.2f}"))
    return rows


class Spent:
    """The processor time of a storm, by whose it is."""

    def __init__(self, place: Place, server: int) -> None:
        self._server = server
        self._database = DatabaseTime(place.url) if place.name == "postgresql" else None
        self._steps = [yardstick()]
        self._before = self._now()

    def _now(self) -> tuple[float, float, float]:
        database = self._database.seconds() if self._database else 0.0
        return process_seconds(self._server), database, time.process_time()

    def row(self, sales: int) -> tuple[str, ...]:
        """Put it into a row, per sale."""
        spent = zip(self._before, self._now(), strict=True)
        each = [(after - before) / sales * 1e6 for before, after in spent]
        self._steps.append(yardstick())
        step = sum(self._steps) / 2
        return (
            "  CPU us a sale",
            f"server {each[0]:.0f}",
            f"database {each[1]:.0f}",
            f"generator {each[2]:.0f}",
            f"a loop's step {step:.0f} ns",
        )


def row(name: str, load: Load) -> tuple[str, ...]:
    """Put a storm's figures into a row."""
    if load.strange:
        print(load.strange[0][-600:], file=sys.stderr)
    return (
        name,
        f"{load.rate:,.0f}",
        f"{load.quantile(0.5):.2f}",
        f"{load.quantile(0.99):.2f}",
        str(load.statuses),
    )


class Sales:
    """Makes sales: two products of a hundred, one of a thousand customers, paid with a note."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._random = random.Random(run)

    def __call__(self, number: int) -> bytes:
        """Make one sale's request, with a key of its own."""
        first, second = self._random.sample(range(1, PRODUCTS + 1), 2)
        body = (
            f'{{"customer_email":"buyer{self._random.randrange(CUSTOMERS)}@example.org",'
            f'"items":[{{"product_id":{first},"quantity":1}},'
            f'{{"product_id":{second},"quantity":1}}],'
            '"paid_amount":"100.00","tendered":[{"value":"100.00","count":1}]}'
        )
        return request("POST", f"{API}/purchases", body.encode(), f"{self._run}-{number}")


class Reads:
    """Makes reads of paths that are drawn anew each time."""

    def __init__(self, path: Callable[[], str]) -> None:
        self._path = path

    def __call__(self, number: int) -> bytes:
        """Make one read's request."""
        del number
        return request("GET", f"{API}/{self._path()}", b"")


@contextmanager
def serving(place: Place, *, mail: bool) -> Generator[tuple[str, int]]:
    """Serve a database in a process of its own; gives its address and its number."""
    environment = os.environ | {
        "DATABASE_URL": place.url,
        "TALLYBOOK_HOME": str(place.home),
        "TALLYBOOK_RUN_ENABLED": "false",
        "TALLYBOOK_INVOICE_MAIL": str(mail).lower(),
        "TALLYBOOK_LOG_LEVEL": "WARNING",
    }
    command = [str(Path(sys.executable).parent / "tallybook"), "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


def set_up(url: str) -> None:
    """Fill the shelves and the drawer."""
    dice = random.Random(7)
    for number in range(PRODUCTS):
        price = dice.randrange(100, 4_000)
        product = {
            "name": f"product {number} of the bench",
            "stock": 500_000_000,
            "price": f"{price // 100}.{price % 100:02d}",
            "tax_percent": dice.choice([0, 5, 12, 18]),
        }
        post(url, "/products", product)
    for value in ("100", "50", "20", "10", "5", "2", "1", "0.50", "0.20", "0.10", "0.05", "0.01"):
        post(url, "/denominations", {"value": value, "available_count": 10_000_000})


def post(url: str, path: str, body: object) -> None:
    """Send one call."""
    call = urllib.request.Request(
        url + API + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(call):
        pass


def pgbench(place: Place, options: argparse.Namespace) -> float:
    """Have PostgreSQL's own client write the same rows, one sale per transaction."""
    address = urlsplit(place.url)
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute((Path(__file__).parent / "counter_sale.sql").read_bytes())
    script = place.home / "sale.sql"
    script.write_text(
        f"\\set first random(1, {PRODUCTS // 2})\n"
        f"\\set second random({PRODUCTS // 2 + 1}, {PRODUCTS})\n"
        f"\\set who random(0, {CUSTOMERS - 1})\n"
        "SELECT bench_sale(:first, :second, :who, 'pgbench-');\n"
    )
    command = [str(find_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared"]
    command += [f"--client={options.clients}", "--jobs=2", f"--time={int(options.seconds)}"]
    command += [f"--file={script}", "-h", str(address.hostname), "-p", str(address.port)]
    command += ["-U", str(address.username), address.path.removeprefix("/")]
    environment = os.environ | {"PGPASSWORD": address.password or ""}
    time.sleep(1)
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    line = next(line for line in output.stdout.splitlines() if line.startswith("tps ="))
    return float(line.split()[2])


if __name__ == "__main__":
    main()
