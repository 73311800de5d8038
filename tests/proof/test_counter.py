"""What the long proof does with the counter, in small."""

import pytest

from tests.postgres import Databases
from tests.proof.check import Check, ground
from tests.proof.counter import CHECKS


@pytest.mark.slow
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_the_counter_in_small(check: Check, databases: Databases) -> None:
    with ground(postgres_url=databases.server_url) as place:
        result = check.run(check.in_check, place)
    assert list(result.failures) == []
    assert result.did == check.in_check
