"""`python -m tests.proof`: run the long proof and print what it found; 1 if anything failed."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from tests.proof.check import Check, Ground, Result, ground
from tests.proof.rows import all_checks
from tests.proof.table import Row, render, render_failures


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
    return run(chosen, asked.scale, minutes=asked.minutes)


def run(checks: Sequence[Check], scale: float, *, minutes: float | None = None) -> int:
    """Run checks one after another and print the table. An error in one is its failure."""
    rows: list[Row] = []
    for check in checks:
        amount = check.asked(scale)
        print(f"{check.name}: {amount:,} {check.unit}", file=sys.stderr, flush=True)
        began = time.monotonic()
        with ground(minutes=minutes, loud=True) as place:
            result = _try(check, amount, place)
        rows.append(Row(check, amount, result, time.monotonic() - began))
        print("  " + " | ".join(rows[-1].cells()[2:]), file=sys.stderr, flush=True)
    print(render(rows))
    failures = render_failures(rows)
    if failures:
        print(failures)
    return 1 if failures or not rows else 0


def _try(check: Check, amount: int, place: Ground) -> Result:
    try:
        return check.run(amount, place)
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
        traceback.print_exc()
        return Result(0, [f"it broke: {type(error).__name__}: {error}"])


def _fits(asked: str, name: str) -> bool:
    return asked.lower() in name.lower()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the whole (default)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only the rows with this in their name; may be repeated")  # fmt: skip
    parser.add_argument("--minutes", type=float, help="stop each row after so many minutes")
    parser.add_argument("--list", action="store_true", help="list the rows and end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
