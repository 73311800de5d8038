"""What the wire alone costs: a call that reads a basket strictly and writes nothing, over HTTP.

    python -m bench.wire [--clients 32] [--seconds 5]

The server has one core and the load generator another. What a second of the server's own processor
time serves is told as well: on a machine that others share, it is the steadier figure. The second
row adds the access log.
"""

import argparse
import json
import logging
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated

import uvicorn
from pydantic import Field
from starlette.responses import Response
from tests.serving import Parts

from bench.http_load import request, storm
from bench.surroundings import report
from tallybook.ambient.logs import log_to
from tallybook.db import migrate
from tallybook.entrypoints import api
from tallybook.kernel.money import parse_positive_amount
from tallybook.wire.calls import Call
from tallybook.wire.fields import Amount, Body, Count
from tallybook.wire.routes import Router

PATH = "/bench/baskets"
BASKET = {
    "customer_email": "asha@example.org",
    "items": [{"product_id": 1, "quantity": 2}, {"product_id": 7, "quantity": 1}],
    "paid_amount": "100.00",
}


class Item(Body):
    """One line of a basket."""

    product_id: Count
    quantity: Count


class Basket(Body):
    """What a counter sends."""

    customer_email: str | None = None
    items: Annotated[list[Item], Field(max_length=100)]
    paid_amount: Amount


async def take_basket(call: Call, body: Basket) -> Response:
    """Read a basket and answer."""
    parse_positive_amount(body.paid_amount, call.context.settings.currency)
    return Response(b'{"total":"100.00"}', 201, media_type="application/json")


def serve(home: str, pipe: Connection, core: int, *, logs: bool) -> None:
    """Serve the whole application with one route more, on one core."""
    os.sched_setaffinity(0, {core})
    url = f"sqlite:///{home}/book.db"
    migrate.upgrade(url)
    log = Path(home, "log").open("w")  # noqa: SIM115 - open for as long as the process lives
    if logs:
        log_to(log, style="json")
    parts = Parts.open(url, Path(home))
    router = Router()
    router.post(PATH, status_code=201)(take_basket)
    theirs = api.make_routers
    api.make_routers = lambda: [*theirs(), router]
    app = api.make_app(parts)
    config = uvicorn.Config(
        app, port=0, http="httptools", ws="none", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    listener.listen()
    pipe.send(listener.getsockname()[1])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    threading.Thread(target=tell_time, args=(pipe,), daemon=True).start()
    server.run(sockets=[listener])


def tell_time(pipe: Connection) -> None:
    """Tell, whenever asked, how long this process has had a processor."""
    while True:
        pipe.recv()
        pipe.send(time.process_time())


@contextmanager
def serving(*, logs: bool) -> Generator[tuple[str, Callable[[], float]]]:
    """Run the server in a process of its own; gives its address, and how to ask for its time."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as home:
        process = context.Process(
            target=serve, args=(home, theirs, cores[0]), kwargs={"logs": logs}
        )
        process.start()
        try:
            os.sched_setaffinity(0, {cores[-1]})
            port = ours.recv()

            def spent() -> float:
                ours.send(None)
                seconds: float = ours.recv()
                return seconds

            yield f"http://127.0.0.1:{port}", spent
        finally:
            os.sched_setaffinity(0, set(cores))
            process.terminate()
            process.join()


def measure(options: argparse.Namespace, *, logs: bool) -> tuple[str, ...]:
    """Warm up, then measure."""
    message = request("POST", f"/api/v1{PATH}", json.dumps(BASKET).encode())
    with serving(logs=logs) as (url, spent):
        storm(url, lambda _: message, clients=options.clients, seconds=1)
        before = spent()
        load = storm(url, lambda _: message, clients=options.clients, seconds=options.seconds)
        busy = spent() - before
    if load.strange:
        sys.exit(f"an answer was not expected: {load.strange[0]!r}")
    return (
        "with access log" if logs else "without log",
        f"{load.rate:,.0f} calls/s",
        f"{len(load.latencies) / busy:,.0f} a CPU second",
        f"p50 {load.quantile(0.5):.1f} ms",
        f"p99 {load.quantile(0.99):.1f} ms",
    )


def main() -> None:
    """Measure without and with the log, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    rows = [measure(options, logs=logs) for logs in (False, True)]
    report(f"the wire alone, {options.clients} clients, one core", rows)


if __name__ == "__main__":
    main()
