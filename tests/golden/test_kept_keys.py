"""Keys are kept for ever: what they are made of must come out the same in every version. T5."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tallybook.advances.operations.begin import BeginAdvance, BeginAdvanceOperation
from tallybook.advances.tasks.import_lines import parse_line
from tallybook.ambient.secrets import Secrets
from tallybook.bills.operations.people import RECORD_TRANSACTION, RecordTransaction
from tallybook.bills.operations.recording import RECORD_MESSAGES, RecordMessages
from tallybook.collection.operations.adopting import ADOPT_ORPHAN, AdoptOrphan
from tallybook.collection.operations.applying import APPLY_CREDIT
from tallybook.collection.operations.business import CreditUse
from tallybook.collection.operations.credits import BeginPayout, BeginPayoutOperation
from tallybook.customers.operations import (
    CHANGE_CUSTOMER,
    CREATE_CUSTOMER,
    ChangeCustomer,
    CreateCustomer,
)
from tallybook.kernel.frozen import replace
from tallybook.loans.model import PaymentPolicy
from tallybook.loans.operations.creating import CREATE_LOAN, CreateLoan
from tallybook.loans.tasks.import_lines import (
    LOAN_KEYED,
    PAYMENT_KEYED,
    Unsaid,
    read_loan,
    read_payment,
)
from tallybook.retail.operations.products import AddProduct, AddProductOperation
from tallybook.wire.csv_reader import CsvLine
from tallybook.wire.line_import import digest_of, fields_of
from tallybook.writer.model import Command

WHO = "01" * 16
AT = datetime(2026, 3, 1, tzinfo=UTC)

OF_EARLIER_BOOKS: list[tuple[Any, Any, str]] = [
    (CREATE_LOAN, CreateLoan(WHO, 10_000, "10", 4, "USD"),
     "0923d03b6ceccdc1f2bd73f1bc452fa9e9c46c430a5363960fb10c843ad36915"),
    (BeginAdvanceOperation, BeginAdvance("ab" * 32, 10_000, "USD", 12, 7, 0, None),
     "008cbd5a209a9811b15768d2b6b2e10201a4d85b46111980de1bd32872c6364c"),
    (APPLY_CREDIT, CreditUse(WHO, None, 10_000, "USD", "asked"),
     "0ddc58b06b219e3eba29b9d809887027c4ada066439a4cffefe3b96df2f32938"),
    (BeginPayoutOperation, BeginPayout(WHO, WHO, 10_000, "USD", "asked"),
     "b736e1ba687c8b1f67c5333b7b3f24f51805c83ffe8e026854fd8dce5ad5d042"),
    (CREATE_CUSTOMER, CreateCustomer("Asha", "asha@example.org", 10_000, "USD"),
     "165479ccbbc600341986523f59d94822e7a9691a8d383f5b134d6c2810058b2e"),
    (CHANGE_CUSTOMER,
     ChangeCustomer(WHO, sets_limit=True, credit_limit_minor=10_000, currency="USD"),
     "4875a0581b701a0018667635b253f21cfa09e0822195edd78b5eede24fafc537"),
    (AddProductOperation, AddProduct("tea", None, 1, 10_000, 0, False, 0, "USD"),
     "8624840bf7703be1b2773639ab7a9ecad3ecbba5e86933074f5156b53bafd1eb"),
    (RECORD_TRANSACTION,
     RecordTransaction(
         WHO, -10_000, "USD", False, AT, AT.date(), "", None, None, "h", "USD"
     ),
     "6df8f9301efa013513e3672c63650c1bd1a8ff541747e090fc7ac9bf51cf24a8"),
    (RECORD_MESSAGES, RecordMessages((), "USD", is_list=True),
     "df5e5dc0cf8d0c05d266e3189f5aaf9bef4e55f3a920fe063c4a57f08e0b1642"),
]  # fmt: skip
"""Commands with what they came to by the settings of the day, and the hashes that are stored."""


@pytest.mark.parametrize(("operation", "asked", "stored"), OF_EARLIER_BOOKS)
def test_a_key_of_an_earlier_book_is_good_for_what_it_was(
    operation: Any, asked: Any, stored: str
) -> None:
    said = replace(asked, said=("100", None))
    assert Command(operation, asked).input_hash() == stored
    assert Command(operation, said).input_hash() != stored
    assert Command(operation, said).asks_what_was(stored)
    changed = {"currency": "EUR"} if asked.currency else {}
    elsewhen = replace(said, **changed)
    assert Command(operation, elsewhen).asks_what_was(Command(operation, said).input_hash())
    assert not Command(operation, elsewhen).asks_what_was(stored)
    other = replace(said, said=("101", None))
    assert not Command(operation, other).asks_what_was(Command(operation, said).input_hash())


def test_who_adopts_an_orphan_is_no_part_of_what_is_asked() -> None:
    """A person who asks again after the server was started anew gets the same reply."""
    asked = AdoptOrphan("tx-1", WHO, 1, WHO, "lost", "Ben", AT.date(), "host/1/boot")
    elsewhere = replace(asked, sender="host/2/boot", sent_on=AT.date() - timedelta(days=1))
    assert (
        Command(ADOPT_ORPHAN, asked).input_hash() == Command(ADOPT_ORPHAN, elsewhere).input_hash()
    )


class Hashing(Secrets):
    """No secret: the same hash for every number."""

    def __init__(self) -> None:
        pass

    def keyed_hash(self, text: str) -> str:
        del text
        return "00" * 32


def test_a_line_of_a_file_has_the_key_that_it_always_had() -> None:
    loan = read_loan(
        CsvLine(2, {
            "customer_name": "Asha", "customer_email": "Asha@example.org", "principal": "1000.00",
            "interest_rate": "10", "installments": "10", "start_on": "2020-01-06",
        }),
        Unsaid("USD", PaymentPolicy.EXACT, 2),
    )  # fmt: skip
    asked = [loan.person.email_folded, fields_of(loan.asked, LOAN_KEYED)]
    assert digest_of(asked) == "6b1fae33e9ad02b157667b64b990a8ae66f047f4624b75fb7baf3ed377527c2d"
    paid = {"loan": "L-1", "amount": "110.00", "effective_on": "2020-01-13"}
    payment = [fields_of(read_payment(CsvLine(2, paid)).asked, PAYMENT_KEYED)]
    assert digest_of(payment) == "8ba2cab88e5220e4e4fb3d6d80a06586ef91b2812ec4eece0fcca8f30ef42025"
    values = {"bank_account": "CZ22 9999 1234", "amount": "1250.00", "effective_on": "1993-07-05"}
    advance = parse_line(CsvLine(2, values), Hashing(), "CZK")
    assert advance.asked.effective_on == date(1993, 7, 5)
    assert advance.digests == ["8e0fcaa63a242f1b9ebaab85075ac8643fd60f538a02618c092274bdee80bdc0"]
