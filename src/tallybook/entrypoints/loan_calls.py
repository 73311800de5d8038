"""The library's calls about loans."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

Amount = str | int | Decimal
"""An amount in major units. Never a float: it cannot hold ten cents."""
Record = dict[str, Any]
"""An answer, with the fields that the API's answer has."""


class LoanCalls(ABC):
    """What an open book says and does about loans; `Tallybook` has all of it."""

    @abstractmethod
    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | Sequence[object] | None = None,
        *,
        query: Mapping[str, object] | None = None,
        idempotency_key: str | None = None,
    ) -> Any:  # noqa: ANN401 - an answer's JSON, or the bytes of a file
        """Make any call of the API."""

    @abstractmethod
    def list(self, path: str, **query: object) -> Iterator[Record]:
        """List anything that comes in pages."""

    def create_loan(
        self,
        customer_id: str,
        principal: Amount,
        interest_rate: Amount,
        installments: int,
        *,
        idempotency_key: str | None = None,
        **options: object,
    ) -> Record:
        """Make a loan, and give it with its schedule.

        Options: `interval`, `start_on`, `currency`, `rounding_unit`, `payment_policy`,
        `delinquent_after`, `collection`, `bank_account_id`.
        """
        body = {
            "customer_id": customer_id,
            "principal": principal,
            "interest_rate": interest_rate,
            "installments": installments,
            **{name: value for name, value in options.items() if value is not None},
        }
        return self.call("POST", "/loans", body, idempotency_key=idempotency_key)

    def get_loan(self, loan_id: str, *, as_of: date | str | None = None) -> Record:
        """Read one loan with its schedule, as of a date."""
        return self.call("GET", _loan(loan_id), query={"as_of": as_of})

    def list_loans(self, **filters: object) -> Iterator[Record]:
        """List loans, the newest first: `customer_id=...`, `status=...`, `as_of=...`."""
        return self.list("/loans", **filters)

    def get_schedule(self, loan_id: str, *, as_of: date | str | None = None) -> Sequence[Record]:
        """Read what is to be paid when, and what was paid by a date."""
        return self.call("GET", f"{_loan(loan_id)}/schedule", query={"as_of": as_of})["data"]

    def get_outstanding(self, subject_id: str, *, as_of: date | str | None = None) -> Decimal:
        """Tell what is owed on a loan, or by a customer on all of theirs. Source: L4."""
        answer = self.call("GET", f"{_subject(subject_id)}/outstanding", query={"as_of": as_of})
        return Decimal(answer["outstanding"])

    def is_delinquent(self, subject_id: str, *, as_of: date | str | None = None) -> bool:
        """Tell whether a loan is delinquent, or any of a customer's. Source: L6."""
        return self.get_delinquency(subject_id, as_of=as_of)["is_delinquent"]

    def get_delinquency(self, subject_id: str, *, as_of: date | str | None = None) -> Record:
        """Tell how a loan stands, or all of a customer's: rows missed, days past due, bucket."""
        return self.call("GET", f"{_subject(subject_id)}/delinquency", query={"as_of": as_of})

    def make_payment(
        self,
        loan_id: str,
        amount: Amount,
        *,
        method: str | None = None,
        effective_on: date | str | None = None,
        installment_number: int | None = None,
        idempotency_key: str | None = None,
    ) -> Record:
        """Take a payment for a loan's oldest unpaid row. Source: L5."""
        given = {
            "method": method,
            "effective_on": effective_on,
            "installment_number": installment_number,
        }
        body = {"amount": amount, **{name: value for name, value in given.items() if value}}
        return self.call(
            "POST", f"{_loan(loan_id)}/payments", body, idempotency_key=idempotency_key
        )

    def list_payments(self, loan_id: str) -> Iterator[Record]:
        """List the payments on a loan, the newest first."""
        return self.list(f"{_loan(loan_id)}/payments")

    def reverse_payment(
        self,
        loan_id: str,
        payment_id: str,
        reason: str,
        *,
        effective_on: date | str | None = None,
        idempotency_key: str | None = None,
    ) -> Record:
        """Reverse a payment that bounced: what it paid is owed again. Source: L7."""
        body = {"reason": reason, **({"effective_on": effective_on} if effective_on else {})}
        path = f"{_loan(loan_id)}/payments/{quote(payment_id, safe='')}/reversal"
        return self.call("POST", path, body, idempotency_key=idempotency_key)

    def write_off_loan(
        self, loan_id: str, reason: str, *, idempotency_key: str | None = None
    ) -> Record:
        """Give up what is owed on a loan. Source: L10."""
        path = f"{_loan(loan_id)}/write-off"
        return self.call("POST", path, {"reason": reason}, idempotency_key=idempotency_key)

    def download_portfolio(
        self,
        *,
        as_of: date | str | None = None,
        format: Literal["json", "csv"] = "json",  # noqa: A002 - the call's own name for it
    ) -> Any:  # noqa: ANN401 - an answer's JSON, or the bytes of a file
        """Give every loan as it stands on a date, with what each bucket comes to."""
        return self.call("GET", "/loan-portfolio", query={"as_of": as_of, "format": format})


def _loan(loan_id: str) -> str:
    return f"/loans/{quote(loan_id, safe='')}"


def _subject(subject_id: str) -> str:
    """Tell a customer's id from a loan's."""
    kind = "customers" if subject_id.startswith("cus_") else "loans"
    return f"/{kind}/{quote(subject_id, safe='')}"
