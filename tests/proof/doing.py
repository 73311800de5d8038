"""One check of the long proof, done from beginning to end."""

from __future__ import annotations

import sys
import time
import traceback

from tests.proof.check import Check, Ground, Result, ground
from tests.proof.rows import all_checks
from tests.proof.table import Row

Done = tuple[int, Result, float]
"""What was asked, what came of it, and in how many seconds."""


def do_named(name: str, scale: float, minutes: float | None) -> Done:
    """Do a check in a process that is told its name: a check itself can't go there."""
    (check,) = [each for each in all_checks() if each.name == name]
    return do_check(check, scale, minutes)


def do_check(check: Check, scale: float, minutes: float | None) -> Done:
    """Run one check. An error in it is its failure."""
    amount = check.asked(scale)
    print(f"{check.name}: {amount:,} {check.unit}", file=sys.stderr, flush=True)
    began = time.monotonic()
    with ground(check.name, minutes=minutes, loud=True) as place:
        result = _try(check, amount, place)
        seconds = time.monotonic() - began
        place.tell(" | ".join(Row(check, amount, result, seconds).cells()[2:]))
    return amount, result, seconds


def _try(check: Check, amount: int, place: Ground) -> Result:
    try:
        return check.run(amount, place)
    except Exception as error:  # noqa: BLE001 - one check that breaks must not hide the others
        traceback.print_exc()
        return Result(0, [f"it broke: {type(error).__name__}: {error}"])
