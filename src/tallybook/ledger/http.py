"""The ledger over HTTP: accounts, statements, the trial balance, the event log. Reads only."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Query

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.ledger import queries
from tallybook.ledger.model import HOUSE, AccountBalance
from tallybook.ledger.views import (
    AccountView,
    EventView,
    StatementView,
    TrialBalanceView,
    show_account,
    show_event,
    show_statement_line,
    show_total,
)
from tallybook.wire.context import InContext
from tallybook.wire.fields import Day
from tallybook.wire.paging import InPage, ListOf, Page, bad_cursor, page_of
from tallybook.wire.refusals import refusals
from tallybook.wire.routes import Router

EVENTS_LIMIT_MAX = 1_000
ACCOUNT_ID_MAX = 2**31 - 1
"""What an INTEGER column holds."""

ROUTER = Router("ledger")

_AsOf = Annotated[Day | None, Query(description="At the end of this date; now if left out.")]
_Book = Annotated[str | None, Query(max_length=64, description="One book only, such as `house`.")]


@ROUTER.get("/ledger/accounts", response_model=ListOf[AccountView])
def list_ledger_accounts(
    context: InContext, page: InPage, as_of: _AsOf = None, book: _Book = None
) -> Any:  # noqa: ANN401 - the response model tells
    """List accounts with their balances, the newest account first."""
    with context.database.snapshot() as connection:
        found = queries.list_balances(
            connection,
            as_of=as_of,
            book=book,
            before_id=page.after_number(ACCOUNT_ID_MAX),
            limit=page.limit + 1,
        )
    return page_of(found, page, show_account)


@ROUTER.get(
    "/ledger/accounts/{account_id}/statement",
    response_model=StatementView,
    responses=refusals("account_not_found"),
)
def read_ledger_statement(
    context: InContext,
    page: InPage,
    account_id: Annotated[int, Path(ge=1, le=ACCOUNT_ID_MAX)],
    as_of: _AsOf = None,
) -> Any:  # noqa: ANN401 - the response model tells
    """Read an account's postings, the newest first, each with the balance after it."""
    before = _line_after(page)
    with context.database.snapshot() as connection:
        account = queries.find_account(connection, account_id)
        if account is None:
            raise Refused(Refusal("account_not_found"))
        (balance,) = queries.list_balances(
            connection, as_of=as_of, before_id=account.id + 1, limit=1
        )
        lines = queries.list_statement(
            connection, account.id, as_of=as_of, before=before, limit=page.limit + 1
        )
    shown = page_of(lines, page, lambda line: show_statement_line(line, account.currency))
    return {"account": show_account(balance), **shown}


@ROUTER.get("/ledger/trial-balance", response_model=TrialBalanceView)
def read_trial_balance(
    context: InContext,
    as_of: _AsOf = None,
    book: Annotated[str, Query(max_length=64, description="Whose accounts to list.")] = HOUSE,
) -> Any:  # noqa: ANN401 - the response model tells
    """Read one book's accounts, and the sums of debits and credits over every book."""
    with context.database.snapshot() as connection:
        accounts = queries.list_balances(connection, as_of=as_of, book=book)
        totals = queries.total_per_currency(connection, as_of=as_of)
    return {
        "as_of": as_of,
        "book": book,
        "totals": [show_total(total) for total in totals],
        "data": [show_account(account) for account in sorted(accounts, key=_by_name)],
    }


@ROUTER.get("/events", response_model=ListOf[EventView])
def list_events(
    context: InContext,
    after: Annotated[int, Query(ge=0, le=2**62, description="The last number read before.")] = 0,
    limit: Annotated[int, Query(ge=1, le=EVENTS_LIMIT_MAX)] = 100,
) -> Any:  # noqa: ANN401 - the response model tells
    """List events in the order in which they were committed, after a number."""
    with context.database.reader() as connection:
        found = queries.list_events(connection, after=after, limit=limit + 1)
    return page_of(found, Page(limit=limit), show_event)


def _by_name(balance: AccountBalance) -> tuple[str, str]:
    return balance.account.name, balance.account.currency


def _line_after(page: Page) -> tuple[int, int] | None:
    """Read where the page before ended. Raises: Refused `field_invalid`."""
    if page.starting_after is None:
        return None
    seq, _, line = page.starting_after.partition(".")
    if not (f"{seq}{line}".isascii() and seq.isdigit() and line.isdigit()):
        raise bad_cursor("it is not the id of a line")
    if len(seq) > 18 or len(line) > 6:
        raise bad_cursor("it is larger than any number here")
    return int(seq), int(line)
