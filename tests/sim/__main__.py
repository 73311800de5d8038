"""`python -m tests.sim --seed S --steps N --database sqlite`: play seeds, say what they came to."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter

from tests.postgres import URL_VARIABLE, Server
from tests.sim.book import open_book
from tests.sim.play import play


def main() -> int:
    """Play the seeds that were asked for; 1 if one of them found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds")
    parser.add_argument("--steps", type=int, default=100, help="steps a seed")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    asked = parser.parse_args()
    url, server = os.environ.get(URL_VARIABLE, ""), None
    if asked.database == "postgresql" and not url:
        server = Server.create()
        url = server.url
    reached: Counter[str] = Counter()
    failed = 0
    began = time.monotonic()
    try:
        with open_book(asked.database, url) as book:
            for seed in range(asked.seed, asked.seed + asked.seeds):
                told = play(book, seed, asked.steps)
                reached += told.reached
                if told.wrong:
                    failed += 1
                    print(f"seed {seed}: {told.wrong[0]}\n  again: {told.again}")
                elif asked.seeds == 1:
                    print(f"seed {seed}: {told.log_hash}")
    finally:
        if server is not None:
            server.remove()
    for name, count in sorted(reached.items()):
        print(f"{count:8,}  {name}")
    seconds = time.monotonic() - began
    print(f"{asked.seeds} seeds x {asked.steps} steps, {failed} failed, {seconds:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
