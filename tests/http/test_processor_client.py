"""The client against peers that mean harm, on real sockets."""

import asyncio
import json
import logging
import socket
import traceback

import pytest

from tallybook.processor import client as client_module
from tallybook.processor.client import ClientSettings, HttpProcessor
from tallybook.processor.port import (
    BalancesNotTold,
    Processor,
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
)
from tests.http.processor_peers import (
    ACCOUNT,
    GOOD,
    ORDER,
    Peer,
    Seen,
    closed_port,
    closes,
    download,
    drips,
    hangs,
    never_ends,
    never_ends_its_head,
    peer,
    perform,
    reply,
    resets,
    says,
)

# What a good call looks like.


def test_a_call_is_one_request_on_one_connection() -> None:
    async def play() -> Seen:
        async with peer(says(GOOD)) as (url, seen):
            assert await perform(url + "/base/") == "txn_1"
        return seen

    seen = asyncio.run(play())
    head, _, body = seen.received[0].partition(b"\r\n\r\n")
    assert seen.connections == 1
    assert head.startswith(b"POST /base/transactions HTTP/1.1\r\n")
    assert b"connection: close" in head.lower()
    assert b"gzip" not in head.lower()
    assert json.loads(body) == {
        "src_bank_account": "HOUSE-0001",
        "dst_bank_account": ACCOUNT,
        "amount": "12.50",
        "direction": "debit",
        "reference": "ref-1",
    }


def test_each_call_has_a_connection_of_its_own() -> None:
    async def play() -> int:
        async with peer(says(GOOD)) as (url, seen):
            client: Processor = HttpProcessor(url)
            for _ in range(3):
                await client.perform_transaction(ORDER, may_send=lambda: True)
            await client.aclose()
            await client.perform_transaction(ORDER, may_send=lambda: True)  # and opens again
            await client.aclose()
        return seen.connections

    assert asyncio.run(play()) == 4


def test_an_installation_may_send_headers_of_its_own() -> None:
    async def play() -> Seen:
        async with peer(says(GOOD)) as (url, seen):
            settings = ClientSettings(headers={"Authorization": "Bearer x"})
            assert "Bearer" not in repr(settings)
            await perform(url, settings=settings)
        return seen

    assert b"\r\nAuthorization: Bearer x\r\n" in asyncio.run(play()).received[0]


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://x", "http://", "http://x/?a=b"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="address"):
        HttpProcessor(url)


# Before the first byte.


def test_no_byte_leaves_when_the_lease_ran_out() -> None:
    async def play() -> Seen:
        async with peer(says(GOOD)) as (url, seen):
            with pytest.raises(ProcessorRejected, match="lease_lost") as caught:
                await perform(url, may_send=lambda: False)
            assert caught.value.refused_before_sending
            await asyncio.sleep(0.05)  # a byte on its way would arrive now
        return seen

    seen = asyncio.run(play())
    assert (seen.connections, seen.received) == (1, [b""])


def test_the_lease_is_looked_at_when_the_connection_stands() -> None:
    async def play() -> list[int]:
        asked: list[int] = []
        async with peer(says(GOOD)) as (url, seen):

            def may_send() -> bool:
                asked.append(sum(map(len, seen.received)))
                return True

            await perform(url, may_send=may_send)
            with closed_port() as nobody, pytest.raises(ProcessorRejected):
                await perform(nobody, may_send=may_send)
        return asked

    assert asyncio.run(play()) == [0]


def test_our_own_bug_in_asking_sends_nothing_and_comes_out() -> None:
    def may_send() -> bool:
        raise ZeroDivisionError

    async def play() -> Seen:
        async with peer(says(GOOD)) as (url, seen):
            with pytest.raises(ZeroDivisionError):
                await perform(url, may_send=may_send)
            await asyncio.sleep(0.05)
        return seen

    assert asyncio.run(play()).received == [b""]


def test_a_report_asks_no_lease() -> None:
    async def play() -> bytes:
        async with peer(says(reply(b"x", "200 OK"))) as (url, _):
            client = HttpProcessor(url)
            with pytest.raises(ProcessorRejected):
                await client.perform_transaction(ORDER, may_send=lambda: False)
            assert client_module._gate.get() is None
            try:
                return await client.download_report()
            finally:
                await client.aclose()

    assert asyncio.run(play()) == b"x"


def test_a_refused_connection_is_proof_that_nothing_was_sent() -> None:
    with closed_port() as url, pytest.raises(ProcessorRejected, match="connection_refused") as it:
        asyncio.run(perform(url))
    assert it.value.refused_before_sending


def test_so_is_a_name_that_nobody_has() -> None:
    with pytest.raises(ProcessorRejected, match="dns_failure") as caught:
        asyncio.run(perform("http://processor.invalid"))
    assert caught.value.refused_before_sending


def test_so_is_a_connection_that_does_not_come_about_in_time() -> None:
    """A full backlog lets nobody in; Linux then drops the first packet."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        with pytest.raises(ProcessorRejected, match="timeout") as caught:
            asyncio.run(perform(f"http://127.0.0.1:{port}", timeout_seconds=0.3))
        for each in waiting:
            each.close()
    assert caught.value.refused_before_sending


def test_so_is_a_peer_that_can_not_prove_who_it_is() -> None:
    async def play() -> None:
        async with peer(says(GOOD)) as (url, seen):
            with pytest.raises(ProcessorRejected, match="tls_failure") as caught:
                await perform(url.replace("http:", "https:"))
            assert caught.value.refused_before_sending
            assert b"transactions" not in seen.received[0]

    asyncio.run(play())


# After the first byte.

UNKNOWN: list[tuple[str, Peer, str]] = [
    ("hangs", hangs, "timeout"),
    ("drips", drips(GOOD, 0.02), "timeout"),
    ("drips its body", drips(reply(b" " * 500), 0.005), "timeout"),
    ("resets", resets, "reset"),
    ("closes", closes, "reset"),
    ("cuts the head", says(b"HTTP/1.1 201 Crea"), "reset"),
    ("cuts the body", says(GOOD[:-1]), "reset"),
    ("cuts a refusal", says(reply(b'{"error": "no"}', "422 No")[:-1]), "reset"),
    ("does not say how long a refusal is", says(b"HTTP/1.1 422 No\r\n\r\n{}"), "reset"),
    ("never ends", never_ends, "reply_too_large"),
    ("never ends its head", never_ends_its_head, "reply_unreadable"),
    ("says more than was promised", says(b"HTTP/1.1 201 OK\r\nContent-Length: 1\r\n\r\n{}"),
     "reply_unreadable"),
    ("speaks something else", says(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "reply_unreadable"),
    ("refuses at length", says(reply(b"x" * 70_000, "422 No")), "reply_too_large"),
    ("has two lengths", says(GOOD.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n")),
     "reply_unreadable"),
    *((f"says {status}", says(reply(b"{}", f"{status} X")), f"status_{status}")
      for status in (200, 202, 301, 307, 408, 409, 425, 429, 500, 502, 503, 504, 599)),
    ("says 304", says(reply(b"", "304 Not Modified")), "status_304"),
    ("says 204", says(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), "status_204"),
    *((f"answers {body[:40]!r}", says(reply(body)), "reply_unreadable")
      for body in (
          b"", b"{}", b"[]", b"null", b'"txn_1"', b'{"transaction_id": ""}',
          b'{"transaction_id": null}', b'{"transaction_id": 1}', b'{"transaction_id": ["a"]}',
          b'{"transaction_id": "a\\u0000b"}', b'{"transaction_id": "a\\nb"}',
          b'{"transaction_id": " a"}', b'{"transaction_id": "\\ud800"}',
          b'{"transaction_id": "a", "transaction_id": "b"}', b'{"transaction_id": "a"',
          b'{"transaction_id": "a"} x', b'{"transaction_id": "' + b"a" * 256 + b'"}',
          b"[" * 50_000, b"\xff\xfe{\0}\0", b'{"transaction_id": "\xe9"}', b"<html></html>",
          b'{"transaction_id": ' + b"9" * 5_000 + b"}", b"\x1f\x8b\x08\0\0\0\0\0",
      )),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "reason"), [case[1:] for case in UNKNOWN],
                         ids=[case[0] for case in UNKNOWN])  # fmt: skip
def test_what_is_no_proof_is_unknown_and_is_not_tried_again(answer: Peer, reason: str) -> None:
    async def play() -> Seen:
        async with peer(answer) as (url, seen):
            with pytest.raises(ProcessorUnknown) as caught:
                await perform(url, timeout_seconds=1)
            assert caught.value.reason == reason
        return seen

    assert asyncio.run(play()).connections == 1


def test_a_redirect_is_not_followed() -> None:
    async def play() -> tuple[Seen, Seen]:
        async with peer(says(GOOD)) as (target, seen_there):
            where = f"Location: {target}/transactions\r\n".encode()
            moved = reply(b"", "307 Moved", more=where)
            async with peer(says(moved)) as (url, seen_here):
                with pytest.raises(ProcessorUnknown, match="status_307"):
                    await perform(url)
        return seen_here, seen_there

    here, there = asyncio.run(play())
    assert (here.connections, there.connections) == (1, 0)


def test_a_cookie_is_not_sent_back() -> None:
    async def play() -> Seen:
        async with peer(says(GOOD.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))) as (
            url,
            seen,
        ):
            client = HttpProcessor(url)
            for _ in range(2):
                await client.perform_transaction(ORDER, may_send=lambda: True)
            await client.aclose()
        return seen

    assert b"cookie" not in asyncio.run(play()).received[1].lower()


# Definite refusals.


async def refused_with(body: bytes, status: int = 422) -> ProcessorRejected:
    async with peer(says(reply(body, f"{status} No"))) as (url, _):
        with pytest.raises(ProcessorRejected) as caught:
            await perform(url)
    return caught.value


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 415, 422, 451, 499])
def test_a_complete_4xx_is_a_refusal(status: int) -> None:
    refusal = asyncio.run(refused_with(b'{"error": "account closed"}', status))
    assert not refusal.refused_before_sending
    assert refusal.was_let_in == (status not in (401, 403))
    assert refusal.reason == "account closed"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "status_422"),
        (b"<html>", "status_422"),
        (b'{"error": 5}', "status_422"),
        (b'{"error": {"code": 7, "message": "no"}}', "status_422"),
        (b'{"error": {"message": "no funds"}}', "no funds"),
        (b'{"code": "insufficient_funds", "message": "too poor"}', "insufficient_funds"),
        (b'{"reason": " a\\u0000\\n\\tb "}', "a b"),
        (b'{"reason": "\\u0000"}', "status_422"),
        (b'{"reason": "limit 500.00"}', "limit (number)"),
        (b'{"reason": "limit 50.00"}', "limit 50.00"),
        (b'{"reason": "' + b"x" * 50_000 + b'"}', "x" * 200),
    ],
)
def test_the_reason_of_a_refusal_is_cleaned_and_bounded(body: bytes, reason: str) -> None:
    assert asyncio.run(refused_with(body)).reason == reason


@pytest.mark.parametrize(
    "quoted",
    [
        ACCOUNT,
        ACCOUNT.lower(),
        " ".join(ACCOUNT[at : at + 4] for at in range(0, 22, 4)),
        "-".join(ACCOUNT),
        "".join(chr(ord(char) + 0xFEE0) for char in ACCOUNT),
        "\u200b".join(ACCOUNT),
    ],
)
def test_no_account_number_comes_out_of_a_refusal(
    quoted: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = asyncio.run(refused_with(json.dumps({"error": f"no such {quoted} here"}).encode()))
    assert refusal.reason == "no such (account) here"
    assert ACCOUNT[-6:] not in "".join(traceback.format_exception(refusal)) + caplog.text


@pytest.mark.parametrize("quoted", [ACCOUNT[-10:], ACCOUNT[4:], "x" * 195 + ACCOUNT])
def test_no_part_of_an_account_number_comes_out_of_a_refusal(quoted: str) -> None:
    refusal = asyncio.run(refused_with(json.dumps({"error": quoted}).encode()))
    assert sum(map(str.isdigit, refusal.reason)) == 0


@pytest.mark.parametrize("answer", [resets, hangs, says(b"junk\r\n\r\n"), says(reply(b"{}"))])
def test_no_account_number_comes_out_of_trouble(
    answer: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    async def play() -> str:
        async with peer(answer) as (url, _):
            with pytest.raises(ProcessorUnknown) as caught:
                await perform(url, timeout_seconds=0.3)
            assert caught.value.__context__ is None
            client = HttpProcessor(url, timeout_seconds=0.3)
            told = ""
            try:
                assert await client.available_balance(ACCOUNT) is None
            except TimeoutError as silence:
                assert answer is hangs
                told = "".join(traceback.format_exception(silence))
            await client.aclose()
        return told + "".join(traceback.format_exception(caught.value))

    with caplog.at_level(logging.DEBUG):
        assert ACCOUNT[-6:] not in asyncio.run(play()) + caplog.text


# Reports and balances.


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (hangs, "timeout"),
        (drips(reply(b"x" * 500, "200 OK"), 0.01), "timeout"),
        (resets, "reset"),
        (says(reply(b"transaction_id,result", "200 OK")[:-1]), "reset"),
        (says(b"HTTP/1.1 200 OK\r\n\r\ntransaction_id,result\n"), "reset"),
        (says(reply(b"", "404 No")), "status_404"),
        (says(reply(b"", "503 No")), "status_503"),
        (says(reply(b"", "302 Found", b"Location: /other\r\n")), "status_302"),
        (says(reply(b"x" * 2_000, "200 OK")), "reply_too_large"),
        (never_ends, "reply_too_large"),
    ],
)
def test_a_report_that_does_not_come_whole_does_not_come(answer: Peer, reason: str) -> None:
    async def play() -> None:
        async with peer(answer) as (url, _):
            with pytest.raises(ReportUnavailable) as caught:
                await download(url, report_timeout_seconds=0.5, report_bytes=1_999)
            assert caught.value.reason == reason

    asyncio.run(play())


def test_no_report_where_nobody_listens() -> None:
    with closed_port() as url, pytest.raises(ReportUnavailable, match="connection_refused"):
        asyncio.run(download(url))


@pytest.mark.parametrize(
    ("body", "status", "balance"),
    [
        (b'{"available_balance": "12.50"}', "200 OK", "12.50"),
        (b'{"available_balance": "-0.01"}', "200 OK", "-0.01"),
        (b'{"available_balance": 12}', "200 OK", None),
        (b'{"available_balance": "lots"}', "200 OK", None),
        (b'{"available_balance": "NaN"}', "200 OK", None),
        (b"", "200 OK", None),
        (b'{"error": "not_known"}', "404 No", None),
        (b'{"available_balance": "12.50"}', "500 No", None),
    ],
)
def test_a_balance_is_told_or_not_known(body: bytes, status: str, balance: str | None) -> None:
    async def play() -> Seen:
        async with peer(says(reply(body, status))) as (url, seen):
            client = HttpProcessor(url)
            assert await client.available_balance("DE/0 2?") == balance
            await client.aclose()
        return seen

    assert asyncio.run(play()).received[0].startswith(b"GET /accounts/DE%2F0%202%3F/balance HTTP")


@pytest.mark.parametrize("status", ["404 No", "405 No", "501 No"])
def test_where_no_balances_are_told_it_is_said_so(status: str) -> None:
    async def play() -> None:
        async with peer(says(reply(b'{"available_balance": "12.50"}', status))) as (url, _):
            client = HttpProcessor(url)
            with pytest.raises(BalancesNotTold):
                await client.available_balance("DE02")
            await client.aclose()

    asyncio.run(play())
