"""How long change takes to choose: `python -m bench.change [--drawers 2000]`.

Twelve values and change of ten thousand times the smallest, out of drawers of every sort: ordinary
coins, values near each other, few pieces and many, and amounts that can't be made at all.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator

from bench.surroundings import report, yardstick
from tallybook.retail.model import Pieces
from tallybook.retail.rules.change import find_change, nearest_amounts

COINS = (10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 1)
VALUES = 12
TIMES = 10_000


def drawers(count: int) -> Iterator[tuple[str, int, Pieces]]:
    """Draw drawers: their sort, an amount, and what is in them."""
    dice = random.Random(20)
    for _ in range(count):
        kind, values = dice.choice(
            [
                ("coins", list(COINS)),
                ("near each other", dice.sample(range(900, 1_100), VALUES)),
                ("small", dice.sample(range(2, 200), VALUES)),
                ("wide", dice.sample(range(2, 3_000), VALUES)),
                ("even, and one odd", [*(2 * n for n in dice.sample(range(400, 600), 11)), 801]),
            ]
        )
        most = dice.choice([3, 20, 200, 10_000])
        drawer = tuple((value, dice.randrange(most + 1)) for value in sorted(values, reverse=True))
        yield kind, TIMES * min(values) - dice.choice([0, 0, 1, 7, 29]), drawer


def slowest(choose: Callable[[int, Pieces], object], count: int) -> list[tuple[str, ...]]:
    """Time each drawer, the fastest of three: what else runs is not what is asked for."""
    times: dict[str, list[float]] = {}
    for kind, amount, drawer in drawers(count):
        best = min(_timed(choose, amount, drawer) for _ in range(3))
        times.setdefault(kind, []).append(best)
    return [
        (kind, f"{sorted(taken)[len(taken) // 2]:.3f}", f"{max(taken):.3f}", f"{len(taken)}")
        for kind, taken in sorted(times.items())
    ]


def _timed(choose: Callable[[int, Pieces], object], amount: int, drawer: Pieces) -> float:
    began = time.thread_time()
    choose(amount, drawer)
    return (time.thread_time() - began) * 1000


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drawers", type=int, default=2_000)
    options = parser.parse_args()
    for name, choose in (("change", find_change), ("nearest amounts", nearest_amounts)):
        rows = [("drawers", "median ms", "slowest ms", "how many")]
        rows += slowest(choose, options.drawers)
        report(f"{name}, a loop's step {yardstick():.0f} ns", rows)


if __name__ == "__main__":
    main()
