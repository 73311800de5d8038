"""Pools of processes that end with the proof, however it ends: a killed one leaves none behind."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process


def open_pool(
    workers: int, begin: Callable[[], None] | None = None, *, tasks_each: int | None = None
) -> ProcessPoolExecutor:
    """Make a pool; `begin` is run first in each process, which then does so many tasks."""
    return ProcessPoolExecutor(
        workers,
        get_context("spawn"),
        initializer=_begin,
        initargs=(begin,),
        max_tasks_per_child=tasks_each,
    )


def _begin(begin: Callable[[], None] | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
