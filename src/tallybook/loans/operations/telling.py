"""What the daily run publishes of loans: whose date of delinquency has come. Source: L8."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sqlalchemy import Connection

from tallybook.loans.operations.ruling import TELL_DELINQUENCY, TellDelinquency
from tallybook.loans.queries import stream_untold
from tallybook.writer.model import Command


def stream_newly_delinquent(connection: Connection, /, *, day: date) -> Iterator[list[Command]]:
    """Make a command for each loan that has become delinquent by a date, and was not told of yet.

    Each command publishes that its loan, and with the first also its customer, is delinquent.
    Yields: some commands at a time, so that the list need not be in memory.
    """
    for loan_ids in stream_untold(connection, day):
        yield [Command(TELL_DELINQUENCY, TellDelinquency(loan_id)) for loan_id in loan_ids]
