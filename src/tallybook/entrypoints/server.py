"""The server: the API and the scheduler on one event loop, from start to a clean end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext, suppress
from types import FrameType
from typing import Any

import uvicorn
from anyio import to_thread

from tallybook.ambient.garbage import keep_what_is_loaded
from tallybook.ambient.logs import log_to
from tallybook.ambient.setting_types import shown_url
from tallybook.ambient.settings import Settings
from tallybook.collection.tasks.sending import expire_intents
from tallybook.entrypoints import loops
from tallybook.entrypoints.api import make_app
from tallybook.entrypoints.daily import follow_played_days, make_scheduler
from tallybook.entrypoints.engine import Engine, split_off_writer
from tallybook.entrypoints.errors import ExitCode
from tallybook.entrypoints.protocol import WholeAnswers
from tallybook.entrypoints.restored import keep_anchored
from tallybook.entrypoints.scheduler import Scheduler
from tallybook.kernel.refusal import Refused
from tallybook.loans.tasks.paying import answer_abandoned
from tallybook.retail.tasks.invoices import InvoiceMailer
from tallybook.retail.tasks.mails import send_by_smtp, send_to_spool

_log = logging.getLogger("tallybook.serve")

KEEP_ALIVE_SECONDS = 30
TURN_SECONDS = 0.0002
"""How long a thread may go on while another one waits, where a process of its own writes: who hears
what it answers, and sends what it has not taken yet, must not wait for Python's usual 5 ms."""
DRAIN_SECONDS = 5
"""How much longer than one call to the Processor an answer may take while the server stops."""


def run(settings: Settings, listener: socket.socket) -> None:
    """Open the engine and serve it on a socket that listens already, until told to stop."""
    log_to(level=settings.log_level, style=settings.log_format)
    apart = split_off_writer(settings, [listener])
    if apart is not None:
        sys.setswitchinterval(TURN_SECONDS)
    engine = Engine.open(settings, apart=apart)
    loops.run(_serve(engine, listener))


async def _serve(engine: Engine, listener: socket.socket) -> None:
    async with engine:
        settings = engine.settings
        # Each thread that reads holds a connection: more threads would only wait for one.
        readers = settings.pool_size + settings.pool_overflow
        to_thread.current_default_thread_limiter().total_tokens = readers
        # What a killed server had in the air is unknown from now on, not from the next run on.
        await expire_intents(engine)
        await answer_abandoned(engine)
        scheduler = make_scheduler(engine)
        server = _Server(_config(engine, settings), lambda: _announce(settings, listener))
        with _signals(server, scheduler, engine), _mailing(engine):
            running = asyncio.create_task(scheduler.serve()) if settings.run_enabled else None
            meanwhile = (
                asyncio.create_task(
                    keep_anchored(engine.newest, engine.clock, minutes=settings.anchor_minutes)
                ),
                asyncio.create_task(follow_played_days(engine)),
                asyncio.create_task(_give_up_in_time(engine)),
            )
            await server.serve(sockets=[listener])
            for task in meanwhile:
                task.cancel()
            if running is not None:
                await running
            _log.info("the server stops; what waits is written first")
        await asyncio.to_thread(engine.newest.keep)


async def _give_up_in_time(engine: Engine) -> None:
    """Look once more when every lease of before the start is over.

    In another container, or on another machine, nothing but its lease tells that a server died.
    """
    await asyncio.sleep(engine.sender.lease.total_seconds())
    with suppress(Refused):  # the next run looks as well
        await expire_intents(engine)


@contextmanager
def _mailing(engine: Engine) -> Generator[None]:
    """Mail invoices meanwhile, where that is set."""
    settings = engine.settings
    if not settings.invoice_mail:
        yield
        return
    url = settings.smtp_url
    send = send_by_smtp(url.get_secret_value()) if url else send_to_spool(settings.spool)
    mailer = InvoiceMailer(engine, send, sender=settings.mail_from, shop=settings.project_name)
    try:
        yield
    finally:
        mailer.close()


def _config(engine: Engine, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        make_app(engine),
        http=WholeAnswers,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.processor_timeout_seconds) + DRAIN_SECONDS,
    )


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals to us and says when it is ready."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        keep_what_is_loaded()
        self._announce()

    def capture_signals(self) -> Any:  # noqa: ANN401 - uvicorn's own return type is narrower
        """Leave them alone: uvicorn would end a clean stop by killing itself with the signal."""
        return nullcontext()


@contextmanager
def _signals(server: _Server, scheduler: Scheduler, engine: Engine) -> Generator[None]:
    """Stop cleanly at SIGTERM and Ctrl-C; a second Ctrl-C ends the process where it stands.

    That loses nothing: what was answered is on disk, and a run is resumed by the next one.
    """
    loop = asyncio.get_running_loop()

    def stop_runs() -> None:
        scheduler.stop()
        engine.stop()

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if server.should_exit and number == signal.SIGINT:
            os.write(2, b"tallybook: stopped at once\n")
            os._exit(ExitCode.INTERRUPTED)
        server.should_exit = True
        loop.call_soon_threadsafe(stop_runs)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    processor = settings.processor_url or "simulated inside; no money moves"
    if settings.processor_url:
        processor += ", LIVE: real money moves" if settings.is_live else ", not live"
    run = f"daily at {settings.run_hour:02}:00 {settings.timezone}"
    sys.stdout.write(
        f"Tallybook {settings.version} listens at {address}\n"
        f"  calls      {address}{settings.api_v1_prefix}\n"
        f"  docs       {address}/docs\n"
        f"  book       {shown_url(settings.database_url.get_secret_value())}\n"
        f"  files      {settings.home}\n"
        f"  Processor  {processor}\n"
        f"  run        {run if settings.run_enabled else 'only when asked for'}\n"
        "Ctrl-C stops it.\n"
    )
    sys.stdout.flush()
