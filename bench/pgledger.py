"""A ledger of SQL functions beside ours, on one server: `python -m bench.pgledger SCHEMA.sql`.

The schema is that of pgledger (https://github.com/pgr0ss/pgledger), which is not ours to ship:
fetch it with the functions that it needs. Each of its transfers is a transaction of its own, as its
users send them, from pgbench with as many clients as do best. Ours go through the bulk path, with
an idempotency key, an event and two hash chains each. What counts is the ratio: machines differ.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

import psycopg
from tests.postgres import find_binaries

from bench.ledger_bulk import measure
from bench.surroundings import places, report

ACCOUNTS = 50
CLIENTS = (4, 8, 16)
SECONDS = 8
_TRANSFER = f"""\\set a random(1, {ACCOUNTS})
\\set b random(1, {ACCOUNTS - 1})
SELECT pgledger_create_transfer('acct_' || :a, 'acct_' || (1 + (:a + :b - 1) % {ACCOUNTS}), 1.23);
"""
_MAKE_ACCOUNTS = """INSERT INTO pgledger_accounts
(id, name, currency, allow_negative_balance, allow_positive_balance, created_at, updated_at)
SELECT 'acct_' || n, 'a' || n, 'USD', true, true, now(), now() FROM generate_series(1, %s) n"""


def transfers_a_second(url: str, schema: str) -> float:
    """Tell the best rate of pgledger's transfers."""
    pgbench = str(find_binaries() / "pgbench")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(schema.encode())
        connection.execute(_MAKE_ACCOUNTS, (ACCOUNTS,))
    best = 0.0
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_TRANSFER)
        script.flush()
        for clients in CLIENTS:
            done = subprocess.run(
                [pgbench, "-n", "-f", script.name, "-c", str(clients), "-j", "2",
                 "-T", str(SECONDS), url],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            found = re.search(r"tps = ([0-9.]+)", done.stdout)
            assert found is not None, done.stdout
            best = max(best, float(found.group(1)))
    return best


def main() -> None:
    """Measure both, one after the other, twice over, and print their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schema", type=Path)
    parser.add_argument("--entries", type=int, default=60_000)
    arguments = parser.parse_args()
    schema = arguments.schema.read_text(encoding="utf-8")
    rows = [("entries/s", "pgledger's transfers/s", "ratio")]
    for _ in range(2):
        (theirs,) = [
            transfers_a_second(place.url, schema) for place in places(kinds=("postgresql",))
        ]
        (ours,) = [measure(place, arguments.entries) for place in places(kinds=("postgresql",))]
        rows.append((f"{ours:,.0f}", f"{theirs:,.0f}", f"{ours / theirs:.2f}"))
    report("the ledger's bulk path beside pgledger", rows)


if __name__ == "__main__":
    main()
