"""`python -m tests.proof`: run the long proof and print what it found; 1 if anything failed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from functools import partial

from tests.memory import keep_files_in_memory
from tests.proof.check import Check
from tests.proof.doing import do_check, do_named
from tests.proof.rows import all_checks
from tests.proof.table import Row, render, render_failures
from tests.proof.workers import open_pool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks that were named, or all."""
    asked = _parser().parse_args(arguments)
    checks = all_checks()
    names = [check.name for check in checks]
    if asked.list:
        print("\n".join(f"{check.name}: {check.full:,} {check.unit}" for check in checks))
        return 0
    unknown = [name for name in asked.only if not any(_fits(name, each) for each in names)]
    if unknown:
        print(f"no such check: {', '.join(unknown)}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    chosen = [
        check
        for check in checks
        if not asked.only or any(_fits(name, check.name) for name in asked.only)
    ]
    keep_files_in_memory()
    lanes = min(asked.lanes, len(chosen))
    return run(chosen, asked.scale, minutes=asked.minutes, lanes=lanes)


def run(
    checks: Sequence[Check], scale: float, *, minutes: float | None = None, lanes: int = 1
) -> int:
    """Run checks, in several processes if there are several lanes, and print the table."""
    if lanes > 1:
        do = partial(do_named, scale=scale, minutes=minutes)
        with open_pool(lanes, tasks_each=1) as pool:
            done = list(pool.map(do, [check.name for check in checks]))
    else:
        done = [do_check(check, scale, minutes) for check in checks]
    rows = [Row(check, *each) for check, each in zip(checks, done, strict=True)]
    print(render(rows))
    failures = render_failures(rows)
    if failures:
        print(failures)
    return 1 if failures or not rows else 0


def _fits(asked: str, name: str) -> bool:
    return asked.lower() in name.lower()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the whole (default)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only the rows with this in their name; may be repeated")  # fmt: skip
    parser.add_argument("--minutes", type=float, help="stop each row after so many minutes")
    parser.add_argument("--lanes", type=int, default=os.cpu_count() or 1,
                        help="how many rows run at a time (default: one a core)")  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
