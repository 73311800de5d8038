"""Bodies are bounded while they come, whatever was announced."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from tallybook.kernel.refusal import Refused
from tallybook.wire.body import check_type, read_body

Asked = tuple[Mapping[bytes, bytes], Receive]


def request(*messages: dict[str, Any], length: str | None = None) -> tuple[Asked, list[Any]]:
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0)

    headers = {} if length is None else {b"content-length": length.encode()}
    return (headers, receive), waiting


def part(body: bytes, *, more: bool = True) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


async def read(*messages: dict[str, Any], length: str | None = None) -> bytes:
    asked, _ = request(*messages, length=length)
    return await read_body(*asked, limit=10)


@pytest.mark.anyio
async def test_parts_are_put_together() -> None:
    assert await read(part(b"abc"), part(b""), part(b"def"), part(b"ghij", more=False)) == (
        b"abcdefghij"
    )
    assert await read(part(b"0123456789", more=False), length="10") == b"0123456789"
    assert await read({"type": "http.request"}) == b""


@pytest.mark.anyio
async def test_too_much_is_refused_before_the_rest_is_taken() -> None:
    asked, waiting = request(part(b"x" * 6), part(b"x" * 6), part(b"x"), part(b"x", more=False))
    with pytest.raises(Refused) as caught:
        await read_body(*asked, limit=10)
    assert caught.value.refusal.code == "body_too_large"
    assert caught.value.refusal.details == {"limit": 10}
    assert len(waiting) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("length", ["11", "9" * 30])
async def test_what_is_announced_too_large_is_not_read(length: str) -> None:
    asked, waiting = request(part(b"x", more=False), length=length)
    with pytest.raises(Refused):
        await read_body(*asked, limit=10)
    assert len(waiting) == 1


@pytest.mark.anyio
@pytest.mark.parametrize("length", ["1", "-1", "abc", "0x1"])
async def test_what_is_announced_too_small_is_counted_all_the_same(length: str) -> None:
    with pytest.raises(Refused):
        await read(part(b"x" * 11, more=False), length=length)


@pytest.mark.anyio
async def test_a_client_that_goes_away_is_not_answered() -> None:
    with pytest.raises(ClientDisconnect):
        await read(part(b"x"), {"type": "http.disconnect"})
    with pytest.raises(ClientDisconnect):
        await read({"type": "http.disconnect"})


@pytest.mark.anyio
async def test_a_body_that_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallybook.wire.body.BODY_SECONDS", 0.05)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return part(b"")

    with pytest.raises(Refused) as caught:
        await read_body({}, receive, limit=10)
    assert caught.value.refusal.code == "body_too_slow"


@pytest.mark.parametrize("given", ["text/csv", "TEXT/CSV; header=present", "text/csv;charset=utf8"])
def test_a_call_may_name_other_types(given: str) -> None:
    check_type({b"content-type": given.encode()}, "text/csv", "application/json")


@pytest.mark.parametrize("given", ["", "text/csvx", "text/csv; charset=utf-16", "text"])
def test_other_types_are_refused(given: str) -> None:
    with pytest.raises(Refused) as caught:
        check_type({b"content-type": given.encode()}, "text/csv")
    assert caught.value.refusal.details == {"allowed": ["text/csv"]}
