"""In which currency an amount is where nobody named one: its number stays, only the name is found.

"5000" without a currency is five thousand of whatever the household's bills are in. It came scaled
by the decimals of the installation's currency; where another has more or fewer, it is scaled anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tallybook.bills.model import PAYMENTS, Fact, Transaction
from tallybook.kernel.frozen import replace
from tallybook.kernel.money import MINOR_MAX, currency_decimals

_DECIMALS_MOST = 4
"""No currency has more. Source: ISO 4217."""


def number_of(minor: int, currency: str) -> int:
    """Write an amount so that amounts of any currencies can be compared as numbers.

    Units: minor units in, ten-thousandths of a major unit out.

    >>> number_of(500_000, "USD") == number_of(5_000, "JPY")
    True
    """
    return minor * 10 ** (_DECIMALS_MOST - currency_decimals(currency))


def rescale(minor: int | None, was: str, now: str) -> int | None:
    """Scale a number from one currency's decimals to another's; None where it does not fit.

    Units: minor units of either.

    >>> rescale(500_000, "USD", "JPY"), rescale(5_000, "JPY", "USD"), rescale(7_050, "USD", "JPY")
    (5000, 500000, None)
    """
    if minor is None:
        return None
    scaled, rest = divmod(number_of(minor, was), 10 ** (_DECIMALS_MOST - currency_decimals(now)))
    return None if rest or abs(scaled) > MINOR_MAX else scaled


class Currencies:
    """What one customer's facts say of currencies, and what follows for those that say nothing."""

    def __init__(
        self, facts: Iterable[Fact], transactions: Iterable[Transaction], installation: str
    ) -> None:
        # A row made from a message says what that message says, or said when it still counted.
        spoken = {fact.currency for fact in facts if fact.currency} | {
            row.currency
            for row in transactions
            if row.is_currency_stated and row.message_id is None
        }
        self.installation = installation
        self.customers = spoken.pop() if len(spoken) == 1 else installation

    def of_account(self, facts: Sequence[Fact]) -> str:
        """Name an account's currency: its bills', else its payments', else the customer's."""
        for are_payments in (False, True):
            spoken = {
                fact.currency
                for fact in facts
                if fact.currency and (fact.kind in PAYMENTS) is are_payments
            }
            if len(spoken) == 1:
                return spoken.pop()
            if spoken:
                break
        return self.customers

    def number_in(self, fact: Fact) -> int:
        """Give a fact's amount, without its sign, as a number that can be compared."""
        return number_of(abs(fact.amount_minor or 0), fact.currency or self.installation)

    def settle_fact(self, fact: Fact, wanted: str) -> Fact:
        """Give a fact its currency and its amounts in it; the stored one stays as it came."""
        if fact.currency is not None:
            return fact
        for currency in (wanted, self.customers):
            amount = rescale(fact.amount_minor, self.installation, currency)
            minimum = rescale(fact.minimum_minor, self.installation, currency)
            if (amount is None) is (fact.amount_minor is None) and (
                (minimum is None) is (fact.minimum_minor is None)
            ):
                return replace(
                    fact, currency=currency, amount_minor=amount, minimum_minor=minimum
                )  # fmt: skip
        return replace(fact, currency=self.installation)

    def settle_row(self, row: Transaction, wanted: Iterable[str]) -> Transaction:
        """Give a transaction that names no currency the first wanted one that can hold it."""
        if row.is_currency_stated:
            return row
        for currency in (*wanted, self.customers, self.installation):
            amount = rescale(row.amount_minor, row.currency, currency)
            if amount is not None:
                return replace(row, currency=currency, amount_minor=amount)
        return row
