"""Serves the simulated Processor over HTTP, where its faults become what a wire really does.

The wire is that of docs/processor-wire.md, and below `/simulator` what only a simulator has:
its date to set, and the truth to look up. A refused connection can't be played by someone who has
accepted it: it is cut like a lost one, with nothing executed.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import date
from typing import Any
from urllib.parse import unquote

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tallybook.kernel.calendar import parse_date
from tallybook.kernel.money import format_amount
from tallybook.processor.faults import CallFault, ReportFault
from tallybook.processor.port import ACCOUNT_NOT_KNOWN, Direction, TransferOrder
from tallybook.processor.simulator import (
    BUSY_STATUSES,
    ERROR_STATUSES,
    REJECT_STATUSES,
    Answer,
    SimulatedProcessor,
    pick,
)
from tallybook.processor.simulator_log import LoggedCall

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_LIMIT = 64 * 1024
_CUT = "tallybook.cut"
_JSON, _CSV, _HTML = b"application/json", b"text/csv", b"text/html"
_FIELDS = {"src_bank_account", "dst_bank_account", "amount", "direction"}
_BROKEN_BODIES = (
    b"",
    b'{"transaction_id": "txn_',
    b"<html><body>Created</body></html>",
    b'{"transaction_id": 1234567}',
    b'{"id": "txn_1"}',
    b'{"transaction_id": ""}',
    b'{"transaction_id": "' + b"9" * 300 + b'"}',
    b"\xff\xfe\x00",
)


class _CuttingProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, with a way for the application to cut the connection for real."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {_CUT: {"cut": self._cut}}

    def _cut(self) -> None:
        connection = self.transport.get_extra_info("socket")
        # Closed without lingering, the other side gets a reset rather than an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class _Announcing(uvicorn.Server):
    """Says where it listens once it does, for a person or a test that started it."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.address()
            shown = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"processor listening on http://{shown}:{port}\n")
            sys.stdout.flush()

    def address(self) -> tuple[str, int]:
        """Tell the host and port that it listens on."""
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        return host, port


def create_server(
    host: str, port: int, simulator: SimulatedProcessor, *, drip_seconds: float = 1.0
) -> uvicorn.Server:
    """Prepare a server that nobody has started yet. Port 0 takes a free one.

    `drip_seconds` lie between two bytes of a dripping reply.
    """
    config = uvicorn.Config(
        SimulatorApp(simulator, drip_seconds=drip_seconds),
        host=host,
        port=port,
        http=_CuttingProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return _Announcing(config)


def run(host: str, port: int, simulator: SimulatedProcessor, *, drip_seconds: float = 1.0) -> None:
    """Serve until interrupted. Prints one line when it is ready."""
    create_server(host, port, simulator, drip_seconds=drip_seconds).run()


class SimulatorApp:
    """The simulator as an ASGI application, for Uvicorn with the protocol above."""

    def __init__(self, simulator: SimulatedProcessor, *, drip_seconds: float) -> None:
        self._simulator = simulator
        self._drip_seconds = drip_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        wire = _Wire(scope, receive, send)
        path = scope["raw_path"].decode("ascii")
        match scope["method"], path.strip("/").split("/"):
            case "POST", ["transactions"]:
                await self._transact(wire)
            case "GET", ["report"]:
                await self._report(wire)
            case "GET", ["accounts", number, "balance"]:
                await self._balance(wire, unquote(number))
            case "POST", ["simulator", "date"]:
                await self._set_date(wire)
            case "GET", ["simulator", "truth"]:
                await wire.answer(200, await asyncio.to_thread(self._truth))
            case _:
                await wire.answer(404, {"error": "not_found"})

    async def _transact(self, wire: _Wire) -> None:
        order = _read_order(await wire.body())
        if order is None:
            await wire.answer(422, {"error": "malformed"})
            return
        answer = self._simulator.receive(order)
        match answer.fault:
            case CallFault.REFUSED | CallFault.LOST_BEFORE | CallFault.LOST_AFTER:
                await wire.cut()
            case CallFault.HANG_BEFORE | CallFault.HANG_AFTER:
                await wire.hang()
            case CallFault.ERROR_BEFORE | CallFault.ERROR_AFTER:
                await wire.answer(pick(ERROR_STATUSES, answer), {"error": "unavailable"})
            case CallFault.BUSY_BEFORE | CallFault.BUSY_AFTER:
                await wire.answer(pick(BUSY_STATUSES, answer), {"error": "busy"})
            case CallFault.REJECTED:
                await wire.answer(pick(REJECT_STATUSES, answer), {"error": answer.reason})
            case CallFault.BROKEN_REPLY:
                await _answer_broken(wire, answer)
            case CallFault.DRIP:
                await wire.drip(201, {"transaction_id": answer.transaction_id}, self._drip_seconds)
            case CallFault.NONE | CallFault.CROSSED | CallFault.SAME_ID | CallFault.DOUBLED:
                await wire.answer(201, {"transaction_id": answer.transaction_id})

    async def _report(self, wire: _Wire) -> None:
        fault, chunks = self._simulator.open_report()
        if fault is ReportFault.MISSING:
            await wire.answer(503, {"error": "unavailable"})
            return
        try:
            await wire.start(200, _HTML if fault is ReportFault.HTML else _CSV)
            # In a thread: the next chunk of a large report takes its time.
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                if fault is ReportFault.CUT:
                    await wire.write(chunk[: len(chunk) // 2 + 1])
                    await wire.cut()
                    return
                await wire.write(chunk)
            await wire.end()
        finally:
            chunks.close()

    async def _balance(self, wire: _Wire, number: str) -> None:
        balance = self._simulator.tell_balance(number)
        if not self._simulator.tells_balances:
            await wire.answer(501, {"error": "not_offered"})
        elif balance is None:
            await wire.answer(404, {"error": ACCOUNT_NOT_KNOWN})
        else:
            await wire.answer(200, {"available_balance": balance})

    async def _set_date(self, wire: _Wire) -> None:
        match _read_json(await wire.body()):
            case {"date": None}:
                self._simulator.set_date(None)
            case {"date": str(text)} if day := parse_date(text):
                self._simulator.set_date(day)
            case _:
                await wire.answer(422, {"error": "malformed"})
                return
        await wire.answer(200, {"date": self._simulator.today().isoformat()})

    def _truth(self) -> Mapping[str, object]:
        truth, currency = self._simulator.truth(), self._simulator.currency
        return {
            "date": self._simulator.today().isoformat(),
            "currency": currency,
            "totals": [
                {
                    "direction": direction,
                    "result": result,
                    "count": total.count,
                    "amount": format_amount(total.amount_minor, currency),
                }
                for (direction, result), total in sorted(truth.totals.items())
            ],
            "transfers": [_show(transfer, currency) for transfer in truth.transfers],
        }


class _Wire:
    """One request and its answer, with the ways in which an answer can go wrong."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._cut: Callable[[], None] = scope["extensions"][_CUT]["cut"]
        self._receive = receive
        self._send = send

    async def body(self) -> bytes:
        """Read the request's body; empty where it is too large or the client left."""
        body = b""
        while True:
            message = await self._receive()
            if message["type"] != "http.request":
                return b""
            body += message.get("body", b"")
            if len(body) > BODY_LIMIT:
                return b""
            if not message.get("more_body"):
                return body

    async def answer(self, status: int, content: Mapping[str, object]) -> None:
        await self.answer_bytes(status, json.dumps(content).encode(), _JSON)

    async def answer_bytes(
        self, status: int, body: bytes, kind: bytes, *, missing: int = 0
    ) -> None:
        """Answer with a body, of which some bytes may be promised and never sent."""
        await self.start(status, kind, length=len(body) + missing)
        await self._send({"type": "http.response.body", "body": body, "more_body": missing > 0})

    async def start(self, status: int, kind: bytes, *, length: int | None = None) -> None:
        headers = [(b"content-type", kind)]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def drip(self, status: int, content: Mapping[str, object], pause: float) -> None:
        """Answer one byte at a time, for as long as the client waits."""
        body = json.dumps(content).encode()
        await self.start(status, _JSON, length=len(body))
        client_leaves = asyncio.ensure_future(self.hang())
        for at in range(len(body)):
            await asyncio.wait({client_leaves}, timeout=pause)
            if client_leaves.done():
                return
            await self.write(body[at : at + 1])
        client_leaves.cancel()
        await self.end()

    async def hang(self) -> None:
        """Say nothing until the client leaves."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def cut(self) -> None:
        """Cut the connection in the middle of whatever it was doing."""
        self._cut()
        await self.hang()


async def _answer_broken(wire: _Wire, answer: Answer) -> None:
    forms = len(_BROKEN_BODIES) + 1
    form = answer.variant % forms
    if form == forms - 1:
        await wire.answer_bytes(201, b'{"transaction_id": "txn_1"', _JSON, missing=10)
        await wire.cut()
        return
    body = _BROKEN_BODIES[form]
    await wire.answer_bytes(201, body, _HTML if body.startswith(b"<") else _JSON)


def _read_json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _read_order(body: bytes) -> TransferOrder | None:
    value = _read_json(body)
    if not isinstance(value, dict) or not value.keys() >= _FIELDS:
        return None
    texts = {name: value.get(name, "") for name in (*_FIELDS, "reference")}
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    if texts["direction"] not in {direction.value for direction in Direction}:
        return None
    texts["direction"] = Direction(texts["direction"])
    return TransferOrder(**texts)


def _show(transfer: LoggedCall, currency: str) -> Mapping[str, object]:
    def shown(day: date | None) -> str | None:
        return day.isoformat() if day else None

    return {
        "transaction_id": transfer.transaction_id,
        "reference": transfer.reference,
        "direction": transfer.direction,
        "src_bank_account": transfer.src_bank_account,
        "dst_bank_account": transfer.dst_bank_account,
        "amount": format_amount(transfer.amount_minor, currency),
        "arrived_on": shown(transfer.arrived_on),
        "booked_on": shown(transfer.booked_on),
        "is_arrival": transfer.is_arrival,
        "told": transfer.told,
        "answered_id": transfer.answered_id,
        "result": transfer.result,
        "result_on": shown(transfer.result_on),
        "final_result": transfer.final_result,
        "final_on": shown(transfer.final_on),
    }
