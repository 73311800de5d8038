"""Pages: newest first, from an id on, never by counting rows off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Query

from tallybook.kernel.frozen import frozen
from tallybook.kernel.ids import parse_id
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.fields import Answer

LIMIT_DEFAULT = 20
LIMIT_MAX = 100
NUMBER_MAX = 2**63 - 1
"""The largest number that most lists' numbers are kept in; products and accounts have smaller."""

R = TypeVar("R")
S = TypeVar("S")


@frozen
class Page:
    """Which part of a list is asked for."""

    limit: int = LIMIT_DEFAULT
    starting_after: str | None = None
    """The last id of the page before, as it was shown."""

    def after(self, prefix: str) -> str | None:
        """Read the cursor as an id of one kind; None for the first page.

        Raises: Refused `field_invalid`.
        """
        if self.starting_after is None:
            return None
        ident = parse_id(prefix, self.starting_after)
        if ident is None:
            raise bad_cursor(f"it is not an id that starts with {prefix}_")
        return ident

    def after_number(self, largest: int = NUMBER_MAX) -> int | None:
        """Read the cursor as a number, no larger than what the list's numbers are kept in.

        None for the first page. Raises: Refused `field_invalid`.
        """
        if self.starting_after is None:
            return None
        if not (self.starting_after.isascii() and self.starting_after.isdigit()):
            raise bad_cursor("it is not a number")
        number = int(self.starting_after)
        if number > largest:
            raise bad_cursor("it is larger than any number here")
        return number


def bad_cursor(fault: str) -> Refused:
    """Make the refusal of a `starting_after` that no page ended with."""
    details = {"field": "starting_after", "problem": fault}
    return Refused(Refusal("field_invalid", param="starting_after", details=details))


def _page(
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many to give.")] = (
        LIMIT_DEFAULT
    ),
    starting_after: Annotated[
        str | None, Query(max_length=64, description="The last id of the page before.")
    ] = None,
) -> Page:
    return Page(limit, starting_after)


InPage = Annotated[Page, Depends(_page)]
"""How a list takes its page: `def list_customers(context: InContext, page: InPage)`."""


class ListOf(Answer, Generic[S]):
    """One page of a list."""

    data: list[S]
    has_more: bool


def page_of(rows: Sequence[R], page: Page, show: Callable[[R], Any]) -> dict[str, Any]:
    """Make the answer out of one row more than the page has: that row tells whether more follow.

    >>> page_of([3, 2, 1], Page(limit=2), str)
    {'data': ['3', '2'], 'has_more': True}
    """
    return {
        "data": [show(row) for row in rows[: page.limit]],
        "has_more": len(rows) > page.limit,
    }
