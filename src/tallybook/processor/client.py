"""Speaks to a Processor over HTTP: once per call, on a connection of its own, with a deadline.

What counts is what can be proved. A call that ended before its first byte was written was not
executed; neither was one that got a complete, definite refusal. Everything else is unknown.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import field
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from yarl import URL

from tallybook.kernel.frozen import frozen
from tallybook.processor.port import (
    ACCOUNT_NOT_KNOWN,
    BalancesNotTold,
    ProcessorRejected,
    ProcessorUnknown,
    ReportUnavailable,
    TransferOrder,
)
from tallybook.processor.report_reader import clean_text

AMBIGUOUS_STATUSES = frozenset({408, 409, 425, 429})
"""4xx that do not say what became of the transfer. Source: P2."""

SHUT_OUT_STATUSES = frozenset({401, 403})
"""4xx that are about us and our token, and not about the transfer. Source: P3."""

TRANSACTION_ID_LIMIT = 255
REASON_LIMIT = 200
_REASON_NAMES = ("reason", "code", "error", "message", "detail", "title")
_LONG_NUMBER = re.compile(r"\d(?:[\W_]?\d){4,}")
"""May be a part of an account number. Digits of any script."""

_BALANCE = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,10})?\Z", re.ASCII)


@frozen
class ClientSettings:
    """What an installation may set. Units: seconds, bytes."""

    report_timeout_seconds: float = 300
    reply_bytes: int = 64 * 1024
    report_bytes: int = 256 * 1024 * 1024
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    """Sent with every call: what the Processor knows us by, so never shown."""
    ssl_context: ssl.SSLContext | None = None
    """What an https address is trusted by; None: the machine's own certificates."""


class _NotSent(Exception):  # noqa: N818 - not an error: we decided so
    """The lease ran out before the first byte."""


class _TooLarge(Exception):  # noqa: N818 - an answer of the Processor's, not our error
    """More bytes came than are allowed."""


class _Gate:
    """Stands before the first byte of one call, and remembers whether it was passed."""

    def __init__(self, may_send: Callable[[], bool]) -> None:
        self._may_send = may_send
        self.is_passed = False

    def pass_through(self) -> None:
        if not self._may_send():
            raise _NotSent
        self.is_passed = True


_gate: ContextVar[_Gate | None] = ContextVar("gate", default=None)


class _GatedRequest(ClientRequest):
    """Asks the gate when the connection stands and nothing has been written yet.

    aiohttp keeps the head back until the body is written, so this is the last moment.
    """

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        if (gate := _gate.get()) is not None:
            try:
                gate.pass_through()
            except Exception as refusal:  # noqa: BLE001 - whatever it is, the caller gets it below
                # This runs in a task of its own; the caller waits for the reply.
                assert conn.protocol is not None
                conn.protocol.set_exception(refusal)
                return
        await super().write_bytes(writer, conn, content_length)


class HttpProcessor:
    """Implements the port over HTTP. Source: P1-P3, docs/processor-wire.md.

    No retries, no redirects, no connection used twice, no proxy from the environment. One event
    loop at a time: `aclose()` before another one uses it.

    Raises: ValueError where the address is not one.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float = 10,
        settings: ClientSettings | None = None,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ValueError("The Processor's address must look like https://host/path")
        self._base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._settings = settings or ClientSettings()
        self._session: aiohttp.ClientSession | None = None

    async def perform_transaction(
        self, order: TransferOrder, *, may_send: Callable[[], bool]
    ) -> str:
        """Ask for one transfer, once, and give back the Processor's transaction id.

        Raises: ProcessorRejected on proof that nothing was executed, else ProcessorUnknown. Their
        reasons are short and stable, and never hold an account number.
        """
        gate = _Gate(may_send)
        outcome = await self._post(order, gate)
        if isinstance(outcome, str):
            # Raised outside of any `except`: what aiohttp raised may quote the request.
            if gate.is_passed:
                raise ProcessorUnknown(outcome)
            raise ProcessorRejected(outcome, refused_before_sending=True)
        status, body = outcome
        if status == 201:
            if (ident := _read_transaction_id(body)) is None:
                raise ProcessorUnknown("reply_unreadable")
            return ident
        if 400 <= status < 500 and status not in AMBIGUOUS_STATUSES:
            reason = _read_reason(body, (order.src_bank_account, order.dst_bank_account))
            raise ProcessorRejected(
                reason or f"status_{status}",
                refused_before_sending=False,
                was_let_in=status not in SHUT_OUT_STATUSES,
            )
        raise ProcessorUnknown(f"status_{status}")

    async def download_report(self) -> bytes:
        """Fetch today's report, as it stands, up to the size allowed.

        Raises: ReportUnavailable.
        """
        settings = self._settings
        outcome = await self._get("/report", settings.report_timeout_seconds, settings.report_bytes)
        if isinstance(outcome, str):
            raise ReportUnavailable(outcome)
        status, body = outcome
        if status != 200:
            raise ReportUnavailable(f"status_{status}")
        return body

    async def available_balance(self, bank_account: str) -> str | None:
        """Ask what an account holds; None for anything but a clear answer. Source: P8.

        Raises: BalancesNotTold where there is no such call: 405, 501, or a 404 that is not about
        this account; TimeoutError where no answer came by the call's deadline.
        """
        path = f"/accounts/{quote(bank_account, safe='')}/balance"
        outcome = await self._get(path, self._timeout_seconds, self._settings.reply_bytes)
        if outcome == _TIMEOUT:
            raise TimeoutError
        if isinstance(outcome, str):
            return None
        status, answer = outcome
        is_known_call = status != 404 or _read_object(answer).get("error") == ACCOUNT_NOT_KNOWN
        if status in (405, 501) or not is_known_call:
            raise BalancesNotTold
        if status != 200:
            return None
        balance = _read_object(answer).get("available_balance")
        return balance if isinstance(balance, str) and _BALANCE.match(balance) else None

    async def aclose(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, order: TransferOrder, gate: _Gate) -> tuple[int, bytes] | str:
        """Send one order: a status and its complete body, or in a word why there is none."""
        body = {
            "src_bank_account": order.src_bank_account,
            "dst_bank_account": order.dst_bank_account,
            "amount": order.amount,
            "direction": order.direction.value,
            "reference": order.reference,
        }
        guarded = _gate.set(gate)
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._open_session().post(
                    URL(f"{self._base_url}/transactions", encoded=True),
                    data=json.dumps(body).encode(),
                    headers={"Content-Type": "application/json"},
                    allow_redirects=False,
                ) as reply,
            ):
                return await _read_reply(reply, self._settings.reply_bytes)
        except _TROUBLE as trouble:
            return _name_trouble(trouble)
        finally:
            _gate.reset(guarded)

    async def _get(self, path: str, seconds: float, limit: int) -> tuple[int, bytes] | str:
        try:
            async with (
                asyncio.timeout(seconds),
                self._open_session().get(
                    URL(f"{self._base_url}{path}", encoded=True), allow_redirects=False
                ) as reply,
            ):
                return await _read_reply(reply, limit)
        except _TROUBLE as trouble:
            return _name_trouble(trouble)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            settings = self._settings
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, force_close=True, ssl=settings.ssl_context or True
                ),
                headers={"Accept-Encoding": "identity", **(settings.headers or {})},
                cookie_jar=aiohttp.DummyCookieJar(),
                # One deadline for everything stands around each call.
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                request_class=_GatedRequest,
            )
        return self._session


_TIMEOUT = "timeout"
_TROUBLE = (aiohttp.ClientError, TimeoutError, OSError, _NotSent, _TooLarge)
_NAMES: tuple[tuple[type[Exception], str], ...] = (
    (_NotSent, "lease_lost"),
    (_TooLarge, "reply_too_large"),
    (aiohttp.ClientConnectorDNSError, "dns_failure"),
    (aiohttp.ClientSSLError, "tls_failure"),
    (aiohttp.ClientConnectorCertificateError, "tls_failure"),
    (aiohttp.ClientConnectorError, "connection_refused"),
    (aiohttp.ClientResponseError, "reply_unreadable"),
    (TimeoutError, _TIMEOUT),
)


def _name_trouble(trouble: Exception) -> str:
    """Name trouble in a stable word, without anything that it quotes."""
    return next((name for kind, name in _NAMES if isinstance(trouble, kind)), "reset")


async def _read_reply(reply: aiohttp.ClientResponse, limit: int) -> tuple[int, bytes]:
    """Read a reply to its end. Raises: _TooLarge, aiohttp.ClientError where it was cut off."""
    if "Content-Length" not in reply.headers and "Transfer-Encoding" not in reply.headers:
        # Its end would be the end of the connection, so a cut could not be told from it.
        raise aiohttp.ClientPayloadError
    pieces: list[bytes] = []
    size = 0
    async for piece in reply.content.iter_any():
        size += len(piece)
        if size > limit:
            raise _TooLarge
        pieces.append(piece)
    return reply.status, b"".join(pieces)


def _read_object(body: bytes) -> dict[str, Any]:
    """Read a reply's JSON object; an empty one for anything else, or where it repeats a name."""

    def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(found := dict(pairs)) != len(pairs):
            raise ValueError
        return found

    try:
        value = json.loads(body.decode(), object_pairs_hook=unrepeated)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _read_transaction_id(body: bytes) -> str | None:
    ident = _read_object(body).get("transaction_id")
    if not isinstance(ident, str) or not 0 < len(ident) <= TRANSACTION_ID_LIMIT:
        return None
    return ident if ident.isprintable() and ident == ident.strip() else None


def _read_reason(body: bytes, accounts: Iterable[str]) -> str:
    """Read why a transfer was refused; empty where the body does not say."""
    value: Any = _read_object(body)
    for _ in range(2):  # {"error": {"message": ...}} is common
        if isinstance(value, dict):
            value = next((value[name] for name in _REASON_NAMES if value.get(name)), None)
    if not isinstance(value, str):
        return ""
    text = clean_text(unicodedata.normalize("NFKC", value), 10 * REASON_LIMIT)
    for account in accounts:
        letters = [re.escape(char) for char in account if char.isalnum()]
        if len(letters) >= 3:
            text = re.sub(r"[\W_]*".join(letters), "(account)", text, flags=re.IGNORECASE)
    return _LONG_NUMBER.sub("(number)", text)[:REASON_LIMIT]
