"""`make check`'s share of the planted corruptions."""

from tests.proof.check import ground
from tests.proof.corruptions import CHECKS


def test_every_planted_corruption_is_found() -> None:
    (check,) = CHECKS
    with ground() as place:
        result = check.run(check.in_check, place)
    assert result.failures == []
    assert result.did == check.in_check
