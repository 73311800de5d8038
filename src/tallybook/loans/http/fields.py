"""What the calls of loans share: how they read rates and dates, and what they ask of the engine."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Protocol, cast

from fastapi import Query
from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from tallybook.kernel.refusal import Refusal, Refused
from tallybook.loans.model import LoanTerms
from tallybook.loans.rules.paying import LoanOn
from tallybook.loans.tasks.gateway import Gateway
from tallybook.wire.context import Context
from tallybook.wire.fields import Day


class LoanContext(Context, Protocol):
    """One running engine, as loans see it."""

    @property
    def loan_terms(self) -> LoanTerms:
        """What the settings say of loans that do not say it themselves."""
        ...

    @property
    def gateway(self) -> Gateway:
        """Who collects payments for us."""
        ...


def lending(context: object) -> LoanContext:
    """See the engine as loans do: the wire knows less of it than there is."""
    return cast("LoanContext", context)


def _rate(value: object) -> int | str | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise PydanticCustomError("interest_rate_invalid", "it is not a rate")
    return value


Rate = Annotated[
    int | str | Decimal,
    PlainValidator(_rate),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "number"}],
            "description": "Percent of the principal for the whole term, at most six decimals.",
            "examples": ["10"],
        }
    ),
]
"""An interest rate as it came; `rules.terms.read_rate` reads it."""

AsOf = Annotated[Day | None, Query(description="The date to look at; today if left out.")]


def day_of(context: Context, as_of: date | None) -> date:
    """Tell the date that is asked about."""
    return as_of or context.clock.today()


def known(found: LoanOn | None) -> LoanOn:
    """See that there is such a loan. Raises: Refused `loan_not_found`."""
    if found is None:
        raise Refused(Refusal("loan_not_found"))
    return found
