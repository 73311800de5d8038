"""One line of a file of advances: what it asks, and under which key it is asked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tallybook.advances.operations.begin import BeginAdvance
from tallybook.advances.rules import (
    INSTALLMENTS_DEFAULT,
    INSTALLMENTS_MAX,
    INTERVAL_DAYS_DEFAULT,
    INTERVAL_DAYS_MAX,
)
from tallybook.ambient.secrets import Secrets
from tallybook.customers.rules import normalise_number
from tallybook.customers.tasks import WantedAccount, read_person
from tallybook.db.scratch import Occurrences
from tallybook.kernel.money import currency_decimals, parse_amount, parse_positive_amount
from tallybook.kernel.refusal import Refusal, Refused
from tallybook.wire.csv_fields import (
    read_column,
    read_count,
    read_day,
    read_text,
    require_columns,
)
from tallybook.wire.csv_reader import CsvColumns, CsvLine
from tallybook.wire.line_import import digest_of, fields_of, keys_of

COLUMNS = CsvColumns(
    required=("bank_account", "amount", "effective_on"),
    optional=(
        "currency",
        "installments",
        "interval_days",
        "fee",
        "customer_name",
        "customer_email",
        "reference",
    ),
    aliases={"dst_bank_account": "bank_account"},
)
"""`effective_on` is not optional here: without it last month's file and this month's would be the
same file. `reference` tells lines apart that are otherwise equal and stand in different files."""

REFERENCE_LONGEST = 100
KEY_PREFIX = "import.advances"
_KEYED = (
    "number_hash",
    "amount_minor",
    "currency",
    "installments",
    "interval_days",
    "fee_minor",
    "effective_on",
    "is_import",
    "request_key",
)
"""What a line's key is made of, in this order."""


@dataclass(slots=True)
class AdvanceLine:
    """A line that could be read, on its way."""

    number: int
    """Its place in the file, from 1 for the column names."""
    asked: BeginAdvance
    account: WantedAccount | None
    """Whom to register the account with, where the line says so."""
    digests: list[str | None]
    """What the line asks. Two files that hold the same line ask for one advance. After the first,
    what it asked while another currency was the installation's; None where it could not be read."""
    keys: Sequence[str | None] = ()
    """The keys that these make."""
    first_key: str = ""
    """That of its first attempt: one under which it was asked before, else the first."""
    attempt: int = 1
    """Raised where the attempts before provably never left this machine."""

    def take_keys(self, seen: Occurrences) -> None:
        """Make its keys. Equal lines of one file are as many advances: `seen` counts them."""
        self.keys = keys_of(KEY_PREFIX, self.digests, seen)
        self.first_key = self.keys[0] or ""

    @property
    def key(self) -> str:
        """Give the idempotency key that the line is asked under."""
        assert self.first_key, "its keys were taken"
        return f"{self.first_key}.{self.attempt}" if self.attempt > 1 else self.first_key


def parse_line(
    line: CsvLine, secrets: Secrets, currency: str, others: Sequence[str] = ()
) -> AdvanceLine:
    """Read one line; `currency` is that of amounts that name none, `others` were it before.

    The key is made of what is asked and not of the line's place, so that a file may be sorted,
    split or added to. Names and addresses are no part of it: putting a name right pays nothing.

    Raises: Refused, with the column as its `param`.
    """
    if line.refusal is not None:
        raise Refused(line.refusal)
    parsed = _parse(line, secrets, currency)
    parsed.digests += (_digest_under(line, secrets, other) for other in others)
    return parsed


def _digest_under(line: CsvLine, secrets: Secrets, currency: str) -> str | None:
    try:
        return _parse(line, secrets, currency).digests[0]
    except Refused:
        return None


def _parse(line: CsvLine, secrets: Secrets, currency: str) -> AdvanceLine:
    values = line.values
    require_columns(values, COLUMNS.required)
    number = read_column("bank_account", normalise_number, values["bank_account"])
    money = values.get("currency", currency).upper()
    currency_decimals(money)
    asked = BeginAdvance(
        number_hash=secrets.keyed_hash(number),
        amount_minor=parse_positive_amount(values["amount"], money),
        currency=money,
        installments=read_count(values, "installments", INSTALLMENTS_DEFAULT, INSTALLMENTS_MAX),
        interval_days=read_count(values, "interval_days", INTERVAL_DAYS_DEFAULT, INTERVAL_DAYS_MAX),
        fee_minor=_fee(values, money),
        effective_on=read_day(values, "effective_on"),
        is_import=True,
    )
    keyed = fields_of(asked, _KEYED)
    digest = digest_of([keyed, read_text(values, "reference", REFERENCE_LONGEST)])
    return AdvanceLine(line.number, asked, _account(values, number, asked.number_hash), [digest])


def _account(values: Mapping[str, str], number: str, number_hash: str) -> WantedAccount | None:
    person = read_person(values)
    if person is None:
        return None
    return WantedAccount(number, number_hash, person.email, person.email_folded, person.name)


def _fee(values: Mapping[str, str], currency: str) -> int:
    fee = parse_amount(values.get("fee", "0"), currency, param="fee")
    if fee < 0:
        raise Refused(Refusal("amount_invalid", param="fee"))
    return fee
