"""The one split and the one rounding."""

from __future__ import annotations


def split_evenly(total: int, parts: int, *, unit: int = 1) -> tuple[int, ...]:
    """Split an amount into near-equal parts that sum back to it exactly.

    Earlier parts carry the remainder, one unit each, so the last is never the largest. With a
    larger unit every part but the last is whole units; what is left over sits on the last.

    Units: minor units. Source: A4, L2.

    >>> split_evenly(100_00, 12)[:5]
    (834, 834, 834, 834, 833)
    >>> split_evenly(1_005, 4, unit=10)
    (250, 250, 250, 255)
    """
    assert total >= 0, total
    assert parts >= 1, parts
    assert unit >= 1, unit
    units, left_over = divmod(total, unit)
    quotient, remainder = divmod(units, parts)
    amounts = [(quotient + (index < remainder)) * unit for index in range(parts)]
    amounts[-1] += left_over
    assert sum(amounts) == total
    return tuple(amounts)


def sum_of_first(total: int, parts: int, count: int, *, unit: int = 1) -> int:
    """Add up the first parts of a split without making it.

    Units: minor units. Source: L2.

    >>> sum_of_first(100_00, 12, 5) == sum(split_evenly(100_00, 12)[:5])
    True
    """
    assert 0 <= count <= parts, (count, parts)
    if count == parts:
        return total
    quotient, remainder = divmod(total // unit, parts)
    return (quotient * count + min(count, remainder)) * unit


def count_covered(total: int, parts: int, amount: int, *, unit: int = 1) -> int:
    """Tell how many of a split's parts, from the first, an amount covers in full.

    Units: minor units. Source: L5.

    >>> count_covered(100_00, 12, 834), count_covered(100_00, 12, 833), count_covered(5, 5, 5)
    (1, 0, 5)
    """
    if amount >= total:
        return parts
    quotient, remainder = divmod(total // unit, parts)
    larger = (quotient + 1) * unit
    if amount < remainder * larger:
        return amount // larger
    assert quotient >= 1, "every part holds something"
    return min(parts - 1, remainder + (amount - remainder * larger) // (quotient * unit))


def round_half_up(numerator: int, denominator: int) -> int:
    """Divide and round to the nearest integer, a half away from zero.

    Source: L2, R3.

    >>> round_half_up(5, 2), round_half_up(-5, 2), round_half_up(7, 3)
    (3, -3, 2)
    """
    assert denominator > 0, denominator
    rounded = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -rounded if numerator < 0 else rounded
