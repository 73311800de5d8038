"""perform_advance over HTTP, the simulator as another process over HTTP, every outcome durable.

python -m bench.advances_http [--clients 64] [--seconds 10] [--customers 2000] [--database URL]
"""

import argparse
import json

from bench.http_load import request, storm
from bench.serving import post, serving, simulating
from bench.surroundings import Place, places, report

AMOUNT = "120.00"


def measure(place: Place, options: argparse.Namespace) -> tuple[str, ...]:
    """Register customers, then perform advances for each in turn."""
    with simulating(place) as rail, serving(place, {"TALLYBOOK_PROCESSOR_URL": rail}) as url:
        for number in range(options.customers):
            body = {
                "name": f"Customer {number}",
                "email": f"c{number}@example.org",
                "bank_accounts": [f"BENCH{number:08d}"],
            }
            post(url, "/api/v1/customers", body)

        def make(number: int) -> bytes:
            body = {"dst_bank_account": f"BENCH{number % options.customers:08d}", "amount": AMOUNT}
            return request(
                "POST", "/api/v1/advances", json.dumps(body).encode(), key=f"bench-{number}"
            )

        storm(url, lambda n: make(n + 10**9), clients=options.clients, seconds=2)
        load = storm(url, make, clients=options.clients, seconds=options.seconds)
    return (
        place.name,
        f"{load.rate:,.0f} advances/s",
        f"p50 {load.quantile(0.5):.0f} ms",
        f"p99 {load.quantile(0.99):.0f} ms",
        f"{load.statuses}",
    )


def main() -> None:
    """Run on both databases and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--customers", type=int, default=2_000)
    parser.add_argument("--database")
    options = parser.parse_args()
    rows = [measure(place, options) for place in places(options.database)]
    report(f"perform_advance over HTTP, {options.clients} clients", rows)


if __name__ == "__main__":
    main()
