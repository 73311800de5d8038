"""Reading without keeping the event loop from answering, and working through what was read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
)
from typing import TypeVar

from sqlalchemy import Connection

from tallybook.collection.tasks.context import CollectionContext

T = TypeVar("T")
R = TypeVar("R")


async def read(context: CollectionContext, load: Callable[[Connection], T]) -> T:
    """Read in a thread of the pool: a run must not keep the server from answering."""

    def work() -> T:
        with context.database.reader() as connection:
            return load(connection)

    return await asyncio.to_thread(work)


async def read_chunks(
    context: CollectionContext, stream: Callable[[Connection], Iterator[list[T]]]
) -> AsyncGenerator[list[T]]:
    """Walk a long list chunk by chunk, the fetching done in a thread of the pool.

    Who may stop early says `async with aclosing(...)`: else the cursor stays open until collected.
    """
    with context.database.snapshot() as connection:
        chunks = stream(connection)
        try:
            while True:
                chunk = await asyncio.to_thread(next, chunks, None)
                if chunk is None:
                    return
                yield chunk
        finally:
            # Here, and not when it is collected: who stops early keeps no cursor open.
            if isinstance(chunks, Generator):
                chunks.close()


async def work_through(
    items: AsyncIterator[T], work: Callable[[T], Awaitable[R]], *, at_once: int
) -> AsyncGenerator[tuple[T, R]]:
    """Work on a few items at once; gives each with its result, in the order they came in.

    Who stops early leaves nothing half done: what was begun is waited for.
    """
    running: deque[tuple[T, asyncio.Future[R]]] = deque()
    try:
        async for item in items:
            running.append((item, asyncio.ensure_future(work(item))))
            if len(running) >= at_once:
                first, task = running.popleft()
                yield first, await task
        while running:
            first, task = running.popleft()
            yield first, await task
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
