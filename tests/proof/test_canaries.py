"""`make check`'s share of the canary account numbers, and that the search can find."""

import base64

import pytest

from tests.proof.canaries import CHECKS, canary, needles, written
from tests.proof.check import ground


def test_no_canary_is_readable_anywhere() -> None:
    (check,) = CHECKS
    with ground() as place:
        result = check.run(check.in_check, place)
    assert result.failures == []
    assert result.did == check.in_check


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("before", range(4))
def test_a_canary_in_any_form_would_be_found(number: int, before: int) -> None:
    needed = needles()
    text = written(number)
    for leak in (
        text.encode(),
        text.encode().hex().encode(),
        text.encode("utf-16"),
        text.encode("utf-16-be"),
        base64.b64encode(b"x" * before + text.encode() + b"tail"),
        f"account {text} is closed".encode(),
    ):
        content = b"...." + leak + b"...."
        assert any(needle.lower() in content.lower() for needle in needed), (leak, canary(number))
