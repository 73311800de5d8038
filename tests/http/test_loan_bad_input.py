"""What a loan or a payment may not be: each refused with its code, and nothing is changed."""

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any

import pytest

from tests.lending import API, Lending
from tests.serving import Served

NO_LOAN = "loan_" + "0" * 32
ROW = "110000.00"


@pytest.fixture
def lending(served_on_sqlite: Served) -> Lending:
    return Lending(served_on_sqlite)


@pytest.fixture(scope="module")
def standing_lending(standing_on_sqlite: Served) -> Lending:
    """One lender for what is refused, and so leaves it as it was."""
    return Lending(standing_on_sqlite)


@pytest.fixture
def racing(served: Served) -> Lending:
    """The same on both databases, for what only real locks can decide."""
    return Lending(served)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"principal": 0}, "amount_invalid"),
        ({"principal": -5}, "amount_invalid"),
        ({"principal": "9" * 30}, "amount_invalid"),
        ({"principal": "9999999999999.99", "interest_rate": 100}, "amount_invalid"),
        ({"principal": "1.001"}, "amount_invalid"),
        ({"principal": "NaN"}, "amount_invalid"),
        ({"interest_rate": -1}, "interest_rate_invalid"),
        ({"interest_rate": "10.123456789"}, "interest_rate_invalid"),
        ({"interest_rate": 1e9}, "interest_rate_invalid"),
        ({"interest_rate": "1e2"}, "interest_rate_invalid"),
        ({"interest_rate": "ten"}, "interest_rate_invalid"),
        ({"interest_rate": True}, "interest_rate_invalid"),
        ({"installments": 0}, "field_invalid"),
        ({"installments": 10_001}, "field_invalid"),
        ({"principal": "0.49", "interest_rate": 0}, "loan_too_small"),
        ({"principal": "5.00", "interest_rate": 0, "rounding_unit": 100}, "loan_too_small"),
        ({"installments": 9_999, "interval": "monthly"}, "loan_too_long"),
        ({"interval": "daily"}, "field_invalid"),
        ({"rounding_unit": 0}, "field_invalid"),
        ({"delinquent_after": 0}, "field_invalid"),
        ({"payment_policy": "lenient"}, "field_invalid"),
        ({"currency": "XXX"}, "currency_unknown"),
        ({"start_on": "2026-03-03"}, "date_in_future"),
        ({"start_on": "2026-02-30"}, "date_invalid"),
        ({"customer_id": "cus_" + "0" * 32}, "customer_not_found"),
        ({"customer_id": "asha"}, "customer_not_found"),
        ({"collection": "auto_debit"}, "bank_account_not_found"),
        ({"collection": "auto_debit", "currency": "EUR"}, "currency_not_served"),
        ({"collection": "auto_debit", "bank_account_id": "bac_" + "0" * 32},
         "bank_account_not_found"),
    ],
)  # fmt: skip
def test_a_loan_that_can_not_be(standing_lending: Lending, fields: Any, code: str) -> None:
    who = standing_lending.customer(token_hex(8))
    refused = standing_lending.ask(**{"customer_id": who, **fields})
    assert refused.code == code
    assert standing_lending.read(f"/loans?customer_id={who}")["data"] == []


def test_a_suspended_customer_takes_on_nothing(lending: Lending) -> None:
    who = lending.customer()
    assert lending.client.put(f"{API}/customers/{who}", {"status": "suspended"}).status == 200
    refused = lending.ask(who)
    assert (refused.code, refused.json()["reason"]) == (
        "customer_not_eligible",
        "customer_suspended",
    )


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"amount": "109999.99"}, "payment_amount_mismatch"),
        ({"amount": "220000.00"}, "payment_amount_mismatch"),
        ({"amount": 0}, "amount_invalid"),
        ({"amount": "-110000"}, "amount_invalid"),
        ({"amount": "110000.001"}, "amount_invalid"),
        ({"amount": "9" * 40}, "amount_invalid"),
        ({"amount": True}, "amount_invalid"),
        ({"amount": ROW, "effective_on": "2026-03-03"}, "date_in_future"),
        ({"amount": ROW, "effective_on": "2026-02-20"}, "date_too_old"),
        ({"amount": ROW, "effective_on": "2026-02-27"}, "payment_before_loan"),
        ({"amount": ROW, "effective_on": "soon"}, "date_invalid"),
        ({"amount": ROW, "installment_number": 2}, "installment_not_next"),
        ({"amount": ROW, "installment_number": 51}, "installment_not_found"),
        ({"amount": ROW, "installment_number": 0}, "field_invalid"),
        ({"amount": ROW, "method": "credit"}, "payment_method_reserved"),
        ({"amount": ROW, "method": "auto_debit"}, "payment_method_reserved"),
        ({"amount": ROW, "method": "cash\nL-2,50.00"}, "field_invalid"),
        ({"amount": ROW, "method": "cash\u202e"}, "field_invalid"),
    ],
)
def test_a_payment_that_can_not_be(standing_lending: Lending, fields: Any, code: str) -> None:
    start_on = "2026-02-16" if code == "date_too_old" else "2026-02-28"
    loan = standing_lending.loan(standing_lending.customer(token_hex(8)), start_on=start_on)["id"]
    refused = standing_lending.pay(loan, **fields)
    assert refused.code == code
    assert standing_lending.outstanding(loan) == "5500000.00"
    assert standing_lending.read(f"/loans/{loan}/payments")["data"] == []


def test_a_wrong_amount_is_told_the_right_one(lending: Lending) -> None:
    loan = lending.loan(lending.customer(), principal="12345.69", installments=7)["id"]
    refused = lending.pay(loan, 1)
    assert refused.json()["expected"] == "1940.04"
    assert refused.json()["installment_number"] == 1
    assert "1940.04" in refused.json()["detail"]


def test_a_row_that_is_paid_is_not_paid_again(lending: Lending) -> None:
    loan = lending.loan(lending.customer())["id"]
    lending.paid(loan, ROW, installment_number=1)
    refused = lending.pay(loan, ROW, installment_number=1)
    assert (refused.status, refused.code) == (409, "installment_already_paid")


def test_a_key_with_another_amount(lending: Lending) -> None:
    loan = lending.loan(lending.customer())["id"]
    assert lending.pay(loan, ROW, key="k").status == 201
    assert lending.pay(loan, 110000, key="k").headers["idempotency-replayed"] == "true"
    assert lending.pay(loan, "5", key="k").code == "key_reused_with_other_input"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/schedule", None),
        ("GET", "/outstanding", None),
        ("GET", "/delinquency", None),
        ("GET", "/payments", None),
        ("GET", "/payments/pay_" + "0" * 32, None),
        ("POST", "/payments", {"amount": 1}),
        ("POST", "/payments", {"amount": 1, "method": "mock_paid"}),
        ("POST", "/payments/pay_" + "0" * 32 + "/reversal", {"reason": "bounced"}),
        ("POST", "/payments/pay_" + "0" * 32 + "/settlement", {"status": "paid"}),
        ("POST", "/write-off", {"reason": "gone"}),
    ],
)
def test_every_call_on_a_loan_knows_when_there_is_none(
    lending: Lending, method: str, path: str, body: Any
) -> None:
    refused = lending.client.send(method, f"{API}/loans/{NO_LOAN}{path}", body)
    assert (refused.status, refused.code) == (404, "loan_not_found")
    assert lending.client.send(method, f"{API}/loans/7{path}", body).code == "id_invalid"


@pytest.mark.parametrize("path", ["outstanding", "delinquency"])
def test_a_customer_without_loans_owes_nothing(lending: Lending, path: str) -> None:
    who = lending.customer()
    found = lending.read(f"/customers/{who}/{path}")
    assert found.get("outstanding", "0.00") == "0.00"
    assert found.get("is_delinquent", False) is False
    refused = lending.client.get(f"{API}/customers/cus_{'0' * 32}/{path}")
    assert (refused.status, refused.code) == (404, "customer_not_found")


@pytest.mark.parametrize("as_of", ["tomorrow", "2026-13-01", "20260301", "0001-01-01", ""])
@pytest.mark.parametrize("path", ["", "/schedule", "/outstanding", "/delinquency"])
def test_a_date_that_is_none(lending: Lending, path: str, as_of: str) -> None:
    loan = lending.loan(lending.customer())["id"]
    refused = lending.client.get(f"{API}/loans/{loan}{path}?as_of={as_of}")
    assert (refused.status, refused.code) == (422, "date_invalid")


# -- races -----------------------------------------------------------------------------------------


def at_once(count: int, ask: Any) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(ask, range(count)))


def test_fifty_copies_with_one_key_are_one_payment(racing: Lending) -> None:
    loan = racing.loan(racing.customer())["id"]
    answers = at_once(50, lambda _: racing.pay(loan, ROW, key="once"))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.body for answer in answers}) == 1
    assert len(racing.read(f"/loans/{loan}/payments")["data"]) == 1
    assert racing.outstanding(loan) == "5390000.00"


def test_fifty_keys_for_one_row_are_one_payment(racing: Lending) -> None:
    loan = racing.loan(racing.customer())["id"]
    answers = at_once(50, lambda each: racing.pay(loan, ROW, key=f"k{each}", installment_number=1))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 49
    assert {answer.code for answer in answers} == {None, "installment_already_paid"}
    assert racing.outstanding(loan) == "5390000.00"


def test_two_payments_race_for_the_last_row(racing: Lending) -> None:
    loan = racing.loan(racing.customer(), installments=1)["id"]
    answers = at_once(8, lambda each: racing.pay(loan, "5500000.00", key=f"k{each}"))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 7
    assert {answer.code for answer in answers} == {None, "loan_closed"}
    assert racing.outstanding(loan) == "0.00"
