"""What a check finds, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, text

from tallybook.kernel.frozen import frozen

FETCH_ROWS = 2_000
_AND_MORE = "and_more"


@frozen
class Discrepancy:
    """One thing that is not as it must be."""

    code: str
    """Stable: what kind of thing it is."""
    subject: str
    """What it is about, such as `entry 17` or an id."""
    expected: str
    found: str
    sentence: str
    """For people: what is wrong."""


Check = Callable[[Connection], Iterator[Discrepancy]]


def rows_of(connection: Connection, statement: str, **values: object) -> Iterator[Any]:
    """Read a long result row by row, without having it in memory."""
    found = connection.execution_options(stream_results=True, yield_per=FETCH_ROWS).execute(
        text(statement), values
    )
    yield from found


def hex_of(value: object) -> str:
    """Write an id the way Python has it, whatever the driver gave."""
    return str(value).replace("-", "")


def and_more(check: str, most: int) -> Discrepancy:
    """Say that a check has found more than is listed of one."""
    return Discrepancy(
        _AND_MORE, check, f"at most {most}", "more", "... and more: this check stopped here"
    )


def how_many(found: Sequence[Discrepancy]) -> str:
    """Say how many things do not agree, or that it is at least so many.

    >>> how_many([and_more("plans", 1000)])
    'at least 0'
    """
    listed = sum(each.code != _AND_MORE for each in found)
    return str(listed) if listed == len(found) else f"at least {listed}"


def format_discrepancies(found: Sequence[Discrepancy]) -> str:
    """Write discrepancies for people, one after another."""
    return "\n".join(
        f"{each.code}: {each.subject}: {each.sentence}"
        f" (expected {each.expected}, found {each.found})"
        for each in found
    )
